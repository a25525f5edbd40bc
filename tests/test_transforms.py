"""Views: where a pixel goes, its colour must be found; and what a view may look like."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelnet import InputError
from pixelnet.data.transforms import Augmentation, View, bring_to, draw_view, whole_view

PLAIN = Augmentation(crop=None, scale=(1, 1), flip=False, colour=0)


def ramp(height: int, width: int) -> np.ndarray:
    """Red is twice x, green twice y, blue neither."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x, 2 * y, np.full_like(x, 50)], axis=-1).astype(np.uint8)


def colours_at(view: View, points: np.ndarray) -> np.ndarray:
    """(P, C) colours of a view, read between its pixels."""
    height, width = view.image.shape[-2:]
    grid = (2 * torch.from_numpy(points) + 1) / torch.tensor([width, height]) - 1
    image = view.image[None].float()
    return F.grid_sample(image, grid[None, None], padding_mode="border", align_corners=False)[0, :, 0].T.numpy()


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
def test_a_pixel_goes_where_its_colour_goes(seed, scale, crop, flip, size) -> None:
    image = ramp(80, 110)
    view = draw_view(image, Augmentation(crop, scale, flip, 0, size), np.random.default_rng(seed))
    points = inside(view, margin=4)  # at the border itself resizing extends the ramp flatly
    window = image[view.rows, view.columns]
    columns, rows = points.astype(int).T
    found = colours_at(view, view.place(points))
    assert abs(found - window[rows, columns]).max() <= 1.01  # one for the rounding to whole numbers, .01 of the scale


