"""Where labels lead: the chance that a random walk from a pixel meets each class's labels before the others'.

A walk steps from pixel to neighbor, seldom between pixels that differ (Grady: Random Walks for Image Segmentation, IEEE
TPAMI 2006). So a ring around a cell leaves no way in for what is outside, and strokes on either side of an edge meet at
the edge. How far that can be believed depends on the pictures: strokes that are left out tell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import label as parts_of
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import cg

from pixelnet.data.dataset import UNLABELLED

SIDE = 128  # cells of the longer side at most: a walk asks where things are, and their outlines are the network's
STEEP = 20.0  # how seldom a walk crosses an edge: exp(-STEEP d^2) for a difference of d standard deviations
LEAST = 1e-6  # of a step, so that there is a way to everywhere
CLOSE = 1e-2  # where the solver stops: chances are then about right to a hundredth
POWERS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)  # that chances may be raised to
FLOOR = 0.01  # a chance is never believed to be less
FEWEST = 20  # cells that are held out, below which they tell nothing
GAIN = 0.1  # over knowing nothing, in the mean log chance of what is held out, below which walks are not believed


class Cells(NamedTuple):
    """An image as a walk sees it.

    pixels: (h, w, C), of standard deviation 1. labels: (h, w), the class most of a cell's labelled pixels have. step:
    pixels of the image along a cell's side.
    """

    pixels: np.ndarray
    labels: np.ndarray
    step: int


def side_of_cell(height: int, width: int) -> int:
    """In pixels of an image of this size."""
    return max(1, -(-max(height, width) // SIDE))


def cells_of(image: np.ndarray, labels: np.ndarray, classes: int) -> Cells:
    """An image (H, W, C) and its label map (H, W), brought to SIDE cells at most."""
    height, width = labels.shape
    step = side_of_cell(height, width)
    rows, columns = -(-height // step), -(-width // step)
    margins = ((0, rows * step - height), (0, columns * step - width), (0, 0))
    known = np.nan_to_num(image.astype(np.float32), posinf=0, neginf=0)  # where nothing was measured
    whole = np.pad(known, margins, mode="edge")
    pixels = whole.reshape(rows, step, columns, step, -1).mean((1, 3))
    pixels /= max(float(pixels.std()), 1e-6)
    y, x = np.nonzero(labels != UNLABELLED)
    counts = np.zeros((rows, columns, classes), np.int32)
    np.add.at(counts, (y // step, x // step, labels[y, x]), 1)
    own = np.where(counts.any(-1), counts.argmax(-1), UNLABELLED).astype(np.uint8)
    return Cells(pixels, own, step)


def chances(cells: Cells, classes: int) -> np.ndarray:
    """(h, w, K) float32: how likely a walk from each cell meets each class first; 1 / K where nothing is labelled."""
    labels = cells.labels.reshape(-1)
    known = labels != UNLABELLED
    present = np.unique(labels[known])
    found = np.zeros((len(labels), classes), np.float32)
    if not len(present):
        return np.full((*cells.labels.shape, classes), 1 / classes, np.float32)
    found[known, labels[known]] = 1
    if len(present) == 1 or known.all():
        found[~known] = np.eye(classes, dtype=np.float32)[present[0]]
        return found.reshape(*cells.labels.shape, classes)
    laplacian = _laplacian(cells.pixels)
    free, given = laplacian[~known], labels[known]
    inner, border = csr_array(free[:, ~known]), csr_array(free[:, known])
    quicker = diags_array(1 / inner.diagonal())
    for label in present:
        solved, _ = cg(inner, -(border @ (given == label).astype(np.float64)), rtol=CLOSE, maxiter=1000, M=quicker)
        found[~known, label] = solved.clip(0, 1)
    found /= found.sum(1, keepdims=True).clip(1e-6)
    return found.reshape(*cells.labels.shape, classes)


def _laplacian(pixels: np.ndarray) -> csr_array:
    """Of the graph of an image (h, w, C), whose cells are joined to the four beside them."""
    height, width, _ = pixels.shape
    number = np.arange(height * width).reshape(height, width)
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    other = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    flat = pixels.reshape(height * width, -1)
    apart = ((flat[one] - flat[other]) ** 2).mean(1)
    ease = np.exp(-STEEP * apart.astype(np.float64)) + LEAST
    joined = coo_array((ease, (one, other)), shape=(len(flat), len(flat))).tocsr()
    joined = joined + joined.T
    return csr_array(diags_array(joined.sum(1)) - joined)


def believed(found: np.ndarray, power: float) -> np.ndarray:
    """Chances (..., K) as far as they can be believed: raised to a power and made to add up to one again."""
    own = found.clip(FLOOR) ** power
    return own / own.sum(-1, keepdims=True)


def power_of(maps: Sequence[Cells], classes: int) -> float:
    """How far walks on these images are to be believed: the power that chances are raised to, 0 for not at all.

    Half of each image's strokes are held out, and walks asked where they lie: the power is the one by which those are
    likeliest, each class weighing the same.
    """
    rng = np.random.default_rng(0)
    found, truth = [np.zeros((0, classes), np.float32)], [np.zeros(0, np.int64)]
    for cells in maps:
        held = _held_out(cells.labels, rng)
        rest = np.where(held, UNLABELLED, cells.labels).astype(np.uint8)
        if len(np.unique(rest[rest != UNLABELLED])) > 1:
            found.append(chances(cells._replace(labels=rest), classes)[held])
            truth.append(cells.labels[held].astype(np.int64))
    own, at = np.concatenate(found), np.concatenate(truth)
    if len(at) < FEWEST:
        return 0.0
    weights = 1 / np.bincount(at, minlength=classes)[at]

    def likely(power: float) -> float:
        return float(np.average(np.log(believed(own, power)[np.arange(len(at)), at]), weights=weights))

    best = max(POWERS, key=likely)
    return best if likely(best) > likely(0) + GAIN else 0.0


def _held_out(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """About half of the strokes on cells (h, w), as a mask: of a class's only one a half, if that is possible."""
    held = np.zeros(labels.shape, bool)
    for label in np.unique(labels[labels != UNLABELLED]):
        strokes, count = parts_of(labels == label, np.ones((3, 3)))
        out = np.concatenate([[False], rng.random(count) < 1 / 2])
        places = np.argwhere(strokes)
        if count == 1 and len(places) > 1:
            along = places[:, np.ptp(places, axis=0).argmax()]
            held[tuple(places[(along > np.median(along)) == out[1]].T)] = True
        else:
            held |= out[strokes]
    return held
