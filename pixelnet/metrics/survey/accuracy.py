"""Scores of a map of classes, estimated from the classes found at a sample of its pixels.

Every score is a function of totals over all pixels: how many are of a class and called so (hits), of it, called it, and
all. By its derivatives a sample's own part in the score is known, its influence, and the score's variance is that of
the total of influences (Taylor linearization; Saerndal et al. 1992, section 5.5). Of ratios this is Cochran (1977),
section 6.13; with the map's classes as strata it is Olofsson et al. (2014), equations 4 to 11, and with any strata
Stehman (2014).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

NAMES = ("overall", "miou", "iou", "dice", "area", "users", "producers")


@dataclass(frozen=True)
class Scores:
    """Scores and their influences.

    names: (Q,), each with its class, or None of all classes. values: (..., Q), shares in 0..1; NaN where a class is
    neither found nor mapped. influences: (..., n, Q), whose variance as totals is the values'.
    """

    names: tuple[tuple[str, int | None], ...]
    values: np.ndarray
    influences: np.ndarray


def counted(mapped: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """What each sample adds to the totals: (..., n, 3 K + 1), hits, of the class, called it, and 1.

    mapped, truth: (..., n) ids from 0 to K - 1.
    """
    ids = np.arange(classes)
    called, true = mapped[..., None] == ids, truth[..., None] == ids
    return _stacked(called & true, true, called)


def expected(mapped: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The same as a model expects it: (..., n, 3 K + 1). probabilities: (..., n, K)."""
    called = mapped[..., None] == np.arange(probabilities.shape[-1])
    return _stacked(called * probabilities, probabilities, called)


def _stacked(hits: np.ndarray, true: np.ndarray, called: np.ndarray) -> np.ndarray:
    ones = np.ones((*hits.shape[:-1], 1))
    return np.concatenate([hits, true, called, ones], axis=-1, dtype=np.float64)


def scores(
    totals: np.ndarray, values: np.ndarray, names: Sequence[str] = NAMES, averaged: np.ndarray | None = None
) -> Scores:
    """Scores of totals (..., 3 K + 1), with the influences of values (..., n, 3 K + 1).

    overall: the share of pixels that are right. iou, dice, area (the share of pixels that are of a class), users (the
    share of what is called it that is: precision) and producers (the share of it that is called so: recall) are of each
    class. miou: the mean IoU of `averaged`, (K,) bool; None for the classes that were found or mapped.
    """
    sides = (_columns(totals), _columns(values))
    parts = {name: _ratio(sides, "iou" if name == "miou" else name) for name in names}  # none that nobody asked for
    if "miou" in names:
        hits, true, called, _ = sides[0]
        found = true + called - hits > 0
        parts["miou"] = _mean(*parts["miou"], found if averaged is None else found & averaged)
    labels = [
        (name, None if name in ("overall", "miou") else k) for name in names for k in range(parts[name][0].shape[-1])
    ]
    values, influences = (np.concatenate([parts[name][side] for name in names], axis=-1) for side in range(2))
    return Scores(tuple(labels), values, influences)


def doubts(
    totals: np.ndarray,
    mapped: np.ndarray,
    chances: np.ndarray,
    names: Sequence[str] = NAMES,
    averaged: np.ndarray | None = None,
) -> np.ndarray:
    """(..., n, Q): the variance of each influence of `scores`, were the class drawn by chances.

    mapped: (..., n). chances: (..., n, K), of each class at each sample.
    """
    classes = chances.shape[-1]
    called = mapped[..., None] == np.arange(classes)
    # An influence is linear in what is counted: this is how far it moves where a pixel turns out to be of a class.
    turned = _stacked(called, np.ones_like(chances), np.zeros_like(chances))
    turned[..., -1] = 0
    own = chances * (1 - chances)
    said = np.take_along_axis(own, mapped[..., None], axis=-1)
    parts = []
    for name in names:
        moved = scores(totals, turned, ("iou",) if name == "miou" else (name,), averaged).influences
        if name == "miou":
            taken = np.ones(classes, bool) if averaged is None else averaged
            moved = moved * taken / max(1, taken.sum())
            off = moved - (chances * moved).sum(axis=-1, keepdims=True)
            parts.append((chances * off**2).sum(axis=-1, keepdims=True))
        else:  # a class is so or not
            parts.append((said if name == "overall" else own) * moved**2)
    return np.concatenate(parts, axis=-1)


Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
RATIOS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "overall": lambda hits, true, called, every: (hits.sum(-1, keepdims=True), every),
    "iou": lambda hits, true, called, every: (hits, true + called - hits),
    "dice": lambda hits, true, called, every: (2 * hits, true + called),
    "area": lambda hits, true, called, every: (true, every),
    "users": lambda hits, true, called, every: (hits, called),
    "producers": lambda hits, true, called, every: (hits, true),
}  # every score but a mean is y / x of what is counted


def _columns(counts: np.ndarray) -> Columns:
    """(..., 3 K + 1) -> hits, true and called (..., K), and all (..., 1)."""
    classes = counts.shape[-1] // 3
    hits, true, called = (counts[..., k * classes : (k + 1) * classes] for k in range(3))
    return hits, true, called, counts[..., -1:]


def _ratio(sides: tuple[Columns, Columns], name: str) -> tuple[np.ndarray, np.ndarray]:
    """y / x of the totals, NaN where x is 0, and the influences (y_i - R x_i) / x."""
    (y, x), (own_y, own_x) = (RATIOS[name](*side) for side in sides)
    there = x > 0
    below = np.where(there, x, 1)
    value = y / below
    influence = (own_y - value[..., None, :] * own_x) / below[..., None, :]
    return np.where(there, value, np.nan), np.where(there[..., None, :], influence, 0)


def _mean(values: np.ndarray, influences: np.ndarray, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the classes that are taken, and its influences: the joint (delta) form."""
    number = taken.sum(axis=-1, keepdims=True)
    share = taken / np.maximum(number, 1)
    mean = (np.where(taken, values, 0) * share).sum(axis=-1, keepdims=True)
    return np.where(number > 0, mean, np.nan), (influences * share[..., None, :]).sum(axis=-1, keepdims=True)
