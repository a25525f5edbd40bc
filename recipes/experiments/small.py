"""Small data for 2 cores: CamVid at half its size, NYUv2 and BSDS500 as they are, in files that are read at no cost.

They are written once, without compression, and stay in the system's memory from then on: a run decodes nothing.
All training images are kept, and 24 of val, evenly spread, which every run is scored on. Half size is the mean of
each 2x2 pixels of the image and the label of their first.
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from pixelnet.data import Dataset, open_dataset
from pixelnet.files import write_json
from pixelnet.tasks import find_task

SOURCES = {"segmentation": ("camvid", 2), "normals": ("nyudv2", 1), "edges": ("bsds500", 1)}
VAL = 24  # images


def small(task: str, data: Path, out: Path) -> str:
    """Write a task's data below `out`, unless it is there, and return how to open it.

    data: folder of the data sets as they were released.
    """
    name, factor = SOURCES[task]
    folder = out / f"small-{name}"
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        for split in ("train", "val"):
            dataset = open_dataset(f"{name}:{data / name}", task, split)
            count = min(VAL, len(dataset)) if split == "val" else len(dataset)
            items = np.linspace(0, len(dataset) - 1, count).round().astype(int)
            write_split(dataset, items, factor, unfinished / split)
        if dataset.class_names:
            colors = dataset.class_colors or (None,) * len(dataset.class_names)
            classes = [
                {"name": name, "value": k, "color": color}
                for k, (name, color) in enumerate(zip(dataset.class_names, colors, strict=True))
            ]
            write_json(unfinished / "dataset.json", {"classes": classes, "unlabelled": [255]})
        unfinished.rename(folder)
    return f"folder:{folder}"


def write_split(dataset: Dataset, items: np.ndarray, factor: int, folder: Path) -> None:
    """Images and label maps of some items, `factor` times smaller, as a split of a `folder:` data set."""
    images, targets = folder / "images", folder / find_task(dataset.task).folder
    for path in (images, targets):
        path.mkdir(parents=True)
    for item in items:
        name, image = dataset.names[item], Image.fromarray(dataset.image(item))
        labels = stored(dataset.task_name, dataset.labels(item)[::factor, ::factor])
        image.reduce(factor).save(images / f"{name}.bmp")
        Image.fromarray(labels).save(targets / f"{name}.png", compress_level=0)


def stored(task: str, labels: np.ndarray) -> np.ndarray:
    """Labels as an 8-bit PNG of a `folder:` data set holds them: class ids, n = 2 v / 255 - 1, or share x 255."""
    if task == "segmentation":
        return labels
    if task == "normals":
        return np.where(labels.any(-1, keepdims=True), ((labels + 1) * 127.5).round(), 0).astype(np.uint8)
    return (labels * 255).round().astype(np.uint8)
