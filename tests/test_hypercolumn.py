"""Reading maps at points, against interpolate, grid_sample, a plain loop and hand-worked numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelnet import hypercolumn
from pixelnet.hypercolumn import Band, Projection, cells_below, hypercolumns, neighbours, number, read

STRIDES = st.sampled_from([1, 2, 3, 4, 8, 16, 32])
REAL_STRIDES = STRIDES | st.floats(0.3, 40)  # of images that were resized


def random_map(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def random_points(seed: int, count: int, number: int, width: int, height: int, beyond: float = 0.0) -> torch.Tensor:
    """(N, P, 2) between the outer corners of the image, and `beyond` of its size outside on every side."""
    low, high = -0.5 - beyond * np.array([width, height]), np.array([width, height]) * (1 + beyond) - 0.5
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, (count, number, 2)))


def every_pixel(width: int, height: int) -> torch.Tensor:
    """(1, H * W, 2), row by row."""
    return torch.tensor([[[x, y] for y in range(height) for x in range(width)]], dtype=torch.float64)


def read_by_loop(features: np.ndarray, points: np.ndarray, stride: float) -> np.ndarray:
    """The definition, one point at a time: clamp, then blend along x, then along y."""
    count, channels, height, width = features.shape
    result = np.zeros((count, points.shape[1], channels))
    for n in range(count):
        for p, (x, y) in enumerate(points[n]):
            u = min(max((x + 0.5) / stride - 0.5, 0), width - 1)
            v = min(max((y + 0.5) / stride - 0.5, 0), height - 1)
            j, i = int(u), int(v)
            k, l = min(j + 1, width - 1), min(i + 1, height - 1)  # noqa: E741
            above = features[n, :, i, j] + (u - j) * (features[n, :, i, k] - features[n, :, i, j])
            below = features[n, :, l, j] + (u - j) * (features[n, :, l, k] - features[n, :, l, j])
            result[n, p] = above + (v - i) * (below - above)
    return result


sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))


@settings(max_examples=40)
@given(shape=sizes, stride=REAL_STRIDES, seed=st.integers(0, 2**16), beyond=st.sampled_from([0.0, 0.7]))
def test_reading_is_the_definition(shape, stride, seed, beyond) -> None:
    features = random_map(seed, shape)
    points = random_points(seed, shape[0], 7, shape[3] * stride, shape[2] * stride, beyond)
    expected = read_by_loop(features.numpy(), points.numpy(), stride)
    np.testing.assert_allclose(read(features, points, stride).numpy(), expected, atol=1e-12)


@settings(max_examples=40)
@given(shape=sizes, stride=STRIDES, seed=st.integers(0, 2**16), cut=st.tuples(st.integers(0, 31), st.integers(0, 31)))
def test_reading_every_pixel_is_interpolate_cut_back(shape, stride, seed, cut) -> None:
    features = random_map(seed, shape)
    count, channels, rows, columns = shape
    height, width = (length * stride - c % stride for length, c in zip((rows, columns), cut, strict=True))
    found = read(features, every_pixel(width, height).expand(count, -1, -1), stride)
    expected = F.interpolate(features, scale_factor=stride, mode="bilinear", align_corners=False)
    found = found.permute(0, 2, 1).reshape(count, channels, height, width)
    torch.testing.assert_close(found, expected[:, :, :height, :width], atol=1e-12, rtol=0)


@settings(max_examples=40)
@given(shape=sizes, stride=STRIDES, seed=st.integers(0, 2**16), beyond=st.sampled_from([0.0, 1.5]))
def test_reading_between_pixels_is_grid_sample(shape, stride, seed, beyond) -> None:
    features = random_map(seed, shape).requires_grad_()
    width, height = shape[3] * stride, shape[2] * stride
    points = random_points(seed, shape[0], 9, width, height, beyond)
    grid = (2 * points + 1) / torch.tensor([width, height]) - 1
    expected = F.grid_sample(features, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)
    expected = expected[:, :, 0].permute(0, 2, 1)
    found = read(features, points, stride)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    upstream = random_map(seed + 1, tuple(found.shape))
    (own,) = torch.autograd.grad((found * upstream).sum(), features)
    (theirs,) = torch.autograd.grad((expected * upstream).sum(), features)
    torch.testing.assert_close(own, theirs, atol=1e-10, rtol=0)


@settings(max_examples=30)
@given(stride=STRIDES, rows=st.integers(2, 5), columns=st.integers(2, 5), seed=st.integers(0, 2**16))
def test_constants_everywhere_and_ramps_inside_are_exact(stride, rows, columns, seed) -> None:
    """A cell's value is that of the image at the cell's centre, so a ramp over the image must be read as it was."""
    x = (torch.arange(columns, dtype=torch.float64) + 0.5) * stride - 0.5
    y = (torch.arange(rows, dtype=torch.float64) + 0.5) * stride - 0.5
    ramp = 3 + 2 * x[None, :] - 5 * y[:, None]
    features = torch.stack([torch.full_like(ramp, 7.0), ramp])[None]
    points = random_points(seed, 1, 30, columns * stride, rows * stride, beyond=0.5)
    constant, ramps = read(features, points, stride)[0].T
    torch.testing.assert_close(constant, torch.full_like(constant, 7.0), atol=1e-12, rtol=0)
    inside = ((points[0] >= torch.stack([x[0], y[0]])) & (points[0] <= torch.stack([x[-1], y[-1]]))).all(dim=1)
    expected = 3 + 2 * points[0, :, 0] - 5 * points[0, :, 1]
    torch.testing.assert_close(ramps[inside], expected[inside], atol=1e-9, rtol=0)


@settings(max_examples=200)
@given(stride=REAL_STRIDES, height=st.integers(1, 12), top=st.floats(0, 0.99), count=st.integers(1, 30))
def test_the_cells_below_lines_are_those_that_the_lines_are_read_from(stride, height, top, count) -> None:
    image = max(1, int(height * stride))
    height = max(height, math.ceil(image / stride))
    first = int(top * image)
    lines = range(first, min(first + count, image))
    cells = cells_below(torch.zeros(1, 1, height, 2), stride, lines)
    needed, beside = set(), set()
    for line in lines:
        place = min(max((line + 0.5) / stride - 0.5, 0), height - 1)
        needed |= {math.floor(place), math.ceil(place)}
        beside |= {math.floor(place), min(math.floor(place) + 1, height - 1)}
    assert needed <= set(cells.rows)
    assert {cells.rows[0], cells.rows[-1]} <= beside
    assert cells.values.shape == (1, len(cells.rows), 2, 1)


def test_a_hand_worked_point() -> None:
    # Stride 2: pixel (2, 1) lies at cell (0.75, 0.25).
    features = torch.tensor([[[[0.0, 10.0], [20.0, 70.0]]]])
    cells, shares = neighbours(torch.tensor([2.0, 1.0]), 2, range(2))
    assert cells.tolist() == [[0, 1], [0, 1]]
    assert shares.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert read(features, torch.tensor([[[2.0, 1.0]]]), 2).item() == pytest.approx(5.625 + 1.25 + 13.125)


def test_the_released_layer_reads_the_same_place() -> None:
    """It reads at (x - (s - 1) / 2) / s."""
    stride, width = 8, 6
    features = torch.arange(width, dtype=torch.float64).expand(1, 1, 2, width)
    x = torch.linspace(4, 40, 10, dtype=torch.float64)
    points = torch.stack([x, torch.full_like(x, 5)], dim=1)[None]
    torch.testing.assert_close(read(features, points, stride)[0, :, 0], (x - (stride - 1) / 2) / stride)


@settings(max_examples=30)
@given(first=st.integers(0, 4), length=st.integers(1, 9), stride=STRIDES, seed=st.integers(0, 2**16))
def test_neighbours_stay_among_their_cells_and_their_shares_sum_to_one(first, length, stride, seed) -> None:
    at = torch.from_numpy(np.random.default_rng(seed).uniform(-2, 3, 50) * length * stride)
    cells, shares = neighbours(at, stride, range(first, first + length))
    assert ((cells >= first) & (cells < first + length)).all()
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(50, dtype=torch.float64))


def test_gradients_of_map_and_points_are_right() -> None:
    features = random_map(0, (2, 3, 3, 4)).requires_grad_()
    points = random_points(1, 2, 5, 8, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps, at: read(maps, at, 2), (features, points))


def test_taps_follow_each_other_in_their_order() -> None:
    maps = [random_map(0, (2, 3, 8, 12)), random_map(1, (2, 1, 2, 3)), random_map(2, (2, 4, 4, 6))]
    points = random_points(3, 2, 6, 24, 16)
    together = hypercolumns(maps, points, (2, 8, 4))
    apart = [read(features, points, stride) for features, stride in zip(maps, (2, 8, 4), strict=True)]
    assert together.shape == (2, 6, 8)
    assert torch.equal(together, torch.cat(apart, dim=-1))
    with pytest.raises(ValueError):
        hypercolumns(maps, points, (2, 8))


def test_the_layout_in_memory_does_not_matter() -> None:
    features, points = random_map(0, (2, 5, 6, 7)), random_points(1, 2, 9, 28, 24)
    other = features.contiguous(memory_format=torch.channels_last)
    assert torch.equal(read(features, points, 4), read(other, points, 4))


def test_no_points_are_no_rows() -> None:
    features = random_map(0, (2, 5, 6, 7)).requires_grad_()
    rows = read(features, torch.zeros(2, 0, 2, dtype=torch.float64), 4)
    assert rows.shape == (2, 0, 5)
    rows.sum().backward()
    assert features.grad is not None
    assert not features.grad.any()


def test_points_keep_their_precision_on_maps_of_half() -> None:
    """Cell 2000.5 of 4096 is no number of half precision: its steps are 1 there."""
    features = torch.zeros(1, 1, 1, 4096, dtype=torch.bfloat16)
    features[..., 2001] = 1
    assert read(features, torch.tensor([[[2000.5, 0.0]]]), 1).item() == 0.5


def test_the_backward_pass_repeats_bit_for_bit() -> None:
    features = random_map(0, (2, 16, 4, 4)).float().requires_grad_()
    points = random_points(1, 2, 500, 32, 32).float()
    upstream = random_map(2, (2, 500, 16)).float()
    grads = [torch.autograd.grad((read(features, points, 8) * upstream).sum(), features)[0] for _ in range(3)]
    assert all(torch.equal(grads[0], other) for other in grads)


def three_maps(seed: int, count: int, zoom: float = 1) -> tuple[list[torch.Tensor], tuple[float, ...]]:
    """Maps of an image of 40x40, and their strides in an image that it was resized from by the factor `zoom`."""
    shapes = [(count, 3, 20, 20), (count, 5, 5, 5), (count, 7, 2, 2)]
    maps = [random_map(seed + k, shape).requires_grad_() for k, shape in enumerate(shapes)]
    return maps, (2 / zoom, 8 / zoom, 20 / zoom)


ZOOMS = st.sampled_from([1, 0.93, 0.31])


def same_with_gradients(outputs: list[torch.Tensor], leaves: list[torch.Tensor]) -> None:
    results = []
    for output in outputs:
        gradients = torch.autograd.grad((output * random_map(1, tuple(output.shape))).sum(), leaves)
        results.append([output, *gradients])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@given(
    read_cost=st.sampled_from([-(10**9), 0, 10**9]),
    count=st.integers(1, 2),
    seed=st.integers(0, 2**16),
    points=st.sampled_from([1, 9, 40, 500, Band(3, 11, 37)]),
    some=st.booleans(),
    zoom=ZOOMS,
)
@settings(max_examples=40)
def test_multiplied_before_or_after_reading_is_the_same_and_so_are_the_gradients(
    read_cost: int, count: int, seed: int, points: int | Band, some: bool, zoom: float
) -> None:
    """All maps are multiplied first, or those that have fewer cells than there are points, or none; read from all of a
    map's rows or from those that are needed only."""
    maps, strides = three_maps(seed, count, zoom)
    weight, bias = random_map(seed + 5, (4, 15)).requires_grad_(), random_map(seed + 6, (4,)).requires_grad_()
    if isinstance(points, Band):
        at, lines = points, range(points.top, points.bottom)
    else:
        at, lines = random_points(seed, count, points, 40, 40, beyond=0.1), None
        if some:  # pixels of some lines only
            lines = range(11, 30)
            at = torch.stack([at[..., 0], at[..., 1].clamp(11, 29)], dim=-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypercolumn, "READ", read_cost)
        found = Projection(maps, strides, weight, bias, number(at), lines)(at).view(count, number(at), 4)
    same_with_gradients([F.linear(hypercolumns(maps, at, strides), weight, bias), found], [*maps, weight, bias])


@given(
    count=st.integers(1, 2),
    seed=st.integers(0, 2**16),
    rows=st.tuples(st.integers(0, 39), st.integers(1, 40)),
    width=st.integers(1, 40),
    zoom=ZOOMS,
)
@settings(max_examples=40)
def test_a_band_is_its_pixels_row_by_row(count, seed, rows, width, zoom) -> None:
    maps, strides = three_maps(seed, count, zoom)
    band = Band(rows[0], min(40, rows[0] + rows[1]), width)
    pixels = every_pixel(width, 40)[:, band.top * width : band.bottom * width].expand(count, -1, -1)
    assert number(band) == number(pixels)
    same_with_gradients([hypercolumns(maps, at, strides) for at in (pixels, band)], maps)


def test_a_bands_pixels_are_counted_on_maps_of_half() -> None:
    features = torch.zeros(1, 1, 1, 4096, dtype=torch.bfloat16)
    features[..., 2001] = 1
    assert read(features, Band(0, 1, 4096), 1)[0, :, 0].nonzero().tolist() == [[2001]]
