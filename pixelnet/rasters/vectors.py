"""Layers of vectors, as GIS programs keep them: GeoJSON, GeoPackage and shapefiles, read onto the pixels of an image.

Needs the extra geo: GDAL reads and writes the files (pyogrio), shapely holds what is in them, rasterio burns it in.
Everything on an image is in its pixels' corners: it spans 0..W and 0..H, whatever the CRS.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError, needs
from pixelnet.rasters.geotiff import Place, through
from pixelnet.rasters.guard import reading
from pixelnet.rasters.layout import Window

# By ending, with what their files begin with: GDAL would take any file for what it is, and some name others to open.
VECTORS = {".geojson": b"{", ".gpkg": b"SQLite format 3\0", ".shp": b"\x00\x00\x27\x0a"}
CLASSES = ("class", "class_name", "classname", "label", "category", "landcover", "land_cover", "type", "name", "code")
AT_ONCE = 4096  # features that are written in one go
EDGE = 64  # pixels, about, of a straight line in another CRS that is bent in no place


class Layer:
    """The features of a file and the class of each, in the layer's own CRS; held whole.

    Args:
        path: the file.
        name: which of its layers; None for the only one.
        attribute: the field that names a feature's class; None for the one that is called so (CLASSES), or for the only
            text. Of a layer without fields all features are of one class, called as the layer is.

    Raises:
        InputError: a file that cannot be read; several layers and none chosen; no CRS; no such attribute, or features
            without a value of it; a package that is not installed.
    """

    def __init__(self, path: Path, name: str | None = None, attribute: str | None = None) -> None:
        self.path = path
        pyogrio, shapely = packages()
        with reading(path):
            _require_kind(path)
            self.name = _layer_of(path, pyogrio.list_layers(path), name)
            about = pyogrio.read_info(path, layer=self.name)
            if about["crs"] is None:
                raise InputError(
                    f"{path} does not say in which CRS its coordinates are{_remedy(path)}, as its program exports it"
                )
            self.crs = _crs(about["crs"])
            self.attribute = _attribute(path, [str(field) for field in about["fields"]], about["ogr_types"], attribute)
            columns = [] if self.attribute is None else [self.attribute]
            _, _, shapes, values = pyogrio.raw.read(path, layer=self.name, columns=columns)
            features = shapely.force_2d(shapely.from_wkb(shapes, on_invalid="fix"))
        classes = [self.name] * len(features) if self.attribute is None else [_text(value) for value in values[0]]
        there = ~(shapely.is_missing(features) | shapely.is_empty(features))
        if nameless := [k for k in np.flatnonzero(there).tolist() if not classes[k]]:
            raise InputError(
                f"{path}: {len(nameless)} of {len(features)} features have no {self.attribute!r} (the first is number "
                f"{nameless[0] + 1}); fill it in, or delete them"
            )
        self.features = features[there]
        self.classes = [classes[k] for k in np.flatnonzero(there)]
        self._tree = shapely.STRtree(self.features)

    def onto(self, place: Place, size: tuple[int, int], width: float = 1.0) -> "Features":
        """The features on an image of (width, height) `size` that lies there.

        width: of lines and points, in pixels. Raises InputError for an image whose pixels have no CRS or no transform,
        and for features that cannot be brought to its CRS.
        """
        _, shapely = packages()
        from rasterio.warp import transform, transform_bounds

        if place.crs is None or place.gcps:
            what = "lies by ground control points; warp it to a grid first (gdalwarp)" if place.gcps else "has no CRS"
            raise InputError(f"{self.path} holds places on the ground, and the image {what}")
        corners = through(place.transform, np.array([(x, y) for x in (0, size[0]) for y in (0, size[1])]))
        bounds = (*corners.min(axis=0), *corners.max(axis=0))
        alike = place.crs == self.crs
        box = bounds if alike else transform_bounds(place.crs, self.crs, *bounds)
        chosen = np.sort(self._tree.query(shapely.box(*box)))
        features = self.features[chosen]

        def to_pixels(points: np.ndarray) -> np.ndarray:
            placed = points if alike else np.stack(transform(self.crs, place.crs, *points.T), axis=-1)
            return through(~place.transform, placed)

        if not alike and len(features):
            longest = EDGE * max((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
            features = shapely.segmentize(features, longest)
        features = shapely.transform(features, to_pixels)
        if not np.isfinite(shapely.bounds(features)).all():
            raise InputError(f"{self.path} has features that cannot be brought to the CRS of the image, {place.crs}")
        thin = shapely.get_dimensions(features) < 2
        features[thin] = shapely.buffer(features[thin], width / 2)
        seen = shapely.intersects(features, shapely.box(0, 0, *size))
        return Features(features[seen], [self.classes[k] for k in chosen[seen]])


class Features:
    """Features on an image, in its pixels, and the class of each; what is painted later covers what came before."""

    def __init__(self, features: np.ndarray, classes: Sequence[str]) -> None:
        self.features, self.classes = features, classes
        self._tree = packages()[1].STRtree(features)

    def __len__(self) -> int:
        return len(self.classes)

    def within(self, window: Window) -> np.ndarray:
        """The numbers of those that touch some rows and columns of the image, rising."""
        rows, columns = window
        box = packages()[1].box(columns.start, rows.start, columns.stop, rows.stop)
        return np.sort(self._tree.query(box, predicate="intersects"))

    def burn(self, window: Window, ids: Mapping[str, int], fill: int) -> np.ndarray:
        """uint8 (h, w) of a window: the id of the class of whatever holds a pixel's center, `fill` for nothing."""
        from rasterio.errors import NotGeoreferencedWarning
        from rasterio.features import rasterize
        from rasterio.transform import Affine

        rows, columns = window
        shape = rows.stop - rows.start, columns.stop - columns.start
        burnt = [(self.features[k], ids[self.classes[k]]) for k in self.within(window)]
        if not burnt:
            return np.full(shape, fill, np.uint8)
        place = Affine.translation(columns.start, rows.start)
        with warnings.catch_warnings():  # of the first block, whose place within the image is the identity
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            found: np.ndarray = rasterize(burnt, shape, fill, transform=place, dtype="uint8")
        return found


