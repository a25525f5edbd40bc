"""Turned views: where a pixel goes, its color must be found; and views of photos are what they were before."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batches import AUGMENTED, Numbers, Patch, batches, image_numbers, same
from test_transforms import PLAIN, colors_at, seen, unit

from pixelnet import InputError
from pixelnet.data.batches import Batches
from pixelnet.data.dataset import Window
from pixelnet.data.transforms import Augmentation, Turn, View, cut_view, draw_view, move_onto
from pixelnet.points import make_sampler
from pixelnet.tasks import make_task

TURNED = Augmentation((16, 20), (0.75, 1.5), True, 0, rotate=True)


def drawn_upright(size: tuple[int, int], change: Augmentation, rng: np.random.Generator) -> View:
    """What `draw_view` did before views were turned: which numbers it draws, and in what order."""
    width, height = size
    longer = max(height, width)
    scale = float(np.exp(rng.uniform(*np.log(change.scale)))) * ((change.image_size or longer) / longer)
    wanted = change.crop or (round(height * scale), round(width * scale))
    windows = [min(own, max(1, round(most / scale))) for own, most in zip((height, width), wanted, strict=True)]
    firsts = [int(rng.integers(own - window + 1)) for own, window in zip((height, width), windows, strict=True)]
    shape = [max(1, min(most, round(window * scale))) for most, window in zip(wanted, windows, strict=True)]
    rows, columns = (slice(first, first + window) for first, window in zip(firsts, windows, strict=True))
    return View(rows, columns, (shape[0], shape[1]), change.flip and bool(rng.random() < 0.5))


def test_upright_views_are_those_of_before() -> None:
    """And leave the generator as it was left: what is drawn after them is the same, too."""
    for seed in range(200):
        change = Augmentation((40, 60) if seed % 3 else None, (0.5, 2), seed % 2 == 0, 0.3, 70 if seed % 5 else None)
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        assert draw_view((110, 80), change, one) == drawn_upright((110, 80), change, other)
        assert one.random() == other.random()


def smooth(height: int, width: int) -> np.ndarray:
    """float32 (H, W, 3) in 0..1: x, y and their sum, linear, so that any place's are known."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x / 200, y / 200, (x + y) / 400], axis=-1)


@settings(max_examples=120)
@given(
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([(1.0, 1.0), (0.3, 0.3), (0.5, 0.5), (0.7, 1.6), (2.0, 2.0)]),
    crop=st.sampled_from([None, (40, 60), (64, 31), (500, 500)]),
    flip=st.booleans(),
    size=st.sampled_from([None, 73, 160]),
)
def test_in_a_turned_view_a_pixel_goes_where_its_color_goes(seed, scale, crop, flip, size) -> None:
    image = smooth(90, 130)
    view, picture = seen(image, Augmentation(crop, scale, flip, 0, size, rotate=True), np.random.default_rng(seed))
    shown = view.shows(np.ones((view.rows.stop - view.rows.start, view.columns.stop - view.columns.start), bool))
    rows, columns = np.nonzero(shown)
    placed = view.place(np.stack([columns, rows], axis=1).astype(np.float32))
    height, width = view.size
    assert (placed >= -0.501).all()
    assert (placed <= np.array([width, height]) - 0.499).all()
    # Apart from where the view or the image ends, and colors are read, or averaged, beyond it.
    reach = 1 + 2.2 / view.turn.scale  # to the corners of the pixels beside it
    rows, columns = rows + view.rows.start, columns + view.columns.start
    deep = (np.minimum(rows, 89 - rows) > reach) & (np.minimum(columns, 129 - columns) > reach)
    deep &= (placed > 0).all(axis=1) & (placed < np.array([width, height]) - 1).all(axis=1)
    found = colors_at(picture, placed[deep]) / 255 * 200
    expected = np.stack([columns, rows, (columns + rows) / 2], axis=1)[deep]
    assert abs(found - expected).max(initial=0) < 0.01  # of a pixel


def test_turned_views_show_what_lies_in_them_and_no_more() -> None:
    """The pixels that are shown are those inside the rectangle, by the cross products of its sides."""
    change = Augmentation((30, 50), (0.6, 1.5), True, 0, rotate=True)
    for seed in range(40):
        view = draw_view((120, 90), change, np.random.default_rng(seed))
        across = np.array([math.cos(view.turn.angle), math.sin(view.turn.angle)])
        down = np.array([-across[1], across[0]])
        y, x = np.mgrid[view.rows, view.columns]
        steps = np.stack([x, y], axis=-1) - view.turn.center
        half = np.array(view.size[::-1]) / 2 / view.turn.scale
        expected = (abs(steps @ across) <= half[0]) & (abs(steps @ down) <= half[1])
        labelled = np.random.default_rng(seed).random(expected.shape) < 0.7
        np.testing.assert_array_equal(view.shows(labelled), labelled & expected)
        y, x = np.mgrid[:90, :120]  # none is left out by the window
        steps = np.stack([x, y], axis=-1) - view.turn.center
        assert ((abs(steps @ across) <= half[0]) & (abs(steps @ down) <= half[1])).sum() == expected.sum()


