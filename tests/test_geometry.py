"""Normals from depth, against surfaces whose normals are known and against fits made pixel by pixel."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet.data import open_dataset
from pixelnet.errors import InputError
from pixelnet.geometry import (
    CONVENTIONS,
    NOISE_RADIUS,
    RADII,
    SHARPNESS,
    Intrinsics,
    convert_normals,
    normals_from_depth,
)
from pixelnet.metrics.angles import angular_errors

CAMERA = Intrinsics(150.0, 155.0, 82.0, 57.5)
COLUMNS, ROWS = np.meshgrid(np.arange(160.0), np.arange(120.0))
RAYS = np.stack([(COLUMNS - CAMERA.cx) / CAMERA.fx, (ROWS - CAMERA.cy) / CAMERA.fy, np.ones_like(ROWS)], axis=-1)


def plane(direction, point):
    """Depth (H, W), 0 where it is behind the camera or farther than 50 m, and the normal that faces it (H, W, 3)."""
    direction = np.array(direction, float) / np.linalg.norm(direction)
    depth = np.divide(direction @ point, RAYS @ direction, where=abs(RAYS @ direction) > 1e-9, out=np.zeros(ROWS.shape))
    facing = np.where((RAYS @ direction)[..., None] > 0, -direction, direction)
    return np.where((depth > 0) & (depth < 50), depth, 0), facing


def sphere(center, radius):
    """Depth (H, W), 0 beside it, its normals (H, W, 3), and the cosine of the angle it is seen at."""
    square, along = (RAYS**2).sum(-1), RAYS @ np.array(center)
    inside = along**2 - square * (np.dot(center, center) - radius**2)
    depth = np.where(inside > 0, (along - np.sqrt(abs(inside))) / square, 0)
    normals = (RAYS * depth[..., None] - center) / radius * (inside > 0)[..., None]
    return depth, normals, -(normals * RAYS).sum(-1) / np.sqrt(square)


def errors(found, truth, where=True):
    """Degrees at each pixel of `where`, at all of which there must be a normal."""
    return angular_errors(found, truth * np.broadcast_to(where, truth.shape[:2])[..., None])


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-1, 1)] * 3), st.floats(0.5, 8), st.sampled_from([np.float32, np.float64]))
def test_a_plane_is_exact_to_its_last_pixel(direction, distance, kind):
    if np.linalg.norm(direction) < 0.1 or abs(direction[2]) < 0.01:
        direction = (0.1, 0.1, 1)
    depth, truth = plane(direction, np.array([0, 0, distance]))
    seen = depth > 0
    if seen.sum() < 2000:  # seen edge-on
        return
    found = normals_from_depth(depth.astype(kind), CAMERA)
    assert found.dtype == np.float32
    # Where a plane ends in a hole, single pixels may have no window of their own.
    known = (found != 0).any(-1)
    assert not known[~seen].any()
    assert known[seen].mean() > 0.99
    assert errors(found, truth, known).max() < (0.02 if kind == np.float32 else 1e-4)


def test_every_normal_faces_the_camera_and_has_length_1():
    rng = np.random.default_rng(0)
    for depth in (rng.uniform(0.5, 5, ROWS.shape), sphere((0.1, 0, 3), 1)[0]):
        found = normals_from_depth(depth, CAMERA)
        known = (found != 0).any(-1)
        assert known.sum() > 5000
        np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-6)
        assert ((found * RAYS).sum(-1)[known] < 0).all()


def test_signs_are_those_of_the_house():
    for direction, expected in (((0, 0, 1), (0, 0, -1)), ((0, 1, 0), (0, -1, 0)), ((1, 0, 0), (-1, 0, 0))):
        depth, _ = plane(direction, np.array(direction))  # a wall ahead, the floor below, a wall on the right
        found = normals_from_depth(depth, CAMERA)
        np.testing.assert_allclose(found[(found != 0).any(-1)].mean(0), expected, atol=1e-5)


@pytest.mark.parametrize("background", [None, 5.0])
def test_a_sphere_within_a_degree_but_at_its_limb(background):
    depth, truth, cosine = sphere((0.2, 0.1, 3.0), 1.0)
    on = depth > 0
    if background is not None:
        depth = np.where(on, depth, background)
    found = normals_from_depth(depth, CAMERA)
    assert errors(found, truth, on & (cosine > 0.3)).max() < 6
    assert errors(found, truth, on & (cosine > 0.3)).mean() < 0.8
    assert errors(found, truth, on & (cosine > 0.7)).max() < 1
    if background:
        wall = np.broadcast_to(np.array([0, 0, -1.0]), truth.shape)
        # Below the sphere two rows and fewer are all that is seen of the wall.
        lost = ~on & (found == 0).all(-1)
        assert lost.sum() > 20
        assert not lost[:-2].any()
        assert errors(found, wall, ~on & ~lost).max() < 1e-4


@pytest.mark.parametrize("width", [5, 8, 40])
@pytest.mark.parametrize("turned", [False, True])
def test_nothing_is_smeared_across_a_step(width, turned):
    near, far = plane((0.3, 0.2, 1), np.array([0, 0, 2.0])), plane((-0.4, 0.3, 1), np.array([0, 0, 3.5]))
    first = ((ROWS if turned else COLUMNS) // width) % 2 == 0
    depth = np.where(first, near[0], far[0])
    truth = np.where(first[..., None], near[1], far[1])
    assert errors(normals_from_depth(depth, CAMERA), truth).max() < 1e-4


def test_a_crease_and_a_silhouettes_corners_are_kept():
    left, right = plane((1, 0, 1), np.array([0, 0, 3.0])), plane((-1, 0, 1), np.array([0, 0, 3.0]))
    depth = np.maximum(left[0], right[0])  # two walls that meet ahead
    truth = np.where((left[0] > right[0])[..., None], left[1], right[1])
    box = (abs(COLUMNS - 60) < 20) & (abs(ROWS - 70) < 15)
    depth[box] = 1.5
    truth[box] = (0, 0, -1)
    error = np.full(ROWS.shape, -1.0)
    error[...] = errors(normals_from_depth(depth, CAMERA), truth).reshape(ROWS.shape)
    error[:, abs(COLUMNS[0] - CAMERA.cx) < 1] = 0  # the crease lies between pixels: nobody's
    assert error.max() < 1e-3


def test_steps_between_a_few_constant_depths_are_no_rounding():
    depth = np.select([COLUMNS < 50, COLUMNS < 53, COLUMNS < 120], [1.0, 2.0, 3.5], 5.0)
    truth = np.broadcast_to(np.array([0, 0, -1.0]), (*ROWS.shape, 3))
    assert errors(normals_from_depth(depth, CAMERA), truth).max() < 1e-4


def test_holes_have_no_normal_and_spoil_no_neighbor():
    depth, truth = plane((0.3, 0.8, 1), np.array([0, 0, 3.0]))
    rng = np.random.default_rng(1)
    hole = (rng.random(ROWS.shape) < 0.3) | ((abs(COLUMNS - 80) < 20) & (abs(ROWS - 60) < 20))
    holed = np.where(hole, rng.choice([0, np.nan, np.inf, -1.0], ROWS.shape), depth)
    found = normals_from_depth(holed, CAMERA)
    seen = ~hole & (depth > 0)
    assert not found[~seen].any()
    assert errors(found, truth, seen).max() < 1e-4
    assert not normals_from_depth(np.zeros((6, 7)), CAMERA).any()
    assert not normals_from_depth(np.full((1, 9), 2.0), CAMERA).any()  # a line is no plane


@pytest.mark.parametrize(("step", "bound"), [(0.001, 1.0), (0.01, 3.0), (10 / 255, 6.0)])
def test_rounded_depth_costs_a_few_degrees(step, bound):
    depth, truth = plane((0.2, 0.9, 0.4), np.array([0, 1.0, 0.5]))
    seen = (depth > 0) & (depth < 6)
    depth = np.where(seen, np.round(depth / step) * step, 0)
    error = errors(normals_from_depth(depth, CAMERA), truth, seen)
    assert error.mean() < bound
    assert np.median(error) < bound / 3


def slow_normal(depth, row, column, noise, camera):
    """One normal, by a least-squares solve for each window and NumPy's own covariances, the score written out."""
    total = np.zeros(5)
    for radius in RADII:
        for dy, dx in product((-radius, 0, radius), repeat=2):
            y, x = row + dy, column + dx
            if not (0 <= y < depth.shape[0] and 0 <= x < depth.shape[1]):
                continue
            places = [
                (i, j)
                for i, j in product(range(y - radius, y + radius + 1), range(x - radius, x + radius + 1))
                if 0 <= i < depth.shape[0] and 0 <= j < depth.shape[1] and depth[i, j] > 0
            ]
            if len(places) < 5 or np.linalg.eigvalsh(np.cov(np.array(places).T, bias=True))[0] < 0.3:
                continue
            rays = np.array([((j - camera.cx) / camera.fx, (i - camera.cy) / camera.fy, 1) for i, j in places])
            values = np.array([1 / depth[place] for place in places])
            solution = np.linalg.lstsq(rays, values, rcond=None)[0]
            variance = ((rays @ solution - values) ** 2).sum() / max(len(places) - 3, 1)
            own = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, 1
            miss = (own @ solution - 1 / depth[row, column]) ** 2
            error = (max(variance, miss) + noise) / radius**2 * (2 if dy or dx else 1)
            total += np.array([*solution, max(variance, miss), 1]) * error**-SHARPNESS
    if total[3] >= total[4] * max((0.02 / depth[row, column]) ** 2, 9 * noise):
        return np.zeros(3)  # no window stays on one surface
    return -total[:3] / np.linalg.norm(total[:3])


