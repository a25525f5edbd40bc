"""Boundaries: the scores of the BSDS protocol, and a quick F to follow training by.

The protocol (Martin, Fowlkes and Malik, TPAMI 2004; Arbelaez et al., TPAMI 2011): suppress what is no crest, and at
each threshold binarize, thin, and match the predicted pixels one to one with each annotator's within a distance.

The quick F is not its score: every pixel with a counterpart close enough counts as matched there, so one may serve
many. That is kinder and far quicker. To know what a number is worth (20 validation images of BSDS500): noise has .42,
the gradient's magnitude .62, one annotator against the others .80.
"""

from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

from pixelnet.errors import InputError
from pixelnet.metrics.matching import METHODS, Matcher, Method
from pixelnet.metrics.morphology import thin_mask

THRESHOLDS = np.arange(1, 34) / 34  # 33, evenly inside 0..1
MAX_DIST = 0.0075  # how far apart a match may be, as a share of the image's diagonal: the BSDS protocol's value
BORDER, MULTIPLIER = 5, 1.01  # of the suppression: the structured edges toolbox's values (Dollar and Zitnick 2015)


def thin(strength: np.ndarray, border: int = BORDER, multiplier: float = MULTIPLIER) -> np.ndarray:
    """Non-maximum suppression: keep the strength on the crest of each ridge, 0 elsewhere (after Canny 1986).

    strength: (H, W), 0 or more. A pixel survives if `multiplier` times its strength is no less than the strength one
    pixel away on both sides, across the ridge. The direction across is the structured edges toolbox's, to the letter,
    for published figures rest on it: by the second derivatives of the map smoothed with a triangle of radius 4,
    arctan(-sign(xy) yy / xx). Strengths within `border` pixels of the image's border, where ridges are unreliable,
    fade to 0.
    Returns float32 (H, W).
    """
    strength = np.asarray(strength, dtype=np.float32)
    if min(strength.shape) < 3:  # all border, and too small for a second derivative
        return np.zeros_like(strength)
    smooth = uniform_filter(uniform_filter(strength, 5), 5)  # two boxes make a triangle
    dy, dx = np.gradient(smooth)
    dxx, (dyy, dxy) = np.gradient(dx, axis=1), np.gradient(dy)
    rows, cols = np.nonzero(strength)
    # The toolbox's sign of 0 is 0, which would turn a straight horizontal ridge by a right angle.
    angle = np.arctan(dyy * np.where(dxy > 0, -1, 1) / (dxx + np.float32(1e-5)))[rows, cols]
    across_x, across_y = np.cos(angle), np.sin(angle)
    own = strength[rows, cols]
    crest = np.ones(len(rows), dtype=bool)
    for side in (-1, 1):
        y, x = rows.astype(np.float32) + side * across_y, cols.astype(np.float32) + side * across_x
        crest &= multiplier * own >= _bilinear(strength, y, x)
    thinned = np.zeros_like(strength)
    thinned[rows[crest], cols[crest]] = own[crest]
    return thinned * np.outer(*(_fade(size, border) for size in strength.shape))


def binarize(strength: np.ndarray, threshold: float) -> np.ndarray:
    """The edges of a strength (H, W) as the protocol has them at one threshold, suppressed and thinned: bool (H, W)."""
    return thin_mask(thin(strength) >= threshold)


def _fade(size: int, border: int) -> np.ndarray:
    """(size,) weights that rise from 0 at either end to 1 at `border` pixels from it."""
    place = np.arange(size, dtype=np.float32)
    return np.minimum(np.minimum(place, place[::-1]) / border, 1)


