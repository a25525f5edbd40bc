"""Scenes on the ground: where an image lies, and maps written as GeoTIFF (the extra geo).

Files are tiled and compressed, with overviews, as GIS programs read them: the CRS, the transform or the ground control
points of the image, its number for no data, and of classes names and colors.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from pixelnet.errors import InputError, needs
from pixelnet.files import write_atomic
from pixelnet.rasters.guard import reading

TILE = 512  # pixels, the side of the tiles of files
CACHE = 64  # megabytes that GDAL may keep of a file
SCENE = 2**22  # pixels from which on an image with a place on the ground is a scene, seen part by part
NEAR = 0.1  # of a pixel: grids that differ by no more are one
SMALLEST = 256  # pixels, the longer side of the smallest overview, at most
KEYS = (33550, 33922, 34264, 34735)  # tags of TIFF that place an image on the ground


class Place(NamedTuple):
    """Where an image lies: its CRS, the affine transform of (column, row) to (x, y), or ground control points."""

    crs: Any
    transform: Any
    gcps: tuple[Any, ...] = ()

    def at(self, left: int, top: int) -> "Place":
        """Where the part of the image lies that begins at this column and row."""
        own = self.transform
        x, y = through(own, np.array([(left, top)]))[0]
        return self._replace(transform=type(own)(own.a, own.b, x, own.d, own.e, y))


class Map(NamedTuple):
    """What is to be written: a map of so many rows and columns, or several.

    read: (rows, band from 0) -> (h, W). names, colors: of classes, (); titles: of bands, ().
    """

    height: int
    width: int
    bands: int
    dtype: np.dtype
    read: Callable[[range, int], np.ndarray]
    nodata: float | None = None
    names: Sequence[str] = ()
    colors: Sequence[tuple[int, int, int]] = ()
    titles: Sequence[str] = ()


def rasterio() -> Any:
    """The package. Raises InputError where it is not installed."""
    try:
        import rasterio
    except ImportError as error:
        raise needs("GeoTIFF", "rasterio", "geo") from error
    return rasterio


def through(transform: Any, points: np.ndarray) -> np.ndarray:
    """Points (P, 2) as (x, y) through an affine transform."""
    return points @ np.array([(transform.a, transform.d), (transform.b, transform.e)]) + (transform.c, transform.f)


def is_placed(path: str | Path) -> bool:
    """Whether a TIFF file says where on the ground it lies; needs no package."""
    from tifffile import TiffFile

    with reading(path), TiffFile(path) as file:
        return any(key in file.pages.first.tags for key in KEYS)


def read_place(path: str | Path) -> Place:
    """Where a file's image lies. Raises InputError for a file that cannot be read, or without rasterio."""
    package = rasterio()
    with reading(path), quiet(), package.open(path) as file:
        points, crs = file.gcps
        return Place(crs if points else file.crs, file.transform, tuple(points))


def is_elsewhere(path: Path, image: Path) -> bool:
    """Whether the pixels of one TIFF file lie elsewhere on the ground than those of another, by more than a tenth.

    False where one of them does not say. Raises InputError for a file that cannot be read.
    """
    from tifffile import TiffFile

    said = []
    for one in (path, image):
        with reading(one), TiffFile(one) as file:
            page = file.pages.first
            said.append(([page.tags.valueof(key) for key in KEYS], page.imagewidth, page.imagelength))
    if said[0] == said[1] or not all(any(tags) for tags, *_ in said):
        return False
    here, there = read_place(path), read_place(image)
    if here.crs is None or there.crs is None or here.gcps or there.gcps:
        return False
    corners = np.array([(x, y) for x in (0, said[0][1]) for y in (0, said[0][2])])
    moved = through(~there.transform, through(here.transform, corners)) - corners
    return bool(here.crs != there.crs or said[0][1:] != said[1][1:] or abs(moved).max() > NEAR)


