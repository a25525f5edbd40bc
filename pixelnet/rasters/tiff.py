"""TIFF: any depth, channels and pages, strips and tiles, of plain, BigTIFF, OME, ImageJ and GDAL's files.

Sources: TIFF 6.0 and its tags; OME's XML; GDAL's tags 42112 (metadata) and 42113 (no data). Windows are read strip by
strip or tile by tile, by tifffile's own decoders.
"""

import os
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffWriter

from pixelnet.errors import InputError
from pixelnet.files import write_atomic
from pixelnet.rasters.arrays import native, plain
from pixelnet.rasters.guard import check_size
from pixelnet.rasters.layout import Layout, Read
from pixelnet.rasters.lossy import jpeg2000_is_lossy, jpeg_is_lossy, webp_is_lossy

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
GRAY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
COLOR = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
INKS = (PHOTOMETRIC.SEPARATED, PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB, PHOTOMETRIC.ITULAB)
BESIDE = ".ovr"  # what GDAL adds to a file's name for one of its overviews
REDUCED, MASK = 1, 4  # bits of NewSubfileType: a smaller copy, a mask of what is transparent
RGB = ("red", "green", "blue")
LARGEST = 2**31  # bytes of a file that is no BigTIFF; half of what it may have


@contextmanager
def open_tiff(path: str | Path, level: int = 0) -> Iterator[tuple[Layout, Read] | None]:
    """What a TIFF file holds, and how a part of it is read; None of inks and the like, which Pillow converts.

    level: of its overviews, the first 1; 0 for the image itself. They are in the file, or beside it (GDAL's .ovr).
    """
    with ExitStack() as stack:
        file = stack.enter_context(TiffFile(path))
        _require_end(file)
        if level and len(file.series[0].levels) == 1:
            beside = stack.enter_context(TiffFile(f"{path}{BESIDE}"))
            page = _pages_beside(beside, file.series[0])[level - 1]
            file, path, (pages, shape, axes, offset) = beside, f"{path}{BESIDE}", ([page], page.shape, page.axes, None)
        else:
            pages, shape, axes, offset = _images(file, path, level)
        key = pages[0].keyframe
        if key.photometric in INKS and key.bitspersample == 8 and len(file.pages) == 1:
            yield None
            return
        layout = _layout(file, key, shape, axes)
        if layout.dtype.kind not in "buif" or 0 in shape:
            raise ValueError(f"an array of {layout.dtype}, shape {shape}")
        yield layout, _reader(file, path, pages, shape, axes, offset)


def _require_end(file: TiffFile) -> None:
    """Raise ValueError for pages that lead in a circle, which tifffile would follow without end."""
    form, handle, offset, seen = file.tiff, file.filehandle, file.pages.first.offset, set()
    while offset:
        if offset in seen:
            raise ValueError("its pages lead in a circle")
        seen.add(offset)
        handle.seek(offset)
        count = handle.read(form.tagnosize)
        if len(count) < form.tagnosize:
            return
        handle.seek(form.tagsize * struct.unpack(form.tagnoformat, count)[0], os.SEEK_CUR)
        following = handle.read(form.offsetsize)
        if len(following) < form.offsetsize:
            return
        (offset,) = struct.unpack(form.offsetformat, following)


def levels_of(path: str | Path) -> list[tuple[int, int]]:
    """(width, height) of a TIFF file's image, and of each of its overviews, smaller and smaller."""
    with TiffFile(path) as file:
        _require_end(file)
        found = [(one.keyframe.imagewidth, one.keyframe.imagelength) for one in file.series[0].levels]
        if len(found) == 1 and Path(f"{path}{BESIDE}").is_file():
            with suppress(Exception), TiffFile(f"{path}{BESIDE}") as beside:  # the image itself is there without it
                found += [(one.imagewidth, one.imagelength) for one in _pages_beside(beside, file.series[0])]
        return found


def _pages_beside(file: TiffFile, image: Any) -> list[Any]:
    """The overviews in a file of them, as far as they are of an image: its channels and type, its form, but smaller."""
    _require_end(file)
    key = image.keyframe
    found, width = [], key.imagewidth
    for page in file.pages if len(image.pages) == 1 else ():
        own: Any = page.keyframe
        factor = key.imagewidth / own.imagewidth
        fits = own.imagewidth < width and abs(key.imagelength / factor - own.imagelength) <= 1
        alike = (own.samplesperpixel, own.dtype) == (key.samplesperpixel, key.dtype)
        if fits and alike and own.subfiletype & REDUCED and not own.subfiletype & MASK:
            found.append(page)
            width = own.imagewidth
    return found


