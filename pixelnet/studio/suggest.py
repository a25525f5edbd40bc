"""Where a label helps most: where the answer is in doubt, away from what is labelled, and now and then anywhere.

Doubt alone would ask the same border over and over (Settles, Active learning literature survey, 2009, sections 3.1 and
7.3): so it is the mean over a neighborhood, of the most doubtful places the one farthest from any label is taken, and
one suggestion in four is drawn evenly, which is right even where the learner is sure and wrong. Asked again before
anything is labelled, it goes elsewhere: a place that was passed over counts as labelled.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from pixelnet.errors import InputError
from pixelnet.studio.answers import Answer

ANYWHERE = 0.25  # the share of suggestions that are drawn evenly
DOUBTFUL = 0.02  # the share of places that are the most doubtful ones
AS_MUCH = 0.5  # of the greatest doubt, which theirs is at least: where few places are in doubt, no others are asked
GRID = 96  # places along an image's longer side
NEAR = 3  # places around one whose mean doubt counts


def most_wanted(
    doubts: Mapping[int, np.ndarray], labelled: Mapping[int, np.ndarray], rng: np.random.Generator
) -> tuple[int, int, int]:
    """The image, row and column of the place in a grid of each image where a label helps most.

    Args:
        doubts: (h, w), 0 to 1, 1 where nothing is known.
        labelled: (h, w) bool, where the grid's cells hold a label; images without one are left out.
        rng: of the draw.
    """
    numbers = sorted(doubts)
    if rng.random() < ANYWHERE:
        number = numbers[rng.integers(len(numbers))]
        height, width = doubts[number].shape
        return number, int(rng.integers(height)), int(rng.integers(width))
    smooth = {number: ndimage.uniform_filter(doubts[number], NEAR, mode="nearest") for number in numbers}
    every = np.concatenate([own.ravel() for own in smooth.values()])
    least = max(np.quantile(every, 1 - DOUBTFUL), AS_MUCH * every.max())
    found = (-1.0, numbers[0], 0, 0)
    for number, own in smooth.items():
        far = _distances(labelled.get(number), own.shape) + rng.random(own.shape) * 0.01
        far[own < least] = -1.0
        row, column = np.unravel_index(far.argmax(), own.shape)
        found = max(found, (float(far[row, column]), number, int(row), int(column)))
    return found[1:]


def _distances(labelled: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """How far each place is from a label, as a share of the image's diagonal; 1 where there is none in it."""
    if labelled is None or not labelled.any():
        return np.ones(shape)
    far: np.ndarray = ndimage.distance_transform_edt(~labelled)
    return far / math.hypot(*shape)


class Suggester:
    """Says where to go next, and remembers where it has sent people since anything was labelled."""

    def __init__(self, project: Any, learner: Any) -> None:
        self.project, self.learner = project, learner
        self._version, self._passed = -1, list[tuple[int, int, int]]()  # (image, x, y)

    def next(self) -> dict[str, Any]:
        """The place, and the doubt there. Raises InputError without an answer."""
        if self._version != self.project.version:
            self._version, self._passed = self.project.version, []
        rng = np.random.default_rng((self._version, len(self._passed)))
        seen = self.learner.seen()  # of a large image what is on screen
        found = self._anywhere(rng) if seen is None else self._within(seen, rng)
        self._passed.append((found["image"], found["x"], found["y"]))
        return found

    def _known(self, number: int) -> np.ndarray:
        """Where an image has labels, or was passed over: (P, 2) as (x, y)."""
        passed = [(x, y) for image, x, y in self._passed if image == number]
        return np.concatenate([self.project.labelled(number)[0], np.array(passed, np.int64).reshape(-1, 2)])

    def _anywhere(self, rng: np.random.Generator) -> dict[str, Any]:
        """Of the images whose maps are at hand."""
        doubts, labelled, steps = {}, {}, {}
        for number in self.learner.ready():
            step = max(1, -(-max(self.project.images.sizes[number]) // GRID))
            found = self.learner.sure(number, step)
            if found is not None and number not in self.project.finished:
                doubts[number], steps[number] = 1 - found, step
                columns, rows = self._known(number).T
                labelled[number] = np.zeros(found.shape, bool)
                labelled[number][rows // step, columns // step] = True
        if not doubts:
            raise InputError("there is no answer yet to doubt; paint a little of two classes first")
        number, row, column = most_wanted(doubts, labelled, rng)
        half = steps[number] // 2
        width, height = self.project.images.sizes[number]
        return {
            "image": number, "x": min(column * steps[number] + half, width - 1),
            "y": min(row * steps[number] + half, height - 1), "doubt": round(float(doubts[number][row, column]), 3),
        }  # fmt: skip

    def _within(self, seen: Answer, rng: np.random.Generator) -> dict[str, Any]:
        """In what is answered of a large image."""
        grid = max(1, -(-max(seen.labels.shape) // GRID))
        doubts = {seen.image: 1 - seen.sure[::grid, ::grid] / 255}
        apart = seen.step * grid
        points = (self._known(seen.image) - (seen.left, seen.top)) // apart
        height, width = doubts[seen.image].shape
        columns, rows = points[((points >= 0) & (points < (width, height))).all(axis=1)].T
        labelled = np.zeros((height, width), bool)
        labelled[rows, columns] = True
        number, row, column = most_wanted(doubts, {seen.image: labelled}, rng)
        return {
            "image": number, "x": seen.left + column * apart, "y": seen.top + row * apart,
            "doubt": round(float(doubts[number][row, column]), 3),
        }  # fmt: skip
