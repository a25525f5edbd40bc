"""Errors of real values (depth, height): sums over pixels, and the scores read from them."""

import numpy as np

from pixelnet.errors import InputError
from pixelnet.metrics.sparse import Counts


def tally(prediction: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Add up the errors of one image.

    prediction, truth: real values (H, W), or any one shape; NaN (or infinite) in truth is unlabelled and left out.
    Returns by name, one number each: "pixels" and "squares", their number and the sum of squared errors; "nonzero" and
    "relative", the number with a truth other than 0 and the sum of |p - t| / |t| over them; "positive" and "within",
    the number with a truth above 0 and how many of these are within a factor of 1.25.
    Raises InputError where the shapes differ or a labelled pixel's prediction is not finite.
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape:
        raise InputError(f"the prediction's shape is {prediction.shape} but the truth's is {truth.shape}")
    valid = np.isfinite(truth)
    p, t = prediction[valid].astype(np.float64), truth[valid].astype(np.float64)
    if not np.isfinite(p).all():
        raise InputError(f"the prediction is not finite at {(~np.isfinite(p)).sum()} of the {p.size} labelled pixels")
    relative = np.abs(p - t)[t != 0] / np.abs(t[t != 0])
    p_positive, t_positive = p[t > 0], t[t > 0]
    # A ratio of two positive values only; p <= 0 fails the second test, so it counts as a miss.
    within = (p_positive < 1.25 * t_positive) & (t_positive < 1.25 * p_positive)
    counts = {
        "pixels": p.size,
        "squares": ((p - t) ** 2).sum(),
        "nonzero": relative.size,
        "relative": relative.sum(),
        "positive": within.size,
        "within": within.sum(),
    }
    return {name: np.asarray(value, np.float64) for name, value in counts.items()}


def scores(counts: Counts) -> dict[str, float | None]:
    """The scores of a tally: abs_rel and delta1 as fractions, rmse in the values' own unit.

    abs_rel: mean of |p - t| / |t| where the truth is not 0. rmse: any sign. delta1: of the pixels with a positive
    truth, the share predicted within a factor of 1.25 (Eigen et al. 2014); a prediction of 0 or less is not.
    """
    pixels, squares, nonzero = (float(counts[name]) for name in ("pixels", "squares", "nonzero"))
    relative, positive, within = (float(counts[name]) for name in ("relative", "positive", "within"))
    return {
        "abs_rel": relative / nonzero if nonzero else None,
        "rmse": (squares / pixels) ** 0.5 if pixels else None,
        "delta1": within / positive if positive else None,
    }
