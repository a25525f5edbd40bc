"""How far backbones look: traced, against what arithmetic says of them, and against what a changed pixel changes."""

import pytest
import torch
from torch import nn

from pixelnet.inference import reach as module
from pixelnet.inference.reach import reach, smaller_halo
from pixelnet.nn.networks import make_backbone


class Plain(nn.Module):
    """Convolutions of so wide kernels, one after the other, and a map of stride 2 at the end."""

    def __init__(self, *kernels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, kernel, padding=kernel // 2) for kernel in kernels))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [nn.functional.avg_pool2d(self.layers(images), 2)]


@pytest.mark.parametrize("kernels", [(3,), (3, 5), (1, 7, 9)])
def test_the_reach_is_what_the_kernels_add_up_to(kernels: tuple[int, ...]) -> None:
    wide = sum(kernel // 2 for kernel in kernels)
    found = reach(make_backbone(Plain(*kernels)))
    assert found is not None
    assert wide <= found <= wide + 4  # whole cells of 2 pixels, one more to read between, and the step


@pytest.mark.parametrize("name", ["test_resnet", "filters", "test_resnet@2+filters"])
def test_what_lies_beyond_changes_nothing_and_what_lies_within_does(name: str) -> None:
    backbone = make_backbone(name).eval()
    found, step = reach(backbone), backbone.step
    assert found is not None
    assert found % step == 0
    torch.manual_seed(0)
    image = torch.rand(1, 3, step, found + 3 * step)
    changed = image.clone()
    changed[..., :step] = 1 - changed[..., :step]
    with torch.no_grad():
        maps, others = backbone(image), backbone(changed)
    for one, other, stride in zip(maps, others, backbone.strides, strict=True):
        first = int((found + step) / stride) - 1  # the cell before is read from, too
        assert torch.equal(one[..., first:], other[..., first:])
    assert any(not torch.equal(one, other) for one, other in zip(maps, others, strict=True))


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "test_vit"])
def test_global_operations_have_no_reach(name: str) -> None:
    assert reach(make_backbone(name)) is None


class Placed(nn.Module):
    """What it says hangs on where in the image it is, as of networks with positions."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [nn.functional.avg_pool2d(images, 2) + torch.linspace(0, 1, images.shape[-1] // 2)]


class Swallows(nn.Module):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [nn.functional.avg_pool2d(images.nan_to_num(), 2)]


@pytest.mark.parametrize("module", [Placed, Swallows])
def test_what_cannot_be_traced_counts_as_global(module: type[nn.Module]) -> None:
    assert reach(make_backbone(module())) is None


def test_the_smaller_halo_is_the_first_that_is_near_enough() -> None:
    """Logits whose context fades: beyond h pixels what is lost is 2^-(h / 16)."""

    def logits(rows: range, columns: range, down: int, across: int) -> torch.Tensor:
        return torch.full((2, 2, 1), 10.0) * (1 - 2 ** (-max(down, across) / 16))

    halo, error = smaller_halo(logits, [(range(4), range(4))], 512, 32)
    assert (halo, error) == (256, pytest.approx(2**-16, rel=0.01))
    assert error <= module.SURE * module.CLOSE < 2**-8
    assert smaller_halo(logits, [(range(4), range(4))], 128, 32) == (128, 0.0)  # near enough to be covered
