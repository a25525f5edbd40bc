"""Backbones: images (N, C, H, W) in 0..1 -> feature maps, one per tap, with their channels and strides.

Any network of timm that offers `features_only` will do, the paper's own VGG-16 is here under the name `vgg16`, and so
will a module of your own that returns a list of maps.
A backbone says three things of its taps: `channels`, `strides` (pixels per cell) and, through `forward`, the maps
(N, C_l, H / s_l, W / s_l). H and W must be multiples of the largest stride; the model pads for that.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.nn.pretrained import from_hub, read_weights

# Of the Oxford weights, which come from Caffe: RGB means of 0..255 pixels, no division by a deviation.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
STATISTICS = (("mean", 0.0), ("std", 1.0))  # attributes of a module of one's own, and what stands for them
LARGEST_MEAN = 6  # of VGG-16's last convolution; see `_is_of_caffe`
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """What every backbone has. `mean` and `std` are saved with the weights: they belong to them."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: Tensor
    std: Tensor

    def set_normalization(self, mean: Sequence[float], std: Sequence[float], channels: int) -> None:
        """Image statistics in 0..1, one per input channel; RGB figures serve other channel counts by their average."""
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                values = [sum(values) / len(values)] * channels
            self.register_buffer(name, torch.tensor(values).view(1, channels, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) in 0..1 -> maps, one per tap."""
        maps = self.maps((images - self.mean) / self.std)
        height, width = images.shape[-2:]
        if torch.compiler.is_exporting():
            return maps
        for features, channels, stride in zip(maps, self.channels, self.strides, strict=True):
            found, expected = tuple(features.shape[1:]), (channels, height // stride, width // stride)
            if found != expected:
                raise InputError(
                    f"{type(self).__name__} gave a map of {found} for an image of {height}x{width}, "
                    f"not {expected}: this network does not keep to its strides; choose other taps or another network"
                )
        return maps

    def maps(self, images: Tensor) -> list[Tensor]:
        """Normalized images -> maps, channels first."""
        raise NotImplementedError


class TimmBackbone(Backbone):
    """A timm network by name, tapped where timm's `features_only` taps it."""

    def __init__(self, name: str, taps: Sequence[int] | None, channels: int, pretrained: bool, weights: Path | None):
        super().__init__()
        if taps is not None and (not taps or list(taps) != sorted(set(taps))):
            raise InputError(f"taps are {list(taps)}; give at least one, from shallow to deep, each once")
        given = read_weights(weights) if weights else None
        try:
            self.network = _timm_features(name, taps, channels, pretrained, given)
        except RuntimeError as error:
            what = f"{weights or 'the hub file'} does not fit" if weights or pretrained else "there is no backbone in"
            raise InputError(f"{what} {name}: {_reason(error)}") from error
        if weights and given is not None:
            _same_names(self.network, given, weights, name)
        info: Any = self.network.feature_info
        self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())
        # Swin and its kin hand their maps out channels last.
        self.channels_last = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        statistics = timm.get_pretrained_cfg(name)
        if statistics is None:
            self.set_normalization((0.5,), (0.5,), channels)
        else:
            self.set_normalization(statistics.mean, statistics.std, channels)
        self._try(name, channels)

    @torch.no_grad()
    def _try(self, name: str, channels: int) -> None:
        """Raise InputError for a network that takes one size of images alone, before anything is made with it."""
        if self.mean.is_meta:
            return
        height, width = 3 * max(self.strides), 5 * max(self.strides)
        try:
            self.eval()(torch.zeros(1, channels, height, width))
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"{name} does not take images of any size (of {width}x{height}: {str(error) or 'it fails'}); choose "
                "another network"
            ) from error
        self.train()

    def maps(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(images)
        return [features.permute(0, 3, 1, 2) for features in maps] if self.channels_last else maps


def _timm_features(
    name: str, taps: Sequence[int] | None, channels: int, pretrained: bool, given: dict[str, Tensor] | None
) -> nn.Module:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:6]
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise InputError(f"timm has no network {name!r}{hint}. `timm.list_models()` lists all")
    options: dict[str, Any] = {
        "features_only": True,
        "in_chans": channels,
        "pretrained": pretrained or given is not None,
    }
    if taps is not None:
        options["out_indices"] = tuple(taps)
    if given is not None:
        options["pretrained_cfg_overlay"] = {"state_dict": given}
    # A plain ViT and a Swin each have their own word for "images of any size"; other networks know neither.
    any_sizes: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
    for any_size in any_sizes:
        try:
            with _quiet_timm(), from_hub(name) if pretrained else nullcontext():
                return timm.create_model(name, **options, **any_size)
        except InputError:
            raise
        except TypeError as error:
            if not any(word in str(error) for word in any_size):
                raise
        except (AssertionError, IndexError, ValueError) as error:
            raise InputError(f"{name} cannot be tapped at {taps}: {error}") from error
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """timm notes every tensor of a classifier that a feature network has no place for."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """The first mismatch that torch names; its first line only says that there are some."""
    return str(error).splitlines()[:2][-1].strip()


def _same_names(network: nn.Module, given: dict[str, Tensor], weights: Path, name: str) -> None:
    # timm loads a feature network leniently, so a file of another network would pass without a word.
    def flat(key: str) -> str:
        return key.removeprefix("model.").replace(".", "_")

    held = {flat(key) for key in given}
    missing = [key for key in network.state_dict() if flat(key) not in held and "num_batches_tracked" not in key]
    if missing:
        raise InputError(
            f"{weights} lacks {len(missing)} tensors of {name} ({missing[0]} first); "
            f"give a file saved from timm's {name}, or name the network it was saved from"
        )


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
            raise InputError(f"{weights or 'the hub file'} does not fit vgg16: {_reason(error)}") from error

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


class ModuleBackbone(Backbone):
    """A module of your own: images (N, C, H, W) -> a list of maps, (N, C_l, H / s_l, W / s_l) each, shallow to deep.

    Args:
        module: its attributes `channels` and `strides` say what the maps are, one number each; without them one image
            is tried. `mean` and `std` (one number a channel, of images in 0..1), if it has them, are taken off first.
        taps: which of its maps, by index; None for all.
        channels: of the images.

    Raises:
        InputError: it gives no list of maps, or maps whose sizes are no whole shares of the image's.
    """

    def __init__(self, module: nn.Module, taps: Sequence[int] | None, channels: int):
        super().__init__()
        self.module = module
        mean, std = (torch.as_tensor(getattr(module, name, default)).float() for name, default in STATISTICS)
        self.set_normalization(mean.flatten().tolist(), std.flatten().tolist(), channels)
        known: Any = getattr(module, "channels", None), getattr(module, "strides", None)
        widths, strides = self._tried(channels) if None in known else known
        every = range(len(widths))
        self.taps = tuple(every) if taps is None else tuple(taps)
        if not self.taps or not set(self.taps) <= set(every):
            raise InputError(f"{type(module).__name__} has taps 0 to {every[-1]}, not {list(self.taps)}")
        self.channels = tuple(int(widths[tap]) for tap in self.taps)
        self.strides = tuple(int(strides[tap]) for tap in self.taps)

    @torch.no_grad()
    def _tried(self, channels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Channels and strides, by what comes of an image of 128x192."""
        name, training = type(self.module).__name__, self.module.training
        try:
            maps = list(self.module.eval()(torch.zeros(1, channels, 128, 192)))
        finally:
            self.module.train(training)
        shapes = [tuple(features.shape) for features in maps if isinstance(features, Tensor)]
        if not maps or len(shapes) < len(maps) or any(len(shape) != 4 for shape in shapes):
            raise InputError(f"{name} gave no list of maps (N, C, H, W); return a list with one tensor a tap")
        if any(128 % height or 128 // height * width != 192 for *_, height, width in shapes):
            raise InputError(
                f"{name} gave maps of {', '.join(f'{h}x{w}' for *_, h, w in shapes)} for an image of 128x192, which "
                "are no whole shares of it; pad its convolutions, or give it `channels` and `strides`"
            )
        return tuple(shape[1] for shape in shapes), tuple(128 // shape[2] for shape in shapes)

    def maps(self, images: Tensor) -> list[Tensor]:
        found = list(self.module(images))
        return [found[tap] for tap in self.taps]


def make_backbone(
    backbone: str | nn.Module,
    *,
    taps: Sequence[int] | None = None,
    channels: int = 3,
    pretrained: bool = False,
    weights: str | Path | None = None,
    before_relu: bool = False,
    conv7: bool = False,
) -> Backbone:
    """A backbone by name, or from a module.

    Args:
        backbone: `vgg16` for the paper's network, else any network of timm with `features_only`; a `Backbone`, which is
            taken as it is; or a module that returns a list of maps, see `ModuleBackbone`.
        taps: which of its maps, by index from the shallowest; None for all.
        channels: of the input images.
        pretrained: take the weights from timm's hub.
        weights: take them from this file instead. `vgg16` takes Oxford's weights, in Caffe's scale, and torchvision's.
        before_relu, conv7: of `vgg16` only; see there.

    Raises:
        InputError: an unknown network, a tap it has not, weights that are not its own.
    """
    path = None if weights is None else Path(weights)
    if pretrained and path:
        raise InputError("--pretrained and --backbone-weights both say where the weights come from; give one")
    if channels < 1:
        raise InputError(f"images have {channels} channels; there must be at least 1")
    if isinstance(backbone, nn.Module):
        return _from_module(backbone, taps, channels, pretrained or path is not None, before_relu or conv7)
    name = backbone
    if name == "vgg16":
        return VGG16(taps, channels, pretrained, path, before_relu, conv7)
    if before_relu or conv7:
        raise InputError(f"before_relu and conv7 belong to vgg16, not to {name}")
    return TimmBackbone(name, taps, channels, pretrained, path)


def _from_module(
    module: nn.Module, taps: Sequence[int] | None, channels: int, weights: bool, options_of_vgg: bool
) -> Backbone:
    if weights or options_of_vgg:
        raise InputError(
            "pretrained, backbone_weights, before_relu and conv7 are for backbones by name; leave them out"
        )
    if not isinstance(module, Backbone):
        return ModuleBackbone(module, taps, channels)
    if taps is not None:
        raise InputError("taps are for backbones by name and for modules; choose them in the Backbone itself")
    return module
