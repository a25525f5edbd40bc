"""Calibration of class probabilities: is a pixel that is predicted with 80 % right in 80 % of the cases?"""

import numpy as np

from pixelnet.errors import InputError
from pixelnet.metrics.confusion import UNLABELLED

BINS = 15  # of Guo et al. 2017
TOLERANCE = 0.02  # of a sum: probabilities stored in half precision are rounded


def calibration_counts(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What the expected calibration error is made of, in equal bins of the confidence: of the largest probability.

    probabilities: real (H, W, K), 0 or more, sum 1 over the classes. truth: integers (H, W), ids 0..K-1, 255
    unlabelled; what was predicted there does not matter. Returns float64 (15, 3), additive over images: for the
    bin ((m - 1) / 15, m / 15] of Guo et al. 2017, section 2, the number of pixels, the sum of their confidence, and
    how many are right. Raises InputError where shapes or types differ from these, an id is out of range, or a
    labelled pixel has no distribution.
    """
    probabilities, truth = np.asarray(probabilities), np.asarray(truth)
    if probabilities.ndim != 3 or probabilities.shape[:2] != truth.shape or not probabilities.shape[2]:
        raise InputError(
            f"the probabilities' shape is {probabilities.shape} but the truth's is {truth.shape}; "
            "give (H, W, K), one probability for each class, at the size of the truth"
        )
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise InputError(f"the probabilities are of type {probabilities.dtype}; expected real numbers in 0..1")
    labelled, classes = truth != UNLABELLED, probabilities.shape[2]
    ids = truth[labelled]
    if ids.size and not (ids.min() >= 0 and ids.max() < classes):
        raise InputError(
            f"the truth has class ids from {ids.min()} to {ids.max()}, but there are probabilities of {classes} "
            f"classes: ids must lie in 0..{classes - 1} ({UNLABELLED}: unlabelled)"
        )
    sums = probabilities.sum(axis=2, dtype=np.float64)[labelled]
    # Written so that NaN fails, too.
    if not ((np.abs(sums - 1) <= TOLERANCE).all() and (probabilities.min(axis=2)[labelled] >= 0).all()):
        raise InputError("these are no probabilities: they are 0 or more and sum to 1 at each pixel; apply the softmax")
    confidence = probabilities.max(axis=2)[labelled].astype(np.float64)
    right = probabilities.argmax(axis=2)[labelled] == ids
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return np.stack([np.bincount(bins, weights, BINS) for weights in (None, confidence, right)], axis=1).astype(float)


def calibration_scores(counts: np.ndarray) -> dict[str, float | None]:
    """The expected calibration error of summed counts (15, 3): a fraction, 0 at best; None if nothing was counted.

    ece: the mean over pixels of |share that is right - mean confidence|, taken bin by bin (Guo et al. 2017,
    equation 3).
    """
    number, confidence, right = np.asarray(counts, dtype=np.float64).T
    return {"ece": float(np.abs(right - confidence).sum() / number.sum()) if number.any() else None}