def write_geopackage(path: Path, features: Iterable[tuple[Mapping[str, Any], str, int]], crs: Any, layer: str) -> None:
    """Write a GeoPackage of one layer of polygons, whole or not at all; a few thousand features at a time.

    features: of each its geometry as GeoJSON has it, its class and the class's id. crs: that the coordinates are in;
    None where they are an image's own. Raises InputError without the packages.
    """
    pyogrio, shapely = packages()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.tmp.gpkg")
    part.unlink(missing_ok=True)
    remaining, begun = iter(features), False
    try:
        while (some := list(islice(remaining, AT_ONCE))) or not begun:
            geometries = np.empty(len(some), object)
            geometries[:] = [shapely.to_wkb(shapely.geometry.shape(geometry)) for geometry, *_ in some]
            columns = [np.array([name for _, name, _ in some], object), np.array([k for *_, k in some], np.int32)]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
                pyogrio.raw.write(
                    part, geometries, columns, np.array(["class", "id"], object), layer=layer, driver="GPKG",
                    geometry_type="Polygon", crs=None if crs is None else crs.to_wkt(), append=begun,
                )  # fmt: skip
            begun = True
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def packages() -> tuple[Any, Any]:
    """pyogrio and shapely. Raises InputError where one of them, or rasterio, is not installed."""
    try:
        import pyogrio
        import pyogrio.raw
        import rasterio  # noqa: F401
        import shapely
    except ImportError as error:
        raise needs("a layer of vectors", error.name, "geo") from error
    return pyogrio, shapely


def _require_kind(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(64)
    begin = VECTORS[path.suffix.lower()]
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n" if begin == b"{" else b"").startswith(begin):
        raise InputError(f"{path} is no {path.suffix.lower()[1:]} file by its content; export it again")


def _layer_of(path: Path, layers: np.ndarray, name: str | None) -> str:
    """The layer that is meant: tables without geometry are none."""
    known = [str(own) for own, kind in layers if kind is not None]
    if name is not None and name not in known:
        raise InputError(f"{path} has no layer {name!r}; it has {', '.join(known)}")
    if not known:
        raise InputError(f"{path} holds no layer with geometries; give one that does")
    if name is None and len(known) > 1:
        raise InputError(
            f'{path} holds the layers {", ".join(known)}; say which has the labels: "layer": "{known[0]}" in '
            "dataset.json"
        )
    return known[0] if name is None else name


def _attribute(path: Path, fields: Sequence[str], kinds: Sequence[str], asked: str | None) -> str | None:
    if asked is not None:
        if asked not in fields:
            raise InputError(f"{path} has no attribute {asked!r}; it has {', '.join(fields) or 'none'}")
        return asked
    named = [field for word in CLASSES for field in fields if field.lower() == word]
    texts = [field for field, kind in zip(fields, kinds, strict=True) if kind == "OFTString"]
    if not fields:
        return None
    if named or len(texts) == 1:
        return (named or texts)[0]
    raise InputError(
        f"{path} has the attributes {', '.join(fields)}, and none is called class; say which tells the class: "
        f'"attribute": "{fields[0]}" in dataset.json'
    )


def _remedy(path: Path) -> str:
    return f"; lay {path.stem}.prj beside it" if path.suffix.lower() == ".shp" else "; export it with its CRS"


def _crs(text: str) -> Any:
    from rasterio.crs import CRS

    return CRS.from_user_input(text)


def _text(value: Any) -> str:
    """A class as text: numbers without a fraction as whole ones; "" for no value."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return f"{value:.15g}" if isinstance(value, float | np.floating) else str(value).strip()
