"""`nyudv2:PATH` on NYU Depth v2's own file, nyu_depth_v2_labeled.mat (Silberman et al., ECCV 2012).

PATH is that file, or the folder it lies in. Beside it lie splits.mat, the standard split, and for segmentation
classMapping40.mat, the classes of Gupta et al. (CVPR 2013). The file is MATLAB 7.3, which is HDF5 with every array
transposed; its 2.8 GB are never read whole: an item is read when it is asked for, by whichever process asks.
"""

from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np

from pixelnet.data.dataset import UNLABELLED, Dataset, Window
from pixelnet.data.mat import integers, read_mat
from pixelnet.data.nyudv2 import NYUDv2
from pixelnet.errors import InputError
from pixelnet.files import require_regular
from pixelnet.geometry import Intrinsics, normals_from_depth
from pixelnet.rasters import reading
from pixelnet.tasks import Task

FILE, SPLITS, MAPPING = "nyu_depth_v2_labeled.mat", "splits.mat", "classMapping40.mat"
ARRAYS = {"images": (4, "u"), "depths": (3, "f"), "labels": (3, "iu")}  # how many dimensions, and kinds of numbers
CAMERA = Intrinsics(518.857901, 519.469611, 325.582449, 253.736166)  # the color camera in the toolbox
# Rows and columns that NYUv2's results are about: what lies outside was never seen by the depth camera.
EVALUATION_CROP = slice(45, 471), slice(41, 601)
MOST_PIXELS = 2**26  # of an image; the file's have 307,200
FARTHEST = 9.9  # meters; the file cuts depth off at 10, and what is cut off is no surface

CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books",
    "refridgerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip


