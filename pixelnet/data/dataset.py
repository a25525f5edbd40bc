"""What every data set answers, and how the ones that are pairs of files on disk find and read theirs.

A data set is a map-style list of (image, labels), NumPy only: it knows nothing of models or of augmentation.
Labels are read as they are, never resampled, and 255, NaN or the zero vector is unlabelled whatever the files
call it (docs/design.md).
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from inspect import getdoc
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from pixelnet.data.images import read_image
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, LOSSY_EXTENSIONS, read_size
from pixelnet.tasks import Task, make_task
from pixelnet.tasks.task import Loss

UNLABELLED = 255
DEFINITIONS = ("classes.json", "dataset.json")  # files in the folder of a data set that say how it is read
Window = tuple[slice, slice]  # rows and columns of an image, with both ends given


class Within(NamedTuple):
    """What a block is of: the name of the whole image, its (width, height), and the block's rows and columns in it."""

    name: str
    size: tuple[int, int]
    window: Window


def evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` items, by number, evenly spread: the first and the last among them."""
    return [int(k) for k in np.linspace(0, count - 1, min(most, count)).round()]


class Dataset(ABC):
    """A list of images and their labels for one task and one split; to be inherited by a data set of your own.

    One of your own gives `names`, `image` and `labels`, and for segmentation `class_names`; the rest has defaults.

    task: what the labels are for: "segmentation", "normals", "edges", "regression", or a Task of your own. It may be
    left out where `train` is told.
    source: what `open_dataset` was given ("camvid:/data/camvid"), for messages and config.json.
    names: one an item, the image's file stem, unique and sorted.
    class_names, class_colors: one name and one RGB (0..255) a class, () unless segmentation; colors () means the
    default palette.
    channels: the names of an image's channels.
    ranges: for each channel the numbers that are brought to 0 and to 1; None for those of the images' type.
    groups: for each item what it belongs to, so that none of it is on both sides of a split (a patient, a video, a
    volume); () where their names are to say (`pixelnet.data.groups`). The names themselves are groups of one.
    notes, questions: what was found out when the data was opened, and what only a person can know, for people.
    augment: the kind of its pictures: "photo", or "top-down" for those without an up; see `TrainConfig.augment`.
    reference: of edges: (recall, precision) of people on this split, where they are published.
    generated: made by a program, so that training need not look for what is wrong with it.
    """

    task: str | Task
    source: str = "a data set of your own"
    split: str = "train"
    names: Sequence[str]
    class_names: tuple[str, ...] = ()
    class_colors: tuple[tuple[int, int, int], ...] = ()
    channels: tuple[str, ...] = ("red", "green", "blue")
    ranges: tuple[tuple[float, float], ...] | None = None
    groups: Sequence[str] = ()
    notes: Sequence[str] = ()
    questions: Sequence[str] = ()
    augment: str = "photo"
    reference: tuple[float, float] | None = None
    generated: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def task_name(self) -> str:
        """The task's name, whether or not it is one of your own."""
        return str(self.task)

    @property
    def members(self) -> "list[Dataset]":
        """The data sets of one task each that this one is made of: itself, unless it is of several tasks."""
        return [self]

    @abstractmethod
    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        """(H, W, C), RGB or as `channels` says: uint8 (0..255), uint16 (0..65535) or float32 (0..1); with `ranges` any.

        window: only these rows and columns of it; `pixels[window or ...]` is enough where the whole is read anyway.
        """

    @abstractmethod
    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        """What the model learns, at the image's size or in a window of it.

        segmentation: uint8 (H, W), class ids, 255 unlabelled. normals: float32 (H, W, 3), unit vectors (x right,
        y down, z into the scene), the zero vector unlabelled. edges: float32 (H, W), the share of annotators who
        drew a boundary, 0..1, NaN unlabelled. regression: float32 (H, W), NaN unlabelled.
        """

    def size(self, i: int) -> tuple[int, int]:
        """(width, height) of an image in pixels."""
        height, width = self.image(i).shape[:2]
        return width, height

    def truth(self, i: int, window: Window | None = None) -> np.ndarray:
        """What a score compares with: the labels, or for bsds500 each annotator's map, bool (A, H, W)."""
        return self.labels(i, window)

    def in_parts(self, i: int) -> bool:
        """Whether no more of an item's labels is read than a window asks for."""
        return False

    def within(self, i: int) -> "Within | None":
        """The image that an item is a block of; None for one that is whole."""
        return None

    def files(self, i: int) -> tuple[Path, ...]:
        """The files item i is read from, the image's first, for messages; () for generated data."""
        return ()

    def key(self, i: int) -> str:
        """What tells the image of item i from every other: two items of one image, in whatever data sets, share it."""
        return " ".join([*map(str, self.files(i)[:1]), self.names[i]])

    def merge(self, class_names: tuple[str, ...]) -> np.ndarray | None:
        """How classes of other names make up this data set's: float32 (their number, its number) of 0 and 1.

        None if they do not, or if nothing is known of it.
        """
        return None


def input_files(dataset: Dataset) -> Iterator[Path]:
    """The files that a data set is read from: those of its items, and those in its folder that say how."""
    for i in range(len(dataset)):
        yield from dataset.files(i)
    roots = [member.root for member in dataset.members if isinstance(member, PairedFiles)]
    yield from (path for root in roots for name in DEFINITIONS if (path := root / name).exists())


def task_of(dataset: Dataset, loss: str | Loss | None = None, class_weights: Sequence[float] | None = None) -> Task:
    """The task or tasks that a data set's labels are for, with its classes and their colors."""
    return make_task(
        dataset.task,
        class_names=dataset.class_names,
        class_colors=dataset.class_colors,
        loss=loss,
        class_weights=class_weights,
    )


class PairedFiles(Dataset):
    """A data set whose items are two files: an image, and a label map of the same stem in another folder.

    A layout says which tasks it serves, where a split's folders are and how a label file is read; a missing
    folder, an unpaired file or two files of one stem raise InputError when it is opened, a size that differs
    or a value outside the classes when it is read.
    """

    name: ClassVar[str]  # as in "camvid:PATH"
    tasks: ClassVar[tuple[str, ...]]
    origin: ClassVar[str] = ""  # where the files are to be had, for the message when they are not there
    label_extensions: tuple[str, ...] = LABEL_EXTENSIONS
    split_folders: ClassVar[dict[str, tuple[str, ...]]] = {  # split -> the folders it is made of
        "train": ("train",),
        "val": ("val",),
        "test": ("test",),
        "trainval": ("train", "val"),
    }

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        self.root, self.task, self.split = Path(path).expanduser(), task, split
        self.source = f"{self.name}:{path}"
        self.require(self.root, task)
        pairs = self.find()
        self.names = sorted(pairs)
        self.pairs = [pairs[stem] for stem in self.names]

    def find(self) -> dict[str, tuple[Path, Path]]:
        """The image and the label file of each item of the split, by the image's stem."""
        pairs: dict[str, tuple[Path, Path]] = {}
        for images, targets in self.folders():
            for stem, pair in match(images, targets, self.label_extensions, self.root).items():
                if stem in pairs:
                    raise InputError(f"{self.rel(pair[0])} and {self.rel(pairs[stem][0])} share a name; rename one")
                pairs[stem] = pair
        return pairs

    @classmethod
    def serves(cls, task: str | Task) -> bool:
        """Whether this data set may have labels for a task."""
        return str(task) in cls.tasks

    @classmethod
    def require(cls, root: Path, task: str | Task) -> None:
        """Raise InputError unless this data set serves the task and its folder is there."""
        if not cls.serves(task):
            raise InputError(f"{cls.name} serves {', '.join(cls.tasks)}, not {task}; choose one of them")
        if not root.is_dir():
            raise InputError(f"{cls.name}:{root}: there is no folder {root}; give the folder of the data")

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        """The folder of images and the folder of label maps of one part of the data."""
        raise NotImplementedError

    @classmethod
    def folder_names(cls, root: Path) -> tuple[str, ...]:
        """The split_folders whose folders the data may have."""
        return tuple(dict.fromkeys(part for folders in cls.split_folders.values() for part in folders))

    @classmethod
    def splits(cls, root: Path, task: str | Task) -> tuple[str, ...]:
        """The splits that are there, each distinct from the others."""

        def there(part: str) -> bool:
            return cls.layout(root, part, task)[0].is_dir()

        return tuple(split for split, folders in cls.split_folders.items() if all(map(there, folders)))

    @classmethod
    def has_labels(cls, root: Path, task: str | Task) -> bool:
        """Whether there is a folder of label maps for a task."""
        return root.is_dir() and any(cls.layout(root, part, task)[1].is_dir() for part in cls.folder_names(root))

    def folders(self) -> list[tuple[Path, Path]]:
        """The folders (images, label maps) this split is made of."""
        train = self.layout(self.root, next(iter(self.split_folders.values()))[0], self.task)
        self.require_split(f"a folder {self.rel(train[0])}")
        return [self.layout(self.root, part, self.task) for part in self.split_folders[self.split]]

    def require_split(self, expected: str) -> None:
        """Raise InputError unless the split is there; `expected` is what the data's folder lacks if none is."""
        known = self.splits(self.root, self.task)
        if self.split not in known:
            remedy = f"; get it from {self.origin}" if self.origin else ""
            found = f"it has {', '.join(known)}" if known else f"expected {expected} in it{remedy}"
            raise InputError(f"{self.source} has no split {self.split!r}; {found}")

    @abstractmethod
    def read(self, path: Path) -> np.ndarray:
        """The labels in one label file, in the form `labels` gives them."""

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return read_image(self.pairs[i][0])[window or ...]

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        labels = self.read(self.pairs[i][1])
        self.same_size(i, (labels.shape[1], labels.shape[0]))
        return labels[window or ...]

    def size(self, i: int) -> tuple[int, int]:
        """(width, height) of an item from its image's header; InputError if its label file's header disagrees."""
        target = self.pairs[i][1]
        return self.same_size(i, read_size(target) if target.suffix.lower() in LABEL_EXTENSIONS else None)

    def files(self, i: int) -> tuple[Path, ...]:
        return self.pairs[i]

    def same_size(self, i: int, label_size: tuple[int, int] | None) -> tuple[int, int]:
        image, target = self.pairs[i]
        size = read_size(image)
        if label_size and label_size != size:
            height, width = read_image(image).shape[:2]  # a rotation noted after a PNG's pixels is not in its header
            size = width, height
        if label_size and label_size != size:
            raise InputError(
                f"{self.rel(target)} is {label_size[0]}x{label_size[1]} but {self.rel(image)} is "
                f"{size[0]}x{size[1]}; resize the label with nearest neighbor"
            )
        return size

    def rel(self, path: Path) -> str:
        """A path as messages show it: from the data's own folder on."""
        return rel_path(path, self.root)


def form_of(kind: type) -> str:
    """What a data set is and what it holds on disk, for people: its module's docstring, and its own first paragraph."""
    own = (getdoc(kind) or "").split("\n\n")[0]
    return f"{(sys.modules[kind.__module__].__doc__ or '').strip()}\n\n{own}"


def rel_path(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def match(images: Path, targets: Path, extensions: tuple[str, ...], root: Path) -> dict[str, tuple[Path, Path]]:
    """The pairs (image, label file) of two folders by file stem. Hidden files and other extensions are passed over.

    Raises InputError for a folder that is not there or is empty, for a file without its partner (either way
    round), for two files of one stem, and for labels in a lossy format.
    """
    image_files = stems(images, IMAGE_EXTENSIONS, root)
    target_files = stems(targets, extensions, root)
    if not image_files:
        raise InputError(f"{images} holds no images; expected files ending in {' '.join(IMAGE_EXTENSIONS)}")
    for files, others, folder, what, partner in (
        (image_files, target_files, targets, "label", extensions),
        (target_files, image_files, images, "image", IMAGE_EXTENSIONS),
    ):
        alone = sorted(files.keys() - others.keys())
        lossy = [path for name in alone for end in LOSSY_EXTENSIONS if (path := folder / f"{name}{end}").exists()]
        if lossy:
            raise InputError(f"{rel_path(lossy[0], root)} is in a lossy format, which changes labels; save them as PNG")
        if alone:
            more = f" ({len(alone) - 1} more like it)" if len(alone) > 1 else ""
            raise InputError(
                f"{rel_path(files[alone[0]], root)} has no {what}{more}: expected {rel_path(folder, root)}/{alone[0]} "
                f"as {' '.join(partner)}; add it, or move the lone file away"
            )
    return {stem: (image_files[stem], target_files[stem]) for stem in image_files}


def visible(path: Path) -> bool:
    return not path.name.startswith(".") and not path.is_dir()  # a dangling link stays in: reading it says so


def stems(folder: Path, extensions: tuple[str, ...], root: Path) -> dict[str, Path]:
    """The folder's files with one of the extensions, any case, by stem."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; expected {rel_path(folder, root)} in {root}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in extensions and visible(path):
            if path.stem in found:
                raise InputError(f"{rel_path(found[path.stem], root)} and {path.name} share a name; keep one of them")
            found[path.stem] = path
    return found


def class_ids(stored: np.ndarray, classes: int, ignore: int, file: str) -> np.ndarray:
    """Ids as stored -> uint8 (H, W) in 0..classes-1, with `ignore` (whatever it is) turned into 255, unlabelled.

    Raises InputError that names the file, the first value outside and how many pixels hold it.
    """
    unlabelled = stored == ignore
    outside = ~unlabelled & ((stored < 0) | (stored >= classes))
    if outside.any():
        values, counts = np.unique(stored[outside], return_counts=True)
        more = f" and {len(values) - 1} other values" if len(values) > 1 else ""
        raise InputError(
            f"{file} holds the value {values[0]} in {counts[0]} pixels{more}, outside the classes 0..{classes - 1} "
            f"({ignore} is unlabelled); correct the label map, or the classes and `ignore` of the data"
        )
    return np.where(unlabelled, UNLABELLED, stored).astype(np.uint8)
