"""`ade20k:PATH`: the 150 classes of the scene parsing challenge (Zhou et al., CVPR 2017), ADEChallengeData2016.

PATH/images/{training,validation}/NAME.jpg   PATH/annotations/.../NAME.png   PATH/objectInfo150.txt
"""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np

from pixelnet.data.dataset import UNLABELLED, PairedFiles, class_ids
from pixelnet.data.listed import read_lines
from pixelnet.errors import InputError
from pixelnet.tasks import Task
from pixelnet.tasks.segmentation import read_labels

CLASSES = 150
ORIGIN = "sceneparsing.csail.mit.edu (ADEChallengeData2016.zip)"


class ADE20K(PairedFiles):
    """150 classes, on disk 1..150; 0 is unlabelled. Splits train (the folder training) and val (validation)."""

    name = "ade20k"
    tasks = ("segmentation",)
    origin = ORIGIN
    split_folders: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("training",), "val": ("validation",)}

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        super().__init__(path, task, split)
        self.class_names = read_class_names(self.root / "objectInfo150.txt")

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / "images" / part, root / "annotations" / part

    def read(self, path: Path) -> np.ndarray:
        stored = class_ids(read_labels(path), CLASSES + 1, 0, self.rel(path))
        return np.where(stored == UNLABELLED, UNLABELLED, stored - 1).astype(np.uint8)


def read_class_names(path: Path) -> tuple[str, ...]:
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
