"""Where labels lead: walks beside a dense computation, and how far they are believed."""

import numpy as np
import pytest

from pixelnet.data.dataset import UNLABELLED
from pixelnet.learning.walk import LEAST, POWERS, SIDE, STEEP, Cells, believed, cells_of, chances, power_of


def drawn(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two short strokes, across, in each class of a label map."""
    strokes = np.full_like(labels, UNLABELLED)
    for label in np.unique(labels):
        for _ in range(2):
            y, x = rng.permutation(np.argwhere(labels == label))[0]
            line = strokes[y, x : x + 6]
            line[labels[y, x : x + 6] == label] = label
    return strokes


def test_chances_are_those_of_absorbed_walks() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.random((5, 6, 2)).astype(np.float32)
    labels = np.full((5, 6), UNLABELLED, np.uint8)
    labels[0, 0], labels[4, 5], labels[2, 1] = 2, 0, 2
    count, width = 30, 6
    steps = np.zeros((count, count))
    for k in range(count):
        for other in (k + 1 if k % width < width - 1 else k, k + width):
            if other != k and other < count:
                apart = ((pixels.reshape(count, 2)[k] - pixels.reshape(count, 2)[other]) ** 2).mean()
                steps[k, other] = steps[other, k] = np.exp(-STEEP * apart) + LEAST
    steps /= steps.sum(1, keepdims=True)
    free = np.flatnonzero(labels.ravel() == UNLABELLED)
    ends = [np.flatnonzero(labels.ravel() == label) for label in range(3)]
    met = np.linalg.inv(np.eye(len(free)) - steps[np.ix_(free, free)])
    wanted = np.stack([(met @ steps[np.ix_(free, end)]).sum(1) for end in ends], -1)
    found = chances(Cells(pixels, labels, 1), 3).reshape(count, 3)
    np.testing.assert_allclose(found[free], wanted, atol=0.02)
    np.testing.assert_array_equal(found[[0, 13, 29]], [[0, 0, 1], [0, 0, 1], [1, 0, 0]])


def test_what_a_ring_encloses_is_not_what_is_outside() -> None:
    labels = np.full((40, 40), UNLABELLED, np.uint8)
    labels[10:30, 10:30] = 0
    labels[11:29, 11:29] = UNLABELLED
    labels[19:21, 19:21] = 1
    image = np.full((40, 40, 1), 90, np.uint8)
    image[15:25, 15:25] = 160
    found = chances(cells_of(image, labels, 2), 2)[..., 1]
    assert found[:10].max() < 0.01
    assert found[15:25, 15:25].min() > 0.9


def test_nothing_or_one_class_labelled() -> None:
    image, labels = np.zeros((4, 6, 3), np.uint8), np.full((4, 6), UNLABELLED, np.uint8)
    np.testing.assert_array_equal(chances(cells_of(image, labels, 4), 4), np.full((4, 6, 4), 0.25))
    labels[1, 1] = 3
    np.testing.assert_array_equal(chances(cells_of(image, labels, 4), 4)[..., 3], 1)


def test_what_was_not_measured_ends_no_walk() -> None:
    image, labels = np.random.default_rng(0).random((9, 9, 2)), np.full((9, 9), UNLABELLED, np.uint8)
    image[3:5, 2], image[7, 7, 0] = np.nan, np.inf
    labels[0, 0], labels[8, 8] = 0, 1
    found = chances(cells_of(image, labels, 2), 2)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-3)


def test_large_images_are_seen_in_cells() -> None:
    image = np.zeros((SIDE + 1, 2 * SIDE, 1), np.uint8)
    image[:, SIDE:] = 255
    labels = np.full(image.shape[:2], UNLABELLED, np.uint8)
    labels[0, 0], labels[0, 1], labels[1, 1] = 1, 0, 1
    cells = cells_of(image, labels, 2)
    assert (cells.step, cells.pixels.shape) == (2, ((SIDE + 2) // 2, SIDE, 1))
    assert cells.pixels.std() == pytest.approx(1)
    assert cells.labels[0, 0] == 1
    assert (cells.labels != UNLABELLED).sum() == 1


def test_walks_are_believed_where_they_find_what_is_held_out() -> None:
    rng = np.random.default_rng(1)
    light = np.add.outer(np.arange(48), np.arange(60)) > 50
    maps, blind = [], []
    for _ in range(8):
        image = np.where(light, 170, 80)[..., None] + rng.integers(-20, 20, (48, 60, 3))
        strokes = drawn(light.astype(np.uint8), rng)
        maps.append(cells_of(image, strokes, 2))
        known = strokes != UNLABELLED
        alike = rng.integers(0, 2, int(known.sum()))
        blind.append(cells_of(image, np.where(known, _put(known, alike), UNLABELLED).astype(np.uint8), 2))
    assert power_of(maps, 2) >= 0.5
    assert power_of(blind, 2) == 0
    assert power_of([], 2) == 0
    assert power_of(maps[:1], 2) in (0.0, *POWERS)


def _put(where: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.zeros(where.shape, np.int64)
    out[where] = values
    return out


def test_no_power_means_that_nothing_is_known() -> None:
    found = np.array([[0.9, 0.1, 0.0]])
    np.testing.assert_allclose(believed(found, 0), 1 / 3)
    np.testing.assert_allclose(believed(found, 1), found, atol=0.01)
