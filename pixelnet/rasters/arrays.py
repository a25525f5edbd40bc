"""Arrays: NumPy's .npy, and the chunked ones of OME-Zarr, read in part."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError, needs
from pixelnet.rasters.layout import CHANNELS, PAGES, Layout, Read

BANDS = 4  # a last axis as short as this is one of channels
SIDE = 16  # if the others are as long as this


@contextmanager
def open_npy(path: str | Path) -> Iterator[tuple[Layout, Read]]:
    """An array (H, W), or (H, W, C) of up to four channels; of any other the axes are not known."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.size == 0 or array.dtype.kind not in "buif":
        raise ValueError(f"an array of {array.dtype}, shape {array.shape}")
    bands = array.ndim == 3 and array.shape[2] <= BANDS and min(array.shape[:2]) >= SIDE
    axes = "YX" if array.ndim == 2 else "YXC" if bands else "Q" * array.ndim
    layout = Layout(array.shape, axes, plain(array.dtype), guessed=bands)
    yield layout, lambda selection: native(array[selection])


@contextmanager
def open_zarr(path: str | Path) -> Iterator[tuple[Layout, Read]]:
    """A level of an OME-Zarr image (versions 0.4 and 0.5), image.zarr/1, the first if none is named; or a lone array.

    Raises InputError without the package zarr.
    """
    home, level = _located(path)
    zarr = load_zarr(path)
    found: Any = zarr.open(str(home), mode="r")
    names: tuple[str, ...] = ()
    axes = None
    if isinstance(found, zarr.Group):
        attributes = dict(found.attrs)
        said: Any = attributes.get("ome", attributes)
        if "multiscales" not in said:
            raise InputError(f"{path} is a Zarr group without `multiscales`, which OME-Zarr has; give one image")
        scales = said["multiscales"][0]
        # Of version 0.3 the axes are letters, of later ones objects; before that they are always these five.
        listed = scales.get("axes", [*"tczyx"])
        axes = "".join((axis if isinstance(axis, str) else axis["name"])[:1].upper() for axis in listed)
        names = tuple(str(channel.get("label", "")) for channel in said.get("omero", {}).get("channels", ()))
        levels = [dataset["path"] for dataset in scales["datasets"]]
        if level not in (None, *levels):
            raise InputError(f"{home} has the levels {', '.join(levels)}, and no {level}")
        found = found[level or levels[0]]
    if axes is None:
        axes = "YX" if len(found.shape) == 2 else "Q" * len(found.shape)
    if len(axes) != len(found.shape) or found.dtype.kind not in "buif" or 0 in found.shape:
        raise ValueError(f"an array of {found.dtype}, shape {found.shape}, axes {axes}")
    axes = "".join(letter if letter in "YX" + PAGES + CHANNELS else "Q" for letter in axes)
    nodata = () if found.fill_value in (None, 0) else (float(found.fill_value),)
    layout = Layout(tuple(found.shape), axes, plain(found.dtype), names, nodata)
    yield layout, lambda selection: native(np.asarray(found[selection]))


def load_zarr(path: str | Path) -> Any:
    """The package. Raises InputError, for what is at a path, where it is not installed."""
    try:
        import zarr
    except ImportError as error:
        raise needs(f"{path} is Zarr, which", "zarr", "bio") from error
    return zarr


def _located(path: str | Path) -> tuple[Path, str | None]:
    """The Zarr folder, and the level in it that is named."""
    path = Path(path)
    return (path, None) if path.suffix.lower() == ".zarr" else (path.parent, path.name)


def format_of(path: str | Path) -> int:
    """Of a Zarr folder: 2 or 3."""
    return int(load_zarr(path).open(str(_located(path)[0]), mode="r").metadata.zarr_format)


def pixel_scale(path: str | Path) -> tuple[list[float], list[str]] | None:
    """A pixel's height and width in an OME-Zarr image or a level of it, and their units; None where nothing is said."""
    home, level = _located(path)
    with suppress(KeyError, IndexError, TypeError, StopIteration, ValueError):
        attributes = dict(load_zarr(path).open(str(home), mode="r").attrs)
        said: Any = attributes.get("ome", attributes)
        scales = said["multiscales"][0]
        names = [axis["name"] for axis in scales["axes"]]
        places, sizes = [names.index(axis) for axis in "yx"], [1.0, 1.0]
        own = next(dataset for dataset in scales["datasets"] if level in (None, dataset["path"]))
        for one in (*own["coordinateTransformations"], *scales.get("coordinateTransformations", ())):
            if one["type"] == "scale":
                sizes = [size * float(one["scale"][place]) for size, place in zip(sizes, places, strict=True)]
        return sizes, [scales["axes"][place].get("unit", "") for place in places]
    return None


def plain(dtype: np.dtype) -> np.dtype:
    """A type in this machine's order of bytes; truth as a byte."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def native(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=plain(values.dtype))