def _bilinear(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Read values (H, W) at y, x (M,), clamped to the map."""
    height, width = values.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.minimum(y.astype(np.int64), height - 2), np.minimum(x.astype(np.int64), width - 2)
    dy, dx = y - top.astype(y.dtype), x - left.astype(x.dtype)
    corner, flat = top * width + left, values.ravel()
    upper = flat[corner] * (1 - dx) + flat[corner + 1] * dx
    lower = flat[corner + width] * (1 - dx) + flat[corner + width + 1] * dx
    return upper * (1 - dy) + lower * dy


def checked(strength: np.ndarray, annotators: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An edge strength (H, W) in 0..1 and annotators' maps, bool (A, H, W), as arrays; InputError for others."""
    strength, annotators = np.asarray(strength), np.asarray(annotators)
    if annotators.ndim != 3 or annotators.dtype != bool or not len(annotators):
        raise InputError(f"the annotators' maps are {annotators.dtype} {annotators.shape}; expected bool (A, H, W)")
    if strength.shape != annotators.shape[1:]:
        raise InputError(f"the edge strength is {strength.shape} but the annotators' maps are {annotators.shape[1:]}")
    if strength.size and not (strength.min() >= 0 and strength.max() <= 1):
        raise InputError(f"the edge strength lies in {strength.min()}..{strength.max()}; expected numbers in 0..1")
    return strength, annotators


def boundary_counts(
    strength: np.ndarray,
    annotators: np.ndarray,
    thresholds: int = 99,
    max_dist: float = MAX_DIST,
    method: Method = "fast",
    thinned: bool = False,
    crisp: bool = False,
) -> np.ndarray:
    """Count, at each threshold, the boundary pixels that are matched one to one: the BSDS protocol on one image.

    strength: (H, W) in 0..1. annotators: bool (A, H, W), one map of boundaries each, taken as they are.
    thresholds: how many, evenly inside 0..1; T. max_dist: the distance allowed, as a share of the image's diagonal.
    method: "fast" or "exact", see `matching`. thinned: the strength was suppressed before. crisp: judge the map as it
    is, neither suppressed nor thinned (the crispness of Huan et al., TPAMI 2021).
    Returns int64 (T + 1, 4): predicted pixels matched with any annotator, predicted pixels, annotated pixels matched,
    annotated pixels; the last two summed over annotators. The last row repeats that of the threshold at which this
    image's F is best, so that OIS, too, is a function of counts added up over images. Raises InputError where an
    argument will not do.
    """
    strength, annotators = checked(strength, annotators)
    check_protocol(thresholds, max_dist, method, thinned, crisp)
    if not (thinned or crisp):
        strength = thin(strength)
    levels = np.arange(1, thresholds + 1) / (thresholds + 1)
    matchers = [Matcher(strength >= levels[0], truth, max_dist) for truth in annotators]
    drawn = annotators.sum()
    counts, before = np.zeros((thresholds, 4), dtype=np.int64), -1
    for index, level in enumerate(levels):
        mask = strength >= level
        reached = int(mask.sum())
        if reached == before:  # the same pixels, then
            counts[index] = counts[index - 1]
            continue
        before = reached
        mask = mask if crisp else thin_mask(mask)
        matched, found = zip(*(matcher(mask, method) for matcher in matchers), strict=True)
        counts[index] = np.any(matched, axis=0).sum(), mask.sum(), sum(map(np.sum, found)), drawn
    return np.concatenate([counts, counts[[_f(*_rates(counts)).argmax()]]])


def check_protocol(thresholds: int, max_dist: float, method: str, thinned: bool, crisp: bool) -> None:
    """Raise InputError for settings of `boundary_counts` that will not do."""
    if thresholds < 1:
        raise InputError(f"{thresholds} thresholds; there must be at least 1, and the benchmark has 99")
    if not 0 <= max_dist < 1:
        raise InputError(f"--max-dist is {max_dist}; it is a share of the image's diagonal, {MAX_DIST} in BSDS500")
    if method not in METHODS:
        raise InputError(f"there is no matching {method!r}; choose one of {', '.join(METHODS)}")
    if thinned and crisp:
        raise InputError("--thinned says the maps were suppressed, --crisp judges them without; choose one of the two")


def boundary_scores(counts: np.ndarray) -> dict[str, Any]:
    """The scores of the BSDS protocol from counts (T + 1, 4), those of `boundary_counts` summed over images.

    ods: the best F at one threshold for all images, and `threshold` where it is reached; between two neighbors
    precision and recall are taken as straight lines. ois: F of the counts of each image at its own best threshold.
    ap: mean precision over the recalls 0, .01, ..., 1, none where the curve does not reach; the curve of a binary map
    is a point, and has 0. r50: recall at a precision of one half, None where it is never reached.
    curve: threshold, recall and precision, a list of T each. All is in 0..1, and None if nobody drew a boundary.
    """
    *pooled, own = np.asarray(counts, dtype=np.float64)
    size = len(pooled)
    if not own[3]:
        return dict.fromkeys(("ods", "ois", "ap", "r50", "threshold", "curve"))
    levels = np.arange(1, size + 1) / (size + 1)
    precision, recall = _rates(np.stack(pooled))
    steps = np.linspace(0, size - 1, 99 * (size - 1) + 1)  # as the benchmark: 100 points from one to the next
    between = _f(*(np.interp(steps, np.arange(size), rate) for rate in (precision, recall)))
    best = int(between.argmax())
    return {
        "ods": float(between[best]),
        "ois": float(_f(*_rates(own))),
        "ap": _average_precision(precision, recall),
        "r50": _recall_at_half(precision, recall),
        "threshold": float(np.interp(steps[best], np.arange(size), levels)),
        "curve": {"threshold": levels.tolist(), "recall": recall.tolist(), "precision": precision.tolist()},
    }


def _rates(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall (...) from counts (..., 4), 0 where there is nothing to count."""
    matched, predicted, found, drawn = np.moveaxis(counts, -1, 0)
    return matched / np.maximum(predicted, 1), found / np.maximum(drawn, 1)


def _f(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def _average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    recalls, first = np.unique(recall, return_index=True)
    if len(recalls) == 1:
        return 0.0
    return float(np.interp(np.arange(101) / 100, recalls, precision[first], left=0, right=0).sum() / 100)


def _recall_at_half(precision: np.ndarray, recall: np.ndarray) -> float | None:
    precisions, first = np.unique(precision, return_index=True)
    if precisions[-1] < 0.5:
        return None
    return float(np.interp(0.5, precisions, recall[first]))  # np.interp stays at the first where all exceed .5


def quick_counts(
    strength: np.ndarray,
    annotators: np.ndarray,
    thresholds: np.ndarray = THRESHOLDS,
    max_dist: float = MAX_DIST,
) -> np.ndarray:
    """Count, at each threshold, the boundary pixels that have a counterpart close by.

    strength: (H, W) in 0..1, not yet thinned. annotators: bool (A, H, W), one map of boundaries each.
    thresholds: (T,), rising. max_dist: the distance allowed, as a share of the image's diagonal.
    Returns int64 (T, 4): predicted pixels near a boundary of any annotator, predicted pixels, annotated pixels near
    a predicted one, annotated pixels; the last two summed over annotators. Not one-to-one, see above.
    Raises InputError where the shapes do not fit or the strength leaves 0..1.
    """
    strength, annotators = checked(strength, annotators)
    height, width = strength.shape
    reach = max_dist * np.hypot(height, width)
    margin = int(reach)
    thinned = np.pad(thin(strength), margin)
    span = np.arange(-margin, margin + 1)
    offsets = (span[:, None] * thinned.shape[1] + span)[np.hypot(span[:, None], span) <= reach]
    # Both questions, which strengths are near an annotation and how strong is the best near each annotated pixel,
    # are asked from the annotated pixels: there are few, whatever the network predicts.
    rows, cols = np.nonzero(annotators.any(axis=0))
    places = (rows + margin) * thinned.shape[1] + cols + margin
    flat, near, best = thinned.ravel(), np.zeros(thinned.size, dtype=bool), np.zeros(len(places), dtype=np.float32)
    for offset in offsets:
        near[places + offset] = True
        np.maximum(best, flat[places + offset], out=best)
    drawn = annotators[:, rows, cols].sum(axis=0)
    predicted = flat > 0
    columns = (
        _reaching(flat[predicted & near], thresholds),
        _reaching(flat[predicted], thresholds),
        _reaching(best, thresholds, drawn),
        np.full(len(thresholds), drawn.sum()),
    )
    return np.stack(columns, axis=1).astype(np.int64)


def _reaching(strengths: np.ndarray, thresholds: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """How many of the strengths (M,), each counted so many times, are at or above each threshold (T,)."""
    reached = np.searchsorted(thresholds, strengths, side="right")
    return np.bincount(reached, weights=times, minlength=len(thresholds) + 1)[::-1].cumsum()[::-1][1:]


def quick_scores(counts: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> dict[str, float | None]:
    """The best F over the thresholds, one threshold for all images, from counts (T, 4) summed over them.

    quick_f: in 0..1, None if nobody drew a boundary. threshold: where it is reached, in 0..1.
    """
    near, predicted, found, drawn = np.asarray(counts, dtype=np.float64).T
    if not drawn.any():
        return {"quick_f": None, "threshold": None}
    precision, recall = near / np.maximum(predicted, 1), found / drawn
    f = _f(precision, recall)
    best = int(f.argmax())
    return {"quick_f": float(f[best]), "threshold": float(thresholds[best])}
