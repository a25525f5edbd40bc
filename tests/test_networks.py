"""Magnified networks, several joined, and the pixel's own filters: the contract, and each against its parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contract_backbone import BackboneContract
from scipy import ndimage

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.filters import KINDS, SCALES, Filters
from pixelnet.nn.networks import Joined, make_backbone

WIDTHS, STRIDES = (32, 32, 48, 192, 96), (2, 4, 8, 16, 32)  # of test_resnet


class TestMagnified(BackboneContract):
    name = "test_resnet@2"
    channels = WIDTHS
    strides = (1, 2, 4, 8, 16)


class TestReduced(BackboneContract):
    name = "test_resnet@0.5"
    channels = WIDTHS
    strides = (4, 8, 16, 32, 64)
    largest_side = 80
    examples = 2


class TestFilters(BackboneContract):
    name = "filters"
    channels = (57, 18, 36)
    strides = tuple(SCALES)

    @pytest.mark.parametrize("channels", [1, 5])
    def test_any_number_of_input_channels(self, channels: int) -> None:
        backbone = self.backbone(channels=channels)
        maps = backbone(torch.rand(1, channels, 8, 12))
        assert [features.shape[1] for features in maps] == list(backbone.channels)
        assert backbone.channels == (channels * (1 + 3 * KINDS), channels * KINDS, channels * 2 * KINDS)

    def test_taps_are_chosen_by_index(self) -> None:
        with pytest.raises(InputError, match="has 0 networks"):
            self.backbone(taps=(0, 1))

    test_a_tap_it_has_not_is_refused = test_taps_are_chosen_by_index


class TestJoined(BackboneContract):
    name = "test_resnet@2+filters+test_resnet"
    channels = (*WIDTHS, *TestFilters.channels, *WIDTHS)
    strides = (1, 2, 4, 8, 16, 1, 2, 4, *STRIDES)

    @pytest.mark.parametrize("channels", [1, 5])
    def test_any_number_of_input_channels(self, channels: int) -> None:
        backbone = self.backbone(channels=channels).eval()
        maps = backbone(torch.rand(1, channels, 32, 64))
        assert [features.shape[1] for features in maps] == list(backbone.channels)

    def test_taps_are_chosen_by_index(self) -> None:
        with pytest.raises(InputError, match="has 2 networks"):
            self.backbone(taps=(0, 1))

    test_a_tap_it_has_not_is_refused = test_taps_are_chosen_by_index


def parts_of(name: str, seed: int) -> Backbone:
    torch.manual_seed(seed)
    return make_backbone(name).eval()


def test_a_magnified_network_sees_the_image_resized() -> None:
    images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    resized = torch.nn.functional.interpolate(images, size=(96, 128), mode="bilinear")
    for found, expected in zip(parts_of("test_resnet@2", 0)(images), parts_of("test_resnet", 0)(resized), strict=True):
        assert torch.equal(found, expected)


def test_joined_networks_give_the_maps_of_each() -> None:
    images = torch.rand(1, 3, 61, 90, generator=torch.Generator().manual_seed(0))
    joined = parts_of("test_resnet@2+filters+vgg16", 0)
    expected = [features for member in joined.members for features in member(member.padded(images))]
    found = joined(images)
    assert len(found) == 5 + 3 + 5
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("size", [(61, 70), (33, 40)])
def test_the_size_is_padded_to_what_all_need(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = PixelNet("segmentation", 3, "test_resnet@2+filters").eval()
    assert model(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_a_magnification_in_the_name_is_the_models(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PixelNet("segmentation", 3, "test_resnet@2", hidden=(8,))
    torch.manual_seed(0)
    beside = PixelNet("segmentation", 3, "test_resnet", magnify=2, hidden=(8,))
    assert model.config == beside.config
    assert (model.config.backbone, model.config.magnify) == ("test_resnet", 2)
    model.save(tmp_path / "model")
    again = pixelnet.load(tmp_path / "model")
    assert again.config == model.config
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(again.predict(image), beside.predict(image))
    assert PixelNet("edges", None, "vgg16", taps=(0, 1), magnify=2).backbone.strides == (0.5, 1)
    assert PixelNet("edges", None, "test_resnet@2+filters").config.backbone == "test_resnet@2+filters"


def test_a_magnified_model_answers_as_one_that_is_asked_at_doubled_points() -> None:
    """Its own answers at (x, y), and those of the plain network of the image magnified by hand, at 2 (x, y) + 1/2."""
    torch.manual_seed(0)
    model = PixelNet("segmentation", 3, "test_resnet", magnify=2, hidden=(8,)).eval()
    plain = PixelNet("segmentation", 3, "test_resnet", hidden=(8,)).eval()
    plain.load_state_dict(model.state_dict())
    images = torch.rand(1, 3, 48, 64)
    points = torch.rand(1, 30, 2) * torch.tensor([63, 47])
    twice = torch.nn.functional.interpolate(images, size=(96, 128), mode="bilinear")
    torch.testing.assert_close(model(images, points), plain(twice, 2 * points + 0.5), atol=1e-5, rtol=1e-4)
    pixels = (255 * images[0]).round().byte().permute(1, 2, 0).numpy()
    seen = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    expected = plain(torch.nn.functional.interpolate(seen, size=(96, 128), mode="bilinear"), 2 * points + 0.5)
    found = model.predict(pixels, points[0].numpy(), probabilities=True)
    np.testing.assert_allclose(found, expected[0].softmax(1).detach().numpy(), atol=1e-5)


class Halves(Backbone):
    """One map, of stride 2."""

    channels, strides = (4,), (2,)

    def __init__(self) -> None:
        super().__init__()
        self.set_normalization((0.5,), (0.5,), 3)
        self.first = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self.first(images)]


def test_a_backbone_that_is_given_stays_as_it_is() -> None:
    given, images = Halves(), torch.rand(1, 3, 8, 12)
    model = PixelNet("edges", None, given, magnify=2)
    assert (given.magnification, given.strides, model.backbone.strides) == (1, (2,), (1,))
    assert given(images)[0].shape[-2:] == (4, 6)
    assert model.backbone(images)[0].shape[-2:] == (8, 12)
    assert model.backbone.first.weight is given.first.weight


@pytest.mark.parametrize(
    ("name", "magnify", "words"),
    [
        ("test_resnet@2", 2, "and so does a magnification of 2; give one"),
        ("test_resnet@1", 2, "give one"),
        ("test_resnet", 3, "by 3; give a power of two"),
        ("filters", 2, "as it is"),
        ("test_resnet+filters", 2, r"in the backbone's name, as in A@2\+B"),
        (Joined([Halves()], 3), 2, r"in the backbone's name, as in A@2\+B"),
    ],
)
def test_magnifications_that_mean_nothing_are_refused(name: str, magnify: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PixelNet("edges", None, name, magnify=magnify)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_resnet@3", "power of two"),
        ("test_resnet@0", "power of two"),
        ("test_resnet@-2", "power of two"),
        ("test_resnet@nan", "power of two"),
        ("test_resnet@inf", "power of two"),
        ("test_resnet@16", "by 16; give"),
        ("test_resnet@two", "'two' is no number"),
        ("test_resnet@", "'' is no number"),
        ("filters@2", "as it is"),
        ("test_resnet+", "no network ''"),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_backbone(name)


# ------------------------------------------------------------------------------------------------- filters


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """(H, W), smooth enough for differences to be derivatives."""
    return ndimage.gaussian_filter(np.random.default_rng(0).random((64, 80)), 1.5)


def channel(picture: np.ndarray, number: int) -> np.ndarray:
    """One channel of the first map, away from the border, of an image of one channel."""
    maps = Filters(1)(torch.from_numpy(picture)[None, None])
    return maps[0][0, number].numpy()[12:-12, 12:-12]


@pytest.mark.parametrize(("place", "scale"), list(enumerate(SCALES[1])))
def test_a_pixels_own_channels_are_derivatives_of_gaussians(picture: np.ndarray, place: int, scale: float) -> None:
    first = 1 + place * KINDS
    smooth = ndimage.gaussian_filter(picture, scale, mode="nearest", truncate=3.01)
    inner = slice(12, -12), slice(12, -12)
    assert np.array_equal(channel(picture, 0), picture[inner])
    assert np.abs(channel(picture, first) - smooth[inner]).max() < 0.01 * picture.std()

    down, across = np.gradient(smooth)
    assert np.allclose(channel(picture, first + 3), (scale * np.hypot(across, down))[inner], rtol=0.05, atol=1e-3)

    yx, xx = np.gradient(across)
    yy = np.gradient(down)[0]
    hessian = scale**2 * np.stack([np.stack([xx, yx], -1), np.stack([yx, yy], -1)], -1)[inner]
    small, large = np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0)
    assert np.allclose(channel(picture, first + 1), large, rtol=0.05, atol=2e-3)
    assert np.allclose(channel(picture, first + 2), small, rtol=0.05, atol=2e-3)

    products = {"xx": across * across, "xy": across * down, "yy": down * down}
    xx, xy, yy = (ndimage.gaussian_filter(product, scale, mode="nearest") for product in products.values())
    tensor = scale**2 * np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -1)[inner]
    small, large = np.sqrt(np.moveaxis(np.linalg.eigvalsh(tensor), -1, 0).clip(0))
    assert np.allclose(channel(picture, first + 4), large, rtol=0.05, atol=2e-3)
    assert np.allclose(channel(picture, first + 5), small, rtol=0.05, atol=2e-3)


def test_a_coarse_map_holds_what_a_fine_one_would(picture: np.ndarray) -> None:
    """The smoothing by 3.5, of the map of stride 2, against SciPy's at the places of its cells."""
    big = np.kron(picture, np.ones((2, 2)))
    # A cell lies between four pixels, whose mean is a blur of variance 1/4 itself.
    smooth = ndimage.gaussian_filter(big, (3.5**2 - 1 / 4) ** 0.5, mode="nearest")
    found = Filters(1)(torch.from_numpy(big)[None, None])[1][0, 0].numpy()
    expected = (smooth[::2, ::2] + smooth[1::2, ::2] + smooth[::2, 1::2] + smooth[1::2, 1::2]) / 4
    assert np.abs(found - expected)[8:-8, 8:-8].mean() < 0.02 * smooth.std()  # a scale of 3.7 is off by .05


def test_flat_images_have_finite_gradients() -> None:
    images = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    sum(features.sum() for features in Filters(3)(images)).backward()  # type: ignore[union-attr]
    assert images.grad is not None
    assert images.grad.isfinite().all()
