"""LabelMe's JSON, one file an image. Source: LabelMe's file format, version 5."""

import base64
import io
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from pixelnet.config import read_json
from pixelnet.data.drawn.rasterize import corners, ellipse, fill, stroke
from pixelnet.data.drawn.shapes import IGNORED, Drawing, Patch, Shape, class_name, points_of, size_of, understood
from pixelnet.errors import InputError
from pixelnet.rasters import decoding

LINE_WIDTH = 3.0  # pixels: the narrowest line whose middle is what was drawn and which breaks nowhere, however it runs

POINTS = {  # how many each shape type has, at least and at most
    "polygon": (3, None),
    "rectangle": (2, 2),
    "circle": (2, 2),  # its center and a point on it
    "mask": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
}


def read_labelme(path: Path, size: tuple[int, int] | None = None, line_width: float = LINE_WIDTH) -> Drawing:
    """The drawing in a LabelMe file, in its own order.

    size: the image's width and height; None takes the file's word for it. line_width: of lines, and the diameter of
    points, in pixels.

    Raises:
        InputError: a shape that cannot be read, or another size than the image's. It names file and shape.
    """
    content = read_json(path)
    declared = content.get("imageWidth"), content.get("imageHeight")
    drawn = []
    for where, record in records(path, content):
        with understood(where, "a label, a shape_type and points [[x, y], ...]"):
            drawn.append(Shape(class_name(record["label"]), [part_of(record, where, line_width)], where))
    return Drawing(*size_of(declared, size, str(path), labelme_image(path, content) or "its image"), drawn)


def labelme_labels(path: Path) -> set[str]:
    """The classes of the shapes in a LabelMe file. Raises InputError."""
    found = set()
    for where, record in records(path, read_json(path)):
        with understood(where, "a label"):
            found.add(class_name(record["label"]))
    return found - {*IGNORED}


def labelme_image(path: Path, content: dict[str, Any] | None = None) -> str | None:
    """The name of the image that a LabelMe file, or what was read of it, was drawn on; None if it does not say."""
    named = (content or read_json(path)).get("imagePath")
    return PureWindowsPath(named).name or None if isinstance(named, str) else None


def records(path: Path, content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each shape's record, and where it is."""
    if not isinstance(content.get("shapes"), list):
        raise InputError(f"{path} has no list of shapes; expected LabelMe's JSON")
    for k, record in enumerate(content["shapes"]):
        yield f"{path}: shape {k}", record


def part_of(record: dict[str, Any], where: str, line_width: float) -> Callable[[int, int], Patch]:
    """What paints a shape."""
    kind, pairs = record.get("shape_type") or "polygon", record["points"]
    if kind not in POINTS:
        raise InputError(f"{where} is a {kind!r}, expected one of {', '.join(POINTS)}; draw it as one, or delete it")
    if not set(map(len, pairs)) <= {2}:
        raise InputError(f"{where} has points that are not [x, y]; draw it again")
    points = points_of(list(chain.from_iterable(pairs)), where)
    least, most = POINTS[kind]
    if kind == "rectangle" and len(points) == 4:  # as its corners, which some tools of LabelMe's format write
        return partial(fill, points)
    if len(points) < least or (most and len(points) > most):
        wanted = least if most else f"{least} or more"
        raise InputError(f"{where}, a {kind}, has {len(points)} points, expected {wanted}; draw it, or delete it")
    if kind == "rectangle":
        return partial(fill, corners(*points.ravel()))
    if kind == "circle":
        (x, y), radius = points[0], np.hypot(*(points[1] - points[0]))
        return partial(fill, ellipse(x, y, radius, radius))
    if kind == "mask":
        return partial(unpack_mask, record["mask"], points.astype(int), where)
    if kind == "polygon":
        return partial(fill, points)
    lone = kind in ("point", "points")
    return partial(stroke, points if lone else points[:-1], points if lone else points[1:], line_width / 2)


def unpack_mask(packed: str, box: np.ndarray, where: str, width: int, height: int) -> Patch:
    """The pixels of a mask, a PNG in base64, whose box has these corners (2, 2), both within it."""
    (left, top), (right, bottom) = box.tolist()
    size = right - left + 1, bottom - top + 1
    if not (0 < size[0] <= width and 0 < size[1] <= height):
        raise InputError(f"{where} has a mask of {size[0]}x{size[1]} pixels, the image {width}x{height}; draw it again")
    with decoding(where), Image.open(io.BytesIO(base64.b64decode(packed, validate=True)), formats=["PNG"]) as picture:
        if picture.size != size or picture.mode not in ("1", "L", "P", "I", "I;16"):
            raise InputError(
                f"{where} has a mask of {picture.size[0]}x{picture.size[1]} pixels, mode {picture.mode}, expected one "
                f"channel of {size[0]}x{size[1]}, its box; draw it again"
            )
        mask = np.array(picture) > 0
    return Patch(
        max(top, 0), max(left, 0), mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    )