def _images(file: TiffFile, path: str | Path, level: int) -> tuple[Any, tuple[int, ...], str, int | None]:
    """The pages of the images, the shape and the axes of all of them, and where they begin if they are one piece."""
    first, *others = (
        series for k, series in enumerate(file.series) if not k or not series.keyframe.subfiletype & (REDUCED | MASK)
    )
    if level:
        first, others = first.levels[level], []
    if not others or first.kind not in ("generic", "uniform", "shaped", "ome"):
        return first.pages, first.shape, first.axes, first.dataoffset
    alike = all((one.shape, one.axes, one.dtype) == (first.shape, first.axes, first.dtype) for one in others)
    if not alike or len(first.pages) > 1:
        sizes = ", ".join("x".join(map(str, one.shape)) for one in (first, *others)[:4])
        raise InputError(f"{path} holds {1 + len(others)} images of different kinds ({sizes}); save each in its file")
    pages = [one.pages[0] for one in (first, *others)]  # written one by one
    return pages, (len(pages), *first.shape), "I" + first.axes, None


def _layout(file: TiffFile, key: Any, shape: tuple[int, ...], axes: str) -> Layout:
    bits = key.bitspersample if isinstance(key.bitspersample, int) else max(key.bitspersample)
    axes = "".join(letter if letter in "YXCSZTPI" else "Q" for letter in axes)
    layout = Layout(shape, axes, plain(key.dtype), bits=bits, nodata=_nodata(key), lossy=_is_lossy(file, key))
    samples = "S" in axes and not set(axes) & {"C"}
    picture = bits <= 8 and layout.dtype == np.uint8 and not set(axes) & {"C", "Q"}
    names = _names(file, key, layout)
    palette = None
    if key.photometric == PHOTOMETRIC.PALETTE and key.colormap is not None:
        palette = (np.asarray(key.colormap).T >> 8).astype(np.uint8)
    elif key.photometric in COLOR and samples:
        names = names or (*RGB, *(f"band {k}" for k in range(4, layout.channels + 1)))
        picture = picture and layout.channels == 3
    else:
        picture = picture and key.photometric in GRAY and not samples
    orientation = key.tags.valueof(274, 1)
    return layout._replace(
        names=names,
        picture=picture and names in ((), RGB),
        palette=palette,
        inverted=key.photometric == PHOTOMETRIC.MINISWHITE,
        orientation=orientation if orientation in range(1, 9) else 1,
    )


