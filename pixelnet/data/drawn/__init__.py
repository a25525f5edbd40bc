"""Label maps from drawn shapes: files of LabelMe, COCO (CVAT, Roboflow) and Label Studio, read and rasterized."""

import json
import re
from pathlib import Path
from typing import Literal

from pixelnet.data.drawn.coco import Coco
from pixelnet.data.drawn.labelme import labelme_image, labelme_labels, read_labelme
from pixelnet.data.drawn.labelstudio import LabelStudio, without_prefix
from pixelnet.data.drawn.legends import read_class_table, read_labelmap, roboflow_classes
from pixelnet.data.drawn.shapes import (
    BACKGROUND,
    IGNORED,
    Drawing,
    DrawnFile,
    Patch,
    Shape,
    class_id,
    class_name,
    paint,
)
from pixelnet.files import read_bytes

__all__ = [
    "BACKGROUND", "IGNORED", "Coco", "Drawing", "DrawnFile", "LabelStudio", "Patch", "Shape", "class_id", "class_name",
    "kind_of", "labelme_image", "labelme_labels", "paint", "read_class_table", "read_labelmap", "read_labelme",
    "roboflow_classes", "without_prefix",
]  # fmt: skip

Kind = Literal["labelme", "coco", "label-studio"]
SPACE = re.compile(r"[\s,:]*")


def kind_of(path: Path) -> Kind | None:
    """Which tool's drawings a JSON file holds, by its outermost keys; None for any other file.

    No more of it is decoded than is needed to know, and what is broken behind that shows when it is read.
    """
    if not Path(path).is_file():  # a pipe would be waited for
        return None
    try:
        text = read_bytes(path).decode("utf-8-sig").lstrip()
        if text.startswith("["):  # Label Studio's tasks; its form JSON-MIN, too, which is then refused by name
            first, _ = json.JSONDecoder().raw_decode(text, SPACE.match(text, 1).end())  # type: ignore[union-attr]
            keys = {"annotations", "completions", "annotation_id"}
            return "label-studio" if isinstance(first, dict) and first.keys() & keys else None
        return _kind_of_object(text) if text.startswith("{") else None
    except (OSError, ValueError, RecursionError):
        return None


def _kind_of_object(text: str) -> Kind | None:
    found: set[str] = set()
    decoder, at = json.JSONDecoder(), 1
    while True:
        key, at = decoder.raw_decode(text, SPACE.match(text, at).end())  # type: ignore[union-attr]
        found.add(str(key))
        if "shapes" in found:
            return "labelme"
        if {"images", "annotations"} <= found:
            return "coco"
        _, at = decoder.raw_decode(text, SPACE.match(text, at).end())  # type: ignore[union-attr]
