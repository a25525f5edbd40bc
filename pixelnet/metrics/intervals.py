"""Intervals for a score of a set of images: how much would it move had other images been drawn?

The jackknife (Tukey 1958): the score is asked again without each image, whole, since the pixels of one image are far
from independent; how far these answers lie apart gives its standard error, and Student's t the 95 % interval, on a
scale where scores have no ends. Of the methods tried it is the simplest that holds what it says for few images:
`python -m benchmarks.coverage`.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import t as student

from pixelnet.metrics.sparse import Counts, SparseCounts

LEVEL = 0.95
FEWEST = 5  # images, below which no interval says anything
ENOUGH = 20  # images from which on it holds what it says for classes that are rare, too; below, about 90 %
TOO_FEW = "too few images to say"
TOPS = (1, 100)  # where scores end that have not been above: shares, and percent


Images = Sequence[Counts] | SparseCounts  # what was counted of each


def add_up(counts: Iterable[Counts], nothing: Counts) -> Counts:
    """The counts of several images together; `nothing` are those of none."""
    total = dict(nothing)
    for own in counts:
        total = {name: summed + own[name] for name, summed in total.items()}
    return total


def intervals(counts: Images, scores: Callable[[Counts], dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """The 95 % interval of every score that is one number; {} for fewer than FEWEST images.

    counts: those of each image, which may be summed over images. scores: summed counts -> dict of scores.
    Returns (low, high) by name, within what such scores can be: 0 to 1, or to 100, where no image has less or more. A
    score is left out that is None without some image.
    """
    if len(counts) < FEWEST:
        return {}
    found, values_of = {}, jackknife(counts, scores)
    least_of, most_of = ({name: values[0] for name, values in values_of.items()} for _ in range(2))
    for own in counts:
        for name, value in scores(own).items():
            if name in values_of and isinstance(value, float):
                least_of[name], most_of[name] = min(least_of[name], value), max(most_of[name], value)
    for name, values in values_of.items():
        least, most = least_of[name], most_of[name]
        top = next((top for top in TOPS if most <= top), None)
        found[name] = _ends(values) if least < 0 or top is None else _ends_within(values, top)
    return found


def differences(
    one: tuple[Images, Callable[[Counts], dict[str, Any]]],
    other: tuple[Images, Callable[[Counts], dict[str, Any]]],
) -> dict[str, tuple[float, float]]:
    """The interval of every score of one method less that of another, both on the same images in the same order.

    The difference is asked without each image, so that what makes an image hard for both does not widen it. one, other:
    counts and scores, as of `intervals`, whose rules these are.
    """
    if len(one[0]) != len(other[0]):
        raise ValueError(f"{len(one[0])} and {len(other[0])} images are no pairs")
    if len(one[0]) < FEWEST:
        return {}
    ours, theirs = jackknife(*one), jackknife(*other)
    return {name: _ends(ours[name] - theirs[name]) for name in ours if name in theirs}


def jackknife(counts: Images, scores: Callable[[Counts], dict[str, Any]]) -> dict[str, np.ndarray]:
    """Every score that is one number, of all n images and then without each: (n + 1,) by name; none that is missing."""
    total = add_up(counts, {name: np.zeros(np.shape(own)) for name, own in counts[0].items()})
    found = {name: array("d", [value]) for name, value in scores(total).items() if isinstance(value, float)}
    for own in counts:
        without = scores({name: summed - own[name] for name, summed in total.items()})
        found = {name: values for name, values in found.items() if isinstance(without.get(name), float)}
        for name, values in found.items():
            values.append(without[name])
    return {name: np.array(values) for name, values in found.items()}


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The interval of a value, the first, by those without each of n images."""
    value, reach = float(values[0]), _reach(values)
    return value - reach, value + reach


def _ends_within(values: np.ndarray, top: float) -> tuple[float, float]:
    """The same on the scale of log(s / (top - s)), which has no ends, brought back to 0..top."""
    value, reach = float(values[0]) / top, _reach(values) / top
    if value in (0, 1):
        return max(0.0, value - reach) * top, min(1.0, value + reach) * top
    middle, reach = np.log(value / (1 - value)), reach / (value * (1 - value))
    return float(top * expit(middle - reach)), float(top * expit(middle + reach))


def reach_of_mean(values: Sequence[float] | np.ndarray) -> float:
    """How far the 95 % interval of a mean reaches to either side, by Student's t over two values or more."""
    return float(student.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def _reach(values: np.ndarray) -> float:
    """Student's t times the jackknife's standard error."""
    without = values[1:]
    images = len(without)
    error = np.sqrt((images - 1) / images * ((without - without.mean()) ** 2).sum())
    return float(student.ppf((1 + LEVEL) / 2, images - 1) * error)
