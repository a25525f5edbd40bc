"""Where the studio sends people to label: in doubt, apart from labels, now and then anywhere, and not twice."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from pixelnet.studio.suggest import ANYWHERE, Suggester, most_wanted


def test_a_suggestion_is_where_it_is_in_doubt_or_anywhere() -> None:
    doubts = {0: np.full((20, 20), 0.1), 1: np.full((20, 20), 0.1)}
    doubts[1][5:9, 12:16] = 0.9
    found = [most_wanted(doubts, {}, np.random.default_rng(seed)) for seed in range(60)]
    inside = [image == 1 and 3 <= row <= 10 and 10 <= column <= 17 for image, row, column in found]
    assert 0.6 < np.mean(inside) < 0.95
    assert {image for image, _, _ in found} == {0, 1}


class Projected:
    """A project of two images of 200 x 100 pixels, none of which has a label."""

    version, finished = 1, frozenset[int]()
    images = SimpleNamespace(sizes=[(200, 100)] * 2)

    def labelled(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.uint8)


class Learnt:
    """A learner that is in doubt at two places of the second image."""

    def ready(self) -> list[int]:
        return [0, 1]

    def seen(self) -> None:
        return None

    def sure(self, image: int, step: int) -> np.ndarray:
        found = np.full((-(-100 // step), -(-200 // step)), 0.95)
        if image == 1:
            found[5:10, 5:10] = found[-10:-5, -10:-5] = 0.2
        return found


def test_asked_again_without_a_label_it_goes_elsewhere() -> None:
    project: Any = Projected()
    suggester = Suggester(project, Learnt())
    doubtful = [own for own in (suggester.next() for _ in range(12)) if own["doubt"] > 0.5]
    assert len(doubtful) > 12 * (1 - 2 * ANYWHERE)
    corners = {own["x"] < 100 for own in doubtful[:2]}
    assert corners == {True, False}  # one after the other
    project.version = 2
    again = [Suggester(project, Learnt()).next(), suggester.next()]
    assert again[0] == again[1]  # what was passed over may be asked for after a label
