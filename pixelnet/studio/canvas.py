"""The labels of one image: what was painted, and how to take it back, without end."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn.rasterize import fill, stroke
from pixelnet.data.drawn.shapes import Patch
from pixelnet.errors import InputError

BLOCK = 512  # pixels, the side of a block of labels
CENTER = 0.5  # of a pixel, from its corner, which drawn shapes count from


class Box(NamedTuple):
    """A part of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int


class Step(NamedTuple):
    """What one operation changed: pixels as row * width + column, and their labels before and after."""

    pixels: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass
class Canvas:
    """The labels of an image, uint8, 255 where nothing is labelled; `done` are its steps.

    They are kept in blocks, which are made where something is painted: so a scene of 20,000 x 20,000 pixels costs what
    was painted of it.
    """

    width: int
    height: int
    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    version: int = 0

    def __post_init__(self) -> None:
        self._blocks: dict[tuple[int, int], np.ndarray] = {}
        self.counts = np.zeros(256, np.int64)  # pixels of each id, but for 255

    def read(self, box: Box | None = None, step: int = 1) -> np.ndarray:
        """The labels of a part, uint8 (h, w); with a step, one of those of every step x step pixels, if any has one."""
        left, top, width, height = box or Box(0, 0, self.width, self.height)
        right, bottom = min(left + width, self.width), min(top + height, self.height)
        found = np.full((max(0, -(-(bottom - top) // step)), max(0, -(-(right - left) // step))), UNLABELLED, np.uint8)
        for (row, column), block in self._blocks.items():
            up, down = max(top, row * BLOCK), min(bottom, (row + 1) * BLOCK)
            first, last = max(left, column * BLOCK), min(right, (column + 1) * BLOCK)
            if up >= down or first >= last:
                continue
            part = block[up - row * BLOCK : down - row * BLOCK, first - column * BLOCK : last - column * BLOCK]
            if step == 1:
                found[up - top : down - top, first - left : last - left] = part
            else:
                rows, columns = np.nonzero(part != UNLABELLED)
                found[(rows + up - top) // step, (columns + first - left) // step] = part[rows, columns]
        return found

    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        """Where labels are, (P, 2) as (x, y), and which: (P,)."""
        points, ids = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.uint8)]
        for (row, column), block in self._blocks.items():
            rows, columns = np.nonzero(block != UNLABELLED)
            points.append(np.stack([columns + column * BLOCK, rows + row * BLOCK], axis=1))
            ids.append(block[rows, columns])
        return np.concatenate(points), np.concatenate(ids)

    def paint(self, patch: Patch, values: np.ndarray | int) -> Box | None:
        """Label the pixels of a patch, with one class or with `values` of the patch's shape; returns what changed."""
        rows, columns = np.nonzero(patch.mask[: self.height - patch.top, : self.width - patch.left])
        pixels = (rows + patch.top) * self.width + columns + patch.left
        after = np.broadcast_to(np.asarray(values, np.uint8), patch.mask.shape)[rows, columns]
        before = self._at(pixels)
        changed = before != after
        if not changed.any():
            return None
        step = Step(pixels[changed].astype(np.int32), before[changed], after[changed])
        self.undone.clear()
        self.done.append(step)
        return self._put(step.pixels, step.before, step.after)

    def undo(self) -> Box | None:
        """Take the last step back; None if there is none."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self._put(self.undone[-1].pixels, self.undone[-1].after, self.undone[-1].before)

    def redo(self) -> Box | None:
        """Take the last step that was taken back again; None if there is none."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self._put(self.done[-1].pixels, self.done[-1].before, self.done[-1].after)

    def _by_block(self, pixels: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray, tuple[Any, Any]]]:
        """Of each block that pixels lie in: its key, which of the pixels, and where in it."""
        rows, columns = np.divmod(pixels.astype(np.int64), self.width)
        across = -(-self.width // BLOCK)
        numbers = rows // BLOCK * across + columns // BLOCK
        for number in np.unique(numbers).tolist():
            own = np.flatnonzero(numbers == number)
            yield divmod(number, across), own, (rows[own] % BLOCK, columns[own] % BLOCK)

    def _at(self, pixels: np.ndarray) -> np.ndarray:
        found = np.full(len(pixels), UNLABELLED, np.uint8)
        for key, own, places in self._by_block(pixels):
            if key in self._blocks:
                found[own] = self._blocks[key][places]
        return found

    def _put(self, pixels: np.ndarray, before: np.ndarray, after: np.ndarray) -> Box:
        self.counts += np.bincount(after, minlength=256) - np.bincount(before, minlength=256)
        self.counts[UNLABELLED] = 0
        for key, own, places in self._by_block(pixels):
            if key not in self._blocks:
                self._blocks[key] = np.full((BLOCK, BLOCK), UNLABELLED, np.uint8)
            self._blocks[key][places] = after[own]
        rows, columns = np.divmod(pixels, self.width)
        left, top = int(columns.min()), int(rows.min())
        return Box(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)


def brushed(points: list[tuple[float, float]], radius: float, width: int, height: int) -> Patch:
    """The pixels whose centers lie within `radius` of a line through points (x, y), the first pixel's center (0, 0)."""
    line = np.array(points, np.float64) + CENTER
    ends = line[1:] if len(line) > 1 else line
    return _drawn(lambda: stroke(line[: len(ends)], ends, radius, width, height))


def outlined(points: list[tuple[float, float]], width: int, height: int) -> Patch:
    """The pixels whose centers lie in a polygon."""
    return _drawn(lambda: fill(np.array(points, np.float64) + CENTER, width, height))


def _drawn(draw: Callable[[], Patch]) -> Patch:
    try:
        return draw()
    except ValueError as error:
        raise InputError(f"this line cannot be drawn: {error}; draw a shorter one") from error


def packed(values: np.ndarray) -> str:
    """A map of class ids (h, w) as text, without loss."""
    content = io.BytesIO()
    Image.fromarray(values).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def unpacked(text: str) -> np.ndarray:
    """What `packed` was given."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        return np.asarray(picture.convert("L"))
