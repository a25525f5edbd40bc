"""The feature pyramid: it keeps every promise of a backbone, and its map is what its definition says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contract_backbone import BackboneContract
from torch import Tensor
from torch.nn import functional as F

from pixelnet import InputError, PixelNet, load, train
from pixelnet.nn.networks import make_backbone
from pixelnet.nn.pyramid import WIDEST, Pyramid

WIDTH = 4
STRIDES = (2, 4, 8, 16, 32)


class TestPyramid(BackboneContract):
    name = "test_resnet"
    options = {"pyramid": WIDTH}  # noqa: RUF012
    channels = (32, 32, 48, 192, 96, WIDTH)
    strides = (*STRIDES, 2)

    def test_taps_are_chosen_by_index(self) -> None:
        some = self.backbone(taps=(1, 3))
        assert some.channels == (32, 192, WIDTH)
        assert some.strides == (4, 16, 4)


class TestPyramidOfSeveral(TestPyramid):
    """Taps of several networks, out of the order of their strides, some of them of one stride."""

    name = "test_resnet@2+test_resnet"
    channels = (32, 32, 48, 192, 96) * 2 + (WIDTH,)
    strides = (1, 2, 4, 8, 16, *STRIDES, 1)

    def test_taps_are_chosen_by_index(self) -> None:
        with pytest.raises(InputError, match="has 2 networks"):
            self.backbone(taps=(1, 3))

    def test_a_tap_it_has_not_is_refused(self) -> None:
        self.test_taps_are_chosen_by_index()


def by_definition(pyramid: Pyramid, maps: list[Tensor]) -> Tensor:
    """Of taps that come finest first, each half as large as the one before."""
    above = None
    for level, features in zip(pyramid.levels, reversed(maps), strict=True):
        lateral, norm = level.lateral
        own = norm(torch.einsum("nchw,kc->nkhw", features, lateral.weight[:, :, 0, 0]))
        if above is not None:
            own = own + F.interpolate(above, scale_factor=2, mode="bilinear", align_corners=False)
        around = F.pad(own.clamp(min=0), (1, 1, 1, 1))
        height, width = own.shape[-2:]
        conv, norm, _ = level.mix
        near: Tensor = sum(
            torch.einsum("nchw,kc->nkhw", around[..., y : y + height, x : x + width], conv.weight[:, :, y, x])
            for y in range(3)
            for x in range(3)
        )
        above = norm(near).clamp(min=0)
    assert above is not None
    return above


def test_its_map_is_what_its_definition_says() -> None:
    torch.manual_seed(0)
    pyramid = make_backbone("test_resnet", pyramid=WIDTH).eval()
    assert isinstance(pyramid, Pyramid)
    *maps, finest = pyramid(torch.rand(2, 3, 64, 96))
    torch.testing.assert_close(finest, by_definition(pyramid, maps), rtol=1e-4, atol=1e-5)


def test_what_it_gives_on_is_the_networks_own() -> None:
    torch.manual_seed(0)
    pyramid = make_backbone("test_resnet", pyramid=WIDTH).eval()
    images = torch.rand(1, 3, 64, 64)
    assert isinstance(pyramid, Pyramid)
    for found, expected in zip(pyramid(images)[:-1], pyramid.network(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("width", [-1, WIDEST + 1])
def test_a_width_that_cannot_be_is_refused(width: int) -> None:
    with pytest.raises(InputError, match=f"cannot be {width} channels wide"):
        PixelNet("edges", backbone="test_resnet", pyramid=width)


def test_it_is_kept_in_the_configuration_and_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PixelNet("edges", backbone="test_resnet", pyramid=WIDTH).eval()
    model.save(tmp_path)
    images = torch.rand(1, 3, 40, 50)
    again = load(tmp_path)
    assert again.config.pyramid == WIDTH
    torch.testing.assert_close(again(images), model(images), rtol=0, atol=0)


def test_under_a_frozen_network_it_learns(tmp_path: Path) -> None:
    options: dict = {"backbone": "test_resnet", "pyramid": WIDTH, "freeze": True, "val_share": 0, "val_images": 1}
    options |= {"batch_size": 2, "crop": (64, 64), "pixels": "50", "max_steps": 2}
    data = [(np.full((64, 64, 3), 40 * k, np.uint8), np.eye(64, dtype=np.float32)) for k in range(4)]
    slow, quick = (train("edges", data, tmp_path / str(lr), lr=lr, **options).backbone for lr in (1e-9, 1e-2))
    assert isinstance(slow, Pyramid)
    assert isinstance(quick, Pyramid)
    theirs = slow.network.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in quick.network.state_dict().items())
    assert all(not torch.equal(*pair) for pair in zip(quick.levels.parameters(), slow.levels.parameters(), strict=True))
    assert all(level.mix[1].num_batches_tracked == 2 for level in quick.levels)
