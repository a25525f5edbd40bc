import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from test_drawn_runs import whole

from pixelnet.data.drawn import rasterize
from pixelnet.data.drawn.rasterize import corners, ellipse, fill, stroke, turned

W, H = 16, 12
Y, X = np.mgrid[:H, :W] + 0.5
CENTERS = np.stack([X.ravel(), Y.ravel()], axis=1)

outlines = st.lists(st.tuples(*[st.floats(-8, 24)] * 2), min_size=3, max_size=9).map(np.array)


def filled(outline: np.ndarray) -> np.ndarray:
    return whole(fill(outline, W, H), W, H)


def distance(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Of each pixel's center to the nearest of some lines, (H, W)."""
    along = ends - starts
    length = np.maximum((along**2).sum(axis=1), 1e-30)
    share = np.clip(((CENTERS[:, None] - starts) * along).sum(axis=2) / length, 0, 1)
    return np.linalg.norm(CENTERS[:, None] - starts - share[..., None] * along, axis=2).min(axis=1).reshape(H, W)


@given(outlines)
def test_a_pixel_is_inside_if_its_center_is(outline: np.ndarray) -> None:
    expected = Outline(np.vstack([outline, outline[:1]])).contains_points(CENTERS).reshape(H, W)
    clear = distance(outline, np.roll(outline, -1, axis=0)) > 1e-6  # else it may fall on either side
    np.testing.assert_array_equal(filled(outline)[clear], expected[clear])


def test_shapes_that_share_an_edge_neither_overlap_nor_leave_a_gap() -> None:
    left = filled(np.array([(0, 0), (7.5, 0), (4.5, H), (0, H)]))
    right = filled(np.array([(7.5, 0), (W, 0), (W, H), (4.5, H)]))
    assert (left ^ right).all()


def test_a_shape_makes_its_own_box_and_nothing_outside_the_image() -> None:
    patch = fill(corners(2, 3, 10, 9), W, H)
    assert (patch.top, patch.left, patch.mask.shape, patch.mask.all()) == (3, 2, (6, 8), True)
    patch = fill(corners(-5, -50, 3, 4), W, H)
    assert (patch.top, patch.left, patch.mask.shape, patch.mask.all()) == (0, 0, (4, 3), True)
    for outside in (corners(-9, 0, -1, H), corners(W, 0, 99, H), corners(0, -9, W, 0), corners(0, H, W, 1e9)):
        assert not filled(outside).any()
    assert filled(corners(-1e9, -1e9, 1e9, 1e9)).all()


def test_ellipse_and_turned_shapes() -> None:
    np.testing.assert_array_equal(filled(ellipse(8, 6, 4.2, 4.2)), np.hypot(X - 8, Y - 6) < 4.2)
    np.testing.assert_array_equal(filled(ellipse(7, 6, 5.3, 2.4)), ((X - 7) / 5.3) ** 2 + ((Y - 6) / 2.4) ** 2 < 1)
    np.testing.assert_allclose(turned(corners(3, 2, 8, 4), 3, 2, 90), [(3, 2), (3, 7), (1, 7), (1, 2)])
    radians = np.radians(30)
    right, down = np.array([(np.cos(radians), np.sin(radians)), (-np.sin(radians), np.cos(radians))])
    u, v = (CENTERS - (6.2, 1.1)) @ right, (CENTERS - (6.2, 1.1)) @ down
    expected = ((u > 0) & (u < 7) & (v > 0) & (v < 3)).reshape(H, W)
    np.testing.assert_array_equal(filled(turned(corners(6.2, 1.1, 13.2, 4.1), 6.2, 1.1, 30)), expected)


@given(outlines, st.sampled_from([0.5, 1.5, 4.0, 30.0]), st.booleans())
def test_a_line_takes_the_pixels_within_its_radius(points: np.ndarray, radius: float, lone: bool) -> None:
    starts, ends = (points, points) if lone else (points[:-1], points[1:])
    away = distance(starts, ends)
    drawn, clear = whole(stroke(starts, ends, radius, W, H), W, H), abs(away - radius) > 1e-6
    np.testing.assert_array_equal(drawn[clear], (away < radius)[clear])


@given(st.integers(0, 15), st.integers(0, 11), st.floats(0, 7))
def test_a_line_of_three_pixels_holds_a_path_from_end_to_end(column: int, row: int, angle: float) -> None:
    start = np.array([(column + 0.5, row + 0.5)])
    drawn = whole(stroke(start, start + 9 * np.array([(np.cos(angle), np.sin(angle))]), 1.5, W, H), W, H)
    steps = np.linspace(0, 9, 200)[:, None] * (np.cos(angle), np.sin(angle)) + start
    x, y = np.floor(steps).astype(int).T
    inside = (x >= 0) & (x < W) & (y >= 0) & (y < H)
    assert drawn[y[inside], x[inside]].all()


def test_a_line_between_two_rows_is_as_wide_as_any() -> None:
    drawn = whole(stroke(np.array([(3.0, 3.0)]), np.array([(9.0, 3.0)]), 1.5, W, H), W, H)
    np.testing.assert_array_equal(drawn[:, 3:9].any(axis=1), (np.arange(H) >= 1) & (np.arange(H) < 4))


def test_many_lines_over_each_other() -> None:
    points = np.tile([(3.1, 3.2), (9.0, 3.2)], (200, 1))
    expected = distance(points[:2], points[:2][::-1]) < 1.5
    np.testing.assert_array_equal(whole(stroke(points[:-1], points[1:], 1.5, W, H), W, H), expected)


@given(outlines)
def test_work_in_blocks_changes_nothing(outline: np.ndarray) -> None:
    once = filled(outline), whole(stroke(outline[:-1], outline[1:], 1.5, W, H), W, H)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rasterize, "BLOCK", 5)
        np.testing.assert_array_equal(filled(outline), once[0])
        np.testing.assert_array_equal(whole(stroke(outline[:-1], outline[1:], 1.5, W, H), W, H), once[1])


def test_a_million_points_are_as_good_as_the_few_that_they_follow() -> None:
    angles = np.linspace(0, 2 * np.pi, 10**6, endpoint=False)
    circle = np.stack([50 + 40 * np.cos(angles), 50 + 40 * np.sin(angles)], axis=1)
    np.testing.assert_array_equal(fill(circle, 100, 100).mask, fill(circle[::500], 100, 100).mask)


def test_a_scribble_without_end_is_refused() -> None:
    zigzag = np.stack([np.arange(20_000) % 50, np.arange(20_000) % 2 * 1000], axis=1).astype(float)
    with pytest.raises(ValueError, match="its edges cross 20000000 rows of pixels, the image has 1000000 pixels"):
        fill(zigzag, 1000, 1000)
