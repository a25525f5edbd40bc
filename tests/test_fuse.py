"""A fused backbone gives the same maps; it follows its weights, and leaves alone what cannot be fused."""

import gc
from importlib import import_module

import pytest
import torch
from timm.layers import Conv2dSame, ScaledStdConv2dSame, StdConv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from torch import Tensor, nn

from pixelnet import PixelNet
from pixelnet.nn import fuse
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.fuse import evenly_padded, fused
from pixelnet.nn.networks import make_backbone


def trained(backbone: Backbone) -> Backbone:
    """With batch norms that are not the identity."""
    for norm in backbone.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, (low, high) in zip(
                (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data),
                ((-1, 1), (0.5, 2), (0.5, 1.5), (-1, 1)),
                strict=True,
            ):
                values.uniform_(low, high)
    return backbone.eval()


def norms(backbone: Backbone) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


def agree(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4 * float(b.abs().max()), rtol=0)


@pytest.mark.parametrize(
    "name",
    ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "vgg11_bn", "densenet121", "test_vit", "vgg16"],
)
@torch.inference_mode()
def test_the_maps_are_the_same_and_the_norms_are_gone(name: str) -> None:
    torch.manual_seed(0)
    with torch.inference_mode(False):
        backbone = trained(make_backbone(name))
    images = torch.rand(1, 3, 64, 96)
    quick = fused(backbone, images)
    agree(quick(images), backbone(images))
    agree(quick(images[..., :32]), backbone(images[..., :32]))
    if name in ("tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"):
        assert norms(quick) == 0 < norms(backbone)


class Forked(Backbone):
    """What its convolution gives goes two ways."""

    channels, strides = (4,), (1,)

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.set_normalization((0.5,), (0.5,), 3)

    def maps(self, images: Tensor) -> list[Tensor]:
        features = self.convolution(images)
        return [features + self.norm(features)]


@torch.no_grad()
def test_a_network_that_cannot_be_fused_stays_as_it_is() -> None:
    backbone, images = trained(Forked()), torch.rand(1, 3, 8, 8)
    agree(fused(backbone, images)(images), backbone(images))


@torch.no_grad()
def test_it_is_made_once_and_anew_when_weights_change() -> None:
    backbone, images = trained(make_backbone("test_resnet")), torch.rand(1, 3, 32, 32)
    first = fused(backbone, images)
    assert fused(backbone, images) is first
    next(backbone.parameters()).mul_(2)
    agree(fused(backbone, images)(images), backbone(images))
    backbone.load_state_dict(trained(make_backbone("test_resnet")).state_dict())
    agree(fused(backbone, images)(images), backbone(images))
    backbone.train()(torch.rand(2, 3, 64, 64))  # statistics move
    agree(fused(backbone, images)(images), backbone.eval()(images))


def test_an_optimizers_step_is_a_change() -> None:
    model = PixelNet("edges", backbone="test_resnet")
    image = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8).numpy()
    before = model.predict(image)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 2)).sum().backward()
    optimizer.step()
    after = model.predict(image)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    assert abs(before - after).max() > 1e-3
    torch.testing.assert_close(torch.from_numpy(after), logits[0, 0].sigmoid(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("inference", [False, True])
def test_it_is_of_evaluation_mode_and_the_backbone_keeps_its_own(inference: bool) -> None:
    """Of weights made in inference mode, too, which are not fused: their changes are not counted."""
    with torch.inference_mode(inference):
        backbone, images = trained(make_backbone("test_resnet")), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected = backbone(images)
        backbone.train()
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        agree(fused(backbone, images)(images), expected)
    assert all(module.training for module in backbone.modules())
    assert all(torch.equal(backbone.state_dict()[name], tensor) for name, tensor in before.items())


def test_it_goes_with_its_backbone_and_is_not_saved() -> None:
    model = PixelNet("edges", backbone="test_resnet")
    names = set(model.state_dict())
    model.predict(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy())
    assert set(model.state_dict()) == names
    gc.collect()
    held = len(fuse._made)
    del model
    gc.collect()
    assert len(fuse._made) == held - 1


@pytest.mark.parametrize("head", ["linear-bn", "mlp", "linear"])
@torch.no_grad()
def test_the_taps_norms_are_in_the_heads_first_layer(head: str) -> None:
    torch.manual_seed(0)
    model = PixelNet("regression", backbone="test_resnet", head=head).double()
    trained(model.norms)  # type: ignore[arg-type]
    model.eval()
    images, points = torch.rand(1, 3, 50, 70, dtype=torch.float64), torch.rand(1, 40, 2, dtype=torch.float64) * 49
    found, expected = (model.read_head(model.maps(images, for_prediction=way), points) for way in (True, False))
    torch.testing.assert_close(found, expected, atol=1e-6 * float(expected.abs().max()), rtol=0)


class Same(nn.Module):
    """A layer of each kind whose padding hangs on the image's size, with kernels that their strides do not go into."""

    channels, strides = (4, 4, 5), (4, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.largest = Conv2dSame(3, 4, 5, stride=2), MaxPool2dSame(3, 2)
        self.average, self.second = AvgPool2dSame(3, 2), StdConv2dSame(4, 4, 3, stride=2, padding="same")
        self.third = ScaledStdConv2dSame(4, 5, 4, padding="same")

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.largest(self.first(images) - 3)  # below 0, where zeros at the border would be the largest
        coarse = self.second(self.average(fine))
        return [fine, coarse, self.third(coarse)]


@pytest.mark.parametrize("sides", [(32, 64), (96, 160)])
@pytest.mark.parametrize("network", ["tf_efficientnet_lite0", "layers"])
def test_padding_that_no_size_decides_is_the_same_padding(network, sides: tuple[int, int], monkeypatch) -> None:
    backbone = trained(make_backbone(network)) if network != "layers" else PixelNet("edges", backbone=Same()).backbone
    images = torch.rand(1, 3, *sides)
    fixed = evenly_padded(backbone)
    with torch.no_grad():
        expected = backbone(images)
        for layers in ("conv2d_same", "pool2d_same", "std_conv"):
            monkeypatch.setattr(import_module(f"timm.layers.{layers}"), "pad_same", None)
        agree(fixed(images), expected)
        with pytest.raises(TypeError):
            backbone(images)
