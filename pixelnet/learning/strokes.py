"""What a session is told: images by number, path or name, and pixels of them that somebody labelled, in any order.

What describes a labelled pixel is read once and kept. All of it lies by row, then column, whatever came first.
"""

import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from pixelnet.data.dataset import UNLABELLED, Dataset, Window
from pixelnet.data.images import RGB, Ranges, as_many, find_ranges, known_type, match_channels, to_array
from pixelnet.data.pages import file_and_page, name_of
from pixelnet.errors import InputError
from pixelnet.inference.encoded import points_inside
from pixelnet.inference.inputs import images_in
from pixelnet.learning.parts import Maps
from pixelnet.rasters import STACKS, read_header, read_pixels, read_size

SEEN_FOR_RANGES = 32  # images that the range of their numbers is found from
SIDE = 4096  # pixels, of the middle of an image that is seen for that

Given = str | Path | PIL.Image.Image | np.ndarray


class Images:
    """The images of a session, in its order.

    Args:
        given: files, arrays or PIL images, or one folder, which is searched through. A stack is its pages, of which
            stack.tif[3] is the fourth. The first says what channels all have, gray standing for red, green and blue;
            these together what numbers are 0 and 1, where that is not the type's to say (see `Dataset.ranges`).
    """

    def __init__(self, given: Given | Iterable[Given]) -> None:
        self.given: list[Given] = []
        self.sizes: list[tuple[int, int]] = []  # (width, height)
        self.folder: Path | None = None
        if isinstance(given, str | Path) and Path(given).is_dir():
            self.folder = Path(given)
            given = images_in(self.folder)
        first = [given] if isinstance(given, str | Path | PIL.Image.Image | np.ndarray) else list(given)
        if not first:
            raise InputError("a session needs an image; give files, arrays, PIL images, or a folder that holds images")
        first = [page for image in first for page in _pages(image)]
        self.channels = _channels(first[0])
        unit = [(0.0, 1.0)] * len(self.channels)
        seen = [_seen(image, self.channels, unit) for image in first[:SEEN_FOR_RANGES] if _is_deep(image)]
        self.ranges = find_ranges(seen, seen[0].dtype) if seen else None
        self.add(first)

    def add(self, images: Iterable[Given]) -> None:
        """Further ones."""
        more = [page for image in images for page in _pages(image)]
        sizes = [self._size(image) for image in more]
        self.given += more
        self.sizes += sizes

    def __len__(self) -> int:
        return len(self.given)

    def read(self, index: int, window: Window | None = None) -> np.ndarray:
        """The pixels (H, W, C) of an image, or some rows and columns of them.

        Raises InputError if its size is no more what it was.
        """
        image = self.given[index]
        if window is not None:
            if not isinstance(image, str | Path):
                return self.read(index)[window]
            return _part(image, self.channels, self.ranges, window)
        pixels = _array(image, self.channels, self.ranges)
        if pixels.shape[1::-1] != self.sizes[index]:
            (width, height), size = self.sizes[index], f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise InputError(f"image {self.names()[index]} is {size}, and was {width}x{height}; begin a session anew")
        return pixels

    def _size(self, image: Given) -> tuple[int, int]:
        if isinstance(image, str | Path):
            return read_size(file_and_page(image)[0])
        height, width = to_array(image, self.channels, self.ranges).shape[:2]
        return width, height

    def file(self, index: int) -> Path | None:
        """An image's file, if it has one."""
        image = self.given[index]
        return file_and_page(image)[0] if isinstance(image, str | Path) else None

    @property
    def root(self) -> Path | None:
        """The folder that all files lie in; None if there are none."""
        if self.folder is not None:
            return self.folder
        folders = [file.parent.absolute() for i in range(len(self)) if (file := self.file(i)) is not None]
        return Path(os.path.commonpath(folders)) if folders else None

    def names(self) -> list[str]:
        """One for each: a file's path from the root on, with its page, or the image's number."""
        root = self.root
        return [Path(os.path.relpath(image, root)).as_posix() if isinstance(image, str | Path) else f"{i:06d}"
                for i, image in enumerate(self.given)]  # fmt: skip

    def find(self, image: int | str | Path) -> int:
        """The number of an image, by its number, path or name. Raises InputError for one that is not there."""
        try:
            index = operator.index(image)  # type: ignore[arg-type]
        except TypeError:
            text = str(image)
            known = [str(one) if isinstance(one, str | Path) else None for one in self.given]
            index = next((names.index(text) for names in (known, self.names()) if text in names), len(self))
        if not 0 <= index < len(self):
            shown = image if isinstance(image, str | Path | int) else f"a {type(image).__name__}"
            last = f"0 to {len(self) - 1}, or their paths or names as given; add others by session.add"
            raise InputError(f"there is no image {shown} in this session of {len(self)}; its images are {last}")
        return index


