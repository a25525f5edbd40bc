"""Label maps as other programs' outlines: COCO and LabelMe; GeoJSON is in objects.py.

Coordinates are of pixel corners: the image spans 0..W and 0..H. Outlines run along the pixels' sides, so that drawn
again they are the label map.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from pixelnet.data.dataset import UNLABELLED
from pixelnet.rasters.geotiff import shapes_of


class Region(NamedTuple):
    """A connected region of one class, whose pixels share sides. mask: (h, w) bool, its first pixel at left, top."""

    label: int
    left: int
    top: int
    mask: np.ndarray


def regions(labels: np.ndarray) -> Iterator[Region]:
    """The regions of a label map (H, W), 255 left out: class by class, from the top down."""
    for label in np.unique(labels[labels != UNLABELLED]).tolist():
        numbered, _ = ndimage.label(labels == label)
        for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
            yield Region(label, columns.start, rows.start, numbered[rows, columns] == number)


def coco(maps: Sequence[tuple[str, np.ndarray]], names: Sequence[str]) -> dict[str, Any]:
    """COCO's instances: a region each, as run lengths, which alone may have holes (cocodataset.org, data format)."""
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (image, labels) in enumerate(maps, start=1):
        height, width = labels.shape
        images.append({"id": number, "file_name": image, "width": width, "height": height})
        for own in regions(labels):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": own.label + 1,
                "area": int(own.mask.sum()), "bbox": [own.left, own.top, *own.mask.shape[::-1]], "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": run_lengths(own, labels.shape)},
            })  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def run_lengths(region: Region, shape: tuple[int, ...]) -> list[int]:
    """How many pixels lie outside, inside, outside ... of a region, column by column, in an image of a shape (H, W)."""
    flat = np.zeros(shape[::-1], bool)
    height, width = region.mask.shape
    flat[region.left : region.left + width, region.top : region.top + height] = region.mask.T
    changes = np.flatnonzero(np.diff(flat.ravel(), prepend=False))
    ends = [0, *changes.tolist(), flat.size]
    return np.diff(ends).tolist()


def labelme(image: str, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """LabelMe's file of one image. It has no holes: larger outlines come first, and what lies in them on top.

    Raises InputError without rasterio, which traces the outlines.
    """
    height, width = labels.shape
    found = [(geometry["coordinates"][0], value) for geometry, value in shapes_of(labels) if value != UNLABELLED]
    shapes: list[dict[str, Any]] = [
        {"label": names[value], "points": [list(point) for point in outer[:-1]], "group_id": None,
         "shape_type": "polygon", "flags": {}}
        for outer, value in sorted(found, key=lambda own: -area(own[0]))
    ]  # fmt: skip
    return {
        "version": "5.0.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None,
        "imageHeight": height, "imageWidth": width,
    }  # fmt: skip


def area(ring: Sequence[Sequence[float]]) -> float:
    """What a closed ring of points (x, y), the first of them the last as well, surrounds."""
    x, y = np.array(ring, np.float64).T
    return float(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2)