def slow_noise(depth):
    """The variance (H, W) of 1/z that is no surface's, window by window and level by level."""
    known = np.argwhere(depth > 0)
    variances = {}
    for row, column in np.ndindex(depth.shape):
        near = known[(abs(known - (row, column)) <= NOISE_RADIUS).all(axis=1)]
        if len(near) >= 5 and np.linalg.eigvalsh(np.cov(near.T, bias=True))[0] >= 0.3:
            design, values = np.column_stack([near, np.ones(len(near))]), 1 / depth[tuple(near.T)]
            left = design @ np.linalg.lstsq(design, values, rcond=None)[0] - values
            variances[row, column] = (left**2).sum() / max(len(near) - 3, 1)
    least = [
        min(value for place, value in variances.items() if max(abs(pixel - place)) <= NOISE_RADIUS) for pixel in known
    ]
    blocks = [depth[i : i + 2, j : j + 2].ravel() for i, j in np.ndindex(depth.shape[0] - 1, depth.shape[1] - 1)]
    levels = {block[0] for block in blocks if block[0] > 0 and (block == block[0]).all()}
    noise, depths = np.ones(depth.shape), sorted(set(depth[depth > 0].tolist()))
    for row, column in known:
        z, gap = depth[row, column], 0
        if len(levels) >= 16:
            above = min(sum(other < z for other in depths), len(depths) - 2)
            near = np.clip(range(above - 4, above + 5), 0, len(depths) - 2)
            gap = np.median([depths[k + 1] - depths[k] for k in near])
        noise[row, column] = max((gap / z**2) ** 2 / 12, np.median(least)) + (1e-7 / z) ** 2
    return noise, len(levels)


