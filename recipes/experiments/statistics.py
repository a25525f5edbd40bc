"""What a few seeds allow to say: a mean with its interval, and the difference of two arms, paired by seed.

Runs of one seed start from the same weights and see the same views in the same order, whatever their arm: so their
difference varies less than either, and the test is the paired one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean, and half the width of its 95 % interval by Student's t; None for one value, which has none."""

    mean: float
    half: float | None


class Difference(NamedTuple):
    """Ours less the control's: the mean, half its 95 % interval, and the two-sided p of the paired t-test."""

    mean: float
    half: float
    p: float


def estimate(values: Sequence[float]) -> Estimate:
    """Of values (S,), one a seed, at least one."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(mean, None)
    error = float(np.std(values, ddof=1)) / np.sqrt(count)
    return Estimate(mean, float(t.ppf((1 + LEVEL) / 2, count - 1) * error))


def paired(ours: Sequence[float], control: Sequence[float]) -> Difference | None:
    """Of values (S,) of the same seeds in the same order; None for fewer than two seeds."""
    differences = np.subtract(ours, control).tolist()
    if len(differences) < 2:
        return None
    mean, half = estimate(differences)
    assert half is not None
    error = half / t.ppf((1 + LEVEL) / 2, len(differences) - 1)
    if error == 0:
        return Difference(mean, half, 1.0 if mean == 0 else 0.0)
    return Difference(mean, half, float(2 * t.sf(abs(mean) / error, len(differences) - 1)))


def holm(values: Sequence[float]) -> list[float]:
    """p values of several comparisons, each raised so that even one false claim among all is as rare as it says.

    Holm 1979.
    """
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(np.asarray(values, float)[order] * factors).clip(max=1)
    return [float(value) for value in adjusted]
