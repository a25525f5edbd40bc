"""Scores of a set of images, by counts that add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.metrics.intervals import add_up, differences, intervals
from pixelnet.metrics.parts import Part, Window, is_divided, parts
from pixelnet.metrics.sparse import Counts, SparseCounts


def no_margin(size: tuple[int, int]) -> int:
    """Of counts that hang on a part's own pixels alone."""
    return 0


@dataclass(frozen=True)
class ByPart:
    """How an image is counted part by part.

    count: (prediction, truth, part) -> counts of the part's own pixels, which add up to the image's; the maps are those
    of `Part.around`. margin: size (H, W) of an image -> how many pixels around a part are needed.
    """

    count: Callable[[Any, Any, Part], Counts]
    margin: Callable[[tuple[int, int]], int] = no_margin


class Scorer:
    """Scores a set of images by adding up counts, so that the order and the grouping of images do not matter.

    Every score is a function of the images' summed counts: no mean of means. Each image's own are kept, for its own
    scores and for what another draw of images would have given. An image of several parts is counted part by part where
    the task can, whether or not it is held whole, so that both come to the same bits.

    count: (prediction, truth) of one image -> its counts, arrays by name. scores: summed counts -> dict of numbers, or
    None for a score that nothing was counted for. nothing: the counts of no image. headline: the score that says most,
    and whether more of it is better. by_part: how an image's parts are counted, None if it must be seen whole. counts:
    one dict an image, in the order of the updates.
    """

    def __init__(
        self,
        count: Callable[[Any, Any], Counts],
        scores: Callable[[Counts], dict[str, Any]],
        nothing: Counts,
        headline: tuple[str, bool],
        by_part: ByPart | None = None,
    ) -> None:
        self.count, self.scores, self.nothing, self.headline = count, scores, nothing, headline
        self.by_part = by_part
        self.counts = SparseCounts()

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Add one image: its decoded prediction and its truth. Raises InputError where they do not fit."""
        size = np.shape(truth)[:2]
        if np.shape(prediction)[:2] == size and self.divides(size):
            with suppress(InputError):  # which is said of the whole, below
                self.update_by_part(size, lambda window: (prediction[window], truth[window]))
                return
        self.counts.append(self.count(prediction, truth))

    def divides(self, size: tuple[int, ...]) -> bool:
        """Whether an image (H, W) is of several parts, which are counted one by one."""
        return self.by_part is not None and len(size) == 2 and is_divided(size)

    def update_by_part(self, size: tuple[int, ...], read: Callable[[Window], tuple[np.ndarray, np.ndarray]]) -> None:
        """Add one image (H, W), by a function that gives the prediction and the truth in rows and columns of it.

        Raises InputError that names the part where they do not fit.
        """
        assert self.by_part is not None
        height, width = size
        total = self.nothing
        for part in parts((height, width), self.by_part.margin((height, width))):
            prediction, truth = read(part.around)
            try:
                total = add_up([self.by_part.count(prediction, truth, part)], total)
            except InputError as error:
                raise InputError(f"{error} ({part})") from error
        self.counts.append(total)

    def merge(self, other: Scorer) -> None:
        """Add the images that another scorer of the same task has seen."""
        self.add(other.counts)

    def add(self, counts: Any) -> None:
        """Add what another one has counted: its `counts`, which go between processes as functions cannot."""
        self.counts += counts

    def total(self) -> Counts:
        """The counts of all images so far, added up."""
        return add_up(self.counts, self.nothing)

    def result(self) -> dict[str, Any]:
        """The scores of all images so far, ready for JSON."""
        return self.scores(self.total())

    def each(self) -> list[dict[str, Any]]:
        """The scores of each image alone, but for lists, such as one of all classes, which are long."""
        return list(self.one_by_one())

    def one_by_one(self) -> Iterator[dict[str, Any]]:
        """`each`, of which no more is held than is asked for."""
        return (self.alone(i) for i in range(len(self.counts)))

    def alone(self, i: int) -> dict[str, Any]:
        """The scores of an image."""
        own = self.scores(self.counts[i])
        return {name: value for name, value in own.items() if not isinstance(value, list | dict)}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """How far chance in the choice of images moves each score that is one number: its 95 % interval."""
        return intervals(self.counts, self.scores)

    def differences(self, other: Scorer) -> dict[str, tuple[float, float]]:
        """The same of each score less that of another scorer, which has seen the same images in the same order."""
        return differences((self.counts, self.scores), (other.counts, other.scores))
