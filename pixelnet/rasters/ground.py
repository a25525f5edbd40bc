"""How large a pixel is: on the ground, as a GeoTIFF says, or under a microscope, as OME, ImageJ and OME-Zarr say."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tifffile import TiffFile, TiffFileError

from pixelnet.rasters import TIFF
from pixelnet.rasters.arrays import pixel_scale
from pixelnet.rasters.geotiff import is_placed
from pixelnet.rasters.guard import is_zarr, reading

METERS = {9001: 1.0, 9002: 0.3048, 9003: 1200 / 3937}  # of EPSG's linear units: the meter, the foot, the US survey foot
MICROMETERS = {
    "nm": 1e-3,
    "nanometer": 1e-3,
    "µm": 1,
    "um": 1,
    "micron": 1,
    "micrometer": 1,
    "mm": 1e3,
    "millimeter": 1e3,
}
SCALE, TRANSFORM = 33550, 34264  # tags of GeoTIFF


class Area(NamedTuple):
    """Of a pixel. unit: "square_meters" or "square_micrometers"."""

    size: float
    unit: str


def pixel_area(path: str | Path) -> Area | None:
    """How large a pixel is, of a GeoTIFF in a projected reference system and of microscopes' files; None of any other.

    Raises InputError for a file that cannot be read.
    """
    if is_zarr(path):
        with reading(path):
            found = pixel_scale(path)
        return found and _in_micrometers(*found)
    if Path(path).suffix.lower() not in TIFF:
        return None
    with reading(path), suppress(TiffFileError), TiffFile(path) as file:
        return _on_ground(file.pages.first) or _under_microscope(file)
    return None


class OnGround(NamedTuple):
    """That an image has a place on the ground. pixel_size: the side of a pixel there, in meters; None if not known."""

    pixel_size: float | None


def on_ground(path: str | Path) -> OnGround | None:
    """Whether a TIFF file says where on the ground it lies, and how large its pixels are; None of any other file.

    They are known in projected reference systems. Of pixels that are not square it is that of a square of their area.
    Raises InputError for a file that cannot be read.
    """
    if Path(path).suffix.lower() not in TIFF or not is_placed(path):
        return None
    area = pixel_area(path)
    return OnGround(math.sqrt(area.size) if area is not None and area.unit == "square_meters" else None)


def _on_ground(page: Any) -> Area | None:
    keys, scale, matrix = page.geotiff_tags or {}, page.tags.valueof(SCALE), page.tags.valueof(TRANSFORM)
    unit = METERS.get(int(keys.get("ProjLinearUnitsGeoKey", 9001)))
    if keys.get("ProjectedCSTypeGeoKey") is None or unit is None or (scale is None and matrix is None):
        return None
    size = scale[0] * scale[1] if scale is not None else abs(matrix[0] * matrix[5] - matrix[1] * matrix[4])
    return Area(float(size) * unit**2, "square_meters")


def _under_microscope(file: TiffFile) -> Area | None:
    if file.is_ome and file.ome_metadata:
        with suppress(ET.ParseError, StopIteration):
            pixels = next(node for node in ET.fromstring(file.ome_metadata).iter() if node.tag.endswith("}Pixels"))
            sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "YX"]
            return _in_micrometers(sizes, [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX"])
    elif file.is_imagej:
        unit = str((file.imagej_metadata or {}).get("unit", ""))
        resolutions = [file.pages.first.tags.valueof(tag) for tag in (283, 282)]  # pixels in a unit, as fractions
        if all(found is not None and found[0] for found in resolutions):
            return _in_micrometers([below / above for above, below in resolutions], [unit, unit])
    return None


def _in_micrometers(sizes: Sequence[Any], units: Sequence[str]) -> Area | None:
    """Of a pixel's height and width; None for units that are no microscope's, such as pixels and inches."""
    plain = [unit.replace("\\u00B5", "µ").replace("μ", "µ").lower() for unit in units]
    lengths = [
        MICROMETERS.get(unit) or MICROMETERS.get(unit.removesuffix("s").replace("metre", "meter")) for unit in plain
    ]
    with suppress(TypeError, ValueError):
        height, width = (float(size) * length for size, length in zip(sizes, lengths, strict=True))  # type: ignore
        return Area(height * width, "square_micrometers") if height * width > 0 else None
    return None
