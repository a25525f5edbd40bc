"""`voc2012:PATH`: PASCAL VOC 2012 (Everingham et al., IJCV 2015), and SBD's labels of more images (Hariharan et al.,
ICCV 2011).

PATH is VOC2012, VOCdevkit or the folder that holds VOCdevkit:

    VOC2012/JPEGImages/NAME.jpg   SegmentationClass/NAME.png   ImageSets/Segmentation/{train,val,trainval}.txt

SBD as released, benchmark_RELEASE/dataset/{cls/NAME.mat,img/NAME.jpg,train.txt,val.txt}, in PATH or beside VOC2012
or VOCdevkit, adds the split train_aug: VOC's and SBD's images without VOC's val (10,582), with VOC's own label map
where there is one.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from pixelnet.data.dataset import UNLABELLED, class_ids
from pixelnet.data.listed import Listed
from pixelnet.data.mat import field, integers, read_mat
from pixelnet.errors import InputError
from pixelnet.tasks import Task
from pixelnet.tasks.segmentation import read_labels

SBD_ORIGIN = "www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours (benchmark.tgz)"

# fmt: off
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def voc_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    """The devkit's palette: the bits of an id, three at a time, from the highest bit of R, G and B on."""
    ids = np.arange(count)
    channels = [sum(((ids >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)]
    return tuple((int(r), int(g), int(b)) for r, g, b in zip(*channels, strict=True))


class VOC2012(Listed):
    """21 classes, background the first; 255 (void, the seam round objects) is unlabelled."""

    name = "voc2012"
    tasks = ("segmentation",)
    class_names = CLASSES
    class_colors = voc_colors(len(CLASSES))
    origin = "host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar)"
    split_folders: ClassVar[dict[str, tuple[str, ...]]] = {"train": (".",)}

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return devkit(root) / "JPEGImages", devkit(root) / "SegmentationClass"

    @classmethod
    def lists(cls, root: Path) -> dict[str, tuple[Path, ...]]:
        folder, extra = devkit(root) / "ImageSets" / "Segmentation", sbd(root)
        own: dict[str, tuple[Path, ...]] = {split: (folder / f"{split}.txt",) for split in ("train", "val", "trainval")}
        if extra is None:
            return own
        # VOC's val is on this list too: what it holds is taken off.
        return own | {"train_aug": (folder / "train.txt", extra / "train.txt", extra / "val.txt", folder / "val.txt")}

    @cached_property
    def extra(self) -> Path | None:
        return sbd(self.root)

    def require_split(self, expected: str) -> None:
        if self.split == "train_aug" and self.extra is None:
            raise InputError(
                f"{self.source} has no split 'train_aug', which needs SBD's labels: expected "
                f"benchmark_RELEASE/dataset/ in it or beside VOC2012; get it from {SBD_ORIGIN}"
            )
        super().require_split(expected)

    def listed(self, *paths: Path) -> list[str]:
        if self.split != "train_aug":
            return super().listed(*paths)
        *lists, val = paths
        held = set(super().listed(val))
        return [name for name in super().listed(*lists) if name not in held]

    def pair(self, name: str) -> tuple[Path, Path]:
        images, targets = self.home
        image, target = images / f"{name}.jpg", targets / f"{name}.png"
        if self.extra is not None and not target.is_file():
            target = self.extra / "cls" / f"{name}.mat"
            image = image if image.is_file() else self.extra / "img" / f"{name}.jpg"
        return image, target

    def read(self, path: Path) -> np.ndarray:
        if path.suffix == ".mat":
            where = f"{self.rel(path)}, GTcls.Segmentation"
            stored = integers(field(read_mat(path, "GTcls"), "Segmentation", where), 0, UNLABELLED, where)
        else:
            stored = read_labels(path)
        return class_ids(stored, len(CLASSES), UNLABELLED, self.rel(path))


def devkit(root: Path, year: str = "VOC2012") -> Path:
    """The folder of one year's data, in whichever of the usual places it is; root itself if in none."""
    places = (root, root / year, root / "VOCdevkit" / year)
    return next((place for place in places if (place / "JPEGImages").is_dir()), root)


def sbd(root: Path) -> Path | None:
    """SBD's folder `dataset`, or None."""
    folder = devkit(root)
    places = (place / "benchmark_RELEASE" / "dataset" for place in (root, folder, *folder.resolve().parents[:3]))
    return next((place for place in places if (place / "cls").is_dir()), None)
