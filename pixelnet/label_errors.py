"""Which labels does a model contradict most surely? Those that are wrong come first, and a person looks at few.

A region is of neighboring pixels of one label that the model calls one other thing. It weighs its pixels by how much
likelier the model finds what it says than what the label says; so large and sure comes before small or unsure.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from tqdm import tqdm

from pixelnet.data.dataset import Dataset
from pixelnet.data.images import view_of
from pixelnet.errors import InputError
from pixelnet.files import require_writable, write_png
from pixelnet.inference.methods import model_answers, of_one_task
from pixelnet.metrics.angles import angular_errors
from pixelnet.model import PixelNet
from pixelnet.runs.hub import load
from pixelnet.tasks import Task

SURE = 0.5  # of a class: how much likelier than the label
ANGLE, SHARE = 60.0, 0.5  # of normals: degrees off; of values: the difference as a share of the larger
SMALLEST = 3  # pixels across: borders are never exact
LISTED, SHOWN = 20, 4  # regions, in words and in pictures
PANEL = 160  # pixels, the height of a picture
MARGIN = 0.5  # of a region's own extent, shown around it


@dataclass(frozen=True)
class Suspect:
    """A region whose label a model contradicts.

    item, name: of its image. box: (left, top, right, bottom) in pixels, the last two not in it. pixels: their number.
    doubt: their number, each weighed by how sure the model is against it. words: what the label and the model say.
    """

    item: int
    name: str
    box: tuple[int, int, int, int]
    pixels: int
    doubt: float
    words: str

    def __str__(self) -> str:
        left, top, right, bottom = self.box
        place = f"x {left}..{right - 1}, y {top}..{bottom - 1}"
        return f"{self.name}: {place}: {self.words} ({self.pixels} pixels, doubt {self.doubt:.0f})"


def label_errors(model: PixelNet | str | Path, dataset: Dataset) -> list[Suspect]:
    """The regions whose labels a model contradicts, most surely first.

    Of segmentation by probability; of normals and values where they are far off, weighed by how far.
    Raises InputError for edges, whose lines are never exact, and for a model that does not go with the data.
    """
    loaded = of_one_task(load(model) if isinstance(model, str | Path) else model, dataset.task_name)
    judge, answer = model_answers(loaded, dataset, False)
    _require(judge)
    found = []
    for i in tqdm(range(len(dataset)), "asking the model", unit="image", delay=2, leave=False):
        found += _suspects(judge, i, dataset.names[i], answer(i), dataset.labels(i))
    return sorted(found, key=lambda one: -one.doubt)


def check_labels(model: PixelNet | str | Path, dataset: Dataset, picture: str | Path | None = None) -> str:
    """The first of `label_errors` in words; the very first of them in a picture (.png) if it is asked for."""
    if picture is not None:
        require_writable(picture)
    found = label_errors(model, dataset)
    if not found:
        return f"{model} contradicts no label surely"
    lines = [f"labels that {model} contradicts most surely, {len(found)} in all; look at them:"]
    lines += [f"  {one}" for one in found[:LISTED]]
    if picture is not None:
        _draw(model, dataset, found[:SHOWN], picture)
        lines.append(f"the first of them, image, label and model below each other: {picture}")
    return "\n".join(lines)


def _require(task: Task) -> None:
    if not task.categorical and task.name not in ("normals", "regression"):
        raise InputError(
            f"--model finds wrong labels of segmentation, normals and regression; {task.name} has no region that "
            "could be wrong as a whole: look at the worst images of `pixelnet evaluate --csv`"
        )


def _suspects(task: Task, item: int, name: str, answer: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    doubt, kinds = _doubts(task, answer, labels)
    found = []
    for kind in np.unique(kinds[doubt > 0]).tolist():
        mask = ndimage.binary_opening((kinds == kind) & (doubt > 0), np.ones((SMALLEST, SMALLEST)))
        regions, count = ndimage.label(mask)
        weights = ndimage.sum_labels(doubt, regions, range(1, count + 1))
        pixels = np.bincount(regions.ravel(), minlength=count + 1)[1:]
        for place, (rows, columns) in enumerate(ndimage.find_objects(regions)):
            inside = regions[rows, columns] == place + 1
            words = _words(task, kind, answer[rows, columns][inside], labels[rows, columns][inside])
            box = columns.start, rows.start, columns.stop, rows.stop
            found.append(Suspect(item, name, box, int(pixels[place]), float(weights[place]), words))
    return found


def _doubts(task: Task, answer: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How surely each pixel's label is contradicted, 0..1 (H, W), and by what: pixels of one number belong together."""
    known = task.labelled(labels)
    if task.categorical:
        said, own = answer.argmax(axis=-1), np.where(known, labels, 0).astype(np.int64)
        likelier = answer.max(axis=-1) - np.take_along_axis(answer, own[..., None], axis=-1)[..., 0]
        return np.where(known & (likelier > SURE), likelier, 0), own * answer.shape[-1] + said
    doubt = np.zeros(known.shape)
    if task.name == "normals":
        off, least = angular_errors(answer[known][None], labels[known][None]).ravel() / 180, ANGLE / 180
    else:
        ours, theirs = answer[known], labels[known]
        larger = np.maximum(np.abs(ours), np.abs(theirs))
        off, least = np.divide(np.abs(ours - theirs), larger, out=np.zeros_like(larger), where=larger > 0), SHARE
    doubt[known] = np.where(off > least, off, 0)
    return np.minimum(doubt, 1), np.zeros(known.shape, np.int64)


def _words(task: Task, kind: int, answer: np.ndarray, labels: np.ndarray) -> str:
    if task.categorical:
        names = task.class_names or tuple(map(str, range(answer.shape[-1])))
        own, said = divmod(kind, answer.shape[-1])
        return f"labelled {names[own]}, the model says {names[said]}"
    if task.name == "normals":
        return f"{angular_errors(answer[None], labels[None]).mean():.0f} degrees from what the model says"
    return f"labelled {np.median(labels):.4g}, the model says {np.median(answer):.4g}"


def _draw(model: PixelNet | str | Path, dataset: Dataset, suspects: list[Suspect], path: str | Path) -> None:
    """A column for each region: its surroundings in the image with its box, as labelled, and as the model says."""
    loaded = of_one_task(load(model) if isinstance(model, str | Path) else model, dataset.task_name)
    judge, answer = model_answers(loaded, dataset, False)
    columns = []
    for one in suspects:
        left, top, right, bottom = one.box
        across, down = (max(16, round(MARGIN * length)) for length in (right - left, bottom - top))
        image, labels, said = dataset.image(one.item), dataset.labels(one.item), answer(one.item)
        window = slice(max(0, top - down), bottom + down), slice(max(0, left - across), right + across)
        said = said.argmax(axis=-1) if judge.categorical else said
        seen = view_of(image, dataset.ranges, dataset.channels)
        pictures = [seen[window], judge.paint(labels[window]), judge.paint(said[window])]
        size = max(1, round(PANEL * pictures[0].shape[1] / pictures[0].shape[0])), PANEL
        shown = [Image.fromarray(picture).resize(size, Image.Resampling.NEAREST) for picture in pictures]
        zoom = np.array(size) / pictures[0].shape[1::-1]
        first = np.array([left - window[1].start, top - window[0].start]) * zoom
        last = np.array([right - window[1].start, bottom - window[0].start]) * zoom - 1
        ImageDraw.Draw(shown[0]).rectangle([*first.tolist(), *last.tolist()], outline=(255, 0, 0), width=2)
        columns.append(np.concatenate([np.asarray(picture) for picture in shown]))
    write_png(path, np.concatenate(columns, axis=1))
