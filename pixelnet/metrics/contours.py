"""How well the outlines of a segmentation follow the true ones: the boundary F of Csurka et al. 2013."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from pixelnet.errors import InputError
from pixelnet.metrics.confusion import UNLABELLED, check_ids
from pixelnet.metrics.parts import Part, Window, parts

MAX_DIST = 0.0075  # of the diagonal, as in Csurka et al. 2013, section 2


def contour_counts(prediction: np.ndarray, truth: np.ndarray, classes: int, max_dist: float = MAX_DIST) -> np.ndarray:
    """Count, class by class, the boundary pixels that have one of the other map's within reach.

    A boundary pixel of a class has a 4-neighbor of another class. The image's border is no boundary, nor is that of
    an unlabelled area: its pixels are left out of both maps.

    prediction, truth: integers (H, W), ids 0..classes-1, and 255 in truth for unlabelled. max_dist: how far away a
    match may be, as a share of the diagonal. Returns int64 (classes, 4), additive over images: predicted and matched,
    predicted, true and matched, true. Raises InputError where a map is not (H, W), the shapes differ or an id is out
    of range.
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    check_ids(prediction, truth, classes)
    if truth.ndim != 2:
        raise InputError(f"the maps' shape is {truth.shape}; boundaries are those of a map (H, W)")
    counts = np.zeros((classes, 4), dtype=np.int64)
    for part in parts(truth.shape, margin_of(truth.shape, max_dist)):
        counts += contour_counts_of(prediction[part.around], truth[part.around], part, classes, max_dist)
    return counts


def margin_of(size: tuple[int, int], max_dist: float = MAX_DIST) -> int:
    """How many pixels around a part of an image (H, W) its counts hang on."""
    return int(_reach(size, max_dist)) + 2  # a boundary pixel is known by its neighbors, one further out


def contour_counts_of(
    prediction: np.ndarray, truth: np.ndarray, part: Part, classes: int, max_dist: float = MAX_DIST
) -> np.ndarray:
    """`contour_counts` of a part of an image alone; those of all parts add up to the image's.

    prediction, truth: the part and what is around it, at least as far as `margin_of` says.
    """
    check_ids(prediction, truth, classes)
    reach = _reach(part.size, max_dist)
    drawn = _boundary_ids(np.where(truth == UNLABELLED, UNLABELLED, prediction))
    true = _boundary_ids(truth)
    counts = np.zeros((classes, 4), dtype=np.int64)
    for c in np.setdiff1d(np.union1d(drawn, true), UNLABELLED):
        (of_prediction, of_truth), own = _cropped(drawn == c, true == c, part.inner)
        matched = _near(of_prediction, of_truth, reach), of_prediction, _near(of_truth, of_prediction, reach), of_truth
        counts[c] = [np.count_nonzero(pixels[own]) for pixels in matched]
    return counts


def _reach(size: tuple[int, int], max_dist: float) -> float:
    return float(max_dist * np.hypot(*size))


def contour_scores(counts: np.ndarray) -> dict[str, float | list[float | None] | None]:
    """The boundary F of summed counts (K, 4): fractions in 0..1.

    boundary_f_per_class: 2 P R / (P + R) of P, the share of predicted boundary pixels that are matched, and R, that
    of true ones; None for a class without a boundary in either map. boundary_f: their mean. Csurka et al. average
    over images as well; here the pixels of all images are counted first, so an image weighs as much as it has
    boundary.
    """
    matched_drawn, drawn, matched_true, true = np.asarray(counts, dtype=np.float64).T
    found = drawn + true > 0
    precision = np.divide(matched_drawn, drawn, out=np.zeros_like(drawn), where=drawn > 0)
    recall = np.divide(matched_true, true, out=np.zeros_like(true), where=true > 0)
    total = precision + recall
    f = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return {
        "boundary_f": float(f[found].mean()) if found.any() else None,
        "boundary_f_per_class": [float(value) if there else None for value, there in zip(f, found, strict=True)],
    }


def _boundary_ids(ids: np.ndarray) -> np.ndarray:
    """(H, W) ids where a 4-neighbor is of another class, unlabelled elsewhere."""
    boundary = np.zeros(ids.shape, dtype=bool)
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = (ids[before] != ids[after]) & (ids[before] != UNLABELLED) & (ids[after] != UNLABELLED)
        boundary[before] |= differ
        boundary[after] |= differ
    return np.where(boundary, ids, UNLABELLED)


def _cropped(first: np.ndarray, second: np.ndarray, own: Window) -> tuple[tuple[np.ndarray, np.ndarray], Window]:
    """Both masks within their common bounding box, which keeps all distances between them; and where `own` is in it."""
    either = first | second
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    down, across = (
        slice(max(0, along.start - start), max(0, along.stop - start))
        for along, start in zip(own, (rows[0], columns[0]), strict=True)
    )
    return (first[box], second[box]), (down, across)


def _near(pixels: np.ndarray, others: np.ndarray, reach: float) -> np.ndarray:
    """Those of the pixels (H, W) bool that have one of the others within reach."""
    if not others.any():
        return np.zeros_like(pixels)  # the distance transform has no answer then
    return pixels & (distance_transform_edt(~others) <= reach)
