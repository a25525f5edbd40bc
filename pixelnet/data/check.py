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

from pixelnet.data.dataset import UNLABELLED, Dataset, Pairs, form_of
from pixelnet.errors import InputError
from pixelnet.files import write_png
from pixelnet.tasks import Task, make_task

T = TypeVar("T")
PANEL_HEIGHT = 240  # pixels, of each picture in the overlay


@dataclass
class Report:
    """What was found in a data set; `str()` gives it as text.

    form: what the data set is and holds on disk, and the first item's files. sizes: how many items have each (width,
    height). labels: shares of all pixels read (0..1) or, for real values, the values themselves. problems: one message
    each, empty for sound data.
    """

    source: str
    task: str
    split: str
    items: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    labels: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    form: str = ""

    def __str__(self) -> str:
        sizes = [f"{width}x{height} ({count})" for (width, height), count in self.sizes.most_common(5)]
        more = [f"and {len(self.sizes) - 5} more"] if len(self.sizes) > 5 else []
        width = max(map(len, self.labels), default=0)
        lines = [f"{self.source}, {self.task}, split {self.split}: {self.items} items"]
        lines += [self.form] if self.form else []
        lines += ["sizes: " + ", ".join(sizes + more)] if sizes else []
        lines += [f"  {name:{width}}  {value:.4g}{_bar(value, self.task)}" for name, value in self.labels.items()]
        lines += [f"{len(self.problems)} problems:" if self.problems else "no problems found"]
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])


def _bar(share: float, task: str) -> str:
    return f"{'':{max(1, 8 - len(f'{share:.4g}'))}}{'#' * round(40 * share)}" if task == "segmentation" else ""


class Item(NamedTuple):
    """What one item came to: its (width, height), its label counts, and what is wrong with it, each if known."""

    size: tuple[int, int] | None = None
    counts: np.ndarray | None = None
    problem: str | None = None


def check(dataset: Dataset) -> Report:
    """Read a whole data set and report on it. Problems are collected, not raised."""
    first = " with ".join(map(str, dataset.files(0) if len(dataset) else ()))
    form = form_of(type(dataset)) + (f"\n\nFirst item: {first}" if first else "")
    report = Report(dataset.source, dataset.task, dataset.split, len(dataset), form=f"\n{form}\n")
    items = list(walk(dataset, math.inf))
    report.sizes = Counter(item.size for item in items if item.size)
    counts = [item.counts for item in items if item.counts is not None]
    if counts:
        report.labels = SUMMARIES[dataset.task](np.stack(counts), dataset)
    report.problems = problems_of(items, dataset)
    return report


def find_problems(dataset: Dataset, seconds: float = 10.0) -> list[str]:
    """The problems found before training: every header, and the items, evenly mixed, that the time allows.

    Generated data (no files) is taken as sound. What no time was left for is still named when it is read.
    """
    if not len(dataset) or not dataset.files(0):
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
    if not problems and len(read) == len(dataset) and not any(counts[1] for counts in read):
        problems.append(f"{dataset.source}, split {dataset.split}, has no labelled pixel; check its label maps")
    return problems


def walk(dataset: Dataset, seconds: float) -> Iterator[Item]:
    """Every item in order: all headers first, then pixels and labels for as long as `seconds` lasts."""
    deadline = time.monotonic() + seconds
    headers = [Item()] * len(dataset)
    if isinstance(dataset, Pairs):
        headers = _map(lambda i: _tried(lambda: Item(dataset.header_size(i))), range(len(dataset)), "headers")

    def read(i: int) -> Item:
        if headers[i].problem or time.monotonic() > deadline:
            return headers[i]
        return _tried(lambda: _item(dataset, i))

    # In a fixed random order, so that whatever is read stands for the whole.
    order = np.random.default_rng(0).permutation(len(dataset))
    items = dict(zip(order.tolist(), _map(read, order.tolist(), "labels"), strict=True))
    return (items[i] for i in range(len(dataset)))


def _item(dataset: Dataset, i: int) -> Item:
    image, labels = dataset.image(i), dataset.labels(i)
    (height, width), label_shape = image.shape[:2], labels.shape[:2]
    if label_shape != (height, width):
        raise InputError(
            f"{dataset.source}: the labels of {dataset.names[i]} are {label_shape[1]}x{label_shape[0]} but its image "
            f"is {width}x{height}; resize the labels with nearest neighbour"
        )
    labelled = KNOWN[dataset.task](labels)
    counts = [labelled.size, labelled.sum(), *COUNTS[dataset.task](labels[labelled], len(dataset.classes))]
    return Item((width, height), np.array(counts, np.float64))


