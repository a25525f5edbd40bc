"""What is held out together: no image, no group and no block of one image is on two sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet.data.groups import groups_of
from pixelnet.learning.choose import FOLDS
from pixelnet.learning.folds import BLOCKS, GAP, folds_of_images, folds_of_points


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_no_group_is_on_two_sides(groups: list[int]) -> None:
    folds = folds_of_images([f"x{k}" for k in range(len(groups))], [f"g{own}" for own in groups])
    for group in set(groups):
        assert len({folds[i] for i in range(len(groups)) if groups[i] == group}) == 1
    count = min(FOLDS, len(set(groups)))
    assert set(folds) == set(range(count))
    # The largest first, each where there is least: no fold exceeds the mean by more than the largest group.
    largest = max(groups.count(own) for own in groups)
    assert np.bincount(folds).max() <= len(groups) / count + largest


@pytest.mark.parametrize(
    "names",
    [
        [f"patient{p}_slice{s}" for p in range(7) for s in range(p + 1)],
        [f"Image_{k:02d}{side}" for k in range(9) for side in "LR"],
        [f"stack{k}[{page}]" for k in range(4) for page in range(3)],
        ["cat", "lake", "zebra", "moon"],
    ],
)
def test_groups_that_names_show_stay_whole(names: list[str]) -> None:
    found = groups_of(names)
    assert found.order is None
    folds = folds_of_images(names)
    for group in set(found.names):
        assert len({fold for fold, own in zip(folds, found.names, strict=True) if own == group}) == 1
    assert len(set(folds)) == min(FOLDS, len(set(found.names)))


@settings(max_examples=30)
@given(st.integers(2, 30), st.randoms(use_true_random=False))
def test_sequences_are_cut_into_blocks(count: int, random: object) -> None:
    names = [f"frame_{k:04d}" for k in range(count)]
    random.shuffle(names)  # type: ignore[attr-defined]
    folds = folds_of_images(names)
    in_time = folds[np.argsort(names)]
    assert (np.diff(in_time) >= 0).all()
    assert np.ptp(np.bincount(folds)) <= 1
    assert len(set(folds)) == min(FOLDS, count)


def points_of(cells: list[tuple[int, int]]) -> np.ndarray:
    return np.array(cells, np.int64).reshape(-1, 2)


CELLS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=60, unique=True)


@settings(max_examples=40)
@given(CELLS)
def test_blocks_are_boxes_apart(cells: list[tuple[int, int]]) -> None:
    points = 10 * points_of(cells)  # each a stroke of its own
    folds = folds_of_points(points, np.zeros(len(points)))
    boxes = [(points[folds == fold].min(axis=0), points[folds == fold].max(axis=0)) for fold in np.unique(folds)]
    assert len(boxes) <= BLOCKS
    for k, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:k]:
            assert (high < other_low).any() or (other_high < low).any()


@settings(max_examples=40)
@given(CELLS, st.randoms(use_true_random=False))
def test_blocks_do_not_hang_on_the_order_of_points(cells: list[tuple[int, int]], random: object) -> None:
    points = points_of(cells)
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    labels = points[:, 0] % 3
    folds = folds_of_points(points, labels)
    np.testing.assert_array_equal(folds[order], folds_of_points(points[order], labels[order]))


@settings(max_examples=40)
@given(CELLS)
def test_no_stroke_is_cut(cells: list[tuple[int, int]]) -> None:
    points, labels = points_of(cells), np.zeros(len(cells))
    folds = folds_of_points(points, labels)
    near = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) <= GAP
    assert (folds[:, None] == folds[None])[near].all()


def test_blocks_hold_about_as_many_points() -> None:
    points = np.random.default_rng(0).integers(0, 1000, (400, 2))
    counts = np.bincount(folds_of_points(points, np.zeros(400)), minlength=BLOCKS)
    assert len(counts) == BLOCKS
    assert np.ptp(counts) <= 8
    two = np.array([[5, 5], [5, 5]])  # one pixel cannot be cut
    assert len(set(folds_of_points(two, np.zeros(2)))) == 1
    assert len(set(folds_of_points(np.array([[0, 0], [9, 1]]), np.zeros(2)))) == 2


def test_a_class_in_one_corner_is_in_every_block() -> None:
    """Two classes whose strokes lie apart: cut together, each would be held out as a whole."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.integers(0, 400, (200, 2)), rng.integers(600, 1000, (80, 2))])
    labels = np.repeat([0, 1], [200, 80])
    folds = folds_of_points(points, labels)
    for label in (0, 1):
        assert np.bincount(folds[labels == label], minlength=BLOCKS).min() > 15
