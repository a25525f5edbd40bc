"""An image part by part: what is counted of a scene adds up over its parts, so that it need not be held whole."""

from collections.abc import Iterator
from typing import NamedTuple

SIDE = 1024  # pixels of a part
Window = tuple[slice, slice]  # rows and columns, with both ends given


class Part(NamedTuple):
    """A part of an image, in pixels of it.

    own: its rows and columns, those that are counted. around: the same with a margin, as far as the image goes; what is
    read. size: (H, W) of the image.
    """

    own: Window
    around: Window
    size: tuple[int, int]

    @property
    def inner(self) -> Window:
        """Where its own pixels are within those around it."""
        rows, columns = (
            slice(own.start - around.start, own.stop - around.start)
            for own, around in zip(self.own, self.around, strict=True)
        )
        return rows, columns

    def __str__(self) -> str:
        (rows, columns) = self.own
        return f"rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"


def is_divided(size: tuple[int, ...]) -> bool:
    """Whether an image (H, W) is of several parts."""
    return max(size) > SIDE


def parts(size: tuple[int, int], margin: int = 0) -> Iterator[Part]:
    """Those of an image (H, W), row by row; each pixel is one part's own. margin: pixels that are read around each."""
    height, width = size
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            own = slice(top, min(top + SIDE, height)), slice(left, min(left + SIDE, width))
            rows, columns = (
                slice(max(0, along.start - margin), min(length, along.stop + margin))
                for along, length in zip(own, size, strict=True)
            )
            yield Part(own, (rows, columns), size)
