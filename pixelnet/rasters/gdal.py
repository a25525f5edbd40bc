"""What GDAL alone reads, such as ERDAS's .img and mosaics in .vrt, by rasterio (the extra geo). GeoTIFF needs none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import needs
from pixelnet.rasters.arrays import native, plain
from pixelnet.rasters.layout import Layout, Read

DRIVERS = {".vrt": "VRT", ".img": "HFA"}  # by ending; no other driver is asked


def gdal_levels(path: str | Path) -> list[tuple[int, int]]:
    """(width, height) of an image, and of each of its overviews, in the file or beside it."""
    with _opened(path) as file:
        sizes = [(file.width, file.height)]
        return sizes + [(-(-file.width // factor), -(-file.height // factor)) for factor in file.overviews(1)]


@contextmanager
def _opened(path: str | Path, **options: Any) -> Iterator[Any]:
    try:
        import rasterio
    except ImportError as error:
        raise needs(str(path), "rasterio", "geo") from error
    # A mosaic names other files: those beside it may be read, none over a network.
    limits = rasterio.Env(GDAL_HTTP_MAX_RETRY=0, CPL_VSIL_CURL_ALLOWED_EXTENSIONS="none", GDAL_VRT_ENABLE_PYTHON="NO")
    with limits, rasterio.open(path, driver=DRIVERS[Path(path).suffix.lower()], **options) as file:
        yield file


@contextmanager
def open_gdal(path: str | Path, level: int = 0) -> Iterator[tuple[Layout, Read]]:
    """Bands (C, H, W), with their descriptions for names; level: of overviews, the first 1, 0 for the image itself.

    Raises InputError without the package rasterio.
    """
    with _opened(path, **({"overview_level": level - 1} if level else {})) as file:
        from rasterio.windows import Window

        kinds = set(file.dtypes)
        if len(kinds) > 1 or np.dtype(file.dtypes[0]).kind not in "uif":
            raise ValueError(f"bands of {', '.join(sorted(kinds))}")
        dtype = np.dtype(file.dtypes[0])

        def read(selection: tuple[Any, ...]) -> np.ndarray:
            bands, rows, columns = selection
            every = range(1, file.count + 1)
            wanted = list(every)[bands] if isinstance(bands, slice) else [every[bands]]
            (top, bottom, _), (left, right, _) = rows.indices(file.height), columns.indices(file.width)
            found = file.read(wanted, window=Window(left, top, right - left, bottom - top))
            return native(found if isinstance(bands, slice) else found[0])

        names = tuple(name or "" for name in file.descriptions)
        nodata = () if file.nodata is None else (float(file.nodata),)
        shape = file.count, file.height, file.width
        yield Layout(shape, "CYX", plain(dtype), names, nodata, bits=8 * dtype.itemsize), read
