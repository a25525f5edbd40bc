"""Is my data what the library thinks? One walk over a data set, shared by `pixelnet check` and by training.

Sizes are compared from file headers for every item (about 0.1 ms each); pixels and labels are then read in
full, all of them by `check`, those that ten seconds allow by training. On two cores that is the whole of CamVid's,
NYUv2's or BSDS500's training split.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from pixelnet.data.dataset import Dataset, evenly, form_of, input_files, task_of
from pixelnet.data.folder import Folder
from pixelnet.data.folder.form import FILE, to_text
from pixelnet.data.folder.proposed import proposed_form
from pixelnet.data.images import view_of
from pixelnet.data.table import PointTable
from pixelnet.data.threads import WAITING, in_threads
from pixelnet.errors import InputError
from pixelnet.files import require_apart, write_png
from pixelnet.metrics.sparse import Counts
from pixelnet.tasks import Task

PANEL_HEIGHT = 240  # pixels, of each picture in the overlay
THIN = 5  # pixels of the overlay: what is labelled in strokes no wider is drawn opaque
FEW = 4  # pixels of an image that lie together, and are drawn as a dot
STROKE, DOT = 1.5, 3.0  # radii in pixels of the overlay
BLACK, WHITE = np.zeros(3, np.uint8), np.full(3, 255, np.uint8)


@dataclass
class Report:
    """What was found in a data set; `str()` gives it as text.

    form: what the data set is and holds on disk, and the first item's files. sizes: how many items have each (width,
    height). labels: shares of all pixels read (0..1) or, for real values, the values themselves. notes: what was taken
    and what left aside. questions: what only a person can know. problems: one message each, empty for sound data.
    """

    source: str
    task: Task
    split: str
    items: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    labels: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    form: str = ""
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        sizes = [f"{width}x{height} ({count})" for (width, height), count in self.sizes.most_common(5)]
        more = [f"and {len(self.sizes) - 5} more"] if len(self.sizes) > 5 else []
        width = max(map(len, self.labels), default=0)
        lines = [f"{self.source}, {self.task}, split {self.split}: {self.items} items"]
        lines += [self.form] if self.form else []
        lines += ["sizes: " + ", ".join(sizes + more)] if sizes else []
        lines += [f"  {name:{width}}  {value:.4g}{self._bar(value)}" for name, value in self.labels.items()]
        lines += [f"note: {note}" for note in self.notes] + [f"is it so? {question}" for question in self.questions]
        asked = {0: "", 1: ", one question above"}.get(len(self.questions), f", {len(self.questions)} questions above")
        lines += [f"{len(self.problems)} problems{asked}:" if self.problems else f"no problems found{asked}"]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])

    def _bar(self, value: float) -> str:
        """Of classes, whose numbers are shares of all pixels."""
        if not self.task.categorical:
            return ""
        return f"{'':{max(1, 8 - len(f'{value:.4g}'))}}{'#' * round(40 * value)}"


class Item(NamedTuple):
    """What one item came to: its (width, height), its label counts, and what is wrong with it, each if known."""

    size: tuple[int, int] | None = None
    counts: Counts | None = None
    problem: str | None = None


def check(dataset: Dataset) -> Report:
    """Read a whole data set and report on it. Problems are collected, not raised."""
    first = " with ".join(map(str, dataset.files(0) if len(dataset) else ()))
    form = form_of(type(dataset))
    if isinstance(dataset, Folder):
        form = f"What was found, as {FILE} says it (--write keeps it):\n\n{to_text(proposed_form(dataset)).strip()}"
    if isinstance(dataset, PointTable):
        form = dataset.told()
    task = task_of(dataset)
    report = Report(
        dataset.source,
        task,
        dataset.split,
        len(dataset),
        form=f"\n{form}\n" + (f"\nFirst item: {first}\n" if first else ""),
        notes=[*dataset.notes, *(_notes_of_folder(dataset) if isinstance(dataset, Folder) else ())],
        questions=list(dataset.questions),
    )
    found = _found(dataset, task, math.inf)
    report.sizes = Counter({size: found.sizes[size] for size in sorted(found.sizes, key=found.first.__getitem__)})
    if found.counts:
        report.labels = task.summarize(_stacked(found.counts))
    report.problems = found.problems(dataset)
    return report


def _notes_of_folder(data: Folder) -> list[str]:
    """What only `check` says: files that were passed over, and what the pictures look like."""
    top_down = [
        "these look like pictures without an up (microscope, retina, aerial): train with --augment top-down, or keep "
        f'"augment": "top-down" in {FILE}'
    ]
    return [*data.survey.passed_over, *(top_down if data.seems_top_down else [])]


def find_problems(dataset: Dataset, seconds: float = 10.0) -> list[str]:
    """The problems found before training: every header, and the items, evenly mixed, that the time allows.

    Generated data is taken as sound. What no time was left for is still named when it is read.
    """
    if not len(dataset) or dataset.generated:
        return []
    return _found(dataset, task_of(dataset), seconds).problems(dataset)


def validate(dataset: Dataset, seconds: float = 10.0) -> None:
    """Raise InputError with the first problems that `find_problems` finds, if any."""
    problems = find_problems(dataset, seconds)
    if problems:
        more = [f"({len(problems) - 5} more problems; `pixelnet check` lists them all)"] if len(problems) > 5 else []
        raise InputError("\n".join(problems[:5] + more))


@dataclass
class Found:
    """What a walk came to, in little memory. Items are known by their numbers.

    sizes: how many items have each. first: the first of them. counts: of labels, (I, ...) each, of some items together
    (`Task.pool`). read: how many labels were read. labelled: whether any pixel of them is. faults: what is wrong.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    first: dict[tuple[int, int], int] = field(default_factory=dict)
    counts: list[Counts] = field(default_factory=list)
    read: int = 0
    labelled: bool = False
    faults: dict[int, str] = field(default_factory=dict)

    def add(self, i: int, item: Item, task: Task) -> None:
        if item.problem is not None:
            self.faults[i] = item.problem
        if item.size is not None:
            self.sizes[item.size] += 1
            self.first[item.size] = min(i, self.first.get(item.size, i))
        if item.counts is not None:
            self.read, self.labelled = self.read + 1, self.labelled or bool(item.counts["labelled"])
            self.counts.append({name: own[None] for name, own in item.counts.items()})
            if len(self.counts) > WAITING:
                self.counts = [task.pool(_stacked(self.counts))]

    def problems(self, dataset: Dataset) -> list[str]:
        """In the items' order."""
        if not self.faults and self.read == len(dataset) and not self.labelled:
            return [f"{dataset.source}, split {dataset.split}, has no labelled pixel; check its label maps"]
        return [self.faults[i] for i in sorted(self.faults)]


