"""What a map of classes holds, as objects: a table of connected ones, and polygons for GIS programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from scipy import ndimage

from pixelnet.errors import InputError, needs
from pixelnet.files import write_atomic
from pixelnet.inference.source import Source
from pixelnet.rasters.geotiff import read_place, read_shapes
from pixelnet.rasters.ground import Area
from pixelnet.rasters.vectors import write_geopackage
from pixelnet.tasks import Task

POLYGONS, OBJECTS = "polygons", "objects"  # the folders of GeoJSON and of tables, beside one for each task
MOST = 2**27  # pixels of a map that connected objects are found in, which is in memory then
NEIGHBORS = np.ones((3, 3), bool)  # pixels that touch at a corner are of one object
UNLABELLED = 255
DEPTH = 0.75  # pixels by which the distance to the edge falls between two objects that are one no longer


def name_of(task: Task, k: int) -> str:
    return task.class_names[k] if task.class_names else str(k)


def require_held(pixels: int, what: str) -> None:
    """Raise InputError for an image of more pixels than `write_objects` can hold; `what` is its name in messages."""
    if pixels > MOST:
        raise InputError(
            f"objects are found in images of up to {MOST:,} pixels, and {what} has {pixels:,}: cut it, or leave out "
            "--objects"
        )


def write_objects(
    path: Path, labels: np.ndarray, confidence: np.ndarray, task: Task, source: Source, area: Area | None,
    split: bool = False,
) -> Path:  # fmt: skip
    """Write CSV of the connected objects of each class, largest first within it.

    class, pixels, square_meters or square_micrometers (where the file says how large a pixel is), x, y (the center, in
    pixels), confidence (the mean of the class's probability), and the mean of each of the model's channels, NaN left
    out.

    Args:
        labels: class ids (H, W); 255 is nothing.
        confidence: the probabilities (H, W) of these, 0..1.
        source: the image, for its channels.
        area: of a pixel.
        split: touching objects are told apart; see `split_touching`.

    Raises:
        InputError: no package scikit-image, which splits.
    """
    image = source.read(range(source.height), range(source.width))
    titles = ["class", "pixels", *([area.unit] if area else []), "x", "y", "confidence"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*titles, *(f"mean_{k}" for k in range(image.shape[2]))])
    planes = [confidence, *np.moveaxis(image, 2, 0)]
    for k in np.unique(labels[labels != UNLABELLED]).tolist():
        for pixels, x, y, *means in _objects_of(labels == k, planes, split):
            size = [f"{pixels * area.size:.6g}"] if area else []
            numbers = (f"{value:.6g}" for value in (x, y, *means))
            writer.writerow([name_of(task, k), int(pixels), *size, *numbers])
    write_atomic(path, text.getvalue().encode())
    return path


def splitters() -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """h_maxima and watershed of scikit-image. Raises InputError without the package."""
    try:
        from skimage.morphology import h_maxima
        from skimage.segmentation import watershed
    except ImportError as error:
        raise needs("splitting objects", "scikit-image", "bio") from error
    return h_maxima, watershed


def split_touching(where: np.ndarray) -> tuple[np.ndarray, int]:
    """The objects of a mask (H, W), cut where they are narrow: their numbers (H, W) from 1 on, and how many.

    By the watershed of the distance to the edge, from those of its maxima that rise by DEPTH at least
    (scikit-image's h_maxima); what has none is one object. Raises InputError without the package scikit-image.
    """
    h_maxima, watershed = splitters()
    distance = ndimage.distance_transform_edt(where)
    seeds, _ = ndimage.label(h_maxima(distance, DEPTH), NEIGHBORS)
    parts = watershed(-distance, seeds, mask=where, connectivity=2)
    count = int(parts.max(initial=0))
    others, more = ndimage.label(where & (parts == 0), NEIGHBORS)
    return np.where(others > 0, others + count, parts), count + more


def _objects_of(where: np.ndarray, planes: Sequence[np.ndarray], split: bool) -> Iterator[list[float]]:
    """Pixels, center and means of planes (H, W) of the connected parts of a mask (H, W), the largest first."""
    parts, count = split_touching(where) if split else ndimage.label(where, NEIGHBORS)
    own = parts[where]
    sizes = np.bincount(own, minlength=count + 1)[1:]
    y, x = np.nonzero(where)
    columns = [np.bincount(own, weights=along, minlength=count + 1)[1:] / sizes for along in (x, y)]
    for values in planes:
        found = values[where].astype(np.float64)
        known = np.isfinite(found)
        total = np.bincount(own[known], weights=found[known], minlength=count + 1)[1:]
        columns.append(total / np.maximum(np.bincount(own[known], minlength=count + 1)[1:], 1))
    for row in np.argsort(-sizes, kind="stable").tolist():
        yield [float(sizes[row]), *(float(column[row]) for column in columns)]


def write_polygons(path: Path, labels: Path, task: Task) -> Path:
    """Write the connected areas of a file of class ids, with their classes, as GeoJSON or GeoPackage (.gpkg).

    255 is nothing. GeoJSON is in longitude and latitude, as RFC 7946 has it, and a GeoPackage in the file's own CRS; of
    a file without one they are in pixels, x to the right and y down. The file is read as it goes, and never held whole.
    """
    if path.suffix == ".gpkg":
        found = ((shape, name_of(task, k), k) for shape, k in read_shapes(labels, degrees=False) if k != UNLABELLED)
        write_geopackage(path, found, read_place(labels).crs, path.stem)
        return path

    def write(file: BinaryIO) -> None:
        file.write(b'{"type": "FeatureCollection", "features": [')
        first = True
        for geometry, value in read_shapes(labels):
            if value == UNLABELLED:
                continue
            properties: dict[str, Any] = {"class": name_of(task, value), "id": value}
            feature = {"type": "Feature", "properties": properties, "geometry": geometry}
            file.write((("\n" if first else ",\n") + json.dumps(feature, ensure_ascii=False)).encode())
            first = False
        file.write(b"\n]}\n")

    write_atomic(path, write)
    return path


def maps_of_classes(written: Sequence[Path], folder: Path, task: Task) -> Iterator[tuple[Task, Path]]:
    """Of the files of an image's answers, those of class ids, each with its task."""
    for path in written:
        own = path.relative_to(folder).parts[0] if path.is_relative_to(folder) else ""
        if own in task.parts and task.parts[own].categorical:
            yield task.parts[own], path
