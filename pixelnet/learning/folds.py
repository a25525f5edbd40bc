"""Which labelled points are held out together: by group of images, by image, or by block of space within the one."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pixelnet.data.groups import Groups, groups_of
from pixelnet.learning.choose import FOLDS

BLOCKS = 4  # of one image
GAP = 3.0  # pixels between two points of one stroke, of which not every pixel need be learnt from


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

    A class is cut by itself: its strokes often lie together, and a fold that takes most of them away would only tell
    that they are missed. Its points are cut into halves of halves, across the longer side and between two columns or
    rows, but no stroke is: half of one would tell the other half. A class of one stroke has one block.
    """
    folds = np.zeros(len(points), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        strokes = strokes_of(points[of_class])
        counts = np.bincount(strokes)
        centers = np.stack([np.bincount(strokes, column) / counts for column in points[of_class].T], axis=1)
        folds[of_class] = _blocks(centers, counts)[strokes]
    return folds


def strokes_of(points: np.ndarray) -> np.ndarray:
    """Which of the points (P, 2) lie in one stroke, with no gap of more than `GAP` pixels: its number, (P,)."""
    pairs = cKDTree(points).query_pairs(GAP, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    strokes: np.ndarray = connected_components(links, directed=False)[1]
    return strokes


def _blocks(places: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The block of each of several places (S, 2), at each of which some points count."""
    blocks = np.zeros(len(places), np.int64)
    for level in range(int(np.log2(BLOCKS))):
        for block in np.unique(blocks):
            own = np.flatnonzero(blocks == block)
            along = places[own, int(np.ptp(places[own], axis=0).argmax())]
            order = np.argsort(along, kind="stable")
            starts, firsts = np.unique(along[order], return_index=True)  # where a half may begin
            below = np.cumsum(counts[own][order])[firsts] - counts[own][order][firsts]  # and what it leaves
            cut = starts[abs(below - counts[own].sum() / 2).argmin()]
            blocks[own[along >= cut]] += 2**level
    return blocks
