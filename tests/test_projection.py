"""The quick reading of maps and the layer on it, against the plain one, a loop and hand-worked numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hypercolumn import (
    REAL_STRIDES,
    STRIDES,
    ReadingContract,
    random_map,
    random_points,
    read_by_loop,
)
from torch import Tensor
from torch.nn import functional as F

from pixelnet.hypercolumn import hypercolumns
from pixelnet.hypercolumn import read as read_plainly
from pixelnet.nn import projection
from pixelnet.nn.projection import Band, Points, Projection, Table, cells_below, count_points, neighbors

ZOOMS = st.sampled_from([1, 0.93, 0.31])


def read(features: Tensor, points: Points, stride: float) -> Tensor:
    """One map (N, C, H_l, W_l), by a table of it alone: (N, P, C)."""
    values = Table([cells_below(features, stride, None)], None).read(points)
    return values.view(len(features), count_points(points), features.shape[1])


class TestTable(ReadingContract):
    def read(self, features: Tensor, points: Tensor, stride: float) -> Tensor:
        return read(features, points, stride)


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    stride=REAL_STRIDES,
    seed=st.integers(0, 2**16),
    beyond=st.sampled_from([0.0, 0.7]),
)
def test_a_table_reads_what_is_read_plainly(shape, stride, seed, beyond) -> None:
    """The gradients of the map and of the points, too."""
    features = random_map(seed, shape).requires_grad_()
    points = random_points(seed, shape[0], 7, shape[3] * stride, shape[2] * stride, beyond).requires_grad_()
    outputs = [way(features, points, stride) for way in (read_plainly, read)]
    same_with_gradients(outputs, [features, points])


@settings(max_examples=200)
@given(stride=REAL_STRIDES, height=st.integers(1, 12), top=st.floats(0, 0.99), count=st.integers(1, 30))
def test_the_cells_below_rows_are_those_that_the_rows_are_read_from(stride, height, top, count) -> None:
    image = max(1, int(height * stride))
    height = max(height, math.ceil(image / stride))
    first = int(top * image)
    rows_of_image = range(first, min(first + count, image))
    cells = cells_below(torch.zeros(1, 1, height, 2), stride, rows_of_image)
    needed, beside = set(), set()
    for row in rows_of_image:
        place = min(max((row + 0.5) / stride - 0.5, 0), height - 1)
        needed |= {math.floor(place), math.ceil(place)}
        beside |= {math.floor(place), min(math.floor(place) + 1, height - 1)}
    assert needed <= set(cells.rows)
    assert {cells.rows[0], cells.rows[-1]} <= beside
    assert cells.values.shape == (1, len(cells.rows), 2, 1)


def test_hand_worked_neighbors() -> None:
    """Stride 2: pixel (2, 1) lies at cell (0.75, 0.25)."""
    cells, shares = neighbors(torch.tensor([2.0, 1.0]), 2, range(2))
    assert cells.tolist() == [[0, 1], [0, 1]]
    assert shares.tolist() == [[0.25, 0.75], [0.75, 0.25]]


@settings(max_examples=30)
@given(first=st.integers(0, 4), length=st.integers(1, 9), stride=STRIDES, seed=st.integers(0, 2**16))
def test_neighbors_stay_among_their_cells_and_their_shares_sum_to_one(first, length, stride, seed) -> None:
    at = torch.from_numpy(np.random.default_rng(seed).uniform(-2, 3, 50) * length * stride)
    cells, shares = neighbors(at, stride, range(first, first + length))
    assert ((cells >= first) & (cells < first + length)).all()
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(50, dtype=torch.float64))


def three_maps(seed: int, count: int, zoom: float = 1) -> tuple[list[Tensor], tuple[float, ...]]:
    """Maps of an image of 40x40, and their strides in an image that it was resized from by the factor `zoom`."""
    shapes = [(count, 3, 20, 20), (count, 5, 5, 5), (count, 7, 2, 2)]
    maps = [random_map(seed + k, shape).requires_grad_() for k, shape in enumerate(shapes)]
    return maps, (2 / zoom, 8 / zoom, 20 / zoom)


def same_with_gradients(outputs: list[Tensor], leaves: list[Tensor]) -> None:
    results = []
    for output in outputs:
        gradients = torch.autograd.grad((output * random_map(1, tuple(output.shape))).sum(), leaves)
        results.append([output, *gradients])
    first, *others = results
    for other in others:
        for expected, found in zip(first, other, strict=True):
            torch.testing.assert_close(found, expected)


def pixels_of(band: Band, count: int) -> Tensor:
    """(N, P, 2), row by row."""
    y, x = torch.meshgrid(*(torch.arange(along.start, along.stop).double() for along in band), indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1).expand(count, -1, -1)


@given(
    read_cost=st.sampled_from([-(10**9), 0, 10**9]),
    count=st.integers(1, 2),
    seed=st.integers(0, 2**16),
    points=st.sampled_from([1, 9, 40, 500, Band(range(3, 11), range(2, 37))]),
    some=st.booleans(),
    zoom=ZOOMS,
)
@settings(max_examples=40)
def test_multiplied_before_or_after_reading_is_the_same_and_so_are_the_gradients(
    read_cost: int, count: int, seed: int, points: int | Band, some: bool, zoom: float
) -> None:
    """All maps are multiplied first, or those that have fewer cells than there are points, or none; read from all of a
    map's rows and columns or from those that are needed only."""
    maps, strides = three_maps(seed, count, zoom)
    weight, bias = random_map(seed + 5, (4, 15)).requires_grad_(), random_map(seed + 6, (4,)).requires_grad_()
    if isinstance(points, Band):
        asked, at, needed = points, pixels_of(points, count), tuple(points)
    else:
        asked = at = random_points(seed, count, points, 40, 40, beyond=0.1)
        needed = ()
        if some:  # pixels of some rows and columns only
            needed = range(11, 30), range(3, 21)
            asked = at = torch.stack([at[..., 0].clamp(3, 20), at[..., 1].clamp(11, 29)], dim=-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "READ_COST", read_cost)
        found = Projection(maps, strides, weight, bias, count_points(asked), *needed)(asked)
    found = found.view(count, count_points(asked), 4)
    same_with_gradients([F.linear(hypercolumns(maps, at, strides), weight, bias), found], [*maps, weight, bias])
    columns = [read_by_loop(m.detach().numpy(), at.numpy(), s) for m, s in zip(maps, strides, strict=True)]
    expected = np.concatenate(columns, axis=2) @ weight.detach().numpy().T + bias.detach().numpy()
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-10)


