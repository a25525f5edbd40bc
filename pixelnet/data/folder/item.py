"""An item of a folder: which file its image is, which its labels, and what of them is meant."""

from pathlib import PurePath, PurePosixPath
from typing import NamedTuple

from pixelnet.data.dataset import Window
from pixelnet.data.pages import page_in


class Block(NamedTuple):
    """A part of a large image, in pixels: its first row and column, and its size."""

    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> Window:
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def part(self, window: Window | None) -> "Block":
        """Rows and columns of it."""
        if window is None:
            return self
        rows, columns = window
        return Block(
            self.top + rows.start, self.left + columns.start, rows.stop - rows.start, columns.stop - columns.start
        )


class Item(NamedTuple):
    """An image and its labels: paths from the data's folder on, one file of labels an annotator.

    page: of a stack, else None; its labels are that page of a stack of labels, or a file for it alone, NAME[page].
    drawn: how a file of many images' shapes calls this one. block: of a scene, else None.
    """

    name: str
    image: PurePosixPath
    labels: tuple[PurePosixPath, ...]
    split: str | None = None
    page: int | None = None
    drawn: str | None = None
    block: Block | None = None

    def page_of(self, labels: PurePath) -> int | None:
        """Which page of a file of its labels is meant."""
        return None if page_in(labels.stem) is not None else self.page