def _tried(item: Callable[[], Item]) -> Item:
    try:
        return item()
    except InputError as error:
        return Item(problem=str(error))


def _map(function: Callable[[int], T], items: list[int] | range, what: str) -> list[T]:
    """function of each item, in threads (decoders release the interpreter), with a bar if it takes a while."""
    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(function, items), f"checking {what}", len(items), delay=2, leave=False))


# Where a label map says something: the data's convention. (A task may train on less: edges leaves doubtful shares out.)
KNOWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "segmentation": lambda ids: ids != UNLABELLED,
    "edges": lambda share: ~np.isnan(share),
    "normals": lambda normals: (normals[..., 0] != 0) | (normals[..., 1] != 0) | (normals[..., 2] != 0),
    "regression": lambda values: ~np.isnan(values),
}
# What is counted of an item's labelled pixels (M,) or (M, 3), after the number of pixels and of labelled ones.
COUNTS: dict[str, Callable[[np.ndarray, int], list | np.ndarray]] = {
    "segmentation": lambda ids, classes: np.bincount(ids, minlength=classes),
    "edges": lambda share, _: [share.sum(dtype=np.float64), (share > 0).sum(), (share >= 0.5).sum()],
    "normals": lambda normals, _: [*np.ones(len(normals)) @ normals, (normals[:, 2] > 0).sum()],
    "regression": lambda values, _: [
        values.sum(dtype=np.float64), values.min(initial=np.inf), values.max(initial=-np.inf)
    ],
}  # fmt: skip


def _summary(names: tuple[str, ...], sums: np.ndarray, denominator: float) -> dict[str, float]:
    """Counts over the pixels they are a share of, with the share of unlabelled pixels last."""
    shares = {name: float(value) / max(denominator, 1) for name, value in zip(names, sums[2:], strict=True)}
    return {**shares, "unlabelled": 1 - float(sums[1]) / max(float(sums[0]), 1)}


def _values(counts: np.ndarray, _: Dataset) -> dict[str, float]:
    sums = counts[:, :3].sum(axis=0)
    extremes = {"smallest": float(counts[:, 3].min()), "largest": float(counts[:, 4].max())}
    return {**(extremes if sums[1] else {}), **_summary(("mean",), sums, sums[1])}


EDGES = ("mean share of annotators", "pixels any annotator drew", "pixels half of them drew")
NORMALS = ("mean x (right)", "mean y (down)", "mean z (into the scene)", "z > 0 (few: normals face the camera)")
SUMMARIES: dict[str, Callable[[np.ndarray, Dataset], dict[str, float]]] = {
    "segmentation": lambda counts, data: _summary(data.classes, sums := counts.sum(axis=0), sums[0]),
    "edges": lambda counts, _: _summary(EDGES, sums := counts.sum(axis=0), sums[1]),
    "normals": lambda counts, _: _summary(NORMALS, sums := counts.sum(axis=0), sums[1]),
    "regression": _values,
}


def overlay(dataset: Dataset, path: str | Path, count: int = 4) -> None:
    """Write a PNG of `count` items spread over the data: images above, their labels painted over them below.

    Unlabelled pixels show the image alone; items that cannot be read are left out. Raises InputError if that is
    all of them.
    """
    task, panels = make_task(dataset.task, len(dataset.classes) or None, dataset.classes, dataset.colours), []
    for i in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int).tolist():
        try:
            panels.append(_panel(dataset.image(i), dataset.labels(i), task))
        except InputError:
            continue
    if not panels:
        raise InputError(f"{dataset.source}: no item could be drawn; mend the problems that `pixelnet check` lists")
    write_png(path, np.concatenate(panels, axis=1))


def _panel(image: np.ndarray, labels: np.ndarray, task: Task) -> np.ndarray:
    """An image above its labels, uint8 (2 PANEL_HEIGHT, W, 3)."""
    mixed = (image.astype(np.uint16) + task.paint(labels) + 1) // 2
    over = np.where(KNOWN[task.name](labels)[..., None], mixed, image).astype(np.uint8)
    size = (max(1, round(PANEL_HEIGHT * image.shape[1] / image.shape[0])), PANEL_HEIGHT)
    return np.concatenate([np.asarray(Image.fromarray(part).resize(size)) for part in (image, over)])
