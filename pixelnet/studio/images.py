"""The images of a project: which there are, which cannot be read and why, and what a screen shows of them."""

import hashlib
import io
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from pixelnet.data.images import as_many, match_channels, to_array
from pixelnet.data.pages import file_and_page
from pixelnet.errors import InputError, printable
from pixelnet.files import inside, write_npy
from pixelnet.inference.inputs import images_in
from pixelnet.learning.strokes import Images
from pixelnet.rasters import OpenPixels, read_header, read_levels
from pixelnet.studio.canvas import Box

OWN = "studio"  # the folder of what the studio writes, within that of the images
LARGE = 2**24  # pixels of an image that is shown, and answered, whole; of a larger one what is on screen
LARGEST = 2**31  # pixels of an image, which are numbered
AT_ONCE = 2**25  # pixels that are read at once, where every few of them are wanted
EXACT = 2**22  # pixels of a part of a large image that is sent without loss: a screen has no more
HELD = 2048  # pixels, the longer side of the picture of a large image that is made once, and kept
THUMBNAIL = 160
MANY = 5000


@dataclass(frozen=True)
class Listed:
    """An image in the list. path: from the folder on, that of a stack's fourth page stack.tif[3]. fault: why it cannot
    be labelled, "" if it can.
    """

    path: str
    width: int = 0
    height: int = 0
    fault: str = ""


def in_words(error: InputError | str, folder: Path) -> str:
    """What is wrong, with paths from the project's folder on."""
    return printable(str(error)).replace(f"{folder}/", "")


def named(path: Path) -> str:
    """A short name for a path on this machine."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


def stamp(path: Path) -> str:
    """What a browser, which keeps pictures, knows those of a file by; of another file, or content, it is another."""
    with suppress(OSError):
        found = path.stat()
        return f"{named(path)}-{found.st_mtime_ns:x}-{found.st_size:x}"
    return named(path)


def listed(folder: Path, passed: set[Path]) -> list[Listed]:
    """All images in a folder but for the studio's own files and those `passed` over. Raises InputError for none."""
    paths = [path for path in images_in(folder) if path not in passed and OWN not in path.relative_to(folder).parts[:1]]
    found: list[Listed] = []
    names: dict[str, str] = {}
    channels = 0
    for path in paths:
        own = path.relative_to(folder).as_posix()
        name = path.relative_to(folder).with_suffix("").as_posix().casefold()
        try:
            header = read_header(path)
            count = 3 if len(header.channels) == 1 else len(header.channels)
            if name in names:
                raise InputError(f"it is called as {names[name]} is, but for the ending; give one of them another name")
            if header.pages > 1 and header.width * header.height > LARGE:
                size = f"{header.width} x {header.height}"
                raise InputError(f"it holds {header.pages} images of {size} pixels; save them as one file each")
            if header.width * header.height >= LARGEST:
                raise InputError(f"it has {header.width} x {header.height} pixels, and up to 2^31 are shown; cut it")
            if channels and count != channels:
                raise InputError(f"it has {count} channels, and the images before it {channels}; keep them apart")
            pages = [own] if header.pages == 1 else [f"{own}[{page}]" for page in range(header.pages)]
            found += [Listed(page, header.width, header.height) for page in pages]
            names[name], channels = own, count
        except InputError as error:
            found.append(Listed(own, fault=in_words(error, folder)))
    if len(found) > MANY:
        raise InputError(f"{folder} holds {len(found)} images, and a project has up to {MANY}; open a part of it")
    return found


