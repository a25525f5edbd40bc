"""Small data for 2 cores: CamVid at half its size, NYUv2 and BSDS500 as they are, in files that are read at no cost.

They are written once, without compression, and stay in the system's memory from then on: a run decodes nothing.
All training images are kept, and 24 of val, evenly spread, which every run is scored on. Half size is the mean of
each 2x2 pixels of the image and the label of their first.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.dataset import evenly
from pixelnet.data.subset import Subset
from pixelnet.files import write_json
from pixelnet.tasks import find_task

SOURCES = {"segmentation": ("camvid", 2), "normals": ("nyudv2", 1), "edges": ("bsds500", 1)}
VAL = 24  # images


def small(task: str, data: Path, out: Path) -> str:
    """Write a task's data below `out`, unless it is there, and return how to open it.

    data: folder of the data sets as they were released.
    """
    name, factor = SOURCES[task]
    return write_folder(out / f"small-{name}", lambda: _train_and_val(name, task, data), factor)


def rooms(data: Path, out: Path) -> str:
    """NYUv2 with normals and 13 classes of the same images, written as `small` does."""

    def both() -> dict[str, list[Dataset]]:
        classes, normals = _train_and_val("nyudv2-13", "segmentation", data), _train_and_val("nyudv2", "normals", data)
        return {split: [*classes[split], *normals[split]] for split in classes}

    return write_folder(out / "small-rooms", both)


def _train_and_val(name: str, task: str, data: Path) -> dict[str, list[Dataset]]:
    spec = f"{name}:{data / name.removesuffix('-13')}"
    val = open_dataset(spec, task, "val")
    return {"train": [open_dataset(spec, task, "train")], "val": [Subset(val, evenly(len(val), VAL), "val")]}


def write_folder(folder: Path, splits: Callable[[], Mapping[str, Sequence[Dataset]]], factor: int = 1) -> str:
    """Write a `folder:` data set, unless it is there, and return how to open it.

    splits: gives the data of each split; several of one have the same images, and a task each.
    """
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        for split, members in splits().items():
            for dataset in members:
                write_split(dataset, factor, unfinished / split)
                if dataset.class_names:
                    write_json(unfinished / "dataset.json", {"classes": classes_of(dataset), "unlabelled": [255]})
        unfinished.rename(folder)
    return f"folder:{folder}"


def classes_of(dataset: Dataset) -> list[dict]:
    """As dataset.json has them."""
    colors = dataset.class_colors or (None,) * len(dataset.class_names)
    return [
        {"name": name, "value": k, "color": color}
        for k, (name, color) in enumerate(zip(dataset.class_names, colors, strict=True))
    ]


def write_split(dataset: Dataset, factor: int, folder: Path) -> None:
    """A data set's images and label maps, `factor` times smaller, as a split of a `folder:` data set."""
    images, targets = folder / "images", folder / find_task(dataset.task).folder
    for path in (images, targets):
        path.mkdir(parents=True, exist_ok=True)
    for item, name in enumerate(dataset.names):
        labels = stored(dataset.task_name, dataset.labels(item)[::factor, ::factor])
        Image.fromarray(dataset.image(item)).reduce(factor).save(images / f"{name}.bmp")
        Image.fromarray(labels).save(targets / f"{name}.png", compress_level=0)


def stored(task: str, labels: np.ndarray) -> np.ndarray:
    """Labels as an 8-bit PNG of a `folder:` data set holds them: class ids, n = 2 v / 255 - 1, or share x 255."""
    if task == "segmentation":
        return labels
    if task == "normals":
        return np.where(labels.any(-1, keepdims=True), ((labels + 1) * 127.5).round(), 0).astype(np.uint8)
    return (labels * 255).round().astype(np.uint8)
