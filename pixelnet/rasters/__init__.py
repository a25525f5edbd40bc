"""Files of pixels, read as they are stored: pages, channels and windows of them, and what their headers say.

What a file is, its content decides, never its name.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelnet.errors import InputError
from pixelnet.rasters.arrays import open_npy, open_zarr
from pixelnet.rasters.gdal import DRIVERS, gdal_levels, open_gdal
from pixelnet.rasters.guard import MAX_PIXELS, VARIABLE, check_size, decoding, is_zarr, number_limit, reading
from pixelnet.rasters.layout import Layout, Read, Window, check_axes, take, turn
from pixelnet.rasters.pictures import Picture, read_numbers, read_picture, read_picture_header
from pixelnet.rasters.tiff import MAGIC, as_picture, levels_of, open_tiff

__all__ = [
    "IMAGE_EXTENSIONS", "LABEL_EXTENSIONS", "LOSSY_EXTENSIONS", "MAX_PIXELS", "STACKS", "TIFF", "VARIABLE", "Header",
    "OpenPixels", "Stored", "channel_indices", "check_axes", "decoding", "describe", "is_image", "number_limit",
    "one_channel", "read_header", "read_levels", "read_pixels", "read_size", "read_stored", "reading",
    "stored_in_parts",
]  # fmt: skip

TIFF = (".tif", ".tiff")
STACKS = (*TIFF, ".gif", ".npy", ".zarr")  # endings of files that may hold many images
IMAGE_EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".npy",
    ".zarr", *DRIVERS,
)  # fmt: skip
LABEL_EXTENSIONS = (
    ".png",
    ".bmp",
    ".tif",
    ".tiff",
    ".npy",
    ".gif",
    ".jp2",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".zarr",
    *DRIVERS,
)
LOSSY_EXTENSIONS = (".jpg", ".jpeg", ".webp")  # of files that are hardly ever label maps


NUMPY = b"\x93NUMPY"
LOSSY_KINDS = {"JPEG": "JPEG (lossy)", "WEBP": "lossy WebP", "JPEG2000": "lossy JPEG 2000"}


class Header(NamedTuple):
    """What a file of pixels says of itself.

    width, height: in pixels, upright as its EXIF rotation says. pages: how many images it holds. channels: their names,
    the file's own, or "gray", or "red", "green", "blue", or "band 1" and so on. dtype: of its numbers. picture: an
    8-bit gray, color or palette picture, which is read as RGB bytes. axes: of the array, as it is stored. lossy: it
    does not hold what was encoded. nodata: the numbers that it declares to be no measurement. orientation: EXIF's tag,
    1 to 8. gray: a picture without color, whose one channel may be asked for as "gray". alpha: a picture that may be
    transparent, and is laid on white.
    """

    width: int
    height: int
    pages: int
    channels: tuple[str, ...]
    dtype: np.dtype
    picture: bool
    axes: str
    lossy: bool
    nodata: tuple[float, ...]
    orientation: int
    gray: bool
    alpha: bool


class Stored(NamedTuple):
    """The numbers of a label file, as they are stored.

    values: (H, W) or (H, W, C). top: the largest that its integers can be, 0 where the format does not bound them.
    mode: Pillow's word for a picture, "npy" for an array. palette: uint8 (256, 3), the colors of a palette's indices.
    nodata: the numbers that the file itself declares to be no measurement.
    """

    values: np.ndarray
    top: int
    mode: str
    palette: np.ndarray | None = None
    nodata: tuple[float, ...] = ()


def is_image(path: str | Path) -> bool:
    """Whether a path is called as images are, and is a file, a Zarr folder or a level in one; hidden ones are none."""
    path = Path(path)
    suffix = path.suffix.lower()
    called = is_zarr(path) if path.is_dir() else suffix in IMAGE_EXTENSIONS and suffix != ".zarr"
    return called and not path.name.startswith(".")


class Source(NamedTuple):
    """An open file. Of an array, how a part of it is read; of what Pillow reads, what it is."""

    layout: Layout
    read: Read | None = None
    picture: Picture | None = None


@contextmanager
def _open(path: str | Path, level: int = 0) -> Iterator[Source]:
    """A file or Zarr folder, by the decoder that its first bytes call for. level: of its overviews."""
    with reading(path), ExitStack() as stack:
        found = None
        if is_zarr(path):
            found = stack.enter_context(open_zarr(path))
        else:
            with Path(path).open("rb") as file:
                head = file.read(8)
            if head.startswith(MAGIC):
                found = stack.enter_context(open_tiff(path, level))
            elif Path(path).suffix.lower() in DRIVERS:
                found = stack.enter_context(open_gdal(path, level))
            elif head.startswith(NUMPY) or Path(path).suffix.lower() == ".npy":
                found = stack.enter_context(open_npy(path))
        if found is None:
            picture = read_picture_header(path)
            yield Source(picture.layout, picture=picture)
        else:
            yield Source(*found)


def read_size(path: str | Path) -> tuple[int, int]:
    """(width, height) of a picture or .npy map in pixels, upright, from its header only. Raises InputError."""
    with _open(path) as source:
        layout = source.layout
        if not {*"YX"} <= set(layout.axes):  # an array (H, W, ...), unless its owner says otherwise
            return layout.shape[1], layout.shape[0]
        return layout.size[::-1] if layout.orientation >= 5 else layout.size


def read_header(path: str | Path, axes: str | None = None) -> Header:
    """What a file's header says.

    axes: a letter for each axis of the array in it, which counts for more than the file's own word: "ZYX", "ZCYX".
    Raises InputError for a file that cannot be read, or whose axes nobody says.
    """
    with _open(path) as source:
        return _header(source, axes, path)[1]


def _header(source: Source, axes: str | None, path: str | Path) -> tuple[Layout, Header]:
    layout, picture = source.layout, source.picture
    if picture is None:
        layout = layout.resolved(path, axes)
    width, height = layout.size[::-1] if layout.orientation >= 5 else layout.size
    names = ("red", "green", "blue") if layout.picture else layout.channel_names
    gray = picture.gray if picture else layout.picture and layout.channels == 1 and layout.palette is None
    return layout, Header(
        width, height, layout.pages, names, layout.dtype, layout.picture, layout.axes, layout.lossy, layout.nodata,
        layout.orientation, gray, picture is not None and picture.alpha,
    )  # fmt: skip


def read_levels(path: str | Path) -> list[tuple[int, int]]:
    """(width, height) of an upright image, and of smaller copies of it (overviews) in its file or beside it, if any."""
    with reading(path):
        header = read_header(path)
        if not is_zarr(path) and header.orientation == 1:
            with Path(path).open("rb") as file:
                if file.read(4) in MAGIC:
                    return levels_of(path)
            if Path(path).suffix.lower() in DRIVERS:
                return gdal_levels(path)
    return [(header.width, header.height)]


def channel_indices(header: Header, channels: Sequence[int | str], path: str | Path) -> list[int]:
    """Which of a file's channels are meant, by their numbers from 0 or by their names. Raises InputError."""
    if header.gray and list(channels) == ["gray"]:
        return [0]
    indices = []
    for channel in channels:
        known = list(range(len(header.channels))) if isinstance(channel, int) else list(header.channels)
        if channel not in known:
            raise InputError(f"{path} has the channels {', '.join(header.channels)}; {channel!r} is none of them")
        indices.append(known.index(channel))  # type: ignore[arg-type]
    return indices


