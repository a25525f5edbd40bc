"""Reading one item's labels, whatever they are kept in: numbers, colors, shapes, several annotators' maps."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn import Shape, class_id, class_name, paint, read_labelme
from pixelnet.data.folder.coding import Coding
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.ground import Ground, is_layer
from pixelnet.data.folder.item import Block, Item
from pixelnet.data.folder.shapes import Drawn
from pixelnet.errors import InputError
from pixelnet.rasters import Stored, one_channel, stored_in_parts
from pixelnet.tasks import Task, find_task
from pixelnet.tasks.normals import read_normals

HALF = 0.5  # of the annotators, from which on a boundary counts in a vote


class Maps:
    """Reads the labels of items. coding: of class ids, None for other tasks and for shapes. classes: their names."""

    def __init__(
        self,
        root: Path,
        task: str | Task,
        form: Form,
        drawn: Drawn,
        coding: Coding | None,
        classes: tuple[str, ...],
        ground: Ground,
    ) -> None:
        self.root, self.task, self.kind, self.form, self.ground = root, str(task), find_task(task), form, ground
        self.drawn, self.coding, self.classes = drawn, coding, classes
        self.policy = form.annotators or ("all" if self.task == "edges" else "first")
        allowed = {"segmentation": ("first", "vote"), "edges": ("first", "vote", "all")}.get(self.task, ("first",))
        if self.policy not in allowed:
            raise InputError(
                f'{FILE}: "annotators": "{self.policy}" is not for {self.task}; give one of {", ".join(allowed)}'
            )

    def read(self, item: Item, size: tuple[int, int]) -> np.ndarray:
        """The labels of an item that is (width, height), as its files have them, not turned."""
        if not item.labels:
            return np.full(size[::-1], self.background, np.uint8)
        maps = self.each(item, size)
        return maps[0] if len(maps) == 1 else _VOTES[self.policy](maps)

    def each(self, item: Item, size: tuple[int, int]) -> list[np.ndarray]:
        """The maps of an item's annotators: the first's alone unless more are wanted."""
        files = item.labels[:1] if self.policy == "first" else item.labels
        maps = [self._one(item, path, size) for path in files]
        for path, own in zip(files, maps, strict=True):
            if own.shape != maps[0].shape:
                raise InputError(
                    f"{path} is {own.shape[1]}x{own.shape[0]} and {files[0]} {maps[0].shape[1]}x{maps[0].shape[0]}; "
                    "the labels of one image must be of one size"
                )
        return maps

    def in_parts(self, item: Item) -> bool:
        """Whether no more of an item's labels is read than a block of it asks for."""
        if len(item.labels) != 1 or not (self.coding is not None or self.task in ("normals", "regression")):
            return False
        label = item.labels[0]
        drawn = is_layer(label) or label.suffix.lower() == ".json" or self.ground.is_elsewhere(item.image, label)
        return not drawn and stored_in_parts(self.root / label)

    @property
    def background(self) -> int:
        """What an area is that nothing is said of: the class background; of shapes unlabelled if there is none."""
        if "background" in self.classes:
            return self.classes.index("background")
        return UNLABELLED if self.coding is None else 0

    def _one(self, item: Item, label: PurePosixPath, size: tuple[int, int]) -> np.ndarray:
        path, block = self.root / label, item.block
        if is_layer(label):
            return self._burnt(item, size)
        if label.suffix.lower() == ".json":
            return self._painted(item, path, size)
        if self.coding is not None:
            return self.coding.decode(self.ground.stored(item, label), str(label))
        if self.task == "regression":
            return measurements(self.ground.stored(item, label, smooth=True), path, self.form)
        page = item.page_of(label)
        more: dict[str, Any] = {} if page is None else {"page": page}
        if self.task == "normals":
            return read_normals(path, self.form.normals, page, None if block is None else block.window)
        labels: np.ndarray = self.kind.read(path, **more)  # type: ignore[arg-type]
        labels = labels if block is None else labels[block.window]
        return 1 - labels if self.form.invert else labels

    def _painted(self, item: Item, path: Path, size: tuple[int, int]) -> np.ndarray:
        if item.drawn is not None:
            drawing = self.drawn[item.labels[0]].drawing(item.drawn, size)
        else:
            drawing = read_labelme(path, size, self.form.line_width)
        return paint(drawing, self.classes, self.background)

    def _burnt(self, item: Item, size: tuple[int, int]) -> np.ndarray:
        features = self.ground.features(item)
        ids = {
            name: class_id(Shape(class_name(name), (), str(item.labels[0])), self.classes, self.background)
            for name in set(features.classes)
        }
        block = item.block or Block(0, 0, *size[::-1])
        return features.burn(block.window, ids, self.background)


def measurements(stored: Stored, path: Path, form: Form) -> np.ndarray:
    """Stored values as float32 (H, W), scaled, NaN where there is no measurement by the form's word or the file's own.

    Raises InputError for infinite values that nobody has declared.
    """
    one_channel(stored.values, stored.mode, path, "a map of values")
    values = stored.values.astype(np.float64)
    for none in (*stored.nodata, *(form.nodata or ())):
        # A file of 32 bits holds the nearest number to what a tag of 64 bits, or a person, calls it.
        same = values == none if not np.isfinite(none) else np.isclose(values, none, rtol=1e-6, atol=0)
        values[same] = np.nan
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InputError(
            f"{path} is infinite in {infinite} pixels; if that means no measurement, say in {FILE} "
            '"nodata": ["inf", "-inf"]'
        )
    return (values * form.scale).astype(np.float32)


def vote(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Class ids (H, W) that most annotators gave, those who said something; the first's among equals."""
    stack = np.stack(maps)
    counts = np.stack([np.where(own == UNLABELLED, 0, (stack == own).sum(axis=0)) for own in stack])
    return np.take_along_axis(stack, counts.argmax(axis=0)[None], axis=0)[0]


def _share(maps: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(maps).mean(axis=0, dtype=np.float32)


def _vote(maps: Sequence[np.ndarray]) -> np.ndarray:
    if maps[0].dtype == np.uint8:
        return vote(maps)
    share = _share(maps)
    return np.where(np.isnan(share), share, (share >= HALF).astype(np.float32))


_VOTES: dict[str, Callable[[Sequence[np.ndarray]], np.ndarray]] = {"vote": _vote, "all": _share}
