"""Errors of a map of real values, and of a model's confidence, estimated from what is known at a sample of pixels."""

import numpy as np

from pixelnet.metrics.survey.accuracy import Scores

EDGES = (0.5, 0.8, 0.95)  # between the bins of confidence


def error_scores(
    totals: np.ndarray, values: np.ndarray, names: tuple[str, str, str] = ("rmse", "bias", "within")
) -> Scores:
    """rmse, bias (the mean of prediction less reference) and the share within the tolerance.

    totals, values: (..., 4) and (..., n, 4), as of `counted_errors`.
    """
    error, square, within, every = (totals[..., k] for k in range(4))
    own = [values[..., k] for k in range(4)]
    mean, share, rmse = error / every, within / every, np.sqrt(np.maximum(square / every, 0))
    half = np.where(rmse > 0, 2 * rmse * every, 1)
    parts = [
        (own[1] - (rmse**2)[..., None] * own[3]) / half[..., None],
        (own[0] - mean[..., None] * own[3]) / every[..., None],
        (own[2] - share[..., None] * own[3]) / every[..., None],
    ]
    return Scores(tuple((name, None) for name in names), np.stack([rmse, mean, share], -1), np.stack(parts, -1))


def counted_errors(prediction: np.ndarray, reference: np.ndarray, tolerance: float) -> np.ndarray:
    """What each sample adds to the totals: (..., n, 4), error, its square, whether it is within, and 1."""
    error = np.asarray(prediction, np.float64) - reference
    return np.stack([error, error**2, np.abs(error) <= tolerance, np.ones_like(error)], axis=-1)


def confidence_scores(confidence: np.ndarray, right: np.ndarray, weights: np.ndarray) -> Scores:
    """How much surer a model is than it is right, over all pixels and in bins of its confidence (EDGES).

    confidence, right, weights: (n,), the probability of what it says, whether that is so, and the pixels that a sample
    stands for. overconfidence: mean confidence less the share that is right; NaN of a bin without samples.
    """
    bins = np.searchsorted(EDGES, confidence, side="right")
    member = np.concatenate([np.ones((len(bins), 1)), bins[:, None] == np.arange(len(EDGES) + 1)], axis=1)
    number = weights @ member
    there = np.where(number > 0, number, 1)
    gap = (confidence - right)[:, None] * member
    value = weights @ gap / there
    influence = (gap - value * member) / there
    labels = [("overconfidence", None), *(("overconfidence", k) for k in range(len(EDGES) + 1))]
    return Scores(tuple(labels), np.where(number > 0, value, np.nan), influence)