@pytest.mark.parametrize("rounding", [0, 0.02])
def test_agrees_with_a_fit_made_pixel_by_pixel(rounding):
    rng, camera = np.random.default_rng(2), Intrinsics(60.0, 66.0, 13.0, 8.0)
    rows, columns = np.mgrid[:20, :32]
    depth = 2 + 0.006 * (columns + rows) + np.where(columns < 16, 0, 0.5)
    depth = np.round(depth / rounding) * rounding if rounding else depth + rng.normal(0, 0.01, depth.shape)
    depth[rng.random(depth.shape) < 0.1] = 0
    noise, levels = slow_noise(depth)
    assert levels >= 16 if rounding else levels == 0
    found = normals_from_depth(depth, camera)
    for row, column in rng.permutation(np.argwhere(depth > 0))[:150]:
        expected = slow_normal(depth, row, column, noise[row, column], camera)
        np.testing.assert_allclose(found[row, column], expected, atol=2e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_near_the_normals_computed_from_a_finer_depth(split, real_data: Path):
    root = real_data / "nyudv2"
    camera = Intrinsics(**json.loads((root / "classes.json").read_text())["intrinsics_small_280x212"])
    depths, normals = (open_dataset(f"nyudv2:{root}", task, split) for task in ("regression", "normals"))
    pooled = []
    for i in range(0, len(depths), len(depths) // 5):
        found, truth = normals_from_depth(depths.labels(i), camera), normals.labels(i)
        pooled.append(errors(found, truth, (found != 0).any(-1)))
    error = np.concatenate(pooled)
    assert np.median(error) < 5
    assert (error < 11.25).mean() > 0.7


def test_the_conventions_lead_there_and_back():
    normals = np.random.default_rng(3).normal(size=(4, 5, 3)).astype(np.float32)
    for name in CONVENTIONS:
        there = convert_normals(normals, name)
        assert there.dtype == np.float32
        np.testing.assert_array_equal(convert_normals(there, name), normals)
    wall, floor = np.array([0, 0, -1.0]), np.array([0, -1.0, 0])
    assert convert_normals(wall, "opengl").tolist() == convert_normals(wall, "dsine").tolist() == [0, 0, 1]
    assert convert_normals(wall, "2d3ds").tolist() == [0, 0, 1]
    assert convert_normals(floor, "opengl").tolist() == convert_normals(floor, "dsine").tolist() == [0, 1, 0]
    assert convert_normals(floor, "2d3ds").tolist() == [0, -1, 0]
    right = np.array([-1.0, 0, 0])  # the normal of a wall on the right
    assert convert_normals(right, "opengl").tolist() == convert_normals(right, "2d3ds").tolist() == [-1, 0, 0]
    assert convert_normals(right, "dsine").tolist() == [1, 0, 0]
    assert not np.signbit(convert_normals(np.zeros(3), "dsine")).any()


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"depth map has shape \(3, 4, 1\), expected \(H, W\)"):
        normals_from_depth(np.ones((3, 4, 1)), CAMERA)
    with pytest.raises(InputError, match="is no camera; give focal lengths above 0"):
        Intrinsics(0.0, 1.0, 2.0, 3.0)
    with pytest.raises(InputError, match="no convention 'opencv' of normals; known are pixelnet, opengl, dsine, 2d3ds"):
        convert_normals(np.zeros(3), "opencv")