def _stacked(counts: list[Counts]) -> Counts:
    return {name: np.concatenate([own[name] for own in counts]) for name in counts[0]}


def _found(dataset: Dataset, task: Task, seconds: float) -> Found:
    found = Found()
    for i, item in walk(dataset, task, seconds):
        found.add(i, item, task)
    return found


def walk(dataset: Dataset, task: Task, seconds: float) -> Iterator[tuple[int, Item]]:
    """Every item, with its number: all headers first, then pixels and labels for as long as `seconds` lasts."""
    deadline, count = time.monotonic() + seconds, len(dataset)
    faults: dict[int, str] = {}
    if dataset.files(0):  # whose sizes headers tell
        headers = in_threads(lambda i: _tried(lambda: Item(dataset.size(i))), range(count), count, "checking headers")
        faults = {i: item.problem for i, item in enumerate(headers) if item.problem is not None}

    def read(i: int) -> Item:
        if i in faults or time.monotonic() > deadline:
            return Item(problem=faults.get(i))
        return _tried(lambda: _item(dataset, task, i))

    # In a fixed random order, so that whatever is read stands for the whole.
    order = np.random.default_rng(0).permutation(count)
    # A data set of somebody's own need not stand threads; one of files does.
    threads = None if dataset.files(0) else 1
    yield from zip(map(int, order), in_threads(read, map(int, order), count, "checking labels", threads), strict=True)


