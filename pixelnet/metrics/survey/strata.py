"""Strata from what a model says: cells of class and doubt, how much each matters for a score, and cells put together.

A cell is a class and a narrow range of doubt, 1 less the probability of that class. What a model expects of a cell's
pixels tells how far their parts in a score will scatter (their anticipated variance; Isaki and Fuller 1982), and strata
are made so that each matters as much: where the model is sure a stratum is large, where it doubts small. Networks are
surer than they are right (Guo et al. 2017), so that its probabilities are softened first. A model that is wrong costs
samples, never the truth of an estimate.
"""

from dataclasses import dataclass

import numpy as np

from pixelnet.errors import InputError
from pixelnet.metrics.survey.allocation import allocate

DOUBTS = 2.0 ** -np.arange(0.5, 12.5, 0.5)  # the cells' limits, from the most doubt down
OVERALL = 0.2  # what overall accuracy counts for, beside mean IoU
MISTRUST = 0.05  # of a model's word: the share of pixels that are taken to be of any class
TEMPERATURE = 2.0  # by which a model's logits are divided where it is taken to be too sure
UNSURE = 0.01  # the same where it widens intervals: what a model that is never wrong is still not believed
Z = 1.96  # standard errors in half of a 95 % interval
PER_STRATUM = 10  # samples
ENOUGH = 20  # samples that a class is to have, in truth or map, for its scores to be told


@dataclass(frozen=True)
class Cells:
    """Pixels added up by class and doubt: number (K, B), and expected (K, B, K), the sum of their probabilities."""

    number: np.ndarray
    expected: np.ndarray

    def __add__(self, other: "Cells") -> "Cells":
        return Cells(self.number + other.number, self.expected + other.expected)

    @property
    def foreseen(self) -> np.ndarray:
        """(3 K + 1,): the totals of `accuracy.expected` over all pixels."""
        hits = np.einsum("kbk->k", self.expected)
        return np.concatenate([hits, self.expected.sum(axis=(0, 1)), self.number.sum(axis=1), [self.number.sum()]])


