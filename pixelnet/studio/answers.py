"""What the studio's learner says of images, as it goes to the page."""

import itertools
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pixelnet.studio.canvas import Box


@dataclass(frozen=True)
class Answer:
    """What was said of a window of an image.

    version: of the labels that it was learnt from. serial: its own number, since several are learnt from the same
    labels. left, top: of the window. step: every how many pixels. labels: class ids (h, w) uint8. sure: the probability
    of each, uint8, 0 to 255. preview: by filters alone, until the networks have seen the image.
    """

    version: int
    image: int
    left: int
    top: int
    step: int
    labels: np.ndarray
    sure: np.ndarray
    preview: bool
    serial: int = field(default_factory=itertools.count().__next__)

    def head(self) -> dict[str, Any]:
        height, width = self.labels.shape
        return {
            "version": self.version, "image": self.image, "left": self.left, "top": self.top, "step": self.step,
            "width": width, "height": height, "preview": self.preview, "serial": self.serial,
        }  # fmt: skip

    def packed(self) -> bytes:
        """The length of the head in 4 bytes, the head as JSON, the labels, and how sure each is, row by row."""
        head = json.dumps(self.head()).encode()
        return struct.pack("<I", len(head)) + head + self.labels.tobytes() + self.sure.tobytes()

    def covers(self, box: Box) -> bool:
        """Whether it says something of all of a part."""
        height, width = self.labels.shape
        return (
            self.left <= box.x
            and self.top <= box.y
            and self.left + width * self.step >= box.x + box.width
            and self.top + height * self.step >= box.y + box.height
        )
