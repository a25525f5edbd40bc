"""Labelled points of images, and what describes them, read from each image's maps while these are at hand."""

import time
from collections.abc import Sequence

import numpy as np

from pixelnet.learning.parts import Maps

Parts = tuple[str, ...]


class Described:
    """Points of images and their features, by part, each computed once.

    Args:
        maps: of the images.
        points: for each image, (P, 2) as (x, y) in its pixels.
    """

    def __init__(self, maps: Maps, points: Sequence[np.ndarray]) -> None:
        self.maps, self.points = maps, list(points)
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
            self._of[part].append(self.maps.at(index, part, self.points[index]))
        return self._of[part]

    def add_within(self, points: Sequence[np.ndarray], parts: Parts, seconds: float) -> int:
        """Add the points of further images, described by some parts, while the time lasts; how many images were."""
        end = time.monotonic() + seconds
        for count, own in enumerate(points):
            if time.monotonic() > end:
                return count
            self.points.append(own)
            self.sizes.append(len(own))
            for part in parts:
                self.of(part)
            self.maps.forget(len(self.points) - 1)
        return len(points)
