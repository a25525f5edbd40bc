"""Views: where a pixel goes, its color must be found; and what a view may look like."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelnet import InputError
from pixelnet.data.images import Ranges
from pixelnet.data.transforms import Augmentation, View, bring_to, cut_view, draw_view, to_unit

PLAIN = Augmentation(crop=None, scale=(1, 1), flip=False, color_jitter=0)


# An image of bytes in each of the forms that images come in.
KINDS = {
    "uint8": lambda image: image,
    "uint16": lambda image: image.astype(np.uint16) * 257,
    "float32": lambda image: image.astype(np.float32) / 255,
}


def ramp(height: int, width: int) -> np.ndarray:
    """Red is twice x, green twice y, blue neither."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x, 2 * y, np.full_like(x, 50)], axis=-1).astype(np.uint8)


def seen(
    image: np.ndarray, change: Augmentation, rng: np.random.Generator, ranges: Ranges | None = None
) -> tuple[View, torch.Tensor]:
    """A view of an image (H, W, C), and its picture (C, h, w)."""
    view = draw_view(image.shape[1::-1], change, rng)
    channels = ("red", "green", "blue") if image.shape[2] == 3 else tuple("abcdefg"[: image.shape[2]])
    picture = cut_view(image[view.rows, view.columns], view, change, rng, channels, ranges)
    assert picture.dtype == torch.float32
    assert picture.shape == (image.shape[2], *view.size)
    return view, picture


def colors_at(picture: torch.Tensor, points: np.ndarray) -> np.ndarray:
    """(P, C) colors of a picture (C, h, w), 0..255, read between its pixels."""
    height, width = picture.shape[-2:]
    grid = (2 * torch.from_numpy(points) + 1) / torch.tensor([width, height]) - 1
    read = F.grid_sample(picture[None], grid[None, None], padding_mode="border", align_corners=False)
    return 255 * read[0, :, 0].T.numpy()


