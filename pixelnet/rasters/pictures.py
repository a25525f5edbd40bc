"""Pictures that Pillow decodes (PNG, JPEG, WebP, BMP, GIF, JPEG 2000, PNM), and those of them that hold more than it
tells.

Sources: the PNG specification (1-, 2-, 4-bit gray; eXIf), the EXIF standard's orientation tag, Netpbm's formats.
"""

from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from pixelnet.errors import InputError
from pixelnet.rasters.guard import check_size, open_picture
from pixelnet.rasters.layout import Layout
from pixelnet.rasters.lossy import read_codestream, webp_is_lossy

ORIENTATION = 0x0112  # EXIF tag; 5..8 exchange width and height
HEAD = 1 << 20  # bytes of a file that hold what it says of itself
RGB = ("red", "green", "blue")


class Picture(NamedTuple):
    """What the header of a picture says.

    mode: Pillow's. format: Pillow's. samples: numbers a pixel. bits: of each. gray: it has no color. alpha: it may be
    transparent.
    """

    layout: Layout
    format: str
    mode: str
    samples: int
    bits: int
    gray: bool
    alpha: bool


def read_picture_header(path: str | Path) -> Picture:
    with open_picture(path) as image:
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        # Pillow decodes a whole PNG to look for EXIF behind the pixels, so only what is in front is asked for.
        tags = image.getexif() if kind != "PNG" or "exif" in image.info else {}
        orientation = tags.get(ORIENTATION, 1)
        pages = getattr(image, "n_frames", 1) if kind == "GIF" else 1
        (width, height), mode, samples = image.size, image.mode, len(image.getbands())
        alpha = image.has_transparency_data
        mode = "L" if kind == "GIF" and _is_gray(_palette(image)) else mode
    bits, lossy = _bits(mode), kind == "JPEG"
    if kind == "PNG":
        bits, color = png_depth(path)
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, samples)
    elif kind == "WEBP":
        lossy = webp_is_lossy(_head(path))
    elif kind == "JPEG2000":
        samples, bits, lossy = read_codestream(_head(path))
    elif kind == "PPM" and mode != "F":
        bits = _pnm_top(path).bit_length()
    picture = bits <= 8 and mode != "F" and (kind != "JPEG2000" or samples in (1, 3))
    # Transparency is the picture's, and is laid on white; a band of JPEG 2000 is a band.
    shown = 3 if picture or samples > 2 else 1
    names = (*RGB, *(f"band {k}" for k in range(4, samples + 1)))[:samples] if samples >= 3 else ()
    if kind == "JPEG2000" and not picture:
        shown = samples
    elif shown == 3:
        names = RGB
    dtype = np.dtype({"F": np.float32, "I": np.uint16 if kind == "PPM" else np.int32}.get(mode, np.uint16))
    layout = Layout(
        shape=(pages, height, width, shown),
        axes="IYXC",
        dtype=np.dtype(np.uint8) if bits <= 8 and mode != "F" else dtype,
        names=names,
        bits=bits,
        picture=picture,
        orientation=orientation if orientation in range(1, 9) else 1,
        lossy=lossy,
    )
    gray = samples <= 2 and mode in ("1", "L", "LA", "La")
    return Picture(layout, kind, mode, samples, bits, gray, alpha and picture)


def _bits(mode: str) -> int:
    return {"1": 1, "I": 32, "F": 32}.get(mode, 16 if mode.startswith("I;16") else 8)


def _head(path: str | Path) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(HEAD)


def read_picture(path: str | Path, picture: Picture, page: int, upright: bool = True) -> np.ndarray:
    """The pixels of a picture: uint8 RGB (H, W, 3), or (H, W, C) of what has more than 8 bits."""
    check_size(path, picture.layout.size, picture.samples)
    if picture.layout.picture:
        with open_picture(path) as image:
            image.seek(page)
            return to_rgb(image, str(path), upright)
    stored = read_deep(path, picture) if picture.format in ("PNG", "JPEG2000") else None
    if stored is None:
        with open_picture(path) as image:
            image.load()
            stored = np.array(image)
            if picture.format == "PPM" and image.mode == "I":
                stored = _as_in_pnm(stored, _pnm_top(path), 65535).astype(np.uint16)
    stored = stored[..., None] if stored.ndim == 2 else stored
    if picture.format == "PNG" and picture.samples in (2, 4):
        stored = on_white(stored)
    return stored


