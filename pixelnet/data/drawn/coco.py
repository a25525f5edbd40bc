"""COCO's JSON, one file for many images, as COCO is released and as CVAT, Roboflow and Label Studio export it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.config import read_json
from pixelnet.data.drawn.rasterize import fill
from pixelnet.data.drawn.runs import runs_of, unpack_runs
from pixelnet.data.drawn.shapes import (
    IGNORED,
    Drawing,
    DrawnFile,
    Shape,
    class_name,
    outline_of,
    size_of,
    text_of,
    understood,
)
from pixelnet.errors import InputError

ROBOFLOW = "_annotations.coco.json"

Record = dict[str, Any]


class Coco(DrawnFile):
    """A COCO file.

    categories: in the order of their ids; without one that only heads the others, as Roboflow exports it. images:
    the record of each, by its file_name. shapes: the annotations of each image.

    Raises:
        InputError: a record that is not of COCO's form, or refers to one that is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = read_json(path)
        with understood(str(path), "COCO's images, annotations and categories, three lists"):
            self.names = self.read_categories(content["categories"])
            self.images, keys = self.read_images(content["images"])
            self.shapes: dict[str, list[Record]] = {image: [] for image in self.images}
            for shape in content["annotations"]:
                self.check_annotation(shape, keys)
                self.shapes[keys[shape["image_id"]]].append(shape)
            used = {shape["category_id"] for shape in content["annotations"]}
            heads = {key for key in self.names.keys() - used if self.is_head(key, content["categories"])}
        classes = {key: name for key, name in self.names.items() if key not in heads and name not in IGNORED}
        self.categories = tuple(dict.fromkeys(classes.values()))
        self.used = tuple(dict.fromkeys(name for key, name in classes.items() if key in used))

    def read_categories(self, records: list[Record]) -> dict[int, str]:
        """Name by id, in the order of ids."""
        names: dict[int, str] = {}
        for record in records:
            key, name = key_of(record["id"]), class_name(record["name"])
            if key in names:
                raise InputError(f"{self.path} has the category {key} twice, {names[key]} and {name}; renumber one")
            names[key] = name
        return dict(sorted(names.items()))

    def read_images(self, records: list[Record]) -> tuple[dict[str, Record], dict[int | str, str]]:
        """The records of images by file_name, and the file_name of each image id."""
        images: dict[str, Record] = {}
        keys: dict[int | str, str] = {}
        for record in records:
            key, name = key_of(record["id"]), path_in(record["file_name"])
            if name in images or key in keys:
                raise InputError(f"{self.path} has two images called {name}, or of the id {key}; rename one")
            images[name], keys[key] = record, name
        return images, keys

    def check_annotation(self, shape: Record, keys: dict[int | str, str]) -> None:
        """Refuse an annotation of an image or category that is not there."""
        where = f"{self.path}: annotation {text_of(shape.get('id'))}"
        with understood(where, "an image_id and a category_id"):
            if key_of(shape["image_id"]) not in keys:
                raise InputError(
                    f"{where} is of image {text_of(shape['image_id'])}, which is not among its images; correct "
                    "image_id, or delete the annotation"
                )
            if key_of(shape["category_id"]) not in self.names:
                raise InputError(
                    f"{where} of {keys[shape['image_id']]} has the category {text_of(shape['category_id'])}, not among "
                    "categories; add it"
                )

    def is_head(self, key: int, categories: list[Record]) -> bool:
        """Whether a category that no annotation has only stands over the others.

        Roboflow puts the project's name there, with the id 0 and perhaps as the others' supercategory.
        """
        others = [record.get("supercategory") for record in categories if record["id"] != key]
        head = bool(others) and all(name == self.names[key] for name in others)
        return head or (key == 0 and self.path.name == ROBOFLOW)

    def drawing(self, image: str, size: tuple[int, int] | None = None) -> Drawing:
        """Larger shapes first, so that small ones stay visible; an outline's area counts beyond the image, too."""
        record = self.images[image]
        width, height = size_of((record.get("width"), record.get("height")), size, str(self.path), image)
        drawn = []
        for shape in self.shapes[image]:
            where = f"{self.path}: annotation {text_of(shape.get('id'))} of {image}"
            with understood(where, "a segmentation, polygons [x, y, x, y, ...] or run lengths"):
                crowd, segmentation = bool(shape.get("iscrowd", 0)), shape.get("segmentation")
                if isinstance(segmentation, dict):
                    area, parts = runs(segmentation, width, height, where)
                else:
                    area, parts = polygons(segmentation, where)
                drawn.append((area, Shape(self.names[shape["category_id"]], parts, where, crowd)))
        drawn.sort(key=lambda pair: -pair[0])
        return Drawing(width, height, [shape for _, shape in drawn])


def runs(segmentation: Record, width: int, height: int, where: str) -> tuple[float, Sequence[partial]]:
    """A shape's pixels and its parts, of run lengths."""
    if segmentation["size"] != [height, width]:
        raise InputError(f"{where}: run lengths of size {text_of(segmentation['size'])}, expected [{height}, {width}]")
    lengths = runs_of(segmentation["counts"], width * height, where)
    return float(lengths[1::2].sum()), [partial(unpack_runs, lengths)]


def polygons(segmentation: Any, where: str) -> tuple[float, Sequence[partial]]:
    """A shape's area and its parts, of polygons."""
    if not segmentation:
        raise InputError(
            f"{where} has no polygon, expected one of 3 points or more (a bbox says too little to learn pixels from); "
            "draw it, or delete it"
        )
    outlines = [outline_of(ring, where) for ring in segmentation]
    return sum(area_of(outline) for outline in outlines), [partial(fill, outline) for outline in outlines]


def area_of(outline: np.ndarray) -> float:
    """The area of a polygon (P, 2), by the shoelace formula."""
    (x0, y0), (x1, y1) = outline.T, np.roll(outline, -1, axis=0).T
    return abs(float((x0 * y1 - x1 * y0).sum())) / 2


def key_of(key: Any) -> Any:
    """An id as it is. Raises TypeError for what can be none."""
    if type(key) not in (int, str):
        raise TypeError(f"the id {text_of(key)}")
    return key


def path_in(file_name: Any) -> str:
    """The path of an image relative to the data, with /, as a file gives it. Raises TypeError."""
    if not isinstance(file_name, str) or not file_name:
        raise TypeError(f"the file_name {text_of(file_name)}")
    return file_name.replace("\\", "/").removeprefix("./")