def read_pixels(
    path: str | Path,
    page: int | None = None,
    window: Window | None = None,
    channels: Sequence[int | str] | None = None,
    axes: str | None = None,
    upright: bool = True,
) -> np.ndarray:
    """An image of a file, (h, w, C).

    A picture (see `Header`) is uint8 RGB, gray repeated, palettes looked up, transparency laid on white. Anything else
    is the numbers of the file in its type.

    Args:
        path: the file, or a Zarr folder.
        page: which of its images, from 0; None for the only one.
        window: rows and columns of it; no more is read where the format allows.
        channels: those that are wanted, in that order, by name or by number; None for all.
        axes: see `read_header`.
        upright: turned as its EXIF rotation says; otherwise as it is stored.

    Raises:
        InputError: a file that cannot be read, or is too large to read at once; no such page or channel; several
            pages and none chosen; axes that nobody says.
    """
    with _open(path) as source:
        return _read(source, path, axes, page, window, channels, upright)


class OpenPixels:
    """An image of a file that stays open, to be read window by window, as `read_pixels` reads it.

    header: of the file. in_parts: no more is read than is asked for; otherwise the whole is read once, and kept.
    level: of its overviews (see `read_levels`). Close it, or use it as a context. Raises InputError as `read_pixels`.
    """

    def __init__(self, path: str | Path, page: int | None = None, axes: str | None = None, level: int = 0) -> None:
        self.path, self.page, self.axes = path, page, axes
        self._open = ExitStack()
        self._source = self._open.enter_context(_open(path, level))
        try:
            with decoding(path):
                layout, self.header = _header(self._source, axes, path)
                _page(path, page, self.header.pages)
        except BaseException:
            self.close()
            raise
        self.in_parts = self._source.read is not None and layout.orientation == 1
        self._whole: np.ndarray | None = None

    def read(self, window: Window, channels: Sequence[int | str] | None = None) -> np.ndarray:
        """Rows and columns of it, (h, w, C)."""
        with decoding(self.path):
            if self.in_parts:
                return _read(self._source, self.path, self.axes, self.page, window, channels, True)
            if self._whole is None:
                self._whole = _read(self._source, self.path, self.axes, self.page, None, None, True)
            indices = None if channels is None else channel_indices(self.header, channels, self.path)
            return _cut(self._whole, window, indices)

    def close(self) -> None:
        self._open.close()

    def __enter__(self) -> "OpenPixels":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(
    source: Source,
    path: str | Path,
    axes: str | None,
    page: int | None,
    window: Window | None,
    channels: Sequence[int | str] | None,
    upright: bool,
) -> np.ndarray:
    """See `read_pixels`."""
    layout, header = _header(source, axes, path)
    page = _page(path, page, header.pages)
    chosen = None if channels is None else channel_indices(header, channels, path)
    if source.read is None:
        assert source.picture is not None
        pixels = read_picture(path, source.picture, page, upright)
        if upright and not layout.picture:
            pixels = turn(pixels, layout.orientation)
        return _cut(pixels, window, chosen)
    turned = upright and layout.orientation != 1
    if window is None or turned:
        check_size(path, layout.size, layout.channels if chosen is None else len(chosen))
    inner = None if turned or window is None else _bounded(window, layout.size)
    values = take(source.read, layout, page, None if layout.picture else chosen, inner)
    if layout.picture:
        values = as_picture(values, layout)
    if turned:
        values = turn(values, layout.orientation)
    return _cut(values, window if turned else None, chosen if layout.picture else None)


