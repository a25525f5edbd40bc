"""Boundaries: thinning an edge strength map, and a quick F to follow training by.

The quick F is not the score of the BSDS protocol (Martin, Fowlkes and Malik 2004): there each predicted pixel may
match one annotated pixel only, here every pixel with a counterpart close enough counts as matched. That is kinder
and far quicker. To know what a number is worth (20 validation images of BSDS500): noise has .42, the gradient's
magnitude .62, one annotator against the others .80.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from pixelnet.errors import InputError

THRESHOLDS = np.arange(1, 34) / 34  # 33, evenly inside 0..1
MAX_DIST = 0.0075  # how far apart a match may be, as a share of the image's diagonal: the BSDS protocol's value


def thin(strength: np.ndarray, border: int = 5, multiplier: float = 1.01) -> np.ndarray:
    """Non-maximum suppression: keep the strength on the crest of each ridge, 0 elsewhere (after Canny 1986).

    strength: (H, W), 0 or more. A pixel survives if `multiplier` times its strength is no less than the strength one
    pixel away on both sides, across the ridge: in the direction in which the smoothed map curves most. Strengths
    within `border` pixels of the image's border, where ridges are unreliable, fade to 0.
    Returns float32 (H, W).
    """
    strength = np.asarray(strength, dtype=np.float32)
    if min(strength.shape) < 3:  # all border, and too small for a second derivative
        return np.zeros_like(strength)
    smooth = uniform_filter(uniform_filter(strength, 5, mode="nearest"), 5, mode="nearest")
    dy, dx = np.gradient(smooth)
    dxx, (dyy, dxy) = np.gradient(dx, axis=1), np.gradient(dy)
    rows, cols = np.nonzero(strength)
    # The Hessian's eigenvector of the eigenvalue largest in magnitude, whose sign is the trace's: the angle from x.
    sign = np.copysign(np.float32(1), dxx + dyy)
    angle = 0.5 * np.arctan2(2 * sign * dxy, sign * (dxx - dyy))[rows, cols]
    across_x, across_y = np.cos(angle), np.sin(angle)
    own = strength[rows, cols]
    crest = np.ones(len(rows), dtype=bool)
    for side in (-1, 1):
        y, x = rows.astype(np.float32) + side * across_y, cols.astype(np.float32) + side * across_x
        crest &= multiplier * own >= _bilinear(strength, y, x)
    thinned = np.zeros_like(strength)
    thinned[rows[crest], cols[crest]] = own[crest]
    return thinned * np.outer(*(_fade(size, border) for size in strength.shape))


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
    strength, annotators = np.asarray(strength), np.asarray(annotators)
    if annotators.ndim != 3 or annotators.dtype != bool or not len(annotators):
        raise InputError(f"the annotators' maps are {annotators.dtype} {annotators.shape}; expected bool (A, H, W)")
    if strength.shape != annotators.shape[1:]:
        raise InputError(f"the edge strength is {strength.shape} but the annotators' maps are {annotators.shape[1:]}")
    if strength.size and not (strength.min() >= 0 and strength.max() <= 1):
        raise InputError(f"the edge strength lies in {strength.min()}..{strength.max()}; expected numbers in 0..1")
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
    f = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f.argmax())
    return {"quick_f": float(f[best]), "threshold": float(thresholds[best])}
