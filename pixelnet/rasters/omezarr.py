"""Maps written as OME-Zarr, of an image's version (0.4 or 0.5; the extra bio): alone, or as labels of the image."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.files import exchanged, inside, read_text, write_atomic
from pixelnet.rasters.arrays import format_of, load_zarr, pixel_scale
from pixelnet.rasters.geotiff import Map

CHUNK = 512  # pixels, the side of a chunk
SMALLEST = 256  # pixels, the longer side of the smallest level, at most
LABELS = "labels"  # the group of an image that holds its labels
OURS = "pixelnet"  # the attribute of those that were written here
Size = tuple[int, int]


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
        levels = len(_write_levels(group, given, ["c"] if given.bands > 1 else [], _halved(given)))
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


def _halved(given: Map) -> list[tuple[Size, int | None]]:
    """The size of each level, half as large as the last, and the step between the pixels of that that it has."""
    height, width = given.height, given.width
    found: list[tuple[Size, int | None]] = [((height, width), 1)]
    while max(height, width) > SMALLEST:
        height, width = -(-height // 2), -(-width // 2)
        found.append(((height, width), 2))
    return found


def _write_levels(group: Any, given: Map, leading: list[str], levels: list[tuple[Size, int | None]]) -> list[str]:
    """Write levels 0, 1 and so on, each of pixels of the last, a step apart, or spread evenly without one.

    leading: the axes before y and x, of which the first is that of bands. Returns the levels' names.
    """
    # Version 0.5 wants every array to name its axes, and the arrays of 0.4 have no place for it.
    named = {"dimension_names": [*leading, "y", "x"]} if group.metadata.zarr_format == 3 else {}
    first = (given.bands, *(1 for _ in leading[1:]))[: len(leading)]
    above, size = None, (given.height, given.width)
    for level, ((height, width), ratio) in enumerate(levels):
        array = group.create_array(
            str(level), shape=(*first, height, width), dtype=given.dtype,
            chunks=(*(1 for _ in leading), min(CHUNK, height), min(CHUNK, width)), **named,
        )  # fmt: skip
        down, across = (
            np.minimum(np.arange(own) * (ratio or whole / own), whole - 1).astype(int)
            for own, whole in zip((height, width), size, strict=True)
        )
        for top in range(0, height, CHUNK):
            rows = range(top, min(top + CHUNK, height))
            for band in range(given.bands):
                place = (band, *(0 for _ in leading[1:]))[: len(leading)]
                if above is None:
                    values = given.read(rows, band)
                else:
                    own = down[rows.start : rows.stop]
                    values = above[(*place, slice(int(own[0]), int(own[-1]) + 1))][own - own[0]][:, across]
                array[(*place, slice(rows.start, rows.stop))] = values
        above, size = array, (height, width)
    return [str(level) for level in range(len(levels))]


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
        about["image-label"] = _legend(given)
    return about


def _legend(given: Map) -> dict[str, Any]:
    return {
        "colors": [{"label-value": k, "rgba": [*color, 255]} for k, color in enumerate(given.colors)],
        "properties": [{"label-value": k, "class": own} for k, own in enumerate(given.names)],
    }


# --------------------------------------------------------------------------------------- labels of an image


def require_label_group(image: Path, name: str) -> Path:
    """Where an OME-Zarr image has, or is to have, its labels of a name: IMAGE/labels/NAME.

    Labels that a process was killed over, after it had moved them away and before the new ones were there, are back.
    Raises InputError for what is no such image, for a level of one, and for labels that somebody else has written.
    """
    if image.suffix.lower() != ".zarr" or not image.is_dir():
        raise InputError(f"{image} is no OME-Zarr image, of which label groups are a part; leave --label-group out")
    target, before = inside(image, LABELS, name), _beside(image, name, "old")
    if before.exists() and not target.exists():
        before.rename(target)
    if target.exists() and OURS not in _attributes(image, target):
        raise InputError(
            f"{target} is there, and was not written by pixelnet, so that it is left alone; give another --label-group"
        )
    return target


def write_label_group(image: Path, name: str, given: Map) -> Path:
    """Write a map of classes into an OME-Zarr image, IMAGE/labels/NAME, with levels of the sizes of the image's own.

    It is written beside the image and put into its place once it is whole; then it is named in the list of labels.
    Nothing else of the image is touched, nor the time of its last change. Returns where it is. Raises InputError as
    `require_label_group`, and for an image whose axes and levels are not said as versions 0.4 and 0.5 do.
    """
    target, zarr = require_label_group(image, name), load_zarr(image)
    part, before = (_beside(image, name, what) for what in ("tmp", "old"))
    for path in (part, before):
        shutil.rmtree(path, ignore_errors=True)
    version = "0.5" if format_of(image) == 3 else "0.4"
    scales, levels, axes = _scales(image)
    try:
        group = zarr.open_group(str(part), mode="w", zarr_format=format_of(image))
        names = _write_levels(group, given, [axis["name"] for axis in axes[:-2]], [(size, None) for size in levels])
        scales = _multiscales(name, scales, axes, names)
        about: dict[str, Any] = {"image-label": _legend(given) | {"source": {"image": "../../"}}}
        if version == "0.5":
            group.attrs.update({"ome": {"version": version, "multiscales": [scales], **about}, OURS: {}})
        else:
            about["image-label"]["version"] = version
            group.attrs.update({"multiscales": [scales | {"version": version}], **about, OURS: {}})
        stat = image.stat()
        target.parent.mkdir(exist_ok=True)
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # by which an image is known as that of before
        if not target.exists():
            part.rename(target)
        elif not exchanged(part, target):
            target.rename(before)
            part.rename(target)
        _list_label(target.parent, name, version)
    finally:
        for path in (part, before):
            shutil.rmtree(path, ignore_errors=True)
    return target


def _beside(image: Path, name: str, what: str) -> Path:
    """A place for a label group that is not, or no more, a part of its image, on the same file system."""
    return image.with_name(f".{image.name}.{name}.{what}")


def _scales(image: Path) -> tuple[dict[str, Any], list[Size], list[dict[str, Any]]]:
    """What an image says of its levels, how large these are, and its axes without channels."""
    found: Any = load_zarr(image).open_group(str(image), mode="r")
    said = found.attrs.asdict()
    try:
        scales = said.get("ome", said)["multiscales"][0]
        names = [axis["name"] for axis in scales["axes"]]
        levels = [found[one["path"]].shape for one in scales["datasets"]]
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{image} does not say its axes and levels as OME-Zarr 0.4 and 0.5 do; leave --label-group out"
        ) from error
    axes = [axis for axis in scales["axes"] if not _is_channel(axis)]
    if names[-2:] != ["y", "x"] or any(shape[names.index(axis["name"])] > 1 for shape in levels for axis in axes[:-2]):
        raise InputError(f"{image} has the axes {', '.join(names)}; label groups are written for one image (y, x)")
    return scales, [(shape[-2], shape[-1]) for shape in levels], axes


def _is_channel(axis: dict[str, Any]) -> bool:
    return axis.get("type") == "channel" or axis["name"] == "c"


def _multiscales(name: str, scales: dict[str, Any], axes: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """What labels say of their levels: what the image says of its own, without channels."""
    kept = [k for k, axis in enumerate(scales["axes"]) if not _is_channel(axis)]

    def moved(transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {key: [value[k] for k in kept] if isinstance(value, list) else value for key, value in one.items()}
            for one in transforms
        ]

    datasets = [
        {"path": own, "coordinateTransformations": moved(one["coordinateTransformations"])}
        for own, one in zip(names, scales["datasets"], strict=True)
    ]
    more = {key: moved(scales[key]) for key in ("coordinateTransformations",) if key in scales}
    return {"name": name, "axes": axes, "datasets": datasets, **more}


def _attributes(image: Path, group: Path) -> dict[str, Any]:
    """Those of a group, as they are in its file; {} if it has none."""
    path = group / ("zarr.json" if format_of(image) == 3 else ".zattrs")
    if not path.is_file():
        return {}
    found: Any = json.loads(read_text(path))
    attributes: dict[str, Any] = found.get("attributes", {}) if path.name == "zarr.json" else found
    return attributes


def _list_label(labels: Path, name: str, version: str) -> None:
    """Name a label group in the list of them, whose file is written whole or not at all and keeps all it says."""
    path = labels / ("zarr.json" if version == "0.5" else ".zattrs")
    said: dict[str, Any] = json.loads(read_text(path)) if path.is_file() else {}
    if version == "0.5":
        said = {"zarr_format": 3, "node_type": "group", **said}
        about = said.setdefault("attributes", {}).setdefault("ome", {"version": version})
    else:
        about = said
        write_atomic(labels / ".zgroup", b'{"zarr_format": 2}')
    if name not in about.setdefault("labels", []):
        about["labels"].append(name)
        write_atomic(path, json.dumps(said, indent=1).encode())
