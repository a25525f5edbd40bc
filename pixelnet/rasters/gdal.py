"""What GDAL alone reads, such as ERDAS's .img and mosaics in .vrt, by rasterio (the extra geo). GeoTIFF needs none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.rasters.arrays import native, plain
from pixelnet.rasters.layout import Layout, Read

DRIVERS = {".vrt": "VRT", ".img": "HFA"}  # by ending; no other driver is asked


@contextmanager
def open_gdal(path: str | Path) -> Iterator[tuple[Layout, Read]]:
    """Bands (C, H, W), with their descriptions for names. Raises InputError without the package rasterio."""
    try:
        import rasterio
        from rasterio.windows import Window
    except ImportError as error:
        raise InputError(f"{path} needs the package rasterio; pip install pixelnet[geo], or save it as TIFF") from error
    # A mosaic names other files: those beside it may be read, none over a network.
    limits = rasterio.Env(GDAL_HTTP_MAX_RETRY=0, CPL_VSIL_CURL_ALLOWED_EXTENSIONS="none", GDAL_VRT_ENABLE_PYTHON="NO")
    with limits, rasterio.open(path, driver=DRIVERS[Path(path).suffix.lower()]) as file:
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