def _item(dataset: Dataset, task: Task, i: int) -> Item:
    image, labels = dataset.image(i), dataset.labels(i)
    (height, width), label_shape = image.shape[:2], labels.shape[:2]
    if label_shape != (height, width):
        raise InputError(
            f"{dataset.source}: the labels of {dataset.names[i]} are {label_shape[1]}x{label_shape[0]} but its image "
            f"is {width}x{height}; resize the labels with nearest neighbor"
        )
    wanted = (height, width) if task.label_width == 1 else (height, width, task.label_width)
    if labels.shape != wanted:
        raise InputError(
            f"{dataset.source}: the labels of {dataset.names[i]} are an array {labels.shape}, expected {wanted} for "
            f"{task}"
        )
    known = task.known(labels)
    counts = {"pixels": np.array(known.size), "labelled": np.array(known.sum()), **task.count_labels(labels[known])}
    return Item((width, height), counts)


def _tried(item: Callable[[], Item]) -> Item:
    try:
        return item()
    except InputError as error:
        return Item(problem=str(error))


def overlay(dataset: Dataset, path: str | Path, count: int = 4) -> None:
    """Write a PNG of `count` items spread over the data: images above, their labels painted over them below.

    Unlabelled pixels show the image alone. Strokes that would hardly be seen are opaque, and single pixels dots. Items
    that cannot be read are left out. Raises InputError if that is all of them, and for a path that is one of the data's
    files.
    """
    require_apart({"--overlay": path}, input_files(dataset))
    task, panels = task_of(dataset), []
    for i in evenly(len(dataset), count):
        try:
            panels.append(_panel(view_of(dataset.image(i), dataset.ranges, dataset.channels), dataset.labels(i), task))
        except InputError:
            continue
    if not panels:
        raise InputError(f"{dataset.source}: no item could be drawn; mend the problems that `pixelnet check` lists")
    write_png(path, np.concatenate(panels, axis=1))


def _panel(image: np.ndarray, labels: np.ndarray, task: Task) -> np.ndarray:
    """An image, uint8 (H, W, 3), above its labels, uint8 (2 PANEL_HEIGHT, W, 3)."""
    known, colors = task.known(labels), task.paint(labels)
    mixed = (image.astype(np.uint16) + colors + 1) // 2
    over = np.where(known[..., None], mixed, image).astype(np.uint8)
    size = (max(1, round(PANEL_HEIGHT * image.shape[1] / image.shape[0])), PANEL_HEIGHT)
    above, below = (np.array(Image.fromarray(part).resize(size)) for part in (image, over))
    _draw_thin(below, known, colors)
    return np.concatenate([above, below])


def _draw_thin(picture: np.ndarray, known: np.ndarray, colors: np.ndarray) -> None:
    """Draw what is labelled in thin strokes and single pixels, opaque and large enough to be seen, into a picture.

    picture: uint8 (h, w, 3), of any size. known, colors: bool (H, W) and uint8 (H, W, 3), of the image.
    """
    zoom = picture.shape[0] / known.shape[0]
    wide = ndimage.grey_opening(known.astype(np.uint8), max(2, math.ceil(THIN / zoom)), mode="constant")
    thin = known & (wide == 0)
    together, _ = ndimage.label(thin, np.ones((3, 3)))
    few = np.bincount(together.ravel())[together] <= FEW
    for chosen, radius, rings in (
        (thin & ~few, STROKE, ((1, BLACK),)),
        (thin & few, DOT, ((2, BLACK), (1, WHITE))),
    ):
        rows, columns = np.nonzero(chosen)
        centers = (np.stack([rows, columns], axis=1) + 0.5) * (np.array(picture.shape[:2]) / known.shape) - 0.5
        for more, color in (*rings, (0, colors[rows, columns])):
            _stamp(picture, centers, max(radius, zoom / 2) + more, color)


def _stamp(picture: np.ndarray, centers: np.ndarray, radius: float, colors: np.ndarray) -> None:
    """Discs at centers (N, 2), (y, x), of one color (3,) or of each its own (N, 3)."""
    reach = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
    for down in reach:
        for across in reach[np.hypot(down, reach) <= radius]:
            y, x = np.rint(centers).astype(int).T + np.array([[down], [across]])
            inside = (y >= 0) & (y < picture.shape[0]) & (x >= 0) & (x < picture.shape[1])
            picture[y[inside], x[inside]] = colors[inside] if colors.ndim == 2 else colors
