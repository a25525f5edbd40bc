"""Label maps as outlines that other programs read: GeoJSON, COCO and LabelMe.

Coordinates are of pixel corners: the image spans 0..W and 0..H. Outlines run along the pixels' sides, so that nothing
is lost: drawn again, they are the label map.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from pixelnet.data.dataset import UNLABELLED

FOUR = ndimage.generate_binary_structure(2, 1)  # pixels that share a side are connected


class Region(NamedTuple):
    """A connected region of one class: its outline, the outlines of its holes, (P, 2) as (x, y) each, and its pixels.

    mask: (h, w) bool, whose first pixel is at `left`, `top`.
    """

    label: int
    outer: np.ndarray
    holes: list[np.ndarray]
    left: int
    top: int
    mask: np.ndarray

    @property
    def area(self) -> int:
        return int(self.mask.sum())


def regions(labels: np.ndarray) -> Iterator[Region]:
    """The regions of a label map (H, W), 255 left out: class by class, from the top down."""
    for label in np.unique(labels[labels != UNLABELLED]).tolist():
        numbered, _ = ndimage.label(labels == label, FOUR)
        for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
            mask = numbered[rows, columns] == number
            rings = [ring + np.array([columns.start, rows.start]) for ring in outlines(mask)]
            outer = max(range(len(rings)), key=lambda k: signed_area(rings[k]))
            holes = [ring for k, ring in enumerate(rings) if k != outer]
            yield Region(label, rings[outer], holes, columns.start, rows.start, mask)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """The borders of a region (h, w) as closed rings (P, 2) of corners, the first not said again.

    The region lies to the right of where a ring goes (x right, y down), so that the outer one has a positive area.
    """
    inside = np.pad(mask, 1)
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # Of a pixel (row, column): where its side begins and ends, from its upper left corner, and the pixel beyond it.
    sides = (((0, 0), (1, 0), (-1, 0)), ((1, 0), (1, 1), (0, 1)), ((1, 1), (0, 1), (1, 0)), ((0, 1), (0, 0), (0, -1)))
    for (x0, y0), (x1, y1), (down, across) in sides:
        beyond = np.roll(inside, (-down, -across), axis=(0, 1))
        for row, column in np.argwhere(inside & ~beyond) - 1:
            steps.setdefault((int(column) + x0, int(row) + y0), []).append((int(column) + x1, int(row) + y1))
    rings = []
    while steps:
        start = here = min(steps)
        heading, ring = (0, 0), list[tuple[int, int]]()
        while not ring or here != start:
            ways = steps[here]
            right = (here[0] - heading[1], here[1] + heading[0])  # where two pixels meet, around the same one
            following = right if right in ways else ways[0]
            ways.remove(following)
            if not ways:
                del steps[here]
            ring.append(here)
            heading, here = (following[0] - here[0], following[1] - here[1]), following
        rings.append(_corners(np.array(ring)))
    return rings


def _corners(ring: np.ndarray) -> np.ndarray:
    """Those points of a ring (P, 2) where it turns."""
    turns = (ring - np.roll(ring, 1, axis=0) != np.roll(ring, -1, axis=0) - ring).any(axis=1)
    return ring[turns]


def signed_area(ring: np.ndarray) -> float:
    """Of a ring (P, 2), positive where it goes around clockwise, as the screen shows it."""
    x, y = ring.T.astype(np.float64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def geojson(maps: Sequence[tuple[str, np.ndarray]], names: Sequence[str]) -> dict[str, Any]:
    """A collection of all regions of label maps, by image; coordinates are pixels, y down (RFC 7946's form alone)."""
    features = [
        {
            "type": "Feature",
            "properties": {"image": image, "class": names[own.label], "pixels": own.area},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in _rings(own)]},
        }
        for image, labels in maps
        for own in regions(labels)
    ]
    return {"type": "FeatureCollection", "features": features}


def _rings(region: Region) -> list[list[list[int]]]:
    return [ring.tolist() for ring in (region.outer, *region.holes)]


def coco(maps: Sequence[tuple[str, np.ndarray]], names: Sequence[str]) -> dict[str, Any]:
    """COCO's instances: a region each, as run lengths, which alone may have holes (cocodataset.org, data format)."""
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, (image, labels) in enumerate(maps, start=1):
        height, width = labels.shape
        images.append({"id": number, "file_name": image, "width": width, "height": height})
        for own in regions(labels):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": own.label + 1, "area": own.area,
                "bbox": [own.left, own.top, *own.mask.shape[::-1]], "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": run_lengths(own, labels.shape)},
            })  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def labelme(image: str, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """LabelMe's file of one image. It has no holes: larger outlines come first, and what lies in them on top."""
    height, width = labels.shape
    shapes = [
        {
            "label": names[own.label],
            "points": own.outer.tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for own in sorted(regions(labels), key=lambda own: -signed_area(own.outer))
    ]
    return {
        "version": "5.0.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None,
        "imageHeight": height, "imageWidth": width,
    }  # fmt: skip


def run_lengths(region: Region, shape: tuple[int, ...]) -> list[int]:
    """How many pixels lie outside, inside, outside ... of a region, column by column, in an image of a shape (H, W)."""
    flat = np.zeros(shape[::-1], bool)
    height, width = region.mask.shape
    flat[region.left : region.left + width, region.top : region.top + height] = region.mask.T
    changes = np.flatnonzero(np.diff(flat.ravel(), prepend=False))
    ends = [0, *changes.tolist(), flat.size]
    return np.diff(ends).tolist()
