"""A peer: pixel classification as ilastik has it, scale-space filters and a random forest.

Written from its description, with SciPy and scikit-learn: the six filters of each channel at seven scales, of which
the smallest has smoothing alone; beyond scale 1 the image is smoothed first and the filter is that of scale 1. A
difference of Gaussians is of s and .66 s, a structure tensor of the inner scale s and the outer s / 2. 100 trees.
Classes count alike, which those of ilastik do not.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestClassifier

from benchmarks.learner.few import Answer
from pixelnet.metrics.confusion import UNLABELLED

SCALES = (0.3, 0.7, 1.0, 1.6, 3.5, 5.0, 10.0)
WINDOW = 3.5  # deviations that a filter reaches
TREES = 100
ROWS = 250_000  # pixels that are answered at a time


def learn(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> Answer:
    descriptors, labels = [], []
    for image, labelled in zip(images, maps, strict=True):
        known = labelled != UNLABELLED
        descriptors.append(filters(image)[:, known].T)
        labels.append(labelled[known])
    forest = fitted(np.concatenate(descriptors), np.concatenate(labels))

    def answer(image: np.ndarray) -> np.ndarray:
        found = filters(image)
        flat = found.reshape(len(found), -1).T
        parts = [forest.predict(flat[start : start + ROWS]) for start in range(0, len(flat), ROWS)]
        return np.concatenate(parts).reshape(image.shape[:2]).astype(np.uint8)

    return answer


def fitted(descriptors: np.ndarray, labels: np.ndarray) -> RandomForestClassifier:
    """A forest of descriptors (N, D) and their class ids (N,)."""
    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=0, n_jobs=torch.get_num_threads())
    return forest.fit(descriptors, labels)


def filters(image: np.ndarray) -> np.ndarray:
    """float32 (features, H, W) of an image (H, W, C); channels that are the same count once."""
    planes = np.moveaxis(image, -1, 0).astype(np.float32)
    if all((plane == planes[0]).all() for plane in planes):
        planes = planes[:1]
    return np.stack([found for plane in planes for scale in SCALES for found in at_scale(plane, scale)])


def at_scale(plane: np.ndarray, scale: float) -> list[np.ndarray]:
    if scale < 0.7:
        return [smooth(plane, scale)]
    own = min(scale, 1.0)
    if scale > own:
        plane = smooth(plane, (scale**2 - own**2) ** 0.5)
    smoothed = smooth(plane, own)
    dy, dx = smooth(plane, own, (1, 0)), smooth(plane, own, (0, 1))
    yy, yx, xx = (smooth(plane, own, order) for order in ((2, 0), (1, 1), (0, 2)))
    tensor = (smooth(product, own / 2) for product in (dy * dy, dy * dx, dx * dx))
    return [
        smoothed,
        yy + xx,
        np.hypot(dy, dx),
        smoothed - smooth(plane, 0.66 * own),
        *eigenvalues(*tensor),
        *eigenvalues(yy, yx, xx),
    ]


def smooth(plane: np.ndarray, scale: float, order: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A Gaussian of that deviation, or its derivative of that order in y and x."""
    return gaussian_filter(plane, scale, order, mode="mirror", truncate=WINDOW)


def eigenvalues(yy: np.ndarray, yx: np.ndarray, xx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of symmetric matrices [[yy, yx], [yx, xx]], the larger first."""
    middle, reach = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    return middle + reach, middle - reach
