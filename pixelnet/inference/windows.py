"""An image in windows: blocks, which are answered one by one, and the pixels around each that a network sees as well.

A block's answer is that of the whole image if the halo around it covers the network's receptive field, and if the
window begins at a multiple of the largest stride, so that its maps have the cells of the whole image's maps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pixelnet.errors import InputError

FINEST = 16  # the largest denominator of a scale, or of its inverse: windows then begin at whole pixels on both sides


class Block(NamedTuple):
    """Some rows and columns of an image, and their place among the blocks, row by row."""

    number: int
    rows: range
    columns: range

    @property
    def size(self) -> int:
        """How many pixels it has."""
        return len(self.rows) * len(self.columns)


@dataclass(frozen=True)
class Tiling:
    """How an image is cut: into blocks of side x side pixels, which tile it from the top left.

    height, width: of the image. side: of a block, a multiple of `step`. halo: how far beyond its block a window shows
    the image, at least. step: what windows begin and end at multiples of, but for the end of the image. blend: windows
    differ where they overlap, so that near the edge of a block the answers of both sides are mixed.
    """

    height: int
    width: int
    side: int
    halo: int
    step: int
    blend: bool = False

    @property
    def across(self) -> int:
        """Blocks in a row."""
        return -(-self.width // self.side)

    @property
    def count(self) -> int:
        return self.across * -(-self.height // self.side)

    def block(self, number: int) -> Block:
        down, across = divmod(number, self.across)
        return Block(number, _share(down, self.side, self.height), _share(across, self.side, self.width))

    def blocks(self) -> Iterator[Block]:
        return map(self.block, range(self.count))

    def around(self, part: range, length: int) -> range:
        """Of an axis of so many pixels, those that a network sees to answer for a part."""
        start = max(0, part.start - self.halo) // self.step * self.step
        stop = -(-(part.stop + self.halo) // self.step) * self.step
        return range(start, min(stop, length))

    def seen(self, number: int) -> int:
        """How many pixels the window of a block shows."""
        block = self.block(number)
        return len(self.around(block.rows, self.height)) * len(self.around(block.columns, self.width))

    @property
    def border(self) -> int:
        """How far beyond its block a window's answer still counts, where answers are mixed: half of the halo."""
        return self.halo // 2 if self.blend else 0

    def asked(self, block: Block) -> tuple[range, range]:
        """The rows and columns that a block's window answers for."""
        return grown(block.rows, self.border, self.height), grown(block.columns, self.border, self.width)

    def neighbors(self, number: int) -> list[Block]:
        """The blocks that a block's window has a part in, itself among them."""
        if not self.border:
            return [self.block(number)]
        down, across = divmod(number, self.across)
        rows = range(max(0, down - 1), min(self.count // self.across, down + 2))
        columns = range(max(0, across - 1), min(self.across, across + 2))
        return [self.block(row * self.across + column) for row in rows for column in columns]


def _share(place: int, side: int, length: int) -> range:
    return range(place * side, min((place + 1) * side, length))


def grown(part: range, by: int, length: int) -> range:
    """A part of an axis of so many pixels, with some more on both sides, as far as there are any."""
    return range(max(0, part.start - by), min(part.stop + by, length))


def mirrored(part: range, length: int) -> range:
    """Where a part of an axis of so many pixels lies in the mirror image."""
    return range(length - part.stop, length - part.start)


def within(part: range, whole: range) -> range:
    """A part of an axis, counted from where another begins."""
    return range(part.start - whole.start, part.stop - whole.start)


def cut(part: range) -> slice:
    return slice(part.start, part.stop)


def weights(part: range, length: int, border: int, at: range) -> np.ndarray:
    """What the window around a part of an axis counts at those pixels: float32, 0..1, rising over its borders.

    The weights of neighboring parts add up to 1 at each pixel. At an end of the axis there is no neighbor to rise from.
    """
    places = np.arange(at.start, at.stop) + 0.5
    rise = np.ones(len(at)) if part.start == 0 else (places - part.start + border) / (2 * border)
    fall = np.ones(len(at)) if part.stop == length else (part.stop + border - places) / (2 * border)
    return np.minimum(rise, fall).clip(0, 1).astype(np.float32)


def as_ratio(scale: float) -> Fraction:
    """A scale as a ratio of small numbers, the nearest to it. Raises InputError for one that is none."""
    if not 1 / 64 <= scale <= 64:
        raise InputError(f"the scale is {scale:g}; give a number from 1/64 to 64: 1 for an image's own pixels")
    if scale >= 1:
        return Fraction(scale).limit_denominator(FINEST)
    return 1 / Fraction(1 / scale).limit_denominator(FINEST)


def steps_at(step: int, scale: Fraction) -> int:
    """The step in pixels of an image that is seen at a scale: a multiple of `step` in what is seen, whole in both."""
    return (step / scale).numerator
