"""The images of a project: which there are, which cannot be read and why, and what a screen shows of them."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from pixelnet.data.images import to_array
from pixelnet.errors import InputError, printable
from pixelnet.inference.bulk import images_in
from pixelnet.learning.strokes import Images
from pixelnet.rasters import read_header

OWN = "studio"  # the folder of what the studio writes, within that of the images
LARGEST = 2**24  # pixels of an image that is learnt from: what describes them has to be held
THUMBNAIL = 160
MANY = 5000


@dataclass(frozen=True)
class Listed:
    """An image in the list. path: from the folder on. fault: why it cannot be labelled, "" if it can."""

    path: str
    width: int = 0
    height: int = 0
    fault: str = ""


def listed(folder: Path, passed: set[Path]) -> list[Listed]:
    """All images in a folder but for the studio's own files and those `passed` over. Raises InputError for none."""
    paths = [path for path in images_in(folder) if path not in passed and OWN not in path.relative_to(folder).parts[:1]]
    if len(paths) > MANY:
        raise InputError(f"{folder} holds {len(paths)} images, and a project has up to {MANY}; open a part of it")
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
            if header.pages > 1:
                raise InputError(f"it holds {header.pages} images; save them as one file each")
            if header.width * header.height > LARGEST:
                raise InputError(
                    f"it has {header.width} x {header.height} pixels, and up to {LARGEST / 1e6:.0f} million are learnt "
                    "from; cut it into tiles"
                )
            if channels and count != channels:
                raise InputError(f"it has {count} channels, and the images before it {channels}; keep them apart")
            found.append(Listed(own, header.width, header.height))
            names[name], channels = own, count
        except InputError as error:
            found.append(Listed(own, fault=printable(str(error))))
    return found


class Pictures:
    """Images as a screen shows them."""

    def __init__(self, images: Images) -> None:
        self.images = images
        file = images.file(0)
        gray = file is not None and (header := read_header(file)) and (header.gray or len(header.channels) == 1)
        self.channels = () if gray else images.channels  # those that may be looked at one by one
        self.shown = lru_cache(maxsize=6)(self._shown)
        self.small = lru_cache(maxsize=MANY)(self._small)

    def _bytes(self, index: int, channels: tuple[int, ...]) -> np.ndarray:
        """uint8 (H, W, 3), by the range that all images of the project have."""
        pixels, ranges = self.images[index], self.images.ranges
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

    def _shown(self, index: int, channels: tuple[int, ...]) -> bytes:
        content = io.BytesIO()
        Image.fromarray(self._bytes(index, channels)).save(content, "PNG", compress_level=1)
        return content.getvalue()

    def _small(self, index: int) -> bytes:
        picture = Image.fromarray(self._bytes(index, ()))
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        content = io.BytesIO()
        picture.save(content, "WEBP", quality=80)
        return content.getvalue()


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
        to_array(folder / own.path, read_header(folder / own.path).channels, [(0.0, 1.0)] * 64)
        return own
    except InputError as error:
        return Listed(own.path, fault=printable(str(error)))
