"""Files of pixels, read as they are stored: pages, channels and windows of them, and what their headers say.

Sources: the PNG specification (1-, 2-, 4-bit gray; eXIf) and the EXIF standard's orientation tag.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pixelnet.errors import InputError

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
LABEL_EXTENSIONS = (".png", ".bmp", ".tif", ".tiff", ".npy")
LOSSY_EXTENSIONS = (".jpg", ".jpeg", ".webp")  # never for labels: their values do not survive

ORIENTATION = 0x0112  # EXIF tag; 5..8 exchange width and height


def read_size(path: str | Path) -> tuple[int, int]:
    """(width, height) of a picture or .npy map in pixels, upright, from its header only. Raises InputError."""
    with reading(path):
        if Path(path).suffix.lower() == ".npy":
            height, width = np.load(path, mmap_mode="r", allow_pickle=False).shape[:2]
            return width, height
        with Image.open(path) as image:
            # Pillow decodes a whole PNG to look for EXIF behind the pixels, so only what is in front is asked for.
            header = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            turned = header.get(ORIENTATION, 1) >= 5
            if turned and image.format == "TIFF":  # which Pillow turns itself, some versions only when it is loaded
                image.load()
                return image.size
            return image.size[::-1] if turned else image.size


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


def read_stored(path: str | Path, page: int = 0) -> Stored:
    """A label file's numbers. Raises InputError for a file that is missing, damaged, rotated or of a lossy format."""
    with reading(path):
        if Path(path).suffix.lower() == ".npy":
            stored = np.load(path, allow_pickle=False)
            if stored.size == 0 or stored.dtype.kind not in "buif":
                raise ValueError(f"an array of {stored.dtype}, shape {stored.shape}")
            return Stored(stored.astype(np.uint8) if stored.dtype == bool else stored, 0, "npy")
        with Image.open(path) as image:
            image.load()
            if image.getexif().get(ORIENTATION, 1) != 1:
                raise InputError(f"{path} is a label map with an EXIF rotation; save it upright, without the tag")
            bits, color = png_depth(path) if image.format == "PNG" else (8, -1)
            if bits == 16 and color == 2:
                return Stored(sixteen_bit_color(path), 65535, "RGB")
            stored = np.array(image)
            if image.mode == "1":
                return Stored(stored.astype(np.uint8), 1, "1")
            if bits < 8 and color == 0:  # Pillow stretches 2- and 4-bit gray to 0..255
                return Stored(stored // (255 // (2**bits - 1)), 2**bits - 1, "L")
            top = {"I": 65535, "u": 2 ** (8 * stored.itemsize) - 1}.get(stored.dtype.kind, 0)
            return Stored(stored, top, image.mode, _palette(image))


def _palette(image: Image.Image) -> np.ndarray | None:
    if image.mode != "P" or image.palette is None:
        return None
    colors = np.zeros((256, 3), np.uint8)
    listed = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colors[: len(listed)] = listed
    return colors


def sixteen_bit_color(path: str | Path) -> np.ndarray:
    """A PNG of 16-bit RGB, exactly: uint16 (H, W, 3).

    Pillow keeps one byte of each sample, the first when told that they are big-endian (as they are), the second
    when told that they are little-endian; so it is asked twice.
    """
    halves = []
    for rawmode in ("RGB;16B", "RGB;16L"):
        with Image.open(path) as image:
            image.tile = [(*image.tile[0][:3], rawmode)]  # type: ignore[list-item]
            halves.append(np.asarray(image).astype(np.uint16))
    return 256 * halves[0] + halves[1]


def png_depth(path: str | Path) -> tuple[int, int]:
    """(bits a sample, color type) from a PNG's first chunk, IHDR."""
    with Path(path).open("rb") as file:
        header = file.read(26)
    return header[24], header[25]


def one_channel(stored: np.ndarray, mode: str, path: str | Path, what: str) -> None:
    if stored.ndim != 2 or mode == "P":
        raise InputError(
            f"{path} is {describe(stored, mode)}, but {what} has one number a pixel; save it as gray or .npy"
        )


def describe(stored: np.ndarray, mode: str) -> str:
    if mode == "npy":
        return f"an array of {stored.dtype}, shape {stored.shape}"
    return {"P": "a palette picture", "F": "a picture of real values"}.get(mode, f"a picture of mode {mode}")


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into one InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large to read at once ({error}); cut it into smaller images") from error
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there, or is a link to nothing; check the path") from error
    except Exception as error:  # decoders raise everything from OSError to SyntaxError on corrupt bytes
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read, it is truncated or in another format ({reason}); copy it again from its source"
        ) from error
