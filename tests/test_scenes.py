"""scenes: labels against independent geometry (inside tests, SciPy's rotations, differences of depth), and order."""

import hashlib
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from contract_dataset import DatasetContract
from scipy.spatial.transform import Rotation
from test_raycast import inside

from pixelnet.data.scenes import CLASSES, COLORS, Scenes, outlines
from pixelnet.data.scenes.raycast import SKY, Box, Camera, Cone, Cylinder, Floor, Solid, Sphere
from pixelnet.data.scenes.render import Light, Scene, Texture, _sunlight, render
from pixelnet.errors import InputError

TASKS = ("segmentation", "normals", "edges", "regression")
ITEMS = range(8)


@pytest.fixture(scope="module")
def data():
    return Scenes("segmentation", "train", 40)


@pytest.fixture(scope="module")
def views(data):
    return [(data.scene(i), data.view(i)) for i in ITEMS]


def camera_rays(scene, size):
    """(H, W, 3) camera-frame rays, written pixel by pixel."""
    height, width = size
    focal = scene.camera.focal * max(height, width)
    return np.array(
        [
            [((x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal, 1) for x in range(width)]
            for y in range(height)
        ]
    )


def rotation(camera):
    """Camera to world, by SciPy: yaw about y, then pitch (down is towards +y), then roll about the axis of view."""
    return Rotation.from_euler("YXZ", [camera.yaw, -camera.pitch, camera.roll]).as_matrix()


def world_points(scene, view):
    """(H, W, 3) world points, back-projected from the depth map."""
    points = camera_rays(scene, view.depth.shape) * view.depth[..., None].astype(float)
    return points @ rotation(scene.camera).T + np.array([0, -scene.camera.height, 0])


# ------------------------------------------------------------------------------------------ exact geometry


def test_floor_depth_is_the_planes(views):
    for scene, view in views:
        down = camera_rays(scene, view.depth.shape) @ rotation(scene.camera)[1]
        floor = view.surface == 0
        assert isinstance(scene.surfaces[0], Floor)
        assert floor.any()
        np.testing.assert_allclose(view.depth[floor], scene.camera.height / down[floor], rtol=1e-6)
        up = rotation(scene.camera).T @ [0, -1, 0]
        np.testing.assert_allclose(view.normals[floor], np.broadcast_to(up, (floor.sum(), 3)), atol=1e-6)
        assert up[1] < -0.9  # the floor faces up, and y points down


def test_pixels_of_a_solid_lie_on_its_surface(views):
    seen = set()
    for scene, view in views:
        points = world_points(scene, view)
        for number, solid in scene.solids:
            mine = points[view.surface == number]
            seen.add(type(solid))
            assert inside(solid, mine, grow=1e-4).all()
            assert not inside(solid, mine, grow=-1e-4).any()
            if isinstance(solid, Sphere):
                radius = np.linalg.norm(mine - (np.array(solid.position) - [0, solid.size[0], 0]), axis=1)
                np.testing.assert_allclose(radius, solid.size[0], atol=1e-5)
    assert seen == {Sphere, Box, Cylinder, Cone}


def test_each_pixel_shows_the_nearest_surface(views):
    # Nothing between the eye and what is seen: no point on the way is inside a solid.
    for scene, view in views[:3]:
        eye = np.array([0, -scene.camera.height, 0])
        points = np.nan_to_num(world_points(scene, view), nan=0)[::4, ::4]
        seen = view.surface[::4, ::4]
        assert points.shape[:2] == seen.shape
        for share in np.linspace(0.05, 0.995, 60):
            between = eye + share * (points - eye)
            for _, solid in scene.solids:
                assert not inside(solid, between, grow=-1e-3)[seen != SKY].any()


def test_normals_are_those_of_the_depth_map(views):
    for scene, view in views:
        points = camera_rays(scene, view.depth.shape) * view.depth[..., None].astype(float)
        across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
        estimate = np.cross(down, across)  # x right, y down: down x across faces the camera
        estimate /= np.linalg.norm(estimate, axis=-1, keepdims=True)
        middle = view.surface[1:-1, 1:-1]
        smooth = middle != SKY
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            there = np.s_[dy : dy + middle.shape[0], dx : dx + middle.shape[1]]
            smooth &= view.surface[there] == middle
            smooth &= (view.normals[there] * view.normals[1:-1, 1:-1]).sum(-1) > 0.95  # not across a box's crease
        cosine = (estimate * view.normals[1:-1, 1:-1]).sum(-1)
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        assert smooth.mean() > 0.8 * (middle != SKY).mean()
        flat = smooth & np.isin(middle, [k for k, s in enumerate(scene.surfaces) if not isinstance(s, Solid)])
        assert angle[flat].max() < 0.2
        assert np.percentile(angle[smooth], 99) < 4


def test_normals_are_unit_vectors_that_face_the_camera():
    data = Scenes("normals", "val", 12)
    for i in range(12):
        normals, rays = data.labels(i), camera_rays(data.scene(i), (128, 160))
        sky = data.view(i).surface == SKY
        assert normals.dtype == np.float32
        assert not normals[sky].any()
        np.testing.assert_allclose(np.linalg.norm(normals[~sky], axis=-1), 1, atol=1e-6)
        assert (normals * rays).sum(-1)[~sky].max() < 0


def test_shadows_fall_where_a_solid_hides_the_sun(views):
    for scene, view in views[:4]:
        floor = view.surface == 0
        points = world_points(scene, view)[floor][::7]
        sunlit = _sunlight(scene, points.T, np.ones(len(points)), np.zeros(len(points), np.uint8))
        way = points[:, None] + np.linspace(0, 6, 1500)[:, None] * np.array(scene.light.sun)
        hidden = np.zeros(len(points), bool)
        for _, solid in scene.solids:
            hidden |= inside(solid, way).any(1)
        assert not hidden[sunlit == 1].any()
        assert hidden[sunlit == 0].all()
        assert hidden.any()


def test_a_matt_sphere_is_as_bright_as_it_faces_the_sun():
    white = Texture("plain", ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), 1.0, (0.5, 0.5, 0.5), 0.0)
    sun = (0.0, -math.sin(0.9), -math.cos(0.9))
    light = Light(sun, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    camera = Camera(1.0, 0.1, 0.0, 0.0, 1.0)
    scene = Scene(camera, (Sphere((0.0, 0.0, 4.0), 0.0, (1.0, 2.0, 1.0)),), (white,), light, 0.0, 0.0)
    view = render(scene, (96, 96), np.random.default_rng(0))
    sphere = view.surface == 0
    facing = np.maximum(view.normals @ (rotation(camera).T @ sun), 0)
    linear = -np.log1p(-((view.image[..., 1] / 255) ** 2.2)) / 1.7  # undo the tone curve
    inner = sphere & np.roll(sphere, 1, 0) & np.roll(sphere, -1, 0) & np.roll(sphere, 1, 1) & np.roll(sphere, -1, 1)
    assert inner.sum() > 1000
    np.testing.assert_allclose(linear[inner], 0.5 * facing[inner], atol=0.02)


# -------------------------------------------------------------------------------------------------- edges


def test_edges_lie_where_the_surface_changes_on_the_side_that_ends(views):
    for scene, view in views[:4]:
        surface, depth = view.surface.astype(int), np.nan_to_num(view.depth, nan=np.inf)
        expected = np.zeros(surface.shape, bool)
        for y, x in np.ndindex(*surface.shape):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if not (0 <= v < surface.shape[0] and 0 <= u < surface.shape[1]) or surface[v, u] == surface[y, x]:
                    continue
                mine, other = (
                    None if k == SKY else CLASSES.index(scene.surfaces[k].label) for k in (surface[y, x], surface[v, u])
                )
                solid, solid_there = (c is not None and c > 2 for c in (mine, other))
                if solid and solid_there:
                    expected[y, x] |= depth[y, x] <= depth[v, u]
                elif solid or other is None:
                    expected[y, x] = True
                elif not solid_there and mine is not None:  # wall on floor, and the later of two walls
                    expected[y, x] |= surface[y, x] > surface[v, u]
        np.testing.assert_array_equal(outlines(scene, view.surface, view.depth), expected)


def test_an_edge_is_on_the_nearer_side_where_depth_jumps(data):
    jumps = 0
    for i in ITEMS:
        view, edges = data.view(i), outlines(data.scene(i), data.view(i).surface, data.view(i).depth)
        depth = np.nan_to_num(view.depth, nan=np.inf)
        for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
            for near, far in ((one, other), (other, one)):
                jump = (depth[near] < depth[far] - 0.7) & (view.surface[near] != view.surface[far])
                assert edges[near][jump].all()
                jumps += jump.sum()
    assert jumps > 1000


def test_edges_are_thin(data):
    for i in ITEMS:
        edges = Scenes("edges", count=40).labels(i)
        assert edges.dtype == np.float32
        assert set(np.unique(edges)) == {0, 1}
        assert 0.01 < edges.mean() < 0.1
        thick = edges[:-2] * edges[1:-1] * edges[2:]
        assert (
            thick[:, :-2] * thick[:, 1:-1] * thick[:, 2:]
        ).sum() < 5  # hardly ever 3 x 3, where a solid ends in a tip


# ---------------------------------------------------------------------------------------------- the data set


class TestScenes(DatasetContract):
    @pytest.fixture(params=TASKS)
    def dataset(self, request):
        return Scenes(request.param, "val", 3, (64, 80))


def digest(data, items=range(3)):
    return hashlib.sha256(b"".join(data.image(i).tobytes() + data.labels(i).tobytes() for i in items)).hexdigest()


@pytest.mark.parametrize("task", TASKS)
def test_an_item_is_the_same_every_time(task):
    data = Scenes(task, "train", 3)
    once = digest(data)
    assert digest(data) == once  # from memory
    assert digest(Scenes(task, "train", 50), range(3)) == once  # whatever the count
    backwards = Scenes(task, "train", 3)
    backwards.labels(2)
    assert digest(backwards) == once  # whatever the order
    packed = pickle.dumps(data)
    assert len(packed) < 1000  # the rendered items stay behind
    assert digest(pickle.loads(packed)) == once


def test_an_item_is_the_same_in_another_process():
    code = (
        "import hashlib; from pixelnet.data.scenes import Scenes; d = Scenes('normals', 'val', 2); "
        "print(hashlib.sha256(b''.join(d.image(i).tobytes() + d.labels(i).tobytes() for i in range(2))).hexdigest())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == digest(Scenes("normals", "val", 2), range(2))


def test_what_is_returned_can_be_written_to():
    data = Scenes("regression", "val", 1)
    once = digest(data, [0])
    data.image(0)[:] = 0
    data.labels(0)[:] = 0
    assert digest(data, [0]) == once


def test_train_and_val_share_no_scene():
    train, val = (Scenes("edges", split) for split in ("train", "val"))
    assert (len(train), len(val)) == (512, 64)
    cameras = [data.scene(i).camera for data in (train, val) for i in range(len(data))]
    assert len(set(cameras)) == 576


def test_tasks_describe_the_same_view():
    image, labels = {}, {}
    for task in TASKS:
        data = Scenes(task, "train", 12)
        i = next(i for i in range(12) if (data.view(i).surface == SKY).any())
        image[task], labels[task] = data.image(i), data.labels(i)
        assert (image[task] == image["segmentation"]).all()
        assert data.class_names == (CLASSES if task == "segmentation" else ())
    sky = labels["segmentation"] == CLASSES.index("sky")
    assert sky.any()
    assert (np.isnan(labels["regression"]) == sky).all()
    assert ((labels["normals"] == 0).all(-1) == sky).all()
    assert labels["regression"].dtype == np.float32
    assert labels["segmentation"].dtype == image["edges"].dtype == np.uint8
    assert image["edges"].shape == (128, 160, 3)


def test_items_are_fit_to_learn_from():
    data = Scenes("segmentation", "train", 40)
    pixels, sizes, depths = np.zeros(len(CLASSES)), [], []
    for i in range(40):
        scene, view = data.scene(i), data.view(i)
        pixels += np.bincount(data.labels(i).ravel(), minlength=len(CLASSES))
        sizes += [np.sum(view.surface == number) for number, _ in scene.solids]
        depths += [np.nanmin(view.depth), np.nanmax(view.depth)]
        assert 40 < view.image.mean() < 220
        assert 2 <= len(scene.solids) <= 7
    assert (pixels / pixels.sum() > 0.02).all()  # every class is there
    assert np.percentile(sizes, 5) > 144  # solids of a dozen pixels across, nearly all
    assert min(depths) > 1
    assert max(depths) < 12
    assert len(COLORS) == len(CLASSES)


@pytest.mark.parametrize("size", [(16, 16), (97, 131), (160, 90)])
def test_any_size_shows_the_same_scene(size):
    small, usual = Scenes("segmentation", "val", 1, size), Scenes("segmentation", "val", 1)
    assert small.scene(0) == usual.scene(0)
    assert small.image(0).shape == (*size, 3)
    assert small.labels(0).shape == size
    assert small.size(0) == (size[1], size[0])


def test_labels_are_the_center_rays(data):
    # A picture three times as large has, at the middle of each 3 x 3 block, the same ray.
    scene = replace(data.scene(0), noise=0.0)
    small = render(scene, (32, 40), np.random.default_rng(0))
    large = render(scene, (96, 120), np.random.default_rng(0))
    middle = np.s_[1::3, 1::3]
    assert (small.surface == large.surface[middle]).mean() > 0.999  # but for rounding at an outline
    agree = small.surface == large.surface[middle]
    np.testing.assert_allclose(small.depth[agree], large.depth[middle][agree], rtol=1e-5)


def test_names_and_source():
    data = Scenes.from_spec("12", "edges", "val")
    assert data.source == "scenes:12"
    assert len(data) == len(set(data.names)) == 12
    assert data.names == sorted(data.names)
    assert data.files(0) == ()
    assert len(Scenes.from_spec("", "edges", "val")) == 64
    with pytest.raises(IndexError):
        data.image(12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scenes("colors"), "segmentation, normals, edges, regression, not colors"),
        (lambda: Scenes("edges", "test"), "no split 'test'; choose one of train, val"),
        (lambda: Scenes("edges", count=0), "0 items"),
        (lambda: Scenes("edges", size=(8, 160)), "8x160"),
        (lambda: Scenes.from_spec("many", "edges", "train"), "scenes:many"),
        (lambda: Scenes.from_spec("-3", "edges", "train"), "scenes:-3"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