def read_onto(
    path: Path, place: Place, size: tuple[int, int], smooth: bool = False
) -> tuple[np.ndarray, tuple[float, ...]]:
    """A file's only band at the pixels of an image that lies elsewhere, (width, height) `size` of it.

    Returns float64 (h, w), NaN where the file has nothing to say, and the number that it declares to be no data.
    smooth: between its pixels bilinearly; else the nearest one's. Raises InputError for a file of several bands, and
    for one or the other that does not say in which CRS it lies.
    """
    package = rasterio()
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    found = np.full(size[::-1], np.nan)
    with reading(path), quiet(), package.open(path) as file:
        if file.count > 1:
            raise InputError(f"{path} has {file.count} bands and another grid than its image; give labels of one band")
        if file.crs is None or place.crs is None or place.gcps:
            raise InputError(f"{path} has another grid than its image, and not both say their CRS; give both one")
        reproject(
            package.band(file, 1), found, dst_transform=place.transform, dst_crs=place.crs, dst_nodata=np.nan,
            resampling=Resampling.bilinear if smooth else Resampling.nearest, tolerance=0,
        )  # fmt: skip
        return found, () if file.nodata is None else (float(file.nodata),)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, GDAL keeps little in memory, and says nothing of files without a place."""
    import warnings

    package = rasterio()
    with package.Env(GDAL_CACHEMAX=CACHE), warnings.catch_warnings():
        warnings.simplefilter("ignore", package.errors.NotGeoreferencedWarning)
        yield


def read_shapes(path: Path, degrees: bool = True) -> Iterator[tuple[dict[str, Any], int]]:
    """The connected areas of a map of whole numbers, as GeoJSON geometries, and their numbers; read as it goes.

    In longitude and latitude where the file has a CRS, or without `degrees` in that; in pixels where it has none.
    Raises InputError as `read_place`.
    """
    package = rasterio()
    from rasterio.features import shapes
    from rasterio.warp import transform_geom

    with reading(path), quiet(), package.open(path) as file:
        for geometry, value in shapes(package.band(file, 1), transform=file.transform):
            if degrees and file.crs is not None:
                geometry = transform_geom(file.crs, "EPSG:4326", geometry, precision=9)
            yield geometry, int(value)


def shapes_of(labels: np.ndarray) -> Iterator[tuple[dict[str, Any], int]]:
    """The connected areas of a map (H, W), as GeoJSON geometries in corners of pixels, and their numbers."""
    rasterio()
    from rasterio.features import shapes

    for geometry, value in shapes(labels):
        yield geometry, int(value)


def write_geotiff(path: Path, given: Map, place: Place | None, cog: bool = False) -> None:
    """Write a map whole or not at all, from the top down; float16 as it is, which rasterio reads as float32.

    cog: as a cloud-optimized GeoTIFF. Names of classes are in the first band's tags as JSON, and in PATH.aux.xml, where
    GDAL and QGIS look for them.
    """
    package = rasterio()
    real = given.dtype.kind == "f"
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": given.height, "width": given.width, "count": given.bands,
        "dtype": "float32" if real else given.dtype.name, "nodata": given.nodata, "tiled": True, "blockxsize": TILE,
        "blockysize": TILE, "compress": "deflate", "predictor": 3 if real else 2, "interleave": "band",
        "bigtiff": "if_safer",
    }  # fmt: skip
    if given.dtype == np.float16:
        profile |= {"nbits": 16, "predictor": 2}
    if place is not None and place.crs is not None:
        profile |= {"crs": place.crs} | ({"gcps": place.gcps} if place.gcps else {"transform": place.transform})
    elif place is not None:
        profile |= {"transform": place.transform}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.tmp.tif")
    try:
        with quiet():
            _write(package, part, profile, given)
            if cog:
                from rasterio.shutil import copy

                copied = path.with_name(f".{path.stem}.cog.tif")
                copy(part, copied, driver="COG", compress="deflate", overviews="force_use_existing")
                copied.replace(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if given.names:
        write_atomic(path.with_name(f"{path.name}.aux.xml"), _categories(given.names).encode())


def _write(package: Any, path: Path, profile: dict[str, Any], given: Map) -> None:
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.windows import Window

    with package.open(path, "w", **profile) as file:
        for band, title in enumerate(given.titles, start=1):
            file.set_band_description(band, title)
        if given.names:
            file.update_tags(1, classes=json.dumps(list(given.names), ensure_ascii=False))
        if given.colors:
            file.write_colormap(1, {k: (*color, 255) for k, color in enumerate(given.colors)})
            file.colorinterp = [ColorInterp.palette]
        for top in range(0, given.height, TILE):
            rows = range(top, min(top + TILE, given.height))
            for band in range(given.bands):
                values = given.read(rows, band)
                file.write(values.astype(profile["dtype"]), band + 1, window=Window(0, top, given.width, len(rows)))
    factors: list[int] = []
    while max(given.height, given.width) / 2 ** len(factors) > SMALLEST:
        factors.append(2 ** (len(factors) + 1))
    if factors:
        with package.open(path, "r+") as file:
            file.build_overviews(factors, Resampling.nearest if given.dtype.kind != "f" else Resampling.average)


def _categories(names: Sequence[str]) -> str:
    inner = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{inner}</CategoryNames></PAMRasterBand>'
    return f"<PAMDataset>{band}</PAMDataset>\n"
