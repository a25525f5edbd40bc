"""`nyudv2:PATH` and `nyudv2-13:PATH`: NYU Depth v2, indoor scenes (Silberman et al., ECCV 2012).

40 classes after Gupta et al. (CVPR 2013), 13 after Couprie et al. (ICLR 2013); the standard train and test split.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from pixelnet.config import read_json
from pixelnet.data.dataset import UNLABELLED, PairedFiles, class_ids
from pixelnet.data.mat import integers
from pixelnet.errors import InputError
from pixelnet.tasks import Task
from pixelnet.tasks.normals import read_normals
from pixelnet.tasks.regression import read_values
from pixelnet.tasks.segmentation import read_labels

TARGETS = {"segmentation": "labels40", "normals": "normals", "regression": "depth"}
CLASSES = 40  # on disk; 0 is unlabelled


class NYUDv2(PairedFiles):
    """PATH/{train,test}/{images,labels40,normals,depth}/ and PATH/classes.json; the split val is the folder test. Or
    nyu_depth_v2_labeled.mat and splits.mat, as they were released.

    segmentation: 40 classes. normals: unit vectors. regression: depth in meters.
    """

    name = "nyudv2"
    origin = "cs.nyu.edu/~silberman/datasets (nyu_depth_v2_labeled.mat)"
    tasks: ClassVar[tuple[str, ...]] = tuple(TARGETS)
    split_folders: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "val": ("test",), "test": ("test",)}

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        super().__init__(path, task, split)
        if self.task_name == "segmentation":
            self.class_names, self.ids = self.class_list()

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / part / "images", root / part / TARGETS[str(task)]

    def class_list(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Class names, and for each id on disk (0..40) the class it is, 255 unlabelled."""
        names = self.listed("labels40", CLASSES + 1)
        return tuple(names[1:]), np.array([UNLABELLED, *range(CLASSES)], np.uint8)

    def listed(self, key: str, length: int, kind: type = str) -> list:
        """One of the lists in classes.json."""
        path = self.root / "classes.json"
        values = read_json(path).get(key)
        if not isinstance(values, list) or len(values) != length or any(type(value) is not kind for value in values):
            raise InputError(f"{path} has no list {key!r} of {length} {kind.__name__}; copy it again from its source")
        return values

    def read(self, path: Path) -> np.ndarray:
        if self.task_name == "normals":
            return read_normals(path)
        if self.task_name == "regression":
            millimeters = read_values(path)
            return np.where(millimeters == 0, np.float32(np.nan), millimeters / 1000)
        ids = class_ids(read_labels(path), CLASSES + 1, 0, self.rel(path))
        return np.where(ids == UNLABELLED, UNLABELLED, self.ids[np.minimum(ids, CLASSES)])


class NYUDv2With13(NYUDv2):
    """The same images with 13 classes, by the table map40to13 in PATH/classes.json."""

    name = "nyudv2-13"
    tasks = ("segmentation",)

    def class_list(self) -> tuple[tuple[str, ...], np.ndarray]:
        path = f"{self.root / 'classes.json'}, map40to13"
        table = integers(self.listed("map40to13", CLASSES + 1, int), 0, 13, path, 1)
        return tuple(self.listed("labels13", 14)[1:]), np.where(table == 0, UNLABELLED, table - 1).astype(np.uint8)

    def merge(self, names: tuple[str, ...]) -> np.ndarray | None:
        """Each of the 40 classes is one of the 13, or none."""
        if names != super().class_list()[0]:
            return None
        return (self.ids[1:, None] == np.arange(len(self.class_names))).astype(np.float32)