def unit(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, C) -> float32 (C, H, W) in 0..1."""
    return image.transpose(2, 0, 1).astype(np.float32) / 255


def inside(view: View, margin: int) -> np.ndarray:
    """(P, 2) whole pixels of the window, further than `margin` from its border."""
    height, width = view.rows.stop - view.rows.start, view.columns.stop - view.columns.start
    y, x = np.mgrid[margin : height - margin, margin : width - margin]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([(1.0, 1.0), (0.5, 0.5), (0.7, 1.6), (2.0, 2.0)]),
    crop=st.sampled_from([None, (40, 60), (64, 31), (500, 500)]),
    flip=st.booleans(),
    size=st.sampled_from([None, 73, 160]),
)
def test_a_pixel_goes_where_its_color_goes(seed, scale, crop, flip, size) -> None:
    image = ramp(80, 110)
    view, picture = seen(image, Augmentation(crop, scale, flip, 0, size), np.random.default_rng(seed))
    points = inside(view, margin=4)  # at the border itself resizing extends the ramp flatly
    window = image[view.rows, view.columns]
    columns, rows = points.astype(int).T
    found = colors_at(picture, view.place(points))
    assert abs(found - window[rows, columns]).max() <= 1.01  # one for the rounding to whole numbers, .01 of the scale


@settings(max_examples=40)
@given(seed=st.integers(0, 2**16), flip=st.booleans(), crop=st.sampled_from([None, (30, 44)]))
def test_the_corners_of_the_window_are_the_corners_of_the_view(seed, flip, crop) -> None:
    view, picture = seen(ramp(61, 83), Augmentation(crop, (0.6, 1.7), flip, 0), np.random.default_rng(seed))
    height, width = view.rows.stop - view.rows.start, view.columns.stop - view.columns.start
    placed = view.place(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    assert placed.dtype == np.float32
    left, right = (placed[1, 0], placed[0, 0]) if view.mirrored else (placed[0, 0], placed[1, 0])
    found = (left, placed[0, 1], right, placed[1, 1])
    expected = (-0.5, -0.5, picture.shape[2] - 0.5, picture.shape[1] - 0.5)
    assert found == pytest.approx(expected, abs=1e-4)
    assert not view.mirrored or flip


def test_place_leaves_its_argument_alone() -> None:
    points = np.array([[3.0, 4.0]], np.float32)
    View(slice(0, 8), slice(0, 8), (8, 8), True).place(points)
    assert points.tolist() == [[3, 4]]


def test_a_hand_worked_place() -> None:
    # A window of 10 x 4 magnified twice: pixel 3's center, 3.5 from the left edge, goes to 7 from it.
    view = View(slice(5, 9), slice(2, 12), (8, 20), False)
    assert view.place(np.array([[3, 1]])).tolist() == [[6.5, 2.5]]
    assert view._replace(mirrored=True).place(np.array([[3, 1]])).tolist() == [[12.5, 2.5]]


def test_nothing_to_change_changes_nothing() -> None:
    image = ramp(33, 47)
    view, picture = seen(image, PLAIN, np.random.default_rng(0))
    assert view == (slice(0, 33), slice(0, 47), (33, 47), False, None)
    np.testing.assert_array_equal(picture.numpy(), unit(image))
    points = inside(view, 0)
    np.testing.assert_array_equal(view.place(points), points)


@pytest.mark.parametrize(
    ("size", "crop", "scale", "expected"),
    [
        ((80, 110), (40, 60), 1.0, (40, 60)),
        ((80, 110), (40, 60), 1.4, (40, 60)),
        ((80, 110), (40, 60), 0.5, (40, 55)),
        ((20, 30), (40, 60), 1.0, (20, 30)),
        ((80, 110), None, 0.5, (40, 55)),
        ((1, 1), (40, 60), 0.5, (1, 1)),
    ],
)
def test_a_view_is_as_large_as_the_crop_or_the_scaled_image(size, crop, scale, expected) -> None:
    for seed in range(5):
        _, picture = seen(ramp(*size), Augmentation(crop, (scale, scale), True, 0.2), np.random.default_rng(seed))
        assert picture.shape[-2:] == expected


def test_the_window_magnified_is_the_view() -> None:
    """Either axis within a pixel of the scale that was drawn."""
    for seed in range(20):
        view = draw_view((300, 200), Augmentation((64, 80), (0.75, 1.5), True, 0), np.random.default_rng(seed))
        factors = [64 / (view.rows.stop - view.rows.start), 80 / (view.columns.stop - view.columns.start)]
        assert min(factors) > 0.73
        assert max(factors) < 1.53
        assert factors[0] == pytest.approx(factors[1], rel=0.02)


def test_windows_fall_everywhere_and_half_the_views_are_mirrored() -> None:
    rng, change = np.random.default_rng(0), Augmentation((40, 40), (1, 1), True, 0)
    views = [draw_view((60, 42), change, rng) for _ in range(400)]
    assert {view.rows.start for view in views} == {0, 1, 2}
    assert {view.columns.start for view in views} == set(range(21))
    assert 150 < sum(view.mirrored for view in views) < 250


def test_scales_are_even_in_their_logarithm() -> None:
    rng, change = np.random.default_rng(0), Augmentation(None, (0.5, 2), False, 0)
    sizes = [draw_view((100, 100), change, rng).size[0] for _ in range(400)]
    assert 150 < sum(size < 100 for size in sizes) < 250


def test_tints_change_colors_by_no_more_than_was_asked() -> None:
    gray = np.full((8, 8, 3), 100, np.uint8)
    values = [
        round(float(seen(gray, Augmentation(None, (1, 1), False, 0.3), np.random.default_rng(s))[1][0, 0, 0]) * 255)
        for s in range(200)
    ]
    assert 68 <= min(values) < 80
    assert 120 < max(values) <= 132


@pytest.mark.parametrize(("shape", "size"), [((80, 110), 55), ((80, 110), 220), ((110, 80), 55), ((40, 55), 55)])
def test_a_size_is_what_the_scale_comes_on_top_of(shape: tuple[int, int], size: int) -> None:
    for seed in range(5):
        scale = np.exp(np.random.default_rng(seed).uniform(np.log(0.7), np.log(1.4)))
        _, picture = seen(ramp(*shape), Augmentation(None, (0.7, 1.4), True, 0, size), np.random.default_rng(seed))
        expected = np.array(shape) * scale * size / max(shape)
        assert np.abs(np.array(picture.shape[1:]) - expected).max() <= 0.5


@settings(max_examples=100)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.integers(1, 130),
    channels=st.sampled_from([1, 3, 5]),
    kind=st.sampled_from(list(KINDS)),
)
def test_an_image_is_brought_to_a_size_by_one_factor(height, width, size, channels, kind) -> None:
    """Each pixel is the mean of the image under a tent around its center, along either axis."""
    image = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
    image = KINDS[kind](image)
    found, factor = bring_to(image, size)
    longer = max(height, width)
    assert factor == size / longer
    assert found.shape == (
        channels,
        math.ceil(Fraction(height * size, longer)),
        math.ceil(Fraction(width * size, longer)),
    )
    reach = [math.ceil(Fraction(n * longer, size)) for n in found.shape[1:]]  # to where the last pixels extend
    extended = np.pad(image, ((0, reach[0] - height), (0, reach[1] - width), (0, 0)), mode="edge")
    down, across = (tents(n, length, factor) for n, length in zip(found.shape[1:], reach, strict=True))
    expected = np.einsum("ij,kl,jlc->cik", down, across, extended.astype(float))
    expected /= {"uint8": 255, "uint16": 65535, "float32": 1}[kind]
    if size == longer:
        np.testing.assert_array_equal(found.numpy(), expected.astype(np.float32))
    # Of bytes, either axis is rounded to whole numbers.
    assert np.abs(found.numpy() - expected).max() <= (1.01 / 255 if kind == "uint8" else 1e-5)


def tents(number: int, length: int, factor: float) -> np.ndarray:
    """(number, length) shares of a line of pixels in each of those of a resized line."""
    centers, pixels = (np.arange(number) + 0.5) / factor, np.arange(length) + 0.5
    shares = np.maximum(0, 1 - np.abs(centers[:, None] - pixels) * min(factor, 1))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(12, 60), (60, 12), (400, 12)])
def test_an_image_is_resized_along_x_first_however_tall_it_is(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3))

    def halved(image: np.ndarray) -> np.ndarray:  # along its first axis, by weights of 1, 3, 3 and 1; but for its ends
        return (image[1:-4:2] + 3 * image[2:-3:2] + 3 * image[3:-2:2] + image[4:-1:2] + 4) // 8

    brought, _ = bring_to(image.astype(np.uint8), max(shape) // 2)
    expected = halved(halved(image.swapaxes(0, 1)).swapaxes(0, 1))
    np.testing.assert_array_equal((brought * 255).round().permute(1, 2, 0)[1:-1, 1:-1], expected)


def test_an_image_without_a_size_stays_as_it_is() -> None:
    image = ramp(33, 47)
    found, factor = bring_to(image, None)
    assert factor == 1
    np.testing.assert_array_equal(found.numpy(), unit(image))


@pytest.mark.parametrize("channels", [1, 5])
def test_images_need_not_be_rgb(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    _, picture = seen(image, Augmentation((20, 20), (0.7, 1.4), True, 0.3), np.random.default_rng(0))
    assert picture.shape == (channels, 20, 20)


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_that_are_no_colors_have_a_gain_and_an_offset_each(channels: int) -> None:
    image = np.random.default_rng(0).integers(100, 156, (30, 40, channels), dtype=np.uint8)
    found = []
    for seed in range(40):
        _, picture = seen(image, replace(PLAIN, color_jitter=0.3), np.random.default_rng(seed))
        for plane, tinted in zip(unit(image), picture.numpy(), strict=True):
            gain, offset = np.polyfit(plane.ravel(), tinted.ravel(), 1)
            np.testing.assert_allclose(tinted, gain * plane + offset, atol=1e-6)
            assert abs(gain - 1) <= 0.3 + 1e-5
            assert abs(offset) <= 0.15 + 1e-5
            found.append((gain, offset))
    assert len(np.unique(np.round(found, 6), axis=0)) == 40 * channels
    assert np.ptp(found, axis=0) == pytest.approx((0.6, 0.3), rel=0.2)
    bright = np.full((8, 8, channels), 250, np.uint8)
    tinted = [seen(bright, replace(PLAIN, color_jitter=0.3), np.random.default_rng(k))[1] for k in range(20)]
    assert 0.5 < min(map(torch.min, tinted)) < max(map(torch.max, tinted)) == 1


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_ranges_bring_numbers_of_any_type_to_0_to_1(kind: str) -> None:
    rng = np.random.default_rng(0)
    image, ranges = rng.integers(0, 120, (13, 17, 2)).astype(kind), ((10.0, 90.0), (0.0, 200.0))
    expected = np.stack([(image[..., 0] - 10.0) / 80, image[..., 1] / 200.0]).clip(0, 1)
    found = to_unit(torch.from_numpy(image).permute(2, 0, 1), ranges)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_array_equal(bring_to(image, None, ranges)[0], found)
    _, picture = seen(image, PLAIN, rng, ranges)
    np.testing.assert_array_equal(picture, found)
    half, factor = bring_to(image, 9, ranges)  # which is brought to 0..1 before it is resized
    np.testing.assert_array_equal(half, bring_to(found.permute(1, 2, 0).numpy(), 9)[0])
    assert factor == 9 / 17


def test_large_numbers_keep_their_small_differences_and_holes_are_0() -> None:
    image = torch.tensor([[[1e9 + 3, float("nan"), 1e9 + 20, float("-inf")]]], dtype=torch.float64)
    assert to_unit(image, [(1e9, 1e9 + 10)]).tolist() == [[[pytest.approx(0.3), 0, 1, 0]]]


def test_twelve_bits_in_sixteen_show_as_eight_in_eight() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    ranges = ((300.0, 300 + 2 * 255.0),) * 3
    for seed in range(5):
        change = Augmentation((30, 40), (0.7, 1.4), True, 0.3)
        view, picture = seen(image.astype(np.float32) / 255, change, np.random.default_rng(seed))
        same, deep = seen(image.astype(np.uint16) * 2 + 300, change, np.random.default_rng(seed), ranges)
        assert same == view
        torch.testing.assert_close(picture, deep, atol=1e-6, rtol=0)


@pytest.mark.parametrize("jitter", [0, 0.3])
def test_all_kinds_of_numbers_show_the_same(jitter: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    for seed in range(10):
        change = Augmentation((30, 40), (0.7, 1.4), True, jitter)
        views, pictures = zip(
            *(seen(kind(image), change, np.random.default_rng(seed)) for kind in KINDS.values()), strict=True
        )
        assert all(one == other for one, other in pairwise(views))
        of_bytes, of_words, of_reals = pictures
        torch.testing.assert_close(of_words, of_reals, atol=1e-6, rtol=0)
        # Bytes are rounded by each step: resizing, brightness, contrast and saturation.
        assert (of_bytes - of_reals).abs().max() <= (5 if jitter else 1.01) / 255


@pytest.mark.parametrize(
    "values",
    [
        {"crop": (0, 5)},
        {"scale": (0, 1)},
        {"scale": (2, 1)},
        {"color_jitter": 1.0},
        {"color_jitter": -0.1},
        {"image_size": 0},
    ],
)
def test_impossible_changes_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match=next(iter(values)).replace("_", " ")):
        Augmentation(**values)