def _pages(image: Given) -> list[Given]:
    """An image itself, or of a stack its pages."""
    if not isinstance(image, str | Path):
        return [image]
    file, page = file_and_page(image)
    pages = read_header(file).pages if page is None and file.suffix.lower() in STACKS else 1
    return [image] if pages == 1 else [f"{file}[{k}]" for k in range(pages)]


def _array(image: Given, channels: Sequence[str], ranges: Ranges | None) -> np.ndarray:
    if not isinstance(image, str | Path):
        return to_array(image, channels, ranges)
    file, page = file_and_page(image)
    return to_array(file, channels, ranges, page)


def _channels(image: Given) -> tuple[str, ...]:
    if isinstance(image, str | Path):
        found = read_header(file_and_page(image)[0]).channels
    elif isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] not in (1, 3, 4):
        found = tuple(f"channel {k}" for k in range(image.shape[2]))
    else:
        found = RGB
    return RGB if len(found) == 1 else found


def _part(image: str | Path, channels: Sequence[str], ranges: Ranges | None, window: Window) -> np.ndarray:
    file, page = file_and_page(image)
    chosen = match_channels(read_header(file), channels, file)
    return known_type(as_many(read_pixels(file, page, window, chosen), channels), str(image), ranges)


def _seen(image: Given, channels: Sequence[str], ranges: Ranges) -> np.ndarray:
    """What ranges are found from: an image, or of a large file its middle."""
    if not isinstance(image, str | Path):
        return to_array(image, channels, ranges)
    size = read_size(file_and_page(image)[0])
    rows, columns = (slice(max(0, (own - SIDE) // 2), (own + SIDE) // 2) for own in size[::-1])
    return _part(image, channels, ranges, (rows, columns))


def _is_deep(image: Given) -> bool:
    """Whether an image's numbers are no bytes."""
    if isinstance(image, str | Path):
        return read_header(file_and_page(image)[0]).dtype != np.uint8
    return isinstance(image, np.ndarray) and image.dtype != np.uint8


class Strokes:
    """The labelled pixels of images, and what describes them.

    Args:
        images, maps: of a session.
        class_names: of the labels.
    """

    def __init__(self, images: Images, maps: Maps, class_names: Sequence[str]) -> None:
        self.images, self.maps, self.class_names = images, maps, tuple(class_names)
        self.changes = 0
        self._pixels: dict[int, np.ndarray] = {}  # of an image: row * width + column, ascending
        self._ids: dict[int, np.ndarray] = {}
        self._read: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}  # pixels, and their features

    def copy(self) -> "Strokes":
        """The same labels, which go their own way from here on; what was read is never changed, and so is shared."""
        other = Strokes(self.images, self.maps, self.class_names)
        other.changes = self.changes
        other._pixels, other._ids, other._read = dict(self._pixels), dict(self._ids), dict(self._read)
        return other

    def label(self, index: int, points: Any, ids: Any) -> None:
        """See `Session.label`."""
        pixels = self._pixels_at(index, points)
        given = self._ids_of(ids, len(pixels))
        # Of one pixel's labels the last counts: the first, from behind.
        pixels = np.concatenate([self._pixels.get(index, NONE), pixels])[::-1]
        given = np.concatenate([self._ids.get(index, NONE), given])[::-1]
        pixels, last = np.unique(pixels, return_index=True)
        self._keep(index, pixels, given[last])

    def replace(self, index: int, points: np.ndarray, ids: np.ndarray) -> None:
        """Label these pixels (P, 2) of an image, each once, and no others of it."""
        pixels = self._pixels_at(index, points) if len(points) else NONE
        order = np.argsort(pixels)
        self._keep(index, pixels[order], np.asarray(ids, np.int64)[order])

    def unlabel(self, index: int, points: Any) -> None:
        """See `Session.unlabel`."""
        pixels = self._pixels.get(index, NONE)
        left = ~np.isin(pixels, self._pixels_at(index, points))
        self._keep(index, pixels[left], self._ids.get(index, NONE)[left])

    def _keep(self, index: int, pixels: np.ndarray, ids: np.ndarray) -> None:
        self.changes += 1
        if len(pixels):
            self._pixels[index], self._ids[index] = pixels, ids
            return
        for kept in (self._pixels, self._ids):
            kept.pop(index, None)
        for key in [key for key in self._read if key[0] == index]:
            del self._read[key]

    def labelled(self) -> list[int]:
        """The images that have labels, in their order."""
        return sorted(self._pixels)

    def classes(self) -> list[int]:
        """Those that have labels, ascending."""
        return sorted({int(own) for ids in self._ids.values() for own in np.unique(ids)})

    def ids(self, index: int) -> np.ndarray:
        """The class ids (P,) of an image's labels."""
        return self._ids[index]

    def points(self, index: int) -> np.ndarray:
        """Where an image's labels are: (P, 2)."""
        return self._points(index, self._pixels[index])

    def features(self, index: int, part: str) -> np.ndarray:
        """What describes an image's labelled pixels: (P, D) float32."""
        pixels = self._pixels[index]
        known, rows = self._read.get((index, part), (NONE, None))
        if rows is None or not np.array_equal(known, pixels):
            new = pixels[~np.isin(pixels, known, assume_unique=True)]
            fresh = self.maps.at(index, part, self._points(index, new))
            still = np.isin(known, pixels, assume_unique=True)
            rows = fresh if rows is None else np.concatenate([rows[still], fresh])
            rows = rows[np.argsort(np.concatenate([known[still], new]))]
            self._read[index, part] = pixels, rows
        return rows

    def read(self, index: int, part: str) -> bool:
        """Whether a part describes some of an image's labelled pixels already, so that its maps may be at hand."""
        return (index, part) in self._read

    def _points(self, index: int, pixels: np.ndarray) -> np.ndarray:
        rows, columns = np.divmod(pixels, self.images.sizes[index][0])
        return np.stack([columns, rows], axis=1)

    def _pixels_at(self, index: int, points: Any) -> np.ndarray:
        """Points (P, 2) as pixels (P,). Raises InputError for points that are none, or lie outside the image."""
        width, height = self.images.sizes[index]
        array = points_inside(points, width, height, np.float64)
        columns, rows = np.clip(np.rint(array), 0, (width - 1, height - 1)).astype(np.int64).T
        return rows * width + columns

    def _ids_of(self, ids: Any, count: int) -> np.ndarray:
        """Class ids (P,) of numbers or names, or of one that is all points'. Raises InputError for another class."""
        given = np.atleast_1d(np.asarray(ids, dtype=object)).ravel()
        if len(given) not in (1, count):
            raise InputError(f"there are {count} points and {len(given)} classes; give each point its own, or one")
        return np.resize(np.array([self._id_of(own) for own in given], np.int64), count)

    def _id_of(self, given: Any) -> int:
        names = self.class_names
        if isinstance(given, str) and given in names:
            return names.index(given)
        if isinstance(given, int | np.integer) and not isinstance(given, bool) and 0 <= given < len(names):
            return int(given)
        known = ", ".join(names)
        raise InputError(f"there is no class {given!r}; known are {known}, or their numbers 0 to {len(names) - 1}")


NONE = np.zeros(0, np.int64)


class Labelled(Dataset):
    """The labelled images of a session as a data set, in the session's order; their label maps are made when asked."""

    task = "segmentation"

    def __init__(self, strokes: Strokes) -> None:
        self.strokes, images = strokes, strokes.images
        self.numbers = strokes.labelled()  # in the session
        self.drawn: list[np.ndarray] = []  # of each image's labels those that are learnt from
        self.class_names, self.channels, self.ranges = strokes.class_names, images.channels, images.ranges
        self.paths = [images.names()[k] for k in self.numbers]
        self.names = [name_of(path) for path in self.paths]
        named = all(images.file(k) is not None for k in self.numbers)
        self.groups = () if named else self.names  # numbers say nothing of neighbors
        self.source = str(images.root) if named and self.numbers else "a session"

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.strokes.images.read(self.numbers[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        width, height = self.size(i)
        labels = np.full((height, width), UNLABELLED, np.uint8)
        columns, rows = self.strokes.points(self.numbers[i]).T
        labels[rows, columns] = self.strokes.ids(self.numbers[i])
        return labels[window or ...]

    def size(self, i: int) -> tuple[int, int]:
        return self.strokes.images.sizes[self.numbers[i]]

    def files(self, i: int) -> tuple[Path, ...]:
        file = self.strokes.images.file(self.numbers[i])
        return () if file is None else (file,)

    def at(self, index: int, part: str, points: np.ndarray) -> np.ndarray:
        """Features (P, D) of a part at points of an image, by the session's maps; see `described.Reader`."""
        return self.strokes.maps.at(self.numbers[index], part, points)

    def seconds(self, index: int, part: str) -> float:
        """What it will take to see an image, about."""
        return self.strokes.maps.seconds(self.numbers[index], part)

    def width(self, part: str) -> int:
        """How many features a part has."""
        return self.strokes.maps.width(part)