@given(
    count=st.integers(1, 2),
    seed=st.integers(0, 2**16),
    rows=st.tuples(st.integers(0, 39), st.integers(1, 40)),
    columns=st.tuples(st.integers(0, 39), st.integers(1, 40)),
    zoom=ZOOMS,
)
@settings(max_examples=40)
def test_a_band_is_its_pixels_row_by_row(count, seed, rows, columns, zoom) -> None:
    maps, strides = three_maps(seed, count, zoom)
    band = Band(*(range(first, min(40, first + length)) for first, length in (rows, columns)))
    pixels = pixels_of(band, count)
    assert count_points(band) == count_points(pixels)
    together = [read(m, at, s) for at in (pixels, band) for m, s in zip(maps, strides, strict=True)]
    found = [torch.cat(together[:3], dim=2), torch.cat(together[3:], dim=2)]
    same_with_gradients([hypercolumns(maps, pixels, strides), *found], maps)
    columns = [read_by_loop(m.detach().numpy(), pixels.numpy(), s) for m, s in zip(maps, strides, strict=True)]
    np.testing.assert_allclose(found[1].detach().numpy(), np.concatenate(columns, axis=2), atol=1e-10)


def test_a_bands_pixels_are_counted_on_maps_of_half() -> None:
    features = torch.zeros(1, 1, 1, 4096, dtype=torch.bfloat16)
    features[..., 2001] = 1
    assert read(features, Band(range(1), range(4096)), 1)[0, :, 0].nonzero().tolist() == [[2001]]


def test_a_band_is_split_from_the_top_down() -> None:
    tops = [range(3, 6), range(6, 9), range(9, 11)]
    assert Band(range(3, 11), range(37)).split(3) == [Band(rows, range(37)) for rows in tops]
