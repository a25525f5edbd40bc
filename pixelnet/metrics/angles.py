"""Angles between predicted and true surface normals, in degrees.

The protocol is that of the NYUv2 normals literature (Fouhey et al. 2013; Marr Revisited, Bansal et al. 2016): both
vectors are normalized, the errors of all valid pixels of all images are pooled, and "11.25", "22.5" and "30" are
the percent of them strictly below so many degrees.
"""

import numpy as np

from pixelnet.errors import InputError
from pixelnet.metrics.sparse import Counts

THRESHOLDS = (11.25, 22.5, 30.0)
# Bins in a degree. A power of two, so that a threshold is a bin's edge and finding an error's bin is exact.
BINS_PER_DEGREE = 128


def angular_errors(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angle between the two vectors of each pixel whose truth is known.

    prediction, truth: (..., 3) of any lengths; a zero vector in truth is unlabelled and left out.
    Returns float64 (M,): degrees in 0..180. Raises InputError where the shapes differ, or where a pixel with a
    true normal has no direction predicted (the zero vector, NaN).
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape or truth.shape[-1:] != (3,):
        raise InputError(f"normals are (H, W, 3), the prediction is {prediction.shape} and the truth {truth.shape}")
    valid = (truth != 0).any(axis=-1)
    prediction, truth = prediction[valid].astype(np.float64), truth[valid].astype(np.float64)
    for name, vectors in (("prediction", prediction), ("truth", truth)):
        bad = ~(np.isfinite(vectors).all(axis=-1) & (vectors != 0).any(axis=-1))
        if bad.any():
            raise InputError(
                f"the {name} has no direction at {bad.sum()} of the {len(bad)} pixels with a true normal "
                "(zero vector, NaN or infinite); give a normal at each"
            )
    # The arccosine of a dot product cannot tell 0 from 0.02 degrees in float32; the arctangent can.
    cross = np.linalg.norm(np.cross(prediction, truth), axis=-1)
    return np.degrees(np.arctan2(cross, (prediction * truth).sum(axis=-1)))


def tally(errors: np.ndarray) -> dict[str, np.ndarray]:
    """Add up errors (M,) in degrees so that tallies of several images can be summed in little memory.

    Returns float64: "histogram" (bins,), the number of errors in each bin of 1/128 degree; "sum" and "squares", those
    of the errors.
    """
    errors = np.asarray(errors, dtype=np.float64).ravel()
    number = np.bincount((errors * BINS_PER_DEGREE).astype(np.int64), minlength=180 * BINS_PER_DEGREE + 1)
    return {"histogram": number.astype(np.float64), "sum": errors.sum(), "squares": (errors**2).sum()}


def tally_scores(counts: Counts) -> dict[str, float | None]:
    """The scores of a tally: mean, median and rmse in degrees; "11.25", "22.5" and "30" in percent.

    All are exact but for the median, which is low by less than a bin (.008 degrees).
    """
    number = counts["histogram"]
    total = number.sum()
    if not total:
        return dict.fromkeys(("mean", "median", "rmse", *(f"{t:g}" for t in THRESHOLDS)))
    # The two middle errors (one, if their number is odd), each taken as the lower end of its bin.
    ranks = np.array([(total - 1) // 2, total // 2])
    middle = np.searchsorted(np.cumsum(number), ranks, side="right")
    result: dict[str, float | None] = {
        "mean": float(counts["sum"] / total),
        "median": float(middle.mean() / BINS_PER_DEGREE),
        "rmse": float(np.sqrt(counts["squares"] / total)),
    }
    for threshold in THRESHOLDS:
        result[f"{threshold:g}"] = float(100 * number[: int(threshold * BINS_PER_DEGREE)].sum() / total)
    return result
