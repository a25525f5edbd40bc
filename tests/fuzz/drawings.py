"""Folders of one's own: drawn shapes, and files that say what the classes are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixelnet import open_dataset
from pixelnet.data.check import check
from tests.fuzz.mutate import json_text

SQUARE = [[2, 2], [9, 2], [9, 8], [2, 8]]
LABELME: dict[str, Any] = {
    "version": "5.5.0", "flags": {}, "imagePath": "a.png", "imageData": None, "imageHeight": 12, "imageWidth": 16,
    "shapes": [
        {"label": "car", "points": SQUARE, "shape_type": "polygon", "group_id": None, "flags": {}},
        {"label": "road", "points": SQUARE[::2], "shape_type": "rectangle", "group_id": None, "flags": {}},
        {"label": "__ignore__", "points": SQUARE[:2], "shape_type": "circle", "group_id": 1, "flags": {}},
        {"label": 3, "points": SQUARE[:3], "shape_type": "linestrip", "group_id": None, "flags": {}},
        {"label": "mast", "points": SQUARE[:1], "shape_type": "point", "group_id": None, "flags": {}},
    ],
}  # fmt: skip
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 16, "height": 12}],
    "categories": [{"id": 1, "name": "car"}, {"id": 7, "name": "road", "supercategory": "none"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 9, 2, 9, 8, 2, 8]], "iscrowd": 0,
         "bbox": [2, 2, 7, 6], "area": 42},
        {"id": 2, "image_id": 1, "category_id": 7, "iscrowd": 1,
         "segmentation": {"counts": [20, 30, 142], "size": [12, 16]}},
        {"id": 3, "image_id": 1, "category_id": 7, "iscrowd": 0,
         "segmentation": {"counts": "d0n0^4", "size": [12, 16]}},
    ],
}  # fmt: skip
STUDIO: Any = [
    {"id": 1, "image": "a.png", "data": {"image": "a.png"}, "annotations": [{"id": 1, "result": [
        {"type": "polygonlabels", "original_width": 16, "original_height": 12, "from_name": "label", "to_name": "image",
         "value": {"points": [[10, 10], [60, 10], [60, 70]], "polygonlabels": ["car"], "closed": True}},
        {"type": "rectanglelabels", "original_width": 16, "original_height": 12, "from_name": "l", "to_name": "image",
         "value": {"x": 10, "y": 10, "width": 30, "height": 20, "rotation": 0, "rectanglelabels": ["road"]}},
        {"type": "brushlabels", "original_width": 16, "original_height": 12, "from_name": "l", "to_name": "image",
         "value": {"format": "rle", "rle": [0, 0, 3, 0, 74, 236], "brushlabels": ["mast"]}},
    ]}]},
]  # fmt: skip
DATASET: dict[str, Any] = {
    "task": "segmentation", "images": "images/*.png", "labels": "labels/{path}.png",
    "splits": {"train": "a*", "val": "b*"}, "group": "^(.)",
    "classes": [{"name": "sky", "value": 0}, {"name": "road", "values": [1]}, {"name": "car", "value": 2}],
    "unlabelled": [255], "threshold": None, "missing_labels": "refuse", "annotators": "first",
    "channels": ["red", "green", "blue"], "range": "type", "axes": "YXC", "orientation": "exif",
}  # fmt: skip
PLACES: dict[str, tuple[str, Any]] = {
    "labelme": ("labels/a.json", LABELME),
    "coco": ("labels.json", COCO),
    "cvat": ("annotations/instances_default.json", COCO),
    "label-studio": ("result.json", STUDIO),
    "dataset": ("dataset.json", DATASET),
}


def of(kind: str) -> Callable[[np.random.Generator, Path], Callable[[], object]]:
    """A folder of pictures, and one broken file of a kind."""
    name, tree = PLACES[kind]

    def make(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
        (folder / "images").mkdir()
        Image.new("RGB", (16, 12), (50, 60, 70)).save(folder / "images" / "a.png")
        if kind == "dataset":
            (folder / "labels").mkdir()
            ids = Image.fromarray(np.arange(16 * 12, dtype=np.uint8).reshape(12, 16) % 3)
            for stem in "ab":
                Image.new("RGB", (16, 12)).save(folder / "images" / f"{stem}.png")
                ids.save(folder / "labels" / f"{stem}.png")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(json_text(rng, tree))
        return lambda: str(check(open_dataset(f"folder:{folder}", "segmentation")))

    return make