def read_deep(path: str | Path, picture: Picture) -> np.ndarray:
    """PNG and JPEG 2000 of more than 8 bits, of which Pillow keeps 8 a color: (H, W) or (H, W, C) as it is stored."""
    data = Path(path).read_bytes()
    return imagecodecs.png_decode(data) if picture.format == "PNG" else imagecodecs.jpeg2k_decode(data)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Numbers (H, W, C) whose last channel is transparency, laid on white: (H, W, C - 1) of the same type."""
    real = pixels.dtype.kind == "f"
    if pixels.dtype == np.uint8 and pixels.shape[2] == 4:
        return on_white_picture(Image.fromarray(np.ascontiguousarray(pixels), "RGBA"))
    top = 1 if real else np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:] / np.float32(top)
    mixed = pixels[..., :-1] * alpha + top * (1 - alpha)
    return mixed if real else mixed.round().astype(pixels.dtype)


def on_white_picture(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def to_rgb(image: Image.Image, name: str, upright: bool = True) -> np.ndarray:
    """A PIL image of any mode, turned upright -> uint8 (H, W, 3)."""
    image.load()  # strict: Pillow raises on a truncated file
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        gray = np.asarray(image).astype(np.int64)
        if gray.min() < 0 or gray.max() > 65535:
            raise InputError(f"{name} holds {gray.min()}..{gray.max()}, expected 0..65535; save it as 8 or 16 bit")
        return repeat(((gray + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        real = np.asarray(image)
        if not (real.min() >= 0 and real.max() <= 1):
            raise InputError(f"{name} holds real values {real.min():g}..{real.max():g}, expected 0..1; scale them")
        return repeat(np.round(real * 255).astype(np.uint8))
    if image.has_transparency_data:
        return on_white_picture(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def repeat(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


class Numbers(NamedTuple):
    """The numbers of a label map that Pillow decodes: (H, W) or (H, W, C), and what they are; see `Stored`."""

    values: np.ndarray
    top: int
    mode: str
    palette: np.ndarray | None = None


def read_numbers(path: str | Path, picture: Picture, page: int) -> Numbers:
    """The numbers of a label map, as they are stored."""
    check_size(path, picture.layout.size, picture.samples)
    with open_picture(path) as image:
        image.seek(page)
        image.load()
        if image.getexif().get(ORIENTATION, 1) != 1:
            raise InputError(f"{path} is a label map with an EXIF rotation; save it upright, without the tag")
        if picture.bits > 8 and ((picture.samples > 1 and picture.format == "PNG") or picture.format == "JPEG2000"):
            stored = read_deep(path, picture)
            mode = {2: "LA", 3: "RGB", 4: "RGBA"}.get(picture.samples, "I;16")
            return Numbers(stored, 2 ** (8 * stored.itemsize) - 1, mode)
        stored, mode, palette = np.array(image), image.mode, _palette(image)
    if picture.format == "GIF" and palette is not None and _is_gray(palette):
        return Numbers(palette[stored, 0], 255, "L")
    if mode == "1":
        return Numbers(stored.astype(np.uint8), 1, "1")
    if picture.format == "PNG" and picture.bits < 8 and mode == "L":  # Pillow stretches 2- and 4-bit gray to 0..255
        top = 2**picture.bits - 1
        return Numbers(stored // (255 // top), top, "L")
    if picture.format == "PPM" and mode in ("L", "RGB", "I"):  # and all of PNM to the type's largest
        top = _pnm_top(path)
        return Numbers(_as_in_pnm(stored, top, 65535 if mode == "I" else 255), top, mode)
    return Numbers(stored, 2 ** (8 * stored.itemsize) - 1 if stored.dtype.kind == "u" else 0, mode, palette)


def _is_gray(palette: np.ndarray | None) -> bool:
    """Whether a palette has no color; GIF has no other way to hold gray."""
    return palette is not None and bool((palette == palette[:, :1]).all())


def _palette(image: Image.Image) -> np.ndarray | None:
    if image.mode != "P" or image.palette is None:
        return None
    colors = np.zeros((256, 3), np.uint8)
    listed = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colors[: len(listed)] = listed
    return colors


def png_depth(path: str | Path) -> tuple[int, int]:
    """(bits a sample, color type) from a PNG's first chunk, IHDR."""
    with Path(path).open("rb") as file:
        header = file.read(26)
    return header[24], header[25]


def _pnm_top(path: str | Path) -> int:
    """The largest number that a PNM picture may hold: its header's third, of bitmaps 1."""
    lines = _head(path)[:4096].split(b"\n")
    words = b" ".join(line.partition(b"#")[0] for line in lines).split()
    return 1 if words[0] in (b"P1", b"P4") else int(words[3])


def _as_in_pnm(stretched: np.ndarray, top: int, to: int) -> np.ndarray:
    """Numbers that Pillow stretched from 0..top to 0..to, as they were."""
    if top == to:
        return stretched
    return np.rint(stretched * (top / to)).astype(stretched.dtype)