def _bounded(window: Window, size: tuple[int, int]) -> Window:
    rows, columns = (slice(*part.indices(length)[:2]) for part, length in zip(window, size[::-1], strict=True))
    return rows, columns


def _cut(pixels: np.ndarray, window: Window | None, channels: list[int] | None) -> np.ndarray:
    pixels = pixels if window is None else pixels[window]
    return np.ascontiguousarray(pixels if channels is None else pixels[..., channels])


def _page(path: str | Path, page: int | None, pages: int) -> int:
    if page is None and pages > 1:
        raise InputError(f"{path} holds {pages} images, and one is expected; say which page is meant")
    if page is not None and not 0 <= page < pages:
        raise InputError(f"{path} has no page {page}; it has {pages}, from 0 on")
    return page or 0


def read_stored(
    path: str | Path,
    page: int | None = None,
    axes: str | None = None,
    lossy: bool = False,
    window: Window | None = None,
) -> Stored:
    """A label file's numbers.

    Args:
        path: the file, or a Zarr folder.
        page: which of its maps, from 0; None for the only one.
        axes: see `read_header`. Without them a .npy is one map, (H, W) or (H, W, C).
        lossy: take what a lossy format made of the numbers; for masks of black and white, which a threshold mends.
        window: rows and columns of it, with both ends given; no more is read where the format allows.

    Raises:
        InputError: a file that is missing, damaged, rotated, or stored in a lossy way.
    """
    with _open(path) as source:
        layout, read, picture = source
        if layout.lossy and not lossy:
            kind = LOSSY_KINDS.get(picture.format, "") if picture else "a TIFF with JPEG or the like (lossy)"
            raise InputError(
                f"{path} is stored as {kind}, which changes labels; save it losslessly (PNG) from its source, or, of "
                'black and white masks in a folder of your own, say "threshold": 128 in dataset.json'
            )
        if read is None:
            assert picture is not None
            numbers = Stored(*read_numbers(path, picture, _page(path, page, layout.pages)))
            return numbers._replace(values=numbers.values[window or ...])
        is_array = not layout.bits  # which its format says of TIFF
        if is_array and axes is None and page is None and not is_zarr(path):
            check_size(path, _size_of(window, layout.shape[1::-1]), int(np.prod(layout.shape[2:])))
            chosen = window or (slice(None), slice(None))
            return Stored(read((*chosen, *(slice(None),) * len(layout.shape[2:]))), 0, "npy")
        layout = layout.resolved(path, axes)
        if layout.orientation != 1:
            raise InputError(f"{path} is a label map with an EXIF rotation; save it upright, without the tag")
        check_size(path, _size_of(window, layout.size), layout.channels)
        values = take(read, layout, _page(path, page, layout.pages), None, window)
        return _stored_of(values[..., 0] if values.shape[2] == 1 else values, layout, is_array)


