"""What somebody accepts of an answer: a box of it, or a connected region."""

import numpy as np
from scipy import ndimage

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn.shapes import Patch
from pixelnet.errors import InputError
from pixelnet.studio.answers import Answer
from pixelnet.studio.canvas import Box


def accepted(answer: Answer | None, tool: str, serial: int, box: Box) -> tuple[Patch, np.ndarray]:
    """The pixels that are meant, and their classes.

    tool: "box", or "fill" for the region of one class around the box's first pixel. serial: of the answer that was
    seen. Of a large image a region ends where what is answered does. Raises InputError where there is no such answer of
    every pixel.
    """
    if answer is None or answer.serial != serial:
        raise InputError("the answer has changed meanwhile; look at it again, and accept it then")
    x, y = box.x - answer.left, box.y - answer.top
    height, width = answer.labels.shape
    if answer.step != 1:
        raise InputError("this is still a preview of the answer; zoom in, or wait a moment until all of it is there")
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"the place ({box.x}, {box.y}) lies outside what is answered, {width} x {height} pixels")
    if tool == "box":
        values = answer.labels[y : y + box.height, x : x + box.width]
        return Patch(box.y, box.x, values != UNLABELLED), values
    regions, _ = ndimage.label(answer.labels == answer.labels[y, x])
    chosen = regions[y, x]
    rows, columns = ndimage.find_objects(regions, chosen)[chosen - 1]
    mask = regions[rows, columns] == chosen
    return Patch(answer.top + rows.start, answer.left + columns.start, mask), answer.labels[rows, columns]