class Pictures:
    """Images as a screen shows them. kept: a folder for pictures of large images, which take long to make."""

    def __init__(self, images: Images, kept: Path) -> None:
        self.images, self.kept = images, kept
        file = images.file(0)
        gray = file is not None and (header := read_header(file)) and (header.gray or len(header.channels) == 1)
        self.channels = () if gray else images.channels  # those that may be looked at one by one
        self.shown = lru_cache(maxsize=6)(self._shown)
        self.small = lru_cache(maxsize=MANY)(self._small)
        self._levels = lru_cache(maxsize=MANY)(self._levels_of)

    def is_large(self, index: int) -> bool:
        width, height = self.images.sizes[index]
        return width * height > LARGE

    def _shown(self, index: int, channels: tuple[int, ...], box: Box | None = None, step: int = 1) -> bytes:
        """A part of an image, or the whole, every few pixels of it: PNG, or JPEG where no screen shows each of them."""
        picture, content = Image.fromarray(self._bytes(self._pixels(index, box, step), channels)), io.BytesIO()
        if step == 1 and (not self.is_large(index) or picture.width * picture.height <= EXACT):
            picture.save(content, "PNG", compress_level=1)
        else:
            picture.save(content, "JPEG", quality=90)
        return content.getvalue()

    def _small(self, index: int) -> bytes:
        content = io.BytesIO()
        Image.fromarray(self.thumb(index, THUMBNAIL)).save(content, "WEBP", quality=80)
        return content.getvalue()

    def thumb(self, index: int, side: int) -> np.ndarray:
        """A small picture of an image, uint8 (h, w, 3), its longer side so many pixels at most."""
        step = max(1, max(self.images.sizes[index]) // (2 * side)) if self.is_large(index) else 1
        picture = Image.fromarray(self._bytes(self._pixels(index, None, step), ()))
        picture.thumbnail((side, side))
        return np.asarray(picture)

    def _bytes(self, pixels: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
        """Pixels (h, w, C) as uint8 (h, w, 3), by the range that all images of the project have."""
        ranges = self.images.ranges
        chosen = channels or tuple(range(min(3, pixels.shape[2])))
        if any(not 0 <= channel < pixels.shape[2] for channel in chosen):
            raise InputError(f"channels are {list(chosen)}; the image has {pixels.shape[2]}, from 0 on")
        planes = []
        for channel in chosen:
            plane = pixels[..., channel]
            if plane.dtype != np.uint8:
                top = np.iinfo(plane.dtype).max if plane.dtype.kind in "ui" else 1.0
                low, high = ranges[channel] if ranges is not None else (0.0, float(top))
                plane = (np.nan_to_num((plane.astype(np.float32) - low) / (high - low)).clip(0, 1) * 255).astype(
                    np.uint8
                )
            planes.append(plane)
        planes = planes * 3 if len(planes) == 1 else [*planes, np.zeros_like(planes[0])][:3]
        return np.stack(planes, axis=-1)

    def _pixels(self, index: int, box: Box | None, step: int) -> np.ndarray:
        """Every few pixels of a part: of an overview of the file that is fine enough, if it has one."""
        width, height = self.images.sizes[index]
        left, top, wide, high = box or Box(0, 0, width, height)
        if not self.is_large(index):
            return self.images.read(index)[top : top + high : step, left : left + wide : step]
        rows, columns = np.arange(top, min(top + high, height), step), np.arange(left, min(left + wide, width), step)
        if step == 1:
            return self.images.read(index, (slice(top, top + high), slice(left, left + wide)))
        factor, level = max((own, k) for k, own in enumerate(self._levels(index)) if own <= step)
        if len(rows) * len(columns) * (step / factor) ** 2 > AT_ONCE:
            return self._held(index)[np.ix_(*(self._places(index, own) for own in (rows, columns)))]
        return self._read(index, level, factor, rows, columns)

    def _places(self, index: int, wanted: np.ndarray) -> np.ndarray:
        return wanted // self._coarse(index)

    def _coarse(self, index: int) -> int:
        return -(-max(self.images.sizes[index]) // HELD)

    def _levels_of(self, index: int) -> list[float]:
        """By how much each of a file's overviews is smaller, the image itself first."""
        file = self.images.file(index)
        assert file is not None
        levels = read_levels(file)
        return [levels[0][0] / own[0] for own in levels]

    def _read(self, index: int, level: int, factor: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The pixels of an overview that lie at these rows and columns of the image."""
        file = self.images.file(index)
        assert file is not None
        with OpenPixels(file, level=level) as opened:
            size = opened.header.height, opened.header.width
            down, across = (
                np.minimum((own / factor).astype(int), most - 1)
                for own, most in zip((rows, columns), size, strict=True)
            )
            window = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
            chosen = None if level else match_channels(opened.header, self.images.channels, file)
            pixels = as_many(opened.read(window, chosen), self.images.channels)
        return pixels[np.ix_(down - down[0], across - across[0])]

    def _held(self, index: int) -> np.ndarray:
        """A picture of a large image without overviews, made once, strip by strip, and kept on disk."""
        width, height = self.images.sizes[index]
        step, path = (
            self._coarse(index),
            inside(self.kept, f"{index}-{self.images.names()[index].replace('/', '-')}.npy"),
        )
        file = self.images.file(index)
        assert file is not None
        if not path.exists() or path.stat().st_mtime < file.stat().st_mtime:
            columns = np.arange(0, width, step)
            band = max(1, AT_ONCE // width // step)
            with OpenPixels(file) as opened:
                chosen = match_channels(opened.header, self.images.channels, file)
                strips = [
                    as_many(opened.read((slice(top, min(top + band * step, height)), slice(0, width)), chosen),
                            self.images.channels)[::step, columns]
                    for top in range(0, height, band * step)
                ]  # fmt: skip
            path.parent.mkdir(parents=True, exist_ok=True)
            write_npy(path, np.concatenate(strips))
        found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return found


def readable(folder: Path, images: list[Listed]) -> tuple[Images, list[Listed]]:
    """The images that can be read, and the list, in which those whose pixels cannot are marked; headers may be whole
    where pixels are not. Raises InputError where none can.
    """
    good = [own for own in images if not own.fault]
    if not good:
        why = f": {images[0].path}: {images[0].fault}" if images else ""
        raise InputError(f"{folder} holds no image that can be labelled{why}; give a folder of images")
    try:
        return Images([folder / own.path for own in good]), images
    except InputError:
        checked = [_checked(folder, own) for own in images]
        if checked == images:
            raise
        return readable(folder, checked)


def _checked(folder: Path, own: Listed) -> Listed:
    if own.fault:
        return own
    try:
        if own.width * own.height <= LARGE:
            file, page = file_and_page(folder / own.path)
            to_array(file, read_header(file).channels, [(0.0, 1.0)] * 64, page)
        return own
    except InputError as error:
        return Listed(own.path, fault=in_words(error, folder))
