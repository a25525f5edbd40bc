"""Label Studio's JSON export, one file for many images: a list of tasks, each with the annotations of its people.

Coordinates are percent of the image's width and height; angles are degrees clockwise, about the corner (x, y) of a
rectangle and the center of an ellipse. Source: Label Studio's documentation of its tags' results.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from pixelnet.config import read_json
from pixelnet.data.drawn.labelme import LINE_WIDTH
from pixelnet.data.drawn.rasterize import corners, ellipse, fill, stroke, turned
from pixelnet.data.drawn.runs import unpack_brush
from pixelnet.data.drawn.shapes import (
    IGNORED,
    Drawing,
    DrawnFile,
    Patch,
    Shape,
    class_name,
    outline_of,
    points_of,
    size_of,
    text_of,
    understood,
)
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS

GEOMETRY = ("polygon", "rectangle", "ellipse", "brush", "keypoint")
UNKNOWN = ("bitmask", "vector")  # drawn, too, but of forms that are not read here

Record = dict[str, Any]


class LabelStudio(DrawnFile):
    """A JSON export of Label Studio (not JSON-MIN, which leaves out who drew what).

    Of several annotations of one image the last counts that was not cancelled; models' predictions do not.

    categories: sorted. images: the regions of each, in their order. A key is the last part of the image's path, or
    the whole of it where two end alike; Label Studio's uploads have a prefix, see `without_prefix`.

    Raises:
        InputError: what is not of the export's form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        tasks, places = read_json(path, kind=list), []
        for k, task in enumerate(tasks):
            with understood(f"{path}: task {k}", "data with the image's path, and a list of annotations"):
                if "annotation_id" in task:
                    raise InputError(f"{path} is Label Studio's form JSON-MIN; export it as JSON, or as COCO")
                places.append(image_of(task["data"]))
        last = Counter(PurePosixPath(place).name for place in places)
        self.images: dict[str, list[tuple[str, Record]]] = {}
        unannotated = []
        for k, (task, place) in enumerate(zip(tasks, places, strict=True)):
            name = PurePosixPath(place).name
            key = name if last[name] == 1 else place
            if key in self.images or key in unannotated:
                raise InputError(f"{path} has two tasks of the image {key}; delete one")
            with understood(f"{path}: task {k}", "a list of annotations, each with a list result; export as JSON"):
                regions = regions_of(task, f"{path}: task {k} ({name})")
            if regions is None:
                unannotated.append(key)
            else:
                self.images[key] = regions
        self.unannotated = tuple(unannotated)
        found: set[str] = set()
        for where, region in chain.from_iterable(self.images.values()):
            found.add(label_of(region, where))
        self.categories = self.used = tuple(sorted(found - {*IGNORED}))

    def drawing(self, image: str, size: tuple[int, int] | None = None) -> Drawing:
        """In the order in which the regions were drawn. An image without any has the size that is given."""
        drawn = []
        for where, region in self.images[image]:
            with understood(where, "a value with numbers of percent"):
                if region.get("image_rotation", 0) != 0:
                    raise InputError(f"{where} was drawn on the turned image; turn it back in Label Studio, draw anew")
                size = size_of((region.get("original_width"), region.get("original_height")), size, where, image)
                drawn.append(Shape(label_of(region, where), [part_of(region["value"], *size, where)], where))
        return Drawing(*size_of((None, None), size, str(self.path), image), drawn)


def without_prefix(name: str) -> str:
    """The name of an uploaded image as it was before Label Studio put eight digits and a dash in front."""
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def image_of(data: Record) -> str:
    """The path of a task's image, "image" in its data or the one that is an image. Raises ValueError for none."""
    texts = [place_of(text) for text in data.values() if isinstance(text, str)]
    named = [text for text in texts if text.lower().endswith(IMAGE_EXTENSIONS)]
    if isinstance(data.get("image"), str):
        named = [place_of(data["image"])]
    if len(named) != 1 or not PurePosixPath(named[0]).name:
        raise ValueError(f"no image, or several, in {text_of(data)}")
    return named[0]


def place_of(address: str) -> str:
    """The decoded path in an address, without scheme and query; of /data/local-files/?d=folder/name.png the latter."""
    path, _, query = address.partition("?")
    path = query.removeprefix("d=") if query.startswith("d=") else path.rpartition("://")[2]
    return unquote(path).replace("\\", "/")


def regions_of(task: Record, where: str) -> list[tuple[str, Record]] | None:
    """The drawn regions that count, each with where it is; None if nobody has annotated the image."""
    annotations = task["annotations"] if "annotations" in task else task["completions"]
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    if not done:
        return None
    regions = []
    for k, region in enumerate(done[-1]["result"]):
        kind = region["type"]
        form = kind.removesuffix("labels")
        if form in UNKNOWN:
            raise InputError(
                f"{where}: region {k} is of type {kind}, expected {', '.join(GEOMETRY)}; draw it as one, or delete it"
            )
        if form in GEOMETRY or kind == "labels":  # others are choices, texts and the like
            regions.append((f"{where}: region {k}", region))
    # With a <Labels> tag apart from the tag that draws, each region is there twice: as drawn, and with its label.
    labelled = {region.get("id") for _, region in regions if region["type"].endswith("labels")}
    return [
        (place, region)
        for place, region in regions
        if region["type"].endswith("labels") or region.get("id") not in labelled
    ]


def label_of(region: Record, where: str) -> str:
    """A region's class. Raises InputError unless it has one label."""
    with understood(where, "a value with one label"):
        labels = region["value"].get(region["type"], [])
        if len(labels) != 1:
            raise InputError(f"{where} has {len(labels)} labels, expected 1; give it one, or delete it")
        return class_name(labels[0])


def part_of(value: Record, width: int, height: int, where: str) -> Callable[[int, int], Patch]:
    """What paints a region of an image of width x height pixels."""

    def pixels(numbers: Sequence[Any]) -> np.ndarray:
        return points_of(numbers, where) * (width / 100, height / 100)

    if "rle" in value:
        if set(map(type, value["rle"])) != {int}:
            raise InputError(f"{where} has a brush stroke that is no list of bytes; export it again")
        return partial(unpack_brush, bytes(value["rle"]))
    if "points" in value:
        outline = outline_of(list(chain.from_iterable(value["points"])), where)
        return partial(fill, outline * (width / 100, height / 100))
    ((x, y),) = pixels([value["x"], value["y"]])
    if "radiusX" not in value and "height" not in value:  # a key point: its size is its mark's on the screen
        return partial(stroke, np.array([(x, y)]), np.array([(x, y)]), LINE_WIDTH / 2)
    degrees = points_of([value.get("rotation", 0), 0], where)[0, 0]
    if "radiusX" in value:
        ((radius_x, radius_y),) = pixels([value["radiusX"], value["radiusY"]])
        return partial(fill, turned(ellipse(x, y, radius_x, radius_y), x, y, degrees))
    ((across, down),) = pixels([value["width"], value["height"]])
    return partial(fill, turned(corners(x, y, x + across, y + down), x, y, degrees))
