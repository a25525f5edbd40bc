"""VGG-16, the paper's backbone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.nn.backbone import Backbone, mismatch
from pixelnet.nn.pretrained import from_hub, read_weights

# Of the Oxford weights, which come from Caffe: RGB means of 0..255 pixels, no division by a deviation.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
LARGEST_MEAN = 6  # of VGG-16's last convolution; see `_is_of_caffe`
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG16(Backbone):
    """The paper's VGG-16: conv1_2, 2_2, 3_3, 4_3, 5_3 (1,472 channels) and, as an option, conv-7 (5,568).

    Conv-7 is fc6 as a 7x7 convolution with padding 3 and fc7 as a 1x1 one, at stride 32, both followed by ReLU. The
    released nets disagree on the side of the ReLU that a tap is taken from, hence `before_relu`; conv-7 is always
    taken after it. `features` has torchvision's layout and names.
    """

    def __init__(
        self,
        taps: Sequence[int] | None,
        channels: int,
        pretrained: bool,
        weights: Path | None,
        before_relu: bool = False,
        conv7: bool = False,
    ):
        super().__init__()
        widths, strides = (64, 128, 256, 512, 512, 4096), (1, 2, 4, 8, 16, 32)
        known = range(6 if conv7 else 5)
        self.taps = tuple(known) if taps is None else tuple(taps)
        if not self.taps or not set(self.taps) <= set(known):
            raise InputError(f"vgg16 has taps 0 to {known[-1]} here, not {list(self.taps)}; tap 5 comes with conv7")
        self.features = nn.Sequential()
        self.tapped_layers: list[int] = []
        entering = channels
        for block, depth in enumerate((2, 2, 3, 3, 3)[: max(self.taps) + 1]):
            if block:
                self.features.append(nn.MaxPool2d(2))
            for _ in range(depth):
                # Not in place: the last ReLU of a block would overwrite the tap before it.
                self.features.extend([nn.Conv2d(entering, widths[block], 3, padding=1), nn.ReLU()])
                entering = widths[block]
            self.tapped_layers.append(len(self.features) - (2 if before_relu else 1))
        self.conv7: nn.Sequential | None = None
        if 5 in self.taps:
            self.conv7 = nn.Sequential(
                nn.MaxPool2d(2), nn.Conv2d(512, 4096, 7, padding=3), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU()
            )
        self.channels = tuple(widths[tap] for tap in self.taps)
        self.strides = tuple(strides[tap] for tap in self.taps)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._load(channels, pretrained, weights)

    def _load(self, channels: int, pretrained: bool, weights: Path | None) -> None:
        if weights:
            given = read_weights(weights)
            caffe = _is_of_caffe(given)
            self.set_normalization(*((CAFFE_MEAN, CAFFE_STD) if caffe else (IMAGENET_MEAN, IMAGENET_STD)), channels)
        elif pretrained:
            with from_hub("vgg16"):
                network: Any = timm.create_model("vgg16", pretrained=True)
            given = network.state_dict()
            self.set_normalization(network.pretrained_cfg["mean"], network.pretrained_cfg["std"], channels)
        else:
            self.set_normalization(IMAGENET_MEAN, IMAGENET_STD, channels)
            return
        conv7 = {"pre_logits.fc1": "conv7.1", "pre_logits.fc2": "conv7.3"}
        state = {}
        for key, value in given.items():
            layer, _, part = key.rpartition(".")
            state[f"{conv7.get(layer, layer)}.{part}"] = value
        own = self.state_dict()
        # fc6 and fc7 are often left out of a file of VGG's convolutions: they start at random then.
        missing = [key for key in own if key not in state and key not in ("mean", "std") and "conv7" not in key]
        if missing:
            raise InputError(f"{weights or 'the hub file'} lacks {missing[0]}; VGG-16's names are features.N.weight")
        first = state["features.0.weight"]
        if first.shape[1] != channels:
            state["features.0.weight"] = adapt_input_conv(channels, first.float())
        try:
            self.load_state_dict({key: state[key] for key in own if key in state}, strict=False)
        except RuntimeError as error:
            raise InputError(f"{weights or 'the hub file'} does not fit vgg16: {mismatch(error)}") from error

    def maps(self, images: Tensor) -> list[Tensor]:
        found, x = [], images
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.tapped_layers:
                found.append(x)
        if self.conv7 is not None:
            found.append(self.conv7(x))
        return [found[tap] for tap in self.taps]


@torch.no_grad()
def _is_of_caffe(given: dict[str, Tensor]) -> bool:
    """Whether VGG-16's weights expect pixels of 0..255, as Oxford's do, and not torchvision's, of unit variance.

    Files look alike, but what the last convolution gives is of the order of 1 for either, on the images that it was
    trained for. So it is some 60 times that where torchvision's weights see the wider range.
    """
    values = 60 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    values = F.interpolate(values, size=(64, 64), mode="bilinear")  # about as smooth as a photo
    try:
        for block, depth in enumerate((2, 2, 3, 3, 3)):
            values = F.max_pool2d(values, 2) if block else values
            for layer in range(depth):
                name = f"features.{(0, 5, 10, 17, 24)[block] + 2 * layer}"
                weight, bias = given[f"{name}.weight"].float(), given[f"{name}.bias"].float()
                values = F.conv2d(values, weight, bias, padding=1).relu()
    except (KeyError, RuntimeError):
        return True  # cut off, or no VGG-16, which is found out when it is loaded
    return bool(values.mean() < LARGEST_MEAN)