def test_angles_cover_the_circle_and_views_are_mirrored_about_both_axes() -> None:
    rng, change = np.random.default_rng(0), Augmentation((40, 40), (1, 1), True, 0, rotate=True)
    views = [draw_view((200, 160), change, rng) for _ in range(800)]
    counts, _ = np.histogram([view.turn.angle for view in views], bins=16, range=(0, 2 * math.pi))
    assert counts.sum() == 800
    assert counts.min() > 25
    assert 330 < sum(view.mirrored for view in views) < 470
    flips = set()
    for view in views:  # where steps across and down go, of those that are nearly upright or upside down
        origin, right, below = view.place(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        if abs(math.sin(view.turn.angle)) < 0.2:
            flips.add((bool(right[0] > origin[0]), bool(below[1] > origin[1])))
    assert flips == {(True, True), (True, False), (False, True), (False, False)}
    assert not any(draw_view((200, 160), replace(change, flip=False), rng).mirrored for _ in range(50))
    centers = np.array([view.turn.center for view in views])
    assert centers.min(axis=0) == pytest.approx([19.5, 19.5], abs=1.5)
    assert centers.max(axis=0) == pytest.approx([179.5, 139.5], abs=1.5)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_quarter_turns_are_exact(quarters: int, mirrored: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    view = View(slice(0, 24), slice(0, 24), (24, 24), mirrored, Turn((11.5, 11.5), quarters * math.pi / 2, 1.0))
    picture = cut_view(image, view, PLAIN, np.random.default_rng(0))
    expected = np.rot90(image, quarters)
    expected = expected[:, ::-1] if mirrored else expected
    assert np.abs(picture.numpy() - unit(expected)).max() < 1e-4


def test_a_smaller_turned_view_is_a_mean_and_not_every_other_pixel() -> None:
    """Stripes of one pixel become gray, at any angle."""
    image = np.zeros((120, 120, 3), np.uint8)
    image[:, ::2] = 255
    for seed in range(10):
        _, picture = seen(image, Augmentation((20, 20), (0.3, 0.3), True, 0, rotate=True), np.random.default_rng(seed))
        assert (picture - 0.5).abs().max() < 0.2  # and not 0.5


def test_beyond_its_borders_an_image_is_reflected_and_has_no_points() -> None:
    image = smooth(40, 40)
    view = View(slice(0, 40), slice(0, 40), (60, 60), False, Turn((19.5, 19.5), 0.0, 1.0))
    picture = cut_view(image, view, PLAIN, np.random.default_rng(0))
    expected = np.pad(image, ((10, 10), (10, 10), (0, 0)), mode="symmetric").transpose(2, 0, 1)
    np.testing.assert_allclose(picture, expected, atol=1e-5)
    assert view.shows(np.ones((40, 40), bool)).all()


def test_a_turned_view_is_moved_onto_a_pixel() -> None:
    change, found = Augmentation((16, 24), (0.8, 1.4), True, 0, rotate=True), []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        view = move_onto(draw_view((120, 90), change, rng), (3, 88), (120, 90), rng)
        placed = view.place(np.array([[3 - view.columns.start, 88 - view.rows.start]]))[0]
        assert view.columns.start <= 3 < view.columns.stop
        assert view.rows.start <= 88 < view.rows.stop
        found.append((placed + 0.5) / view.size[::-1])
    assert np.min(found) > -1e-4
    assert np.max(found) < 1.0001
    assert np.mean(found, axis=0) == pytest.approx([0.5, 0.5], abs=0.1)


# ------------------------------------------------------------------------------------------------------ batches


def before(made: Batches, place: int) -> tuple:
    """What an example was before views were turned, from the parts that it is made of."""
    epoch, position = divmod(place, len(made.dataset))
    index = int(made._order(epoch)[position])
    rng = np.random.default_rng((made.seed, 1, place))
    view = draw_view(made.dataset.size(index), made.augmentation, rng)
    window = (view.rows, view.columns)
    labels, pixels = made.dataset.labels(index, window), made.dataset.image(index, window)
    image = cut_view(pixels, view, made.augmentation, rng)
    draw = made.sampler(made.task.labelled(labels), rng, labels, pixels)
    columns, rows = draw.points.astype(int).T
    chosen = labels[rows, columns]
    return image, view.place(draw.points), made.task.mirror(chosen) if view.mirrored else chosen, draw.weights


@pytest.mark.parametrize("task", ["segmentation", "normals", "edges", "regression"])
@pytest.mark.parametrize("sampler", ["uniform", "stratified"])
def test_upright_examples_are_those_of_before(task: str, sampler: str) -> None:
    if (task, sampler) == ("normals", "stratified"):
        return
    made = batches(Numbers(task), AUGMENTED, sampler=sampler)
    for place in range(12):
        for found, expected in zip(made.example(place), before(made, place), strict=True):
            np.testing.assert_array_equal(found, expected)


class Flat(Numbers):
    """Images whose colors change by the same amounts throughout, so that they can be read between pixels."""

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        y, x = np.mgrid[: 24 + 3 * i, : 40 - 2 * i].astype(np.float32)
        return (np.stack([4 * x, 4 * y, np.full_like(x, 40 * i)], axis=-1) / 255)[window or ...]


def test_labels_go_with_their_pixels_through_turned_views() -> None:
    checked = 0
    for step in range(20):
        batch = batches(Flat(), TURNED, pixels=2000)[step]
        for image, points, labels, weights in zip(*batch, strict=True):
            real = (weights > 0) & (points >= 0).all(dim=1)
            real &= (points[:, 0] <= image.shape[2] - 1) & (points[:, 1] <= image.shape[1] - 1)
            grid = (2 * points[real] + 1) / torch.tensor(image.shape[:0:-1]) - 1
            read = torch.nn.functional.grid_sample(image[None], grid[None, None], align_corners=False)[0, :, 0]
            red, green, blue = 255 * read
            number = (blue / 40).round()
            column = labels[real] - 1000 * number - 100 * green.div(4).round()
            # At the image's own border what is read is between a pixel and its reflection.
            inner = (column > 1) & (column < 38 - 2 * number) & (green > 8) & (green < 4 * (22 + 3 * number) - 8)
            assert (abs(red / 4 - column)[inner] < 0.02).all()
            checked += int(inner.sum())
    assert checked > 3000


@pytest.mark.parametrize("task", ["segmentation", "edges", "regression"])
@pytest.mark.parametrize("sampler", ["uniform", "all", "boundary"])
def test_points_of_turned_views_lie_in_them_and_weigh_what_is_labelled_there(task: str, sampler: str) -> None:
    made = batches(Numbers(task), TURNED, sampler=sampler)
    for place in range(20):
        image, points, labels, weights = made.example(place)
        assert made.task.labelled(labels).all()
        assert (points >= -0.501).all()
        assert (points <= np.array(image.shape[:0:-1]) - 0.499).all()
        everything = batches(Numbers(task), TURNED, sampler="all").example(place)
        assert weights.sum() == pytest.approx(len(everything[1]), rel=1e-6)


def test_turned_views_hold_labels_where_their_image_has_any() -> None:
    drawn = batches(Patch(), TURNED, images=5)
    for step in range(20):
        counts = (drawn[step].weights > 0).sum(1).tolist()
        for number, count in zip(image_numbers(drawn[step]), counts, strict=True):
            assert (count > 0) == (number > 0)
    assert same(drawn[7], batches(Patch(), TURNED, images=5)[7])


def test_a_joint_task_draws_in_the_view_alone() -> None:
    joint = make_task("edges,regression")

    class Both(Numbers):
        def labels(self, i: int, window: Window | None = None) -> np.ndarray:
            maps = {name: Numbers(name).whole(i) for name in ("edges", "regression")}
            return joint.pack(maps, maps["edges"].shape)[window or ...]

    made = Batches(Both("edges,regression"), joint, joint.make_sampler(50), TURNED, 2, 0)
    for place in range(10):
        image, points, _, _ = made.example(place)
        assert len(points)
        assert (points >= -0.501).all()
        assert (points <= np.array(image.shape[:0:-1]) - 0.499).all()


@pytest.mark.parametrize("task", ["normals", "segmentation,normals"])
def test_labels_with_a_direction_are_not_turned(task: str) -> None:
    with pytest.raises(InputError, match=r"^normals have an up: .*; give --augment photo$"):
        Batches(Numbers(), make_task(task, 5 if "," in task else None), make_sampler("uniform"), TURNED, 2, 0)
