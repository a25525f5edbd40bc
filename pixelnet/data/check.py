"""Is my data what the library thinks? One walk over a data set, shared by `pixelnet check` and by training.

Sizes are compared from file headers for every item (about 0.1 ms each); pixels and labels are then read in
full, all of them by `check`, those that ten seconds allow by training. On two cores that is the whole of CamVid's,
NYUv2's or BSDS500's training split.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from pixelnet.data.dataset import Dataset, evenly, form_of, input_files, task_of
from pixelnet.data.folder import Folder
from pixelnet.data.folder.form import FILE, to_text
from pixelnet.data.folder.proposed import proposed_form
from pixelnet.data.images import view_of
from pixelnet.errors import InputError
from pixelnet.files import require_apart, write_png
from pixelnet.metrics.sparse import Counts
from pixelnet.tasks import Task

T = TypeVar("T")
WAITING = 1024  # items that are given to threads at once
PANEL_HEIGHT = 240  # pixels, of each picture in the overlay


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
    items = list(walk(dataset, math.inf))
    report.sizes = Counter(item.size for item in items if item.size)
    counts = [item.counts for item in items if item.counts is not None]
    if counts:
        report.labels = task.summarize({name: np.stack([own[name] for own in counts]) for name in counts[0]})
    report.problems = problems_of(items, dataset)
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
    return problems_of(list(walk(dataset, seconds)), dataset)


def validate(dataset: Dataset, seconds: float = 10.0) -> None:
    """Raise InputError with the first problems that `find_problems` finds, if any."""
    problems = find_problems(dataset, seconds)
    if problems:
        more = [f"({len(problems) - 5} more problems; `pixelnet check` lists them all)"] if len(problems) > 5 else []
        raise InputError("\n".join(problems[:5] + more))


def problems_of(items: list[Item], dataset: Dataset) -> list[str]:
    problems = [item.problem for item in items if item.problem]
    read = [item.counts for item in items if item.counts is not None]
    if not problems and len(read) == len(dataset) and not any(counts["labelled"] for counts in read):
        problems.append(f"{dataset.source}, split {dataset.split}, has no labelled pixel; check its label maps")
    return problems


def walk(dataset: Dataset, seconds: float) -> Iterator[Item]:
    """Every item in order: all headers first, then pixels and labels for as long as `seconds` lasts."""
    deadline = time.monotonic() + seconds
    headers = [Item()] * len(dataset)
    if dataset.files(0):  # whose sizes headers tell
        headers = _map(lambda i: _tried(lambda: Item(dataset.size(i))), range(len(dataset)), "headers")
    task = task_of(dataset)

    def read(i: int) -> Item:
        if headers[i].problem or time.monotonic() > deadline:
            return headers[i]
        return _tried(lambda: _item(dataset, task, i))

    # In a fixed random order, so that whatever is read stands for the whole.
    order = np.random.default_rng(0).permutation(len(dataset))
    # A data set of somebody's own need not stand threads; one of files does.
    threads = None if dataset.files(0) else 1
    items = dict(zip(order.tolist(), _map(read, order.tolist(), "labels", threads), strict=True))
    return (items[i] for i in range(len(dataset)))


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


def _map(function: Callable[[int], T], items: list[int] | range, what: str, threads: int | None = None) -> list[T]:
    """function of each item, in threads (decoders release the interpreter), with a bar if it takes a while."""
    with ThreadPoolExecutor(threads) as pool:
        # Some at a time: what waits for its turn takes more memory than what comes of it.
        parts = (items[first : first + WAITING] for first in range(0, len(items), WAITING))
        done = (one for part in parts for one in pool.map(function, part))
        try:
            return list(tqdm(done, f"checking {what}", len(items), delay=2, leave=False))
        except BaseException:  # Ctrl-C, say: what has not begun is not waited for
            pool.shutdown(cancel_futures=True)
            raise


def overlay(dataset: Dataset, path: str | Path, count: int = 4) -> None:
    """Write a PNG of `count` items spread over the data: images above, their labels painted over them below.

    Unlabelled pixels show the image alone; items that cannot be read are left out. Raises InputError if that is
    all of them, and for a path that is one of the data's files.
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
    mixed = (image.astype(np.uint16) + task.paint(labels) + 1) // 2
    over = np.where(task.known(labels)[..., None], mixed, image).astype(np.uint8)
    size = (max(1, round(PANEL_HEIGHT * image.shape[1] / image.shape[0])), PANEL_HEIGHT)
    return np.concatenate([np.asarray(Image.fromarray(part).resize(size)) for part in (image, over)])
