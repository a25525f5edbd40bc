"""The simulated person of the studio's benchmark: where strokes begin, and what they label."""

from typing import Any

import numpy as np

from benchmarks.studio import person

TRUTH = np.tile((np.arange(60) // 20 % 2).astype(np.uint8), (40, 1))


class Says:
    """A learner that says class 0 everywhere, and is in doubt at one place."""

    def answer(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        sure = np.full(TRUTH.shape, 0.9)
        sure[28:36, 44:52] = 0.5
        return np.zeros(TRUTH.shape, np.uint8), sure


def empty() -> list[np.ndarray]:
    return [np.full(TRUTH.shape, 255, np.uint8) for _ in range(2)]


def test_a_stroke_is_of_one_class_as_the_truth_has_it() -> None:
    for seed in range(20):
        maps, hand = empty(), np.random.default_rng(seed)
        row, column = int(hand.integers(40)), int(hand.integers(60))
        person.stroke(1, row, column, maps, [TRUTH, TRUTH], hand)
        known = maps[1] != 255
        assert known[row, column]
        assert (maps[1][known] == TRUTH[row, column]).all()
        assert (TRUTH[known] == TRUTH[row, column]).all()
        assert (maps[0] == 255).all()


def test_the_first_strokes_are_of_each_class() -> None:
    maps = empty()
    assert person.first(maps, [TRUTH, TRUTH], 2, np.random.default_rng(0)) == 2
    assert set(np.unique(maps)) == {0, 1, 255}


def test_strokes_begin_where_it_is_wrong_or_suggested() -> None:
    model: Any = Says()
    for seed in range(10):
        hand = np.random.default_rng(seed)
        image, row, column = person.next_place("wrong", model, empty(), [TRUTH, TRUTH], 1, hand)
        assert (image, TRUTH[row, column]) == (1, 1)
    found = [
        person.next_place("suggest", model, empty(), [TRUTH, TRUTH], 0, np.random.default_rng(s)) for s in range(40)
    ]
    near = [24 <= row < 40 and 40 <= column < 56 for _, row, column in found]
    assert 0.5 < np.mean(near) < 1
