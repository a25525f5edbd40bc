"""Which labelled points are held out together: by group of images, by image, or by block of space within the one."""

from collections.abc import Sequence

import numpy as np

from pixelnet.data.groups import Groups, groups_of
from pixelnet.learning.choose import FOLDS

BLOCKS = 4  # of one image


def folds_of_images(names: Sequence[str], groups: Sequence[str] = ()) -> np.ndarray:
    """The fold of each image: images of one group share it, neighbors in a sequence lie in one block, (N,).

    names: of the images, which show groups where none are given; see `pixelnet.data.groups`.
    """
    found = Groups(list(groups)) if groups else groups_of(names)
    if found.order is not None:
        order = sorted(range(len(names)), key=lambda i: (found.names[i], found.order[i] if found.order else ()))
        folds = np.empty(len(names), np.int64)
        folds[order] = np.arange(len(names)) * min(FOLDS, len(names)) // len(names)
        return folds
    sizes = {name: found.names.count(name) for name in sorted(set(found.names))}
    held = np.zeros(min(FOLDS, len(sizes)), np.int64)
    of = {}
    for name in sorted(sizes, key=lambda name: -sizes[name]):  # the largest first, each where there is least
        of[name] = int(held.argmin())
        held[of[name]] += sizes[name]
    return np.array([of[name] for name in found.names])


def folds_of_points(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The fold of each labelled point (P, 2) of one image: each class's in blocks of about as many points, (P,).

    They are halves of halves, cut across the longer side, between two columns or rows. A class is cut by itself: its
    strokes often lie together, and a fold that takes most of them away would only tell that they are missed.
    """
    folds = np.zeros(len(points), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        folds[of_class] = _blocks(points[of_class])
    return folds


def _blocks(points: np.ndarray) -> np.ndarray:
    folds = np.zeros(len(points), np.int64)
    for level in range(int(np.log2(BLOCKS))):
        for fold in np.unique(folds):
            own = np.flatnonzero(folds == fold)
            places = points[own, int(np.ptp(points[own], axis=0).argmax())]
            starts, below = np.unique(np.sort(places), return_index=True)  # where a half may begin, and what it leaves
            cut = starts[abs(below - len(own) / 2).argmin()]
            folds[own[places >= cut]] += 2**level
    return folds
