"""`ade20k:PATH`: the 150 classes of the scene parsing challenge (Zhou et al., CVPR 2017), ADEChallengeData2016.

PATH/images/{training,validation}/NAME.jpg   PATH/annotations/.../NAME.png   PATH/objectInfo150.txt
"""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np

from pixelnet.data.dataset import UNLABELLED, Pairs, class_ids
from pixelnet.data.images import read_labels
from pixelnet.data.listed import read_lines
from pixelnet.errors import InputError

CLASSES = 150
ORIGIN = "sceneparsing.csail.mit.edu (ADEChallengeData2016.zip)"


class ADE20K(Pairs):
    """150 classes, on disk 1..150; 0 is unlabelled. Splits train (the folder training) and val (validation)."""

    name = "ade20k"
    tasks = ("segmentation",)
    origin = ORIGIN
    parts: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("training",), "val": ("validation",)}

    def __init__(self, path: str | Path, task: str, split: str = "train") -> None:
        super().__init__(path, task, split)
        self.classes = class_names(self.root / "objectInfo150.txt")

    @classmethod
    def layout(cls, root: Path, part: str, task: str) -> tuple[Path, Path]:
        return root / "images" / part, root / "annotations" / part

    def read(self, path: Path) -> np.ndarray:
        stored = class_ids(read_labels(path), CLASSES + 1, 0, self.shown(path))
        return np.where(stored == UNLABELLED, UNLABELLED, stored - 1).astype(np.uint8)


def class_names(path: Path) -> tuple[str, ...]:
    """The first of each class's names, or all of them where two classes would share it."""
    if not path.is_file():
        raise InputError(f"there is no {path}, which names the classes; get it from {ORIGIN}")
    rows = [line.split("\t") for line in read_lines(path)[1:]]
    names = [row[-1].strip() for row in rows]
    if len(names) != CLASSES:
        raise InputError(f"{path} names {len(names)} classes, expected {CLASSES} below its heading; copy it again")
    short = [name.split(",")[0] for name in names]
    times = Counter(short)
    return tuple(name if times[first] > 1 else first for name, first in zip(names, short, strict=True))
