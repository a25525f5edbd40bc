"""Designs by name: which cells make a stratum, how many samples each stratum gets, and what people call it."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pixelnet.errors import InputError
from pixelnet.measure.drawing import alike, by_class, by_class_and_doubt
from pixelnet.metrics.survey.allocation import LEAST, allocate
from pixelnet.metrics.survey.strata import DOUBTS, ENOUGH, Cells, needed, planned, samples_expected

Design = Literal["confidence", "uniform", "proportional", "equal", "neyman", "good-practice", "two-stage"]


def for_target(class_names: Sequence[str], found: Cells | None, target: float, target_class: str | None) -> int:
    if found is None:
        raise InputError("--target is of overall accuracy or an IoU; give --budget for values")
    if not 0 < target < 1:
        raise InputError(f"the target is {target:g}; give the half-width of an interval, such as .03")
    if target_class is not None and target_class not in class_names:
        raise InputError(f"{target_class!r} is none of the classes {', '.join(class_names)}")
    of = None if target_class is None else class_names.index(target_class)
    return max(LEAST, needed(found, target, of))


def cells_of(design: str, classes: int) -> tuple[Any, int]:
    """What turns an answer into cells, and how many there are."""
    if design == "uniform":
        return alike, 1
    if design == "confidence":
        return by_class_and_doubt, classes * (len(DOUBTS) + 1)
    return by_class, classes


def numbers(design: str, found: Cells | None, pixels: int) -> np.ndarray:
    """(cells,): the pixels of each."""
    if found is None or design == "uniform":
        return np.array([pixels])
    return found.number.ravel() if design == "confidence" else found.number.sum(axis=1)


def stratified(
    design: str, found: Cells | None, number: int, budget: int, pixels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stratum of each cell, -1 for an empty one; the samples of each stratum; the classes that will have enough."""
    if found is None:
        return np.zeros(1, int), np.array([budget]), np.zeros(0, bool)
    of_cell, counts, told = planned(found, budget)
    if design == "confidence":
        return of_cell.ravel(), counts, told
    if design == "uniform":
        return np.zeros(1, int), np.array([budget]), told_classes(found, np.full(len(found.number), budget / pixels))
    sizes = found.number.sum(axis=1)
    there = np.flatnonzero(sizes)
    share = np.einsum("kbk->k", found.expected)[there] / sizes[there]
    weights = {"equal": np.ones(len(there)), "neyman": sizes[there] * np.sqrt(share * (1 - share))}
    least = max(LEAST, budget // (2 * len(there))) if design == "good-practice" else LEAST
    counts = allocate(budget, sizes[there], weights.get(design, sizes[there]), least)
    of_cell = np.full(number, -1)
    of_cell[there] = np.arange(len(there))
    chances = np.zeros(number)
    chances[there] = counts / sizes[there]
    return of_cell, counts, told_classes(found, chances)


def told_classes(found: Cells, chances: np.ndarray) -> np.ndarray:
    of_cell = np.repeat(np.arange(len(found.number))[:, None], found.number.shape[1], axis=1)
    return samples_expected(found, of_cell, chances) >= ENOUGH


def stratum_names(design: str, of_cell: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """What each stratum is, for people."""
    if design == "uniform":
        return ["all pixels"]
    bins, names = len(of_cell) // len(class_names), []
    limits = [1.0, *DOUBTS.tolist(), 0.0]
    for h in range(of_cell.max() + 1):
        own = np.flatnonzero(of_cell == h)
        classes = list(dict.fromkeys((own // bins).tolist()))
        name = ", ".join(class_names[k] for k in classes)
        if bins > 1 and len(classes) == 1:
            name += f", doubt {limits[own.max() % bins + 1]:.2g} to {limits[own.min() % bins]:.2g}"
        names.append(name)
    return names