def stored_in_parts(path: str | Path) -> bool:
    """Whether `read_stored` reads no more of a file than a window asks for. Raises InputError."""
    with _open(path) as source:
        return source.read is not None and source.layout.orientation == 1


def _size_of(window: Window | None, whole: Sequence[int]) -> tuple[int, int]:
    """(width, height) of what is read."""
    if window is None:
        return whole[0], whole[1]
    rows, columns = window
    return columns.stop - columns.start, rows.stop - rows.start


def _stored_of(values: np.ndarray, layout: Layout, is_array: bool) -> Stored:
    if is_array:
        return Stored(values, 0, "npy", None, layout.nodata)
    top = 2**layout.bits - 1 if values.dtype.kind == "u" else 0
    if layout.palette is not None:
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(layout.palette)] = layout.palette[:256]
        return Stored(values, top, "P", colors, layout.nodata)
    known = {1: "1"}.get(layout.bits) or {"u1": "L", "u2": "I;16", "i4": "I", "f4": "F"}.get(values.dtype.str[1:])
    if values.ndim == 3:
        known = {3: "RGB", 4: "RGBA"}.get(values.shape[2], f"{values.shape[2]} channels")
    return Stored(values, top, known or str(values.dtype), None, layout.nodata)


def one_channel(stored: np.ndarray, mode: str, path: str | Path, what: str) -> None:
    if stored.ndim != 2 or mode == "P":
        raise InputError(
            f"{path} is {describe(stored, mode)}, but {what} has one number a pixel; save it as gray or .npy"
        )


def describe(stored: np.ndarray, mode: str) -> str:
    if mode == "npy":
        return f"an array of {stored.dtype}, shape {stored.shape}"
    return {"P": "a palette picture", "F": "a picture of real values"}.get(mode, f"a picture of mode {mode}")
