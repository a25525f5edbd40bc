"""What of a large image is seen at once: tiles, each with as much around it as its maps hang on.

Maps of a whole photograph of 24 megapixels would take many gigabytes. Tiles with a halo as wide as a network's
receptive field have the same maps, to rounding, in bounded memory; the halo is what that costs, in time.
"""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

SIDE = 704  # of a tile, in pixels
WHOLE = 7 * 2**18  # pixels of an image that is seen at once; a network that magnifies it by two then takes 2 GB
MARGIN = 64  # pixels around a tile whose maps are kept: a cell of the coarsest, and tiles begin where such cells do


class Tile(NamedTuple):
    """The rows and columns of an image that a tile answers for."""

    top: int
    bottom: int
    left: int
    right: int

    def around(self, margin: int, size: tuple[int, int]) -> "Tile":
        """The tile with so much around it, within an image of size (width, height)."""
        width, height = size
        return Tile(
            max(0, self.top - margin),
            min(height, self.bottom + margin),
            max(0, self.left - margin),
            min(width, self.right + margin),
        )

    def places(self, rows: range, columns: range) -> tuple[slice, slice]:
        """Which of some ascending rows and columns of the image the tile answers for, by their places among them."""
        down = slice(bisect_left(rows, self.top), bisect_left(rows, self.bottom))
        return down, slice(bisect_left(columns, self.left), bisect_left(columns, self.right))

    @property
    def pixels(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


def tiles_of(size: tuple[int, int]) -> list[Tile]:
    """The tiles of an image of size (width, height), row by row: one if it may be seen as a whole."""
    width, height = size
    if width * height <= WHOLE:
        return [Tile(0, height, 0, width)]
    return [
        Tile(top, min(top + SIDE, height), left, min(left + SIDE, width))
        for top in range(0, height, SIDE)
        for left in range(0, width, SIDE)
    ]


def tile_numbers(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which of the tiles of an image of size (width, height) answers for each point (P, 2): (P,)."""
    width, height = size
    if width * height <= WHOLE:
        return np.zeros(len(points), np.int64)
    columns, rows = (np.clip(points, 0, (width - 1, height - 1)) // SIDE).astype(np.int64).T
    return rows * -(-width // SIDE) + columns
