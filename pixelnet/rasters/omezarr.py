"""Maps written as OME-Zarr: label images with a pyramid, of the image's own version (0.4 or 0.5; the extra bio)."""

import shutil
from pathlib import Path
from typing import Any

from pixelnet.rasters.arrays import format_of, load_zarr, pixel_scale
from pixelnet.rasters.geotiff import Map

CHUNK = 512  # pixels, the side of a chunk
SMALLEST = 256  # pixels, the longer side of the smallest level, at most


def write_omezarr(path: Path, given: Map, source: Path) -> None:
    """Write a map whole or not at all: a folder of levels, each of every second pixel of every second row of the last.

    Levels are numbered from 0 on. How large a pixel is, and the version, are those of the OME-Zarr image `source`.
    """
    zarr = load_zarr(path)
    part = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(part, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        group = zarr.open_group(str(part), mode="w", zarr_format=format_of(source))
        levels = _write_levels(group, given)
        about = _about(path.name.removesuffix(".zarr"), given, source, levels)
        version = "0.5" if format_of(source) == 3 else "0.4"
        if version == "0.5":
            group.attrs["ome"] = {"version": version, **about}
        else:
            about["multiscales"][0]["version"] = version
            group.attrs.update(about)
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_levels(group: Any, given: Map) -> int:
    """Returns how many."""
    leading = (given.bands,) if given.bands > 1 else ()
    # Version 0.5 wants every array to name its axes, and the arrays of 0.4 have no place for it.
    named = {"dimension_names": _axes(given)} if group.metadata.zarr_format == 3 else {}
    height, width, level = given.height, given.width, 0
    while True:
        array = group.create_array(
            str(level), shape=(*leading, height, width), dtype=given.dtype,
            chunks=(*(1 for _ in leading), min(CHUNK, height), min(CHUNK, width)), **named,
        )  # fmt: skip
        for top in range(0, height, CHUNK):
            rows = range(top, min(top + CHUNK, height))
            for band in range(given.bands):
                place = (*((band,) if leading else ()), slice(rows.start, rows.stop))
                if level:
                    above = group[str(level - 1)]
                    array[place] = above[(*place[:-1], slice(2 * rows.start, 2 * rows.stop))][::2, ::2]
                else:
                    array[place] = given.read(rows, band)
        level += 1
        if max(height, width) <= SMALLEST:
            return level
        height, width = -(-height // 2), -(-width // 2)


def _axes(given: Map) -> list[str]:
    return ["c", "y", "x"] if given.bands > 1 else ["y", "x"]


def _about(name: str, given: Map, source: Path, levels: int) -> dict[str, Any]:
    """What OME-Zarr says of an image, and of labels."""
    sizes, units = pixel_scale(source) or ([1.0, 1.0], ["", ""])
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}] if given.bands > 1 else []
    for letter, unit in zip("yx", units, strict=True):
        axes.append({"name": letter, "type": "space"} | ({"unit": unit} if unit else {}))
    first = [1.0] if given.bands > 1 else []
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [{"type": "scale", "scale": [*first, *(size * 2**level for size in sizes)]}],
        }
        for level in range(levels)
    ]
    about: dict[str, Any] = {"multiscales": [{"name": name, "axes": axes, "datasets": datasets}]}
    if given.names:
        about["image-label"] = {
            "colors": [{"label-value": k, "rgba": [*color, 255]} for k, color in enumerate(given.colors)],
            "properties": [{"label-value": k, "class": own} for k, own in enumerate(given.names)],
        }
    return about
