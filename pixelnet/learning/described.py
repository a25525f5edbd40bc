"""Labelled points of images, and what describes them, read from each image's maps while these are at hand."""

import sys
import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pixelnet.learning.choose import Parts


class Reader(Protocol):
    """What reads images at points: `Maps`."""

    def at(self, index: int, part: str, points: np.ndarray) -> np.ndarray: ...

    def seconds(self, index: int, part: str) -> float: ...

    def width(self, part: str) -> int: ...


class Described:
    """Points of images and their features, by part, each computed once.

    Args:
        maps: of images.
        points: for each image, (P, 2) as (x, y) in its pixels.
        images: their numbers among the maps', those that will be added too; None for 0, 1, 2 and so on.
    """

    def __init__(self, maps: Reader, points: Sequence[np.ndarray], images: Sequence[int] | None = None) -> None:
        self.maps, self.points, self.images = maps, list(points), images or range(sys.maxsize)
        self.sizes = [len(own) for own in self.points]
        self._of: dict[str, list[np.ndarray]] = {}

    def __call__(self, parts: Parts, chosen: np.ndarray) -> np.ndarray:
        """The features (M, D) of some points, numbered image by image, of several parts side by side."""
        return np.concatenate([np.concatenate(self.of(part))[chosen] for part in parts], axis=1)

    def of(self, part: str) -> list[np.ndarray]:
        """For each image, the features (P, D) of its points, float32."""
        if part not in self._of:
            self._of[part] = []
        for index in range(len(self._of[part]), len(self.points)):
            self._of[part].append(self.maps.at(self.images[index], part, self.points[index]))
        return self._of[part]

    def seconds(self, parts: Parts) -> float:
        """What describing the points by several parts will take, about, where they are not described yet."""
        left = [part for part in parts if part not in self._of]
        return sum(self.maps.seconds(self.images[k], part) for part in left for k in range(len(self.points)))

    def width(self, parts: Parts) -> int:
        """How many features several parts have side by side."""
        return sum(map(self.maps.width, parts))

    def add_within(self, points: Sequence[np.ndarray], parts: Parts, seconds: float) -> int:
        """Add the points of further images, described by some parts, while the time lasts; how many images were.

        None is begun that would end late if it took as long as the longest before.
        """
        start, longest = time.monotonic(), 0.0
        for count, own in enumerate(points):
            begun = time.monotonic()
            if begun + longest > start + seconds:
                return count
            self.points.append(own)
            self.sizes.append(len(own))
            for part in parts:
                self.of(part)
            longest = max(longest, time.monotonic() - begun)
        return len(points)
