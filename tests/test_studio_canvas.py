"""The labels of one image: which pixels a stroke has, and that all can be taken back."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet.studio.canvas import Box, Canvas, brushed, outlined, packed, unpacked

WIDTH, HEIGHT = 23, 17
PLACE = st.tuples(st.floats(-5, 28), st.floats(-5, 22))


def mask_of(patch: Any) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    height, width = patch.mask.shape
    mask[patch.top : patch.top + height, patch.left : patch.left + width] = patch.mask
    return mask


@given(st.lists(PLACE, min_size=1, max_size=4), st.floats(0.5, 6))
@settings(max_examples=60, deadline=None)
def test_a_stroke_has_the_pixels_within_its_radius(points: list[tuple[float, float]], radius: float) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        dx, dy = x1 - x0, y1 - y0
        along = ((columns - x0) * dx + (rows - y0) * dy) / max(dx * dx + dy * dy, 1e-30)
        along = along.clip(0, 1)
        nearest = np.minimum(nearest, np.hypot(columns - x0 - along * dx, rows - y0 - along * dy))
    found = mask_of(brushed(points, radius, WIDTH, HEIGHT))
    sure = abs(nearest - radius) > 1e-6
    np.testing.assert_array_equal(found[sure], (nearest < radius)[sure])


def test_a_point_is_one_pixel_and_an_outline_what_it_surrounds() -> None:
    assert np.argwhere(mask_of(brushed([(4, 3)], 0.5, WIDTH, HEIGHT))).tolist() == [[3, 4]]
    inside = mask_of(outlined([(1.5, 1.5), (5.5, 1.5), (5.5, 4.5), (1.5, 4.5)], WIDTH, HEIGHT))
    assert inside.sum() == 4 * 3
    assert inside[2:5, 2:6].all()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("paint"), PLACE, st.integers(0, 3) | st.just(255)),
            st.tuples(st.just("undo")),
            st.tuples(st.just("redo")),
        ),
        max_size=25,
    )
)
@settings(max_examples=60, deadline=None)
def test_all_can_be_taken_back_and_done_again(steps: list[Any]) -> None:
    canvas, maps, at = Canvas(WIDTH, HEIGHT), [np.full((HEIGHT, WIDTH), 255, np.uint8)], 0
    for step in steps:
        if step[0] == "paint":
            patch = brushed([step[1]], 2.5, WIDTH, HEIGHT)
            expected = np.where(mask_of(patch), step[2], maps[at]).astype(np.uint8)
            if canvas.paint(patch, step[2]) is not None:
                maps[at + 1 :] = [expected]
                at += 1
        elif step[0] == "undo":
            assert (canvas.undo() is None) == (at == 0)
            at = max(0, at - 1)
        else:
            assert (canvas.redo() is None) == (at == len(maps) - 1)
            at = min(len(maps) - 1, at + 1)
        np.testing.assert_array_equal(canvas.read(), maps[at])
        np.testing.assert_array_equal(canvas.counts[:255], np.bincount(maps[at].ravel(), minlength=256)[:255])
    while canvas.undo():
        pass
    assert (canvas.read() == 255).all()


def test_parts_of_a_scene_cost_what_is_painted_of_them() -> None:
    canvas = Canvas(20_000, 30_000)
    for k, (x, y) in enumerate([(510, 511), (19_998, 29_999), (700, 1)]):
        canvas.paint(brushed([(x, y)], 3, canvas.width, canvas.height), k)
    points, ids = canvas.labelled()
    assert len(points) == canvas.counts.sum() == len(np.unique(points, axis=0))
    whole = np.full((1100, 1100), 255, np.uint8)
    near = (points < 1100).all(axis=1)
    whole[points[near, 1], points[near, 0]] = ids[near]
    np.testing.assert_array_equal(canvas.read(Box(3, 5, 1000, 900)), whole[5:905, 3:1003])
    shrunk = canvas.read(Box(0, 0, 1096, 1096), 8)
    cells = whole[:1096, :1096].reshape(137, 8, 137, 8).swapaxes(1, 2).reshape(137, 137, 64)
    np.testing.assert_array_equal(shrunk != 255, (cells != 255).any(axis=2))
    assert all(label in cell for label, cell in zip(shrunk.ravel(), cells.reshape(-1, 64), strict=True))
    assert canvas.read(Box(19_990, 29_990, 50, 50)).shape == (10, 10)
    assert sum(block.nbytes for block in canvas._blocks.values()) < 2**21


def test_a_map_is_packed_without_loss() -> None:
    labels = np.random.default_rng(0).integers(0, 256, (9, 14)).astype(np.uint8)
    np.testing.assert_array_equal(unpacked(packed(labels)), labels)
