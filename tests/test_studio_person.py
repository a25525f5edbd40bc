"""The simulated person of the studio's benchmark: where strokes begin, and what they label."""

from typing import Any

import numpy as np
import pytest

from benchmarks.studio import person, picture

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


def test_a_policy_is_held_to_random_places_seed_by_seed() -> None:
    def row(policy: str, seed: int, *scores: float) -> dict[str, Any]:
        curve = [{"strokes": 5 * 2**k, "seconds": 1.0, "miou": own} for k, own in enumerate(scores)]
        return {"set": "em", "learner": "pixelnet", "policy": policy, "seed": seed, "curve": curve}

    rows = [row("suggest", 0, 0.5, 0.7), row("suggest", 1, 0.6, 0.7), row("suggest", 2, 0.9, 0.9)]
    rows += [row("random", 0, 0.4, 0.7), row("random", 1, 0.4, 0.8)]
    # Of two differences, .1 and .2, the interval is t(.975, 1) = 12.706 times .05; of 0 and -.1 the same.
    assert (
        picture.less(rows, "em", ("pixelnet", "suggest"), ("pixelnet", "random"))
        == "+0.150 ± 0.635 after 5, -0.050 ± 0.635 after 10"
    )
    assert picture.less(rows, "em", ("forest", "suggest"), ("forest", "random")) == ""


def test_means_are_of_the_strokes_that_all_have() -> None:
    def row(name: str, seed: int, first: int, *scores: float) -> dict[str, Any]:
        curve = [{"strokes": first * 2**k, "seconds": 1.0, "miou": own} for k, own in enumerate(scores)]
        return {"set": name, "learner": "pixelnet", "policy": "wrong", "seed": seed, "curve": curve}

    rows = [row("em", 0, 5, 0.1, 0.2, 0.3), row("camvid", 0, 10, 0.6, 0.9), row("em", 1, 5, 0.5, 0.6, 0.7)]
    (every,) = picture.over_sets(rows)  # one seed was run on both
    assert (every["set"], every["seed"]) == ("all", 0)
    strokes, _, score = picture.means([every])
    assert (strokes, score) == ([10, 20], pytest.approx([0.4, 0.6]))
