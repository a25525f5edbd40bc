"""`pascal-context:PATH` and `pascal-context-33:PATH`: PASCAL-Context (Mottaghi et al., CVPR 2014).

    PATH/trainval/NAME.mat   PATH/labels.txt   PATH/59_labels.txt   PATH/VOC2010/JPEGImages/NAME.jpg

as released, and the images of VOC 2010, in PATH, PATH/VOC2010 or PATH/VOCdevkit/VOC2010, or beside PATH. The splits
(4,998 and 5,105 images) are PATH/train.txt and val.txt where they are, or VOC 2010's own ImageSets/Main lists.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.listed import Listed, read_lines
from pixelnet.data.mat import integers, read_mat
from pixelnet.data.voc2012 import devkit
from pixelnet.errors import InputError
from pixelnet.tasks import Task

MOST_IDS = 65535  # of a label; labels.txt has 459
ORIGIN = "cs.stanford.edu/~roozbeh/pascal-context"

# The short lists spell three of the classes in another way than labels.txt does.
SPELLINGS = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


class PascalContext(Listed):
    """The 59 classes of PATH/59_labels.txt; a pixel of any other class (or of none, 0) is unlabelled."""

    name = "pascal-context"
    tasks = ("segmentation",)
    split_folders: ClassVar[dict[str, tuple[str, ...]]] = {"train": (".",)}
    chosen: ClassVar[str] = "59_labels.txt"
    source_of_list: ClassVar[str] = f"get it from {ORIGIN}"
    origin = f"{ORIGIN} (labels) and host.robots.ox.ac.uk/pascal/VOC/voc2010 (images and lists)"

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        super().__init__(path, task, split)
        names = class_list(self.root / "labels.txt", f"get it from {ORIGIN}")
        self.class_names = tuple(class_list(self.root / self.chosen, self.source_of_list).values())
        if not all(0 <= number <= MOST_IDS for number in names):
            raise InputError(f"{self.root / 'labels.txt'} has ids outside 0..{MOST_IDS}; copy it again from its source")
        ids = {name: number for number, name in names.items()}
        self.ids = np.full(max(names) + 1, UNLABELLED, np.uint8)
        for k, name in enumerate(self.class_names):
            known = name if name in ids else SPELLINGS.get(name)
            if known not in ids:
                raise InputError(
                    f"{self.root / self.chosen} names {name!r}, which is not in labels.txt; correct its spelling"
                )
            self.ids[ids[known]] = k

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return photos(root) / "JPEGImages", root / "trainval"

    @classmethod
    def lists(cls, root: Path) -> dict[str, tuple[Path, ...]]:
        folder = root if (root / "train.txt").is_file() else photos(root) / "ImageSets" / "Main"
        return {split: (folder / f"{split}.txt",) for split in ("train", "val")}

    def pair(self, name: str) -> tuple[Path, Path]:
        images, targets = self.home
        return images / f"{name}.jpg", targets / f"{name}.mat"

    def read(self, path: Path) -> np.ndarray:
        stored = integers(read_mat(path, "LabelMap"), 0, MOST_IDS, f"{self.rel(path)}, LabelMap")
        if stored.max() >= len(self.ids):
            raise InputError(
                f"{self.rel(path)} holds the value {stored.max()}, but labels.txt ends at {len(self.ids) - 1}; "
                "take both from one release"
            )
        return self.ids[stored]


class PascalContext33(PascalContext):
    """The classes, 33 as in the first papers, that a list of your own names: PATH/33_labels.txt."""

    name = "pascal-context-33"
    chosen = "33_labels.txt"
    source_of_list = "write it: one class a line, by its name in labels.txt"


def photos(root: Path) -> Path:
    """VOC 2010's folder; PATH/VOC2010 if it is nowhere."""
    found = (devkit(place, "VOC2010") for place in (root, root.resolve().parent))
    return next((place for place in found if (place / "JPEGImages").is_dir()), root / "VOC2010")


def class_list(path: Path, source: str) -> dict[int, str]:
    """Class names by id, from lines "id: name" or lines of a name each, numbered from 1; without blanks."""
    if not path.is_file():
        raise InputError(f"there is no {path}; {source}")
    entries = [line.rpartition(":") for line in read_lines(path)]
    try:
        return {int(number or k): name.replace(" ", "") for k, (number, _, name) in enumerate(entries, 1)}
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected lines of `id: name`, or of a name each") from error