def cell_of(mapped: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The cell of each pixel, a number from 0 to K B - 1. mapped: (n,) ids. probabilities: (n, K)."""
    doubt = 1 - np.take_along_axis(probabilities, mapped[:, None].astype(np.int64), axis=1)[:, 0].astype(np.float64)
    bins = np.searchsorted(-DOUBTS, -doubt)
    return mapped.astype(np.int64) * (len(DOUBTS) + 1) + bins


def cells(mapped: np.ndarray, probabilities: np.ndarray, own: np.ndarray | None = None) -> Cells:
    """Pixels (n,) added up. own: their cells, where they are known already."""
    classes = probabilities.shape[-1]
    own, shape = cell_of(mapped, probabilities) if own is None else own, (classes, len(DOUBTS) + 1)
    length = shape[0] * shape[1]
    sums = [np.bincount(own, probabilities[:, k].astype(np.float64), length).reshape(shape) for k in range(classes)]
    return Cells(np.bincount(own, minlength=length).reshape(shape), np.stack(sums, axis=-1))


def planned(found: Cells, budget: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The design by class and doubt: the stratum of each cell (K, B), the samples of each stratum (H,), and (K,) bool.

    The last are the classes that the budget suffices for, ENOUGH samples or more being expected of them: their mean IoU
    is what the design is made for, beside overall accuracy. Raises InputError for a budget below 2 for each stratum.
    """
    averaged = np.ones(len(found.number), bool)
    for _ in range(2):  # for all classes first, then for those that will have enough
        spreads = anticipated(found, averaged)
        of_cell = strata(found, spreads, budget // PER_STRATUM)
        there = of_cell >= 0
        sizes = np.bincount(of_cell[there], found.number[there]).astype(np.int64)
        counts = allocate(budget, sizes, np.bincount(of_cell[there], (found.number * spreads)[there]))
        averaged = samples_expected(found, of_cell, counts / sizes) >= ENOUGH
    return of_cell, counts, averaged


def samples_expected(found: Cells, of_cell: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """(K,): how many samples will be of each class or called it, as the model expects, of so many a pixel (H,)."""
    each = np.where(of_cell >= 0, chances[of_cell], 0)
    called = (found.number * each).sum(axis=1)
    of_class = np.einsum("kbt,kb->t", found.expected, each)
    return called + of_class - np.einsum("kbk,kb->k", found.expected, each)


def needed(found: Cells, half_width: float, of: int | None = None) -> int:
    """How many samples give a 95 % interval of this half-width, for overall accuracy or the IoU of class `of`.

    Olofsson et al. (2014), equation 13, with cells of class and doubt as strata, and the model's own probabilities in
    place of a guess: it is right if these are, and if samples are allocated for this score alone.
    """
    chances = mistrusted(_means(found), found.foreseen)
    if of is None:
        hits = np.einsum("kbk->kb", chances)
        part = hits * (1 - hits)
    else:
        total = (chances * found.number[..., None]).sum(axis=(0, 1))[of]
        right = (chances[of, :, of] * found.number[of]).sum()
        union = total + found.number[of].sum() - right
        if union <= 0:
            raise InputError("the class is neither mapped nor expected anywhere, so its IoU has no sample size")
        own = chances[..., of] * (1 - chances[..., of]) * (right / union) ** 2
        own[of] = chances[of, :, of] * (1 - chances[of, :, of])
        part = own * (found.number.sum() / union) ** 2
    shares = found.number / found.number.sum()
    return int(np.ceil(((shares * np.sqrt(part)).sum() / (half_width / Z)) ** 2))


def _means(found: Cells) -> np.ndarray:
    """(K, B, K): the mean probabilities in each cell."""
    return np.asarray(found.expected / np.maximum(found.number, 1)[..., None])


def softened(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities (..., K), half as they are, half as a model would have them that is so much less sure.

    A model that is right loses few samples by it. Where one is too sure, few samples would be drawn, each would stand
    for many pixels, and one error among them would move a score by far.
    """
    soft = probabilities ** (1 / TEMPERATURE)
    known = np.maximum(soft.sum(axis=-1, keepdims=True), 1e-9)
    return np.asarray((probabilities + soft / known) / 2)


def mistrusted(probabilities: np.ndarray, foreseen: np.ndarray, mistrust: float = MISTRUST) -> np.ndarray:
    """Probabilities (..., K) with some mistrust: any pixel may be of any class, by its share. foreseen: (3 K + 1,)."""
    classes = probabilities.shape[-1]
    shares = foreseen[..., 2 * classes : -1] / foreseen[..., -1:]
    known = np.maximum(probabilities.sum(-1, keepdims=True), 1e-9)
    return (1 - mistrust) * probabilities / known + mistrust * shares


def anticipated(found: Cells, averaged: np.ndarray) -> np.ndarray:
    """(K, B): the standard deviation of a pixel's part in the scores, as the model expects it.

    Of overall accuracy and mean IoU, each by its variance over all pixels, so that neither drowns the other. averaged:
    (K,) bool, the classes that mean IoU is of.
    """
    classes = len(found.number)
    chances = mistrusted(softened(_means(found)), found.foreseen)
    total = (chances * found.number[..., None]).sum(axis=(0, 1))
    hits = (np.einsum("kbk->kb", chances) * found.number).sum(axis=1)
    union = total + found.number.sum(axis=1) - hits
    there = (union > 0) & averaged
    iou = np.divide(hits, union, out=np.zeros(classes), where=there)
    below = np.where(there, union, 1)
    lost = np.where(there, iou / below, 0)
    # A pixel called k adds (1 - iou_k) / U_k where it is right; if it is of t it takes from both classes.
    part = -(lost[:, None] + lost[None, :])
    part[np.diag_indices(classes)] = np.where(there, (1 - iou) / below, 0)
    right = np.eye(classes)
    own = [_variance(chances, values) for values in (part, right)]
    wholes = [max(float((one * found.number).sum()), 1e-300) for one in own]
    return np.sqrt((1 - OVERALL) * own[0] / wholes[0] + OVERALL * own[1] / wholes[1])


def _variance(chances: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(K, B): of values (K, K), by class called and true class, under chances (K, B, K)."""
    mean = np.einsum("kbt,kt->kb", chances, values)
    return np.maximum(np.einsum("kbt,kt->kb", chances, values**2) - mean**2, 0)


def strata(found: Cells, spreads: np.ndarray, count: int) -> np.ndarray:
    """The stratum of each cell, (K, B), of about so many: each of one class and neighboring doubts, and of like weight.

    spreads: (K, B), `anticipated`. A class gets strata by its weight, pixels times spread. Classes of too little for
    half of one are put together, the lightest first. Cells without pixels get -1.
    """
    weights = found.number * spreads
    if not weights.any():  # nothing is in doubt anywhere
        weights = found.number.astype(np.float64)
    own = weights.sum(axis=1)
    there = np.flatnonzero(found.number.sum(axis=1))
    piece = own.sum() / max(1, count)
    result = np.full(found.number.shape, -1)
    number, gathered = 0, 0.0
    light = [k for k in there[np.argsort(own[there], kind="stable")] if own[k] < piece / 2]
    for k in light:
        if gathered and gathered + own[k] > piece:
            number, gathered = number + 1, 0.0
        result[k], gathered = number, gathered + own[k]
    number += bool(light)
    for k in there:
        if own[k] >= piece / 2:
            pieces = max(1, round(own[k] / piece))
            middles = (np.cumsum(weights[k]) - weights[k] / 2) / own[k]
            places = np.minimum((middles * pieces).astype(int), pieces - 1)
            _, places = np.unique(np.where(found.number[k] > 0, places, places.max()), return_inverse=True)
            result[k] = number + places
            number += int(places.max()) + 1
    result[found.number == 0] = -1
    used = np.unique(result[result >= 0])
    return np.where(result >= 0, np.searchsorted(used, result), -1)
