"""Reading pictures as a person would expect, and refusing the rest by name."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.rasters import reading


def read_image(path: str | Path) -> np.ndarray:
    """A picture as uint8 (H, W, 3) RGB, upright as its EXIF rotation says.

    Gray is repeated; 16-bit gray is scaled by 1/257 (not clipped), 16-bit RGB keeps its high byte, real values
    must lie in 0..1; palettes are looked up; transparency is laid on white. Raises InputError for a file that
    is missing, truncated or no image.
    """
    with reading(path), Image.open(path) as image:
        return to_rgb(image, str(path))


def to_array(image: str | Path | Image.Image | np.ndarray | Tensor, channels: int = 3) -> np.ndarray:
    """A picture given any way -> (H, W, C), uint8, uint16, or float32 in 0..1.

    image: a path or a PIL image (of three channels only); an array (H, W) or (H, W, C), uint8, uint16 or real values in
    0..1; a tensor (H, W) or (C, H, W) of the same. Color is RGB in that order. Where three channels are wanted, gray is
    repeated and a fourth, transparency, is laid on white. Raises InputError for anything else.
    """
    if isinstance(image, str | Path | Image.Image):
        if channels != 3:
            raise InputError(f"this model takes {channels} channels, which no picture has; give an array (H, W, C)")
        if isinstance(image, str | Path):
            return read_image(image)
        name = getattr(image, "filename", "") or "the PIL image"
        with reading(name):
            return to_rgb(image, name)
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image is a {type(image).__name__}; give a path, a PIL image, an array or a tensor")
    return np.ascontiguousarray(_with_channels(known_type(image), channels))


def known_type(image: np.ndarray, what: str = "an image array") -> np.ndarray:
    """An image of uint8, of uint16, or of real values in 0..1 as float32. Raises InputError for any other."""
    if image.dtype in (np.uint8, np.uint16):
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"{what} is {image.dtype}; give uint8, uint16, or real values in 0..1")
    if image.size and not (image.min() >= 0 and image.max() <= 1):
        raise InputError(
            f"{what} holds real values {image.min():g}..{image.max():g}, expected 0..1; divide them by the "
            "largest that there can be (255, say), or convert them with .astype(np.uint8)"
        )
    return image.astype(np.float32)


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    pixels = image[..., None] if image.ndim == 2 else image
    fits = pixels.ndim == 3 and pixels.size > 0
    if fits and pixels.shape[2] == channels:
        return pixels
    if fits and channels == 3 and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if fits and channels == 3 and pixels.shape[2] == 4:
        if pixels.dtype == np.uint8:
            return on_white(Image.fromarray(np.ascontiguousarray(pixels), "RGBA"))
        top = 65535 if pixels.dtype == np.uint16 else 1
        alpha = pixels[..., 3:] / np.float32(top)
        mixed = pixels[..., :3] * alpha + top * (1 - alpha)
        return mixed.round().astype(np.uint16) if top > 1 else mixed
    known = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)" if channels == 3 else f"(H, W, {channels})"
    raise InputError(f"an image array has shape {image.shape}, expected {known}; tensors are (C, H, W)")


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """A PIL image of any mode, turned upright -> uint8 (H, W, 3)."""
    image.load()  # strict: Pillow raises on a truncated file
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
        return on_white(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def repeat(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def on_white(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def view_of(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C) of any type, as people see it: uint8 (H, W, 3), its first channel or its first three."""
    pixels = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    if pixels.dtype == np.uint8:
        return pixels
    return (pixels / (257 if pixels.dtype == np.uint16 else 1 / 255)).round().astype(np.uint8)
