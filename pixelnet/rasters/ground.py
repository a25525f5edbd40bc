"""What a pixel is on the ground, as a GeoTIFF says."""

from contextlib import suppress
from pathlib import Path

from tifffile import TiffFile, TiffFileError

from pixelnet.rasters.guard import reading

METER = 9001  # EPSG's linear unit


def pixel_area(path: str | Path) -> float | None:
    """Square meters of a pixel of a GeoTIFF in a projected reference system in meters; None of any other file."""
    if Path(path).suffix.lower() not in (".tif", ".tiff"):
        return None
    with reading(path), suppress(TiffFileError), TiffFile(path) as file:
        page = file.pages.first
        keys, scale = page.geotiff_tags or {}, page.tags.valueof(33550)
        projected = keys.get("ProjectedCSTypeGeoKey") is not None
        if projected and scale is not None and int(keys.get("ProjLinearUnitsGeoKey", METER)) == METER:
            return float(scale[0] * scale[1])
    return None
