"""`folder:PATH`: your own images and labels, as they are.

Nothing need be renamed: images and labels are found by the names of their folders (images/, photos/; labels/, masks/,
gt/; train/, valid/), by what follows an image's name (_mask, _gt, _1stHO), or in files of shapes (LabelMe, COCO, CVAT,
Label Studio, Roboflow). What a folder does not say by itself, dataset.json says in it (docs/data.md); `pixelnet check
PATH` prints what was found as such a file, and `--write` keeps it. `folder:FILE.json` reads one that lies elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tqdm import tqdm

from pixelnet.data.dataset import Dataset, Window, Within, evenly, task_of
from pixelnet.data.drawn import labelme_labels
from pixelnet.data.folder.coding import Coding, Scan, merged, scan, scan_by_part
from pixelnet.data.folder.decide import decide
from pixelnet.data.folder.form import FILE
from pixelnet.data.folder.ground import Ground, is_layer, labelled, read_map
from pixelnet.data.folder.groups import named_groups
from pixelnet.data.folder.item import Block, Item
from pixelnet.data.folder.maps import Maps
from pixelnet.data.folder.orientation import fits_stored, upright
from pixelnet.data.folder.pictures import Pictures
from pixelnet.data.folder.questions import questions_of
from pixelnet.data.folder.shapes import classes_of
from pixelnet.data.folder.survey import root_and_form, survey
from pixelnet.data.folder.up import top_down
from pixelnet.data.images import measured
from pixelnet.data.threads import in_threads
from pixelnet.errors import InputError
from pixelnet.rasters import LABEL_EXTENSIONS, Stored, read_size, stored_in_parts
from pixelnet.tasks import TASKS, Task, find_task

MOST_CLASSES = 255
ROTATED = 16  # photos with a rotation that are looked at to find how labels fit
BLOBS_IN = 16  # label maps that are looked at to find whether their numbers are objects
LOOKED_AT = 2000  # photos whose headers are looked at for a rotation
KEPT = 8  # data sets
_scanned: dict[bytes, tuple[list[Scan], InputError | None]] = {}


class LabelMap(NamedTuple):
    """A map of classes: its file, which page or block of it, and the image at whose pixels it is read, if elsewhere."""

    label: PurePosixPath
    page: int | None
    block: Block | None
    image: PurePosixPath | None


def _sound(scans: Iterable[Scan | InputError], faults: list[InputError]) -> Iterator[Scan]:
    """The scans of maps that can be read; the first fault of the others is put among the faults."""
    for own in scans:
        if isinstance(own, Scan):
            yield own
        elif not faults:
            faults.append(own)


class Folder(Dataset):
    """Images of your own with their labels, as dataset.json says or as their names do."""

    name: ClassVar[str] = "folder"
    tasks: ClassVar[tuple[str, ...]] = tuple(TASKS)
    origin: ClassVar[str] = ""

    def __init__(
        self, path: str | Path, task: str | Task, split: str = "train", changes: dict[str, Any] | None = None
    ) -> None:
        self.task, self.split, self.source = task, split, f"{self.name}:{path}"
        self.path, self.changes = Path(path).expanduser(), dict(changes or {})
        self.survey = found = survey(self.path, task, self.changes)
        self.root, self.form = found.root, found.form
        self.items = found.of(split)
        if not self.items:
            raise InputError(f"{self.source} has no split {split!r}; it has {', '.join(found.splits)}")
        self.notes: list[str] = list(found.notes)
        self.questions: list[str] = []
        self.pictures = Pictures(found)
        self.channels, self.ranges = self.pictures.channels, self.pictures.ranges
        self.augment = self.form.augment or "photo"
        self.notes += self.pictures.notes
        self.ground = Ground(self.root, self.form)
        self.coding: Coding | None = None
        if find_task(task).categorical:
            self._name_classes()
        self.maps = Maps(self.root, task, self.form, found.drawn, self.coding, self.class_names, self.ground)
        self._with_labels()
        self.names = [item.name for item in self.items]
        self.groups = named_groups(self.names, self.form.group) if self.form.group else ()
        if found.annotators > 1:
            self._note_annotators()
        self.turned = self.form.orientation == "stored" or (self.form.orientation is None and self._fits_stored())
        self.questions += questions_of(self)

    # ------------------------------------------------------------------------- of a folder, unopened

    @classmethod
    def serves(cls, task: str | Task) -> bool:
        """Whether a folder may have labels for a task: for any."""
        return isinstance(task, Task) or task in cls.tasks

    @classmethod
    def require(cls, root: Path, task: str | Task) -> None:
        """Raise InputError unless the folder, or the dataset.json, is there."""
        root_and_form(root)

    @classmethod
    def splits(cls, root: Path, task: str | Task) -> tuple[str, ...]:
        """The splits that are there, each distinct from the others."""
        return survey(root, task).splits

    @classmethod
    def has_labels(cls, root: Path, task: str | Task) -> bool:
        """Whether there are labels that are called after a task; for segmentation, of any name."""
        form = root_and_form(root)[1]
        if form.task is not None:
            return form.task == str(task)
        try:
            return any(item.labels for item in survey(root, task, strict=True).items)
        except InputError:  # there are some, and something is wrong with them, which opening says
            return True

    # ---------------------------------------------------------------------------------- what it holds

    @cached_property
    def seems_top_down(self) -> bool:
        """Whether nothing is said of an up, none is to be seen, and the task could do without."""
        open_question = self.form.augment is None and not task_of(self).directed
        return open_question and top_down(self)

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.pictures.read(self.items[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        item = self.items[i]
        if item.block is not None:
            part = item.block.part(window)
            return self._measured(i, self.maps.read(item._replace(block=part), (part.width, part.height)), window)
        if window is not None and self.in_parts(i):
            self.size(i)  # which says if they are of another
            part = Block(0, 0, *self.size_of_image(i)[::-1]).part(window)
            return self.maps.read(item._replace(block=part), (part.width, part.height))
        return self._fitted(i, self.maps.read(item, self.size_of_image(i)))[window or ...]

    def _measured(self, i: int, labels: np.ndarray, window: Window | None) -> np.ndarray:
        """Labels of a block, but for the pixels that the scene's file declares to hold no data."""
        nodata = self.pictures.header(self.items[i]).nodata
        known = measured(self.image(i, window), nodata) if nodata else None
        if known is not None:
            labels = labels.copy()
            labels[~known] = find_task(self.task).unlabelled
        return labels

    def truth(self, i: int, window: Window | None = None) -> np.ndarray:
        """The labels; of edges that several annotators drew, bool (A, H, W), a map for each."""
        if self.task_name != "edges" or self.maps.policy != "all" or len(self.items[i].labels) < 2:
            return self.labels(i, window)
        maps = [self._fitted(i, own) >= 0.5 for own in self.maps.each(self.items[i], self.size_of_image(i))]
        return np.stack([own[window or ...] for own in maps])

    def in_parts(self, i: int) -> bool:
        item = self.items[i]
        return item.block is None and self._orientation(i) == 1 and self.maps.in_parts(item)

    def within(self, i: int) -> Within | None:
        item = self.items[i]
        if item.block is None:
            return None
        return Within(item.name.rpartition("[")[0], self._whole(i), item.block.window)

    def size(self, i: int) -> tuple[int, int]:
        """(width, height) of an image, from its header. Raises InputError if its labels' headers say another."""
        item = self.items[i]
        if item.page is None:  # pages of a stack are of one size
            for path in item.labels:
                if path.suffix.lower() in LABEL_EXTENSIONS and not self.ground.is_elsewhere(item.image, path):
                    found = read_size(self.root / path)
                    if found not in self._sizes(i, self._whole(i)):
                        raise InputError(self._mismatch(i, found))
        return self.size_of_image(i)

    def files(self, i: int) -> tuple[Path, ...]:
        item = self.items[i]
        return (self.root / item.image, *(self.root / path for path in item.labels))

    def size_of_image(self, i: int) -> tuple[int, int]:
        block = self.items[i].block
        return self._whole(i) if block is None else (block.width, block.height)

    def _whole(self, i: int) -> tuple[int, int]:
        """The size of an item's file."""
        header = self.pictures.header(self.items[i])
        return header.width, header.height

    # ------------------------------------------------------------------------------- labels and photos

    def _sizes(self, i: int, size: tuple[int, int]) -> list[tuple[int, int]]:
        """The sizes that the labels of an item may have."""
        return [size, size[::-1]] if self._orientation(i) >= 5 else [size]

    def _orientation(self, i: int) -> int:
        return self.pictures.header(self.items[i]).orientation

    def _fitted(self, i: int, labels: np.ndarray) -> np.ndarray:
        """Labels as the photo lies. Raises InputError if they are of another size."""
        width, height = self.size_of_image(i)
        orientation = 1 if self.form.orientation == "exif" else self._orientation(i)
        if orientation != 1 and (self.turned or labels.shape[:2] != (height, width)):
            labels = upright(labels, orientation, self.task_name == "normals")
        if labels.shape[:2] != (height, width):
            raise InputError(self._mismatch(i, (labels.shape[1], labels.shape[0])))
        return labels

    def _mismatch(self, i: int, found: tuple[int, int]) -> str:
        item, size = self.items[i], self._whole(i)
        turned = found == size[::-1]
        remedy = "one of them was turned; turn it back" if turned else "resize the label with nearest neighbor"
        return f"{item.labels[0]} is {found[0]}x{found[1]} but {item.image} is {size[0]}x{size[1]}; {remedy}"

    def _fits_stored(self) -> bool:
        """Whether the labels fit the photos as stored; said, with the choice, where any photo has a rotation."""
        every = self.survey.items  # of all splits, so that they agree
        try:
            headers = ((item, self.pictures.header(item)) for item in every[:: max(1, len(every) // LOOKED_AT)])
            rotated = [(item, own) for item, own in headers if item.labels and own.orientation != 1][:ROTATED]
            stored = fits_stored(
                (own.orientation, self.pictures.read(item), self.maps.read(item, (own.width, own.height)))
                for item, own in rotated
            )
        except InputError:  # which is named when the file is read
            return False
        if not rotated:
            return False
        how = "the photos as they are stored, without" if stored else "the photos upright, with"
        other = "exif" if stored else "stored"
        self.notes.append(
            f"photos such as {rotated[0][0].image} have an EXIF rotation; the labels fit {how} it, and were "
            f'read so ("orientation": "{other}" in {FILE} says otherwise)'
        )
        return stored

    def _note_annotators(self) -> None:
        most = next(item for item in self.survey.items if len(item.labels) == self.survey.annotators)
        taken = {
            "first": f"{most.labels[0]} and its like are taken",
            "vote": "what most say is taken",
            "all": "the share of them is taken",
        }
        self.notes.append(
            f"up to {self.survey.annotators} people labelled an image ({', '.join(map(str, most.labels))}): "
            f'{taken[self.maps.policy]} ("annotators" in {FILE}: first, vote, or for edges all)'
        )

    def _with_labels(self) -> None:
        """Leave out what its layer of vectors has no labels for, and tell of scenes in blocks."""
        self.items, notes = labelled(self.items, self.ground, self.maps.background)
        scenes = Counter(item.image for item in self.items if item.block)
        self.notes += [
            f'{path} is seen in {count} blocks ("block" in {FILE}: their side)' for path, count in scenes.items()
        ]
        elsewhere = {path for item in self.items for path in item.labels if self.ground.is_elsewhere(item.image, path)}
        if elsewhere:
            self.notes.append(f"{min(elsewhere)} has another grid than its image, at whose pixels it is read")
        self.notes += notes

    # ----------------------------------------------------------------------------------------- classes

    def _name_classes(self) -> None:
        """Classes of all splits, so that they agree on them."""
        files = sorted({path for item in self.survey.items for path in item.labels})
        drawn = [path for path in files if path.suffix.lower() == ".json" or is_layer(path)]
        if drawn and len(drawn) < len(files):
            rest = next(path for path in files if path not in drawn)
            raise InputError(
                f"{self.source}: {drawn[0]} and {rest} both hold labels; keep one of them, or say which are meant by "
                f'"labels" in {FILE}'
            )
        own = tuple(form.name for form in self.form.classes)
        if drawn:
            self.class_names = own or self._drawn_classes(drawn)
            colors = tuple(form.color for form in self.form.classes if form.color is not None)
            self.class_colors = colors if len(colors) == len(own) else ()
        else:
            self.coding = self._coded()
            self.class_names, self.class_colors = self.coding.names, self.coding.colors
            self.notes += self.coding.notes
            self.questions += self.coding.questions
        if not 2 <= len(self.class_names) <= MOST_CLASSES:
            raise InputError(
                f"{self.source} has {len(self.class_names)} classes ({', '.join(self.class_names[:5])}), expected 2 to "
                f'{MOST_CLASSES}; name in {FILE} those that there are: "classes": ["background", ...]'
            )

    def _drawn_classes(self, files: Sequence[PurePosixPath]) -> tuple[str, ...]:
        if any(map(is_layer, files)):
            self.questions.append(
                "what no feature covers is taken for background; if it is unlabelled, name the classes without it in "
                f'{FILE}: "classes": ["forest", ...]'
            )
            return self.ground.classes([path for path in files if is_layer(path)])
        if self.survey.drawn:
            return classes_of(self.survey.drawn)
        labels: set[str] = set()
        faults = []
        for path in tqdm(files, f"reading classes ({FILE} would say)", delay=2, leave=False):
            try:
                labels |= labelme_labels(self.root / path)
            except InputError as error:  # which is named again when the file is read
                faults.append(error)
        if not labels and faults:
            raise faults[0]
        return ("background", *sorted(labels - {"background"}))

    def _coded(self) -> Coding:
        """How numbers become classes; label maps are looked through unless dataset.json names each class's."""
        said = (
            self.form.classes
            and self.form.unlabelled is not None
            and all(own.values is not None for own in self.form.classes)
        )
        count = 1 if said else sum(len(item.labels) for item in self.survey.items)
        # What cannot be read is named when it is read; the classes are those of the rest.
        known, fault = self._scans(count)
        if fault is not None and not known:
            raise fault
        return decide(known, self.form)

    def _scans(self, count: int) -> tuple[list[Scan], InputError | None]:
        """What the first label maps hold, by kind, and why the first of those is not read that cannot be.

        It is kept for as long as no file changes: each split asks for it.
        """
        looked_at = set(evenly(count, BLOBS_IN))

        def maps() -> Iterator[tuple[LabelMap, bool]]:
            every = ((item, path) for item in self.survey.items for path in item.labels)
            return ((self._map_of(item, path), k in looked_at) for k, (item, path) in enumerate(islice(every, count)))

        key = blake2b(repr((self.root, self.form.axes, self.form.threshold is not None)).encode())
        for own, blobs in maps():
            path = self.root / own.label
            status = path.stat() if path.exists() else None
            stamp = (status.st_mtime_ns, status.st_size) if status else (0, 0)
            key.update(repr((str(own.label), own[1:], stamp, blobs)).encode(errors="surrogateescape"))
        if key.digest() not in _scanned:
            faults: list[InputError] = []
            what = f"reading classes ({FILE} would say)"
            scans = in_threads(lambda given: self._tried(*given), maps(), count, what)
            known = merged(_sound(scans, faults))
            while len(_scanned) >= KEPT:
                _scanned.pop(next(iter(_scanned)))
            _scanned[key.digest()] = known, next(iter(faults), None)
        return _scanned[key.digest()]

    def _map_of(self, item: Item, label: PurePosixPath) -> LabelMap:
        elsewhere = self.ground.is_elsewhere(item.image, label)
        return LabelMap(label, item.page_of(label), item.block, item.image if elsewhere else None)

    def _tried(self, own: LabelMap, blobs: bool) -> Scan | InputError:
        try:
            return self._scan(own, blobs)
        except InputError as error:
            return error

    def _scan(self, own: LabelMap, blobs: bool) -> Scan:
        axes, lossy = None if own.page is None else self.form.axes, self.form.threshold is not None
        image, path = None if own.image is None else self.root / own.image, self.root / own.label
        if own.page is None and own.block is None and image is None and stored_in_parts(path):

            def read(window: Window) -> Stored:
                return read_map(path, None, axes, lossy, Block(0, 0, 0, 0).part(window))

            return scan_by_part(read, read_size(path)[::-1], str(own.label), blobs)
        return scan(read_map(path, own.page, axes, lossy, own.block, image), str(own.label), blobs)
