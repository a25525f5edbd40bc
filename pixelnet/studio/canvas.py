"""The labels of one image: what was painted, and how to take it back, without end."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn.rasterize import fill, stroke
from pixelnet.data.drawn.shapes import Patch
from pixelnet.errors import InputError

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
    """The label map (height, width) of an image, uint8, 255 where nothing is labelled; `done` are its steps."""

    width: int
    height: int
    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    version: int = 0

    def __post_init__(self) -> None:
        self.labels = np.full((self.height, self.width), UNLABELLED, np.uint8)
        self.counts = np.zeros(256, np.int64)  # pixels of each id, but for 255

    def paint(self, patch: Patch, values: np.ndarray | int) -> Box | None:
        """Label the pixels of a patch, with one class or with `values` of the patch's shape; returns what changed."""
        rows, columns = np.nonzero(patch.mask[: self.height - patch.top, : self.width - patch.left])
        pixels = (rows + patch.top) * self.width + columns + patch.left
        after = np.broadcast_to(np.asarray(values, np.uint8), patch.mask.shape)[rows, columns]
        before = self.labels.ravel()[pixels]
        changed = before != after
        if not changed.any():
            return None
        step = Step(pixels[changed].astype(np.int32), before[changed], after[changed])
        self.undone.clear()
        self.done.append(step)
        return self._put(step.pixels, step.after)

    def undo(self) -> Box | None:
        """Take the last step back; None if there is none."""
        if not self.done:
            return None
        self.undone.append(self.done.pop())
        return self._put(self.undone[-1].pixels, self.undone[-1].before)

    def redo(self) -> Box | None:
        """Take the last step that was taken back again; None if there is none."""
        if not self.undone:
            return None
        self.done.append(self.undone.pop())
        return self._put(self.done[-1].pixels, self.done[-1].after)

    def _put(self, pixels: np.ndarray, values: np.ndarray) -> Box:
        flat = self.labels.ravel()
        self.counts += np.bincount(values, minlength=256) - np.bincount(flat[pixels], minlength=256)
        self.counts[UNLABELLED] = 0
        flat[pixels] = values
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
