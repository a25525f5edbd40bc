"""Which pixels a fit looks at: labelled ones, from which it learns, and others, which tell how common classes are."""

import time
from dataclasses import dataclass

import numpy as np

from pixelnet.data import Dataset
from pixelnet.data.dataset import UNLABELLED, evenly
from pixelnet.errors import InputError
from pixelnet.learning.tiles import tile_numbers, tiles_of
from pixelnet.points import make_sampler

FEWEST_POINTS, MOST_POINTS = 20, 20_000  # of an image at least, of all together at most, that are learnt from
MOST_DESCRIBED = 100_000  # of all images together: how many of these will be seen is not known before
IMAGES = 60  # of as many MOST_POINTS are taken, of fewer if time ends
SEEN_FOR_CHOICE = 8  # images that a choice is made on
UNLABELLED_POINTS, MOST_UNLABELLED = 2000, 40_000  # of an image and of all, which tell how common classes are
MOST_TILES = 4  # of a large image that these lie in
SAMPLE = 0.5  # of the pixels labelled: from there on labels are no strokes but a map


@dataclass(frozen=True)
class Labels:
    """What is labelled of some images: for each the points (P, 2), whole pixels (x, y), and their class ids (P,).

    counts: labelled pixels of each class, (K,), of which the points are a part. unread: images whose labels no time was
    for, and which have none here.
    """

    points: list[np.ndarray]
    ids: list[np.ndarray]
    counts: np.ndarray
    unread: int = 0

    @property
    def count(self) -> int:
        return sum(map(len, self.ids))

    def in_one_image(self) -> list[int]:
        """The classes that only one of several labelled images has, by id: no other can tell how they are found.

        None where some labels were not read.
        """
        found = [np.unique(own) for own in self.ids if len(own)]
        times = np.bincount(np.concatenate(found), minlength=len(self.counts))
        return np.flatnonzero(times == 1).tolist() if len(found) > 1 and not self.unread else []


def quota(images: int) -> int:
    """How many labelled pixels are learnt from of each of so many images, at most."""
    return max(FEWEST_POINTS, min(MOST_POINTS // max(1, min(images, IMAGES)), MOST_DESCRIBED // max(1, images)))


def labelled_points(data: Dataset, seconds: float = np.inf) -> tuple[Labels, bool]:
    """Some labelled pixels of each image, in a fixed order, and whether most are labelled.

    All of them where they are few; else a quota, equal for the classes of an image. Images are read evenly mixed, while
    the time lasts. Raises InputError where fewer than two classes are labelled.
    """
    end, count = time.monotonic() + seconds, len(data)
    sampler = make_sampler("stratified", quota(count))
    points, ids = [np.zeros((0, 2), np.int64)] * count, [np.zeros(0, np.int64)] * count
    counts, read, pixels = np.zeros(len(data.class_names), np.int64), 0, 0
    for i in np.random.default_rng(0).permutation(count).tolist():
        if read >= SEEN_FOR_CHOICE and (counts > 0).sum() > 1 and time.monotonic() > end:
            break
        labels = data.labels(i)
        drawn = sampler(labels != UNLABELLED, np.random.default_rng((0, i)), labels, None)
        columns, rows = drawn.points.astype(np.int64).T
        order = np.lexsort((columns, rows))
        points[i] = np.stack([columns, rows], axis=1)[order]
        ids[i] = labels[rows, columns][order].astype(np.int64)
        counts += np.bincount(labels[labels != UNLABELLED], minlength=len(counts))
        read, pixels = read + 1, pixels + labels.size
    found = np.flatnonzero(counts)
    if len(found) < 2:
        named = ", ".join(data.class_names[k] for k in found) or "none"
        raise InputError(f"{data.source} has labels of {len(found)} classes ({named}); label pixels of at least two")
    return Labels(points, ids, counts, count - read), int(counts.sum()) >= SAMPLE * pixels


def spread(items: list[int]) -> list[int]:
    """Those of the items that a choice is made on, evenly spread."""
    return [items[k] for k in evenly(len(items), SEEN_FOR_CHOICE)]


def unlabelled_points(images: int) -> int:
    """How many of `anywhere` are looked at in each of so many images."""
    return min(UNLABELLED_POINTS, -(-MOST_UNLABELLED // images))


def anywhere(size: tuple[int, int]) -> np.ndarray:
    """Pixels of an image of size (width, height), drawn evenly, the same of all that are so large: (P, 2).

    Of an image that is seen in many tiles they lie in some of these, drawn by their pixels: to see all of a large
    photograph for this alone would take most of the time.
    """
    rng = np.random.default_rng(1)
    tiles = tiles_of(size)
    if len(tiles) <= MOST_TILES:
        return rng.integers(0, size, (UNLABELLED_POINTS, 2))
    numbers = tile_numbers(rng.integers(0, size, (MOST_TILES, 2)), size)
    chosen = [tiles[number] for number in numbers for _ in range(UNLABELLED_POINTS // MOST_TILES)]
    corners = np.array([(tile.left, tile.top) for tile in chosen])
    sides = np.array([(tile.right - tile.left, tile.bottom - tile.top) for tile in chosen])
    return rng.permutation(corners + rng.integers(0, sides))