class NYUDv2Mat(Dataset):
    """The 1449 labelled pairs, 640x480, named 0001 to 1449 by their place in the file; the split val is test.

    segmentation: 40 classes. regression: depth in meters, holes filled by the data's authors. normals: from that
    depth, unlabelled outside of EVALUATION_CROP; they take half a second an image, so a longer training does well to
    write them once (`images.write_normals`) and read them as `folder:`.
    """

    origin: ClassVar[str] = NYUDv2.origin
    tasks: ClassVar[tuple[str, ...]] = ("segmentation", "normals", "regression")

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        root = Path(path).expanduser()
        self.require(root, task)
        self.file, self.task, self.split, self.source = self.found(root), task, split, f"nyudv2:{path}"
        if split not in self.splits(root, task):
            raise InputError(f"{self.source} has no split {split!r}; it has {', '.join(self.splits(root, task))}")
        self.places = np.sort(read_split(self.file, "trainNdxs" if split == "train" else "testNdxs"))
        self.names = [f"{place + 1:04d}" for place in self.places]
        if self.task_name == "segmentation":
            self.class_names, self.mapping = CLASSES, read_mapping(self.file)

    @classmethod
    def found(cls, root: Path) -> Path:
        """The file itself, for a path that is it, or the folder that holds it."""
        return root / FILE if root.is_dir() else root

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether a path is this form of the data: the file, or a folder with the file and no train/ of its own."""
        return root.suffix == ".mat" or ((root / FILE).is_file() and not (root / "train").is_dir())

    @classmethod
    def serves(cls, task: str | Task) -> bool:
        return str(task) in cls.tasks

    @classmethod
    def require(cls, root: Path, task: str | Task) -> None:
        """Raise InputError unless this data set serves the task and its files are there and what they should be."""
        if str(task) not in cls.tasks:
            raise InputError(f"nyudv2 serves {', '.join(cls.tasks)}, not {task}; choose one of them")
        file = cls.found(root)
        require_regular(file)
        with reading(file), h5py.File(file) as data:
            for name, (dimensions, kinds) in ARRAYS.items():
                array = data.get(name)
                if not isinstance(array, h5py.Dataset) or array.ndim != dimensions or array.dtype.kind not in kinds:
                    raise InputError(f"{file} has no array {name!r} of {dimensions} dimensions; it is not {FILE}")
            count, channels, *size = shape = data["images"].shape
            same = all(data[name].shape == (count, *size) for name in ("depths", "labels"))
            if channels != 3 or not same or not 0 < size[0] * size[1] <= MOST_PIXELS:
                raise InputError(
                    f"{file} has images of shape {shape}, depths of {data['depths'].shape} and labels of "
                    f"{data['labels'].shape}; expected (N, 3, 640, 480) and (N, 640, 480): copy it again"
                )
        if not (file.parent / SPLITS).is_file():
            raise InputError(f"{file.parent / SPLITS} is not there; get it where {FILE} is from, and put it beside")
        if str(task) == "segmentation" and not cls.has_labels(root, task):
            raise InputError(
                f"{file.parent / MAPPING} is not there; segmentation needs its table mapClass from the file's 894 "
                "classes to the 40 of Gupta et al. (it is in github.com/ankurhanda/nyuv2-meta-data, for one); put "
                f"it beside {FILE}"
            )

    @classmethod
    def splits(cls, root: Path, task: str | Task) -> tuple[str, ...]:
        return "train", "val", "test"

    @classmethod
    def has_labels(cls, root: Path, task: str | Task) -> bool:
        """Whether there is all that labels for a task are made of."""
        return str(task) in cls.tasks and (str(task) != "segmentation" or (cls.found(root).parent / MAPPING).is_file())

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.stored("images", i)[window or ...]

    def size(self, i: int) -> tuple[int, int]:
        with reading(self.file), h5py.File(self.file) as file:
            width, height = file["images"].shape[2:]  # MATLAB's order
            return width, height

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._labels(i)[window or ...]

    def _labels(self, i: int) -> np.ndarray:
        if self.task_name == "segmentation":
            ids = self.stored("labels", i)
            if ids.min() < 0 or ids.max() >= len(self.mapping):
                raise InputError(
                    f"{self.file}, item {self.names[i]}, holds labels {ids.min()} to {ids.max()}, but mapClass in "
                    f"{MAPPING} goes from 0 to {len(self.mapping) - 1}; copy both files again from their source"
                )
            return self.mapping[ids]
        depth = self.stored("depths", i).astype(np.float32)
        if self.task_name == "regression":
            return np.where(depth > 0, depth, np.float32(np.nan))
        normals = normals_from_depth(np.where(depth < FARTHEST, depth, 0), CAMERA)
        cropped = np.zeros_like(normals)
        cropped[EVALUATION_CROP] = normals[EVALUATION_CROP]
        return cropped

    def files(self, i: int) -> tuple[Path, ...]:
        return (self.file,)

    def stored(self, name: str, i: int) -> np.ndarray:
        """Item i of an array, the right way up: (480, 640) or (480, 640, 3)."""
        # Opened for each item: an open HDF5 file must not go through a fork, and opening takes little.
        with reading(self.file), h5py.File(self.file) as data:
            return np.ascontiguousarray(data[name][self.places[i]].T)


def read_split(file: Path, key: str) -> np.ndarray:
    """Places in the file, from 0, of one split of splits.mat. Raises InputError."""
    path = file.parent / SPLITS
    with reading(file), h5py.File(file) as data:
        count = data["images"].shape[0]
    return np.unique(integers(read_mat(path, key), 1, count, f"{path}, {key!r}", None)) - 1


def read_mapping(file: Path) -> np.ndarray:
    """For each label in the file, from 0, unlabelled, on: its class 0..39, or 255. Raises InputError."""
    path = file.parent / MAPPING
    classes = integers(read_mat(path, "mapClass"), 0, len(CLASSES), f"{path}, 'mapClass'", None)
    ids = np.concatenate([[0], classes.ravel()])
    return np.where(ids == 0, UNLABELLED, ids - 1).astype(np.uint8)