@settings(max_examples=40)
@given(seed=st.integers(0, 2**16), flip=st.booleans(), crop=st.sampled_from([None, (30, 44)]))
def test_the_corners_of_the_window_are_the_corners_of_the_view(seed, flip, crop) -> None:
    view = draw_view(ramp(61, 83), Augmentation(crop, (0.6, 1.7), flip, 0), np.random.default_rng(seed))
    height, width = view.rows.stop - view.rows.start, view.columns.stop - view.columns.start
    placed = view.place(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    assert placed.dtype == np.float32
    left, right = (placed[1, 0], placed[0, 0]) if view.mirrored else (placed[0, 0], placed[1, 0])
    found = (left, placed[0, 1], right, placed[1, 1])
    expected = (-0.5, -0.5, view.image.shape[2] - 0.5, view.image.shape[1] - 0.5)
    assert found == pytest.approx(expected, abs=1e-4)
    assert not view.mirrored or flip


def test_place_leaves_its_argument_alone() -> None:
    points = np.array([[3.0, 4.0]], np.float32)
    View(torch.zeros(3, 8, 8, dtype=torch.uint8), slice(0, 8), slice(0, 8), True).place(points)
    assert points.tolist() == [[3, 4]]


def test_a_hand_worked_place() -> None:
    # A window of 10 x 4 magnified twice: pixel 3's centre, 3.5 from the left edge, goes to 7 from it.
    view = View(torch.zeros(3, 8, 20, dtype=torch.uint8), slice(5, 9), slice(2, 12), False)
    assert view.place(np.array([[3, 1]])).tolist() == [[6.5, 2.5]]
    assert view._replace(mirrored=True).place(np.array([[3, 1]])).tolist() == [[12.5, 2.5]]


def test_nothing_to_change_changes_nothing() -> None:
    image = ramp(33, 47)
    view = draw_view(image, PLAIN, np.random.default_rng(0))
    assert (view.rows, view.columns, view.mirrored) == (slice(0, 33), slice(0, 47), False)
    np.testing.assert_array_equal(view.image.permute(1, 2, 0).numpy(), image)
    np.testing.assert_array_equal(whole_view(image).image.permute(1, 2, 0).numpy(), image)
    points = inside(view, 0)
    np.testing.assert_array_equal(view.place(points), points)
    np.testing.assert_array_equal(whole_view(image).place(points), points)


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
        view = draw_view(ramp(*size), Augmentation(crop, (scale, scale), True, 0.2), np.random.default_rng(seed))
        assert tuple(view.image.shape[-2:]) == expected
        assert view.image.dtype == torch.uint8


def test_the_window_magnified_is_the_view() -> None:
    """Either axis within a pixel of the scale that was drawn."""
    for seed in range(20):
        view = draw_view(ramp(200, 300), Augmentation((64, 80), (0.75, 1.5), True, 0), np.random.default_rng(seed))
        factors = [64 / (view.rows.stop - view.rows.start), 80 / (view.columns.stop - view.columns.start)]
        assert min(factors) > 0.73
        assert max(factors) < 1.53
        assert factors[0] == pytest.approx(factors[1], rel=0.02)


def test_windows_fall_everywhere_and_half_the_views_are_mirrored() -> None:
    rng, change = np.random.default_rng(0), Augmentation((40, 40), (1, 1), True, 0)
    views = [draw_view(ramp(42, 60), change, rng) for _ in range(400)]
    assert {view.rows.start for view in views} == {0, 1, 2}
    assert {view.columns.start for view in views} == set(range(21))
    assert 150 < sum(view.mirrored for view in views) < 250


def test_scales_are_even_in_their_logarithm() -> None:
    rng, change = np.random.default_rng(0), Augmentation(None, (0.5, 2), False, 0)
    sizes = [draw_view(ramp(100, 100), change, rng).image.shape[1] for _ in range(400)]
    assert 150 < sum(size < 100 for size in sizes) < 250


def test_tints_change_colours_by_no_more_than_was_asked() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    values = [
        int(draw_view(grey, Augmentation(None, (1, 1), False, 0.3), np.random.default_rng(s)).image[0, 0, 0])
        for s in range(200)
    ]
    assert 68 <= min(values) < 80
    assert 120 < max(values) <= 132


@pytest.mark.parametrize(("shape", "size"), [((80, 110), 55), ((80, 110), 220), ((110, 80), 55), ((40, 55), 55)])
def test_a_size_is_what_the_scale_comes_on_top_of(shape: tuple[int, int], size: int) -> None:
    for seed in range(5):
        scale = np.exp(np.random.default_rng(seed).uniform(np.log(0.7), np.log(1.4)))
        view = draw_view(ramp(*shape), Augmentation(None, (0.7, 1.4), True, 0, size), np.random.default_rng(seed))
        expected = np.array(shape) * scale * size / max(shape)
        assert np.abs(np.array(view.image.shape[1:]) - expected).max() <= 0.5


@settings(max_examples=100)
@given(
    height=st.integers(1, 60), width=st.integers(1, 60), size=st.integers(1, 130), channels=st.sampled_from([1, 3, 5])
)
def test_an_image_is_brought_to_a_size_by_one_factor(height: int, width: int, size: int, channels: int) -> None:
    """Each pixel is the mean of the image under a tent around its centre, along either axis."""
    image = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
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
    assert np.abs(found.numpy() - expected).max() <= 1.01  # either axis is rounded to whole numbers


def tents(number: int, length: int, factor: float) -> np.ndarray:
    """(number, length) shares of a line of pixels in each of those of a resized line."""
    centres, pixels = (np.arange(number) + 0.5) / factor, np.arange(length) + 0.5
    shares = np.maximum(0, 1 - np.abs(centres[:, None] - pixels) * min(factor, 1))
    return shares / shares.sum(axis=1, keepdims=True)


def test_an_image_without_a_size_stays_as_it_is() -> None:
    image = ramp(33, 47)
    found, factor = bring_to(image, None)
    assert factor == 1
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize("channels", [1, 5])
def test_images_need_not_be_rgb(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    change = Augmentation((20, 20), (0.7, 1.4), True, 0.3) if channels == 1 else Augmentation((20, 20), (1, 1), True, 0)
    assert draw_view(image, change, np.random.default_rng(0)).image.shape == (channels, 20, 20)


@pytest.mark.parametrize(
    "values", [{"crop": (0, 5)}, {"scale": (0, 1)}, {"scale": (2, 1)}, {"colour": 1.0}, {"colour": -0.1}, {"size": 0}]
)
def test_impossible_changes_are_refused(values: dict) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        Augmentation(**values)
