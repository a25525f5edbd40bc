"""Intervals of an estimated share: a value, its variance, and how many samples know of it -> low and high."""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

LEVEL = 0.95
NOTHING = 1e-6  # samples, where there are none


def plain(value: np.ndarray, variance: np.ndarray, freedom: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """value +- t s, for what is no share."""
    reach = _times(freedom) * np.sqrt(variance)
    return value - reach, value + reach


def wald(value: np.ndarray, variance: np.ndarray, freedom: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, cut at 0 and 1."""
    low, high = plain(value, variance, freedom)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def logistic(value: np.ndarray, variance: np.ndarray, freedom: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same on the scale log(p / (1 - p)), which has no ends; where the value is at an end it is Wilson's."""
    inside = (value > 0) & (value < 1)
    safe = np.where(inside, value, 0.5)
    reach = _times(freedom) * np.sqrt(variance) / (safe * (1 - safe))
    low, high = expit(logit(safe) - reach), expit(logit(safe) + reach)
    ends = wilson(value, variance, freedom)
    return np.where(inside, low, ends[0]), np.where(inside, high, ends[1])


def wilson(
    value: np.ndarray, variance: np.ndarray, freedom: float | np.ndarray, draws: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's (1927), of as many independent draws as would have that variance (Kish's effective size).

    A value nearer to 0 or 1 than its standard error does not tell how many these are; one standard error is put in its
    place there, and they are no more than the samples that the value is of, `draws`; where these are not given, than
    the degrees of freedom and one. So where nothing was found, up to about four times what one find would have been
    worth is allowed for. Of no sample at all everything is, whatever the variance says: it is of other samples then.
    """
    value = np.clip(value, 0, 1)
    error = np.minimum(np.sqrt(variance), 0.5)
    inside = np.clip(value, error, 1 - error)
    own = freedom + np.ones(value.shape) if draws is None else np.maximum(draws, NOTHING).astype(np.float64)
    most = np.where((inside == value) & (own > NOTHING), np.inf, own)
    effective = np.minimum(np.divide(inside * (1 - inside), variance, out=own.copy(), where=variance > 0), most)
    spread = value * (1 - value)
    z2 = _times(freedom) ** 2
    middle = (value + z2 / (2 * effective)) / (1 + z2 / effective)
    reach = np.sqrt(z2 * (spread / effective + z2 / (4 * effective**2))) / (1 + z2 / effective)
    return np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)


def _times(freedom: float | np.ndarray) -> np.ndarray:
    return student.ppf((1 + LEVEL) / 2, np.maximum(freedom, 1))


Interval = Callable[[np.ndarray, np.ndarray, float | np.ndarray], tuple[np.ndarray, np.ndarray]]
INTERVALS: dict[str, Interval] = {"wald": wald, "logit": logistic, "wilson": wilson}