def _names(file: TiffFile, key: Any, layout: Layout) -> tuple[str, ...]:
    """The names that the file gives its channels, as OME, ImageJ or GDAL write them; () if it gives none."""
    found: list[str] = []
    with suppress(ET.ParseError, TypeError, ValueError):  # what is said for people may be anything
        if file.is_ome and file.ome_metadata:
            image = next(node for node in ET.fromstring(file.ome_metadata).iter() if node.tag.endswith("}Pixels"))
            found = [node.get("Name", "") for node in image if node.tag.endswith("}Channel")]
        elif file.is_imagej and "C" in layout.axes:
            labels = [str(label) for label in (file.imagej_metadata or {}).get("Labels", ())]
            count = layout.channels
            if labels == labels[:count] * (len(labels) // count):  # of channels, not of each page
                found = labels[:count]
        elif (metadata := key.tags.valueof(42112)) is not None:
            items = [node for node in ET.fromstring(metadata).iter("Item") if node.get("role") == "description"]
            said = {int(node.get("sample", -1)): (node.text or "").strip() for node in items}
            found = [said.get(k, "") for k in range(layout.channels)]
    return tuple(found) if all(found) and len(set(found)) == layout.channels else ()


def _nodata(key: Any) -> tuple[float, ...]:
    with suppress(TypeError, ValueError):
        return (float(str(key.tags.valueof(42113)).strip("\0 ")),)
    return ()


def _is_lossy(file: TiffFile, key: Any) -> bool:
    """By what its first strip or tile says of itself."""
    judges = {
        COMPRESSION.OJPEG: jpeg_is_lossy, COMPRESSION.JPEG: jpeg_is_lossy, 34892: jpeg_is_lossy,
        50001: webp_is_lossy, 33003: jpeg2000_is_lossy, 33004: jpeg2000_is_lossy, 33005: jpeg2000_is_lossy,
        34712: jpeg2000_is_lossy,
    }  # fmt: skip
    if key.compression not in judges or not key.dataoffsets:
        return False
    file.filehandle.seek(key.dataoffsets[0])
    return judges[key.compression](file.filehandle.read(min(key.databytecounts[0], 1 << 16)))


def _reader(
    file: TiffFile, path: str | Path, pages: Any, shape: tuple[int, ...], axes: str, offset: int | None
) -> Read:
    key = pages[0].keyframe
    if offset is not None and key.is_final:  # one piece, as it is
        kind = np.dtype(file.byteorder + key.dtype.char)
        array = np.memmap(path, kind, "r", offset, shape)
        return lambda selection: native(array[selection])
    leading = len(shape) - len(key.shape)
    if axes[leading:] != key.axes or shape[leading:] != key.shape:
        return lambda selection: native(file.asarray(series=0)[selection])  # pages within pages

    def read(selection: tuple[int | slice, ...]) -> np.ndarray:
        chosen = [
            [part] if isinstance(part, int) else range(length)[part]
            for part, length in zip(selection[:leading], shape[:leading], strict=True)
        ]
        inner: tuple[Any, ...] = selection[leading:]
        rows, columns = (range(*inner[key.axes.index(letter)].indices(shape[axes.index(letter)])) for letter in "YX")
        window = tuple(slice(None) if letter in "YX" else part for part, letter in zip(inner, key.axes, strict=True))
        places = (_place(place, shape[:leading]) for place in product(*chosen))
        found = [_read_page(file, path, pages[place], key, rows, columns)[window] for place in places]
        kept = [len(own) for own, part in zip(chosen, selection, strict=False) if not isinstance(part, int)]
        return np.stack(found).reshape(*kept, *found[0].shape)

    return read


def _place(places: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(places, shape)) if shape else 0


def _read_page(file: TiffFile, path: str | Path, page: Any, key: Any, rows: range, columns: range) -> np.ndarray:
    """The rows and columns of a page, in the order of its axes."""
    separate, depth, length, width, samples = key.shaped
    shape = [
        {"Y": len(rows), "X": len(columns)}.get(letter, size) for letter, size in zip(key.axes, key.shape, strict=True)
    ]
    out = np.zeros((separate, depth, len(rows), len(columns), samples), plain(key.dtype))
    if page is None:  # declared, but not in the file
        return out.reshape(shape)
    down, across = (key.tilelength, key.tilewidth) if key.is_tiled else (min(key.rowsperstrip, length), width)
    if key.is_final and _in_one_piece(page):
        kind = np.dtype(file.byteorder + key.dtype.char)
        array = np.memmap(path, kind, "r", page.dataoffsets[0], key.shaped)
        return native(array[:, :, rows.start : rows.stop, columns.start : columns.stop]).reshape(shape)
    check_size(path, (across, down), samples * (key.tiledepth if key.is_tiled else 1))
    out[:] = key.nodata if key.tags.valueof(42113) is not None else 0  # GDAL leaves out tiles without data
    grid = -(-length // down), -(-width // across)
    layers = separate * (-(-depth // key.tiledepth) if key.is_tiled else depth)
    for layer in range(layers):
        for y in range(rows.start // down, -(-rows.stop // down)):
            for x in range(columns.start // across, -(-columns.stop // across)):
                _paste(file, page, key, (layer * grid[0] + y) * grid[1] + x, out, rows.start, columns.start)
    return out.reshape(shape)


def _paste(file: TiffFile, page: Any, key: Any, index: int, out: np.ndarray, top: int, left: int) -> None:
    """Decode a strip or tile, and lay what of it is in the window there."""
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    if not count:
        return
    file.filehandle.seek(offset)
    data = file.filehandle.read(count)
    if len(data) < count:
        raise ValueError(f"it ends within strip or tile {index}")
    segment, (s, d, y, x, _), _ = key.decode(data, index, jpegtables=key.jpegtables, jpegheader=key.jpegheader)
    first, column = max(y - top, 0), max(x - left, 0)
    segment = segment[:, first + top - y :, column + left - x :]
    place = out[s, d : d + segment.shape[0], first : first + segment.shape[1], column : column + segment.shape[2]]
    place[:] = segment[: place.shape[0], : place.shape[1], : place.shape[2]]


def _in_one_piece(page: Any) -> bool:
    offsets, counts = page.dataoffsets, page.databytecounts
    return all(offset + count == after for offset, count, after in zip(offsets, counts, offsets[1:], strict=False))


def write_pages(path: Path, read: Callable[[int], np.ndarray], count: int) -> None:
    """Write a compressed TIFF of so many pages, whole or not at all. read: the k-th, (H, W) or (H, W, C), all alike."""
    first = read(0)
    samples: dict[str, Any] = {"planarconfig": "contig"} if first.ndim == 3 else {}

    def write(file: BinaryIO) -> None:
        with TiffWriter(file, bigtiff=count * first.nbytes > LARGEST) as out:
            out.write(
                (read(k) for k in range(count)), shape=(count, *first.shape), dtype=first.dtype,
                photometric="minisblack", compression="zlib", metadata={"axes": "ZYXS"[: 1 + first.ndim]}, **samples,
            )  # fmt: skip

    write_atomic(path, write)


def as_picture(values: np.ndarray, layout: Layout) -> np.ndarray:
    """The numbers (h, w, C) of a picture as uint8 (h, w, 3) RGB."""
    if layout.palette is not None:
        return layout.palette[np.minimum(values[..., 0], len(layout.palette) - 1)]
    top = 2**layout.bits - 1
    shown = values * (255 // top) if layout.bits < 8 else values
    if layout.inverted:
        shown = 255 - shown
    return np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
