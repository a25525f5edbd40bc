"""Images as a model takes them, and as people see them: from files, PIL images, arrays or tensors.

A data set's images are the numbers of their files. `to_unit` in transforms.py, and nothing else, brings them to 0..1.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from pixelnet.data.slices import middle
from pixelnet.errors import InputError
from pixelnet.rasters import Header, channel_indices, decoding, read_header, read_pixels
from pixelnet.rasters.pictures import on_white, to_rgb

RGB = ("red", "green", "blue")
Ranges = Sequence[tuple[float, float]]
SAMPLE = 10_000  # pixels of an image that a data set's ranges are found from
PERCENTILES = (0.1, 99.9)


def read_image(path: str | Path) -> np.ndarray:
    """A picture as uint8 (H, W, 3) RGB, upright as its EXIF rotation says, for people and for data sets of photos.

    Gray is repeated; 16-bit numbers are scaled by 1/257 (not clipped), real values must lie in 0..1; palettes are
    looked up; transparency is laid on white. Raises InputError for a file that is missing, truncated or no image.
    """
    return as_bytes(to_array(path), str(path))


def to_array(
    image: str | Path | Image.Image | np.ndarray | Tensor,
    channels: Sequence[str] = RGB,
    ranges: Ranges | None = None,
    page: int | None = None,
    axes: str | None = None,
) -> np.ndarray:
    """An image given any way -> (H, W, C), its raw numbers: uint8, uint16, or float32 in 0..1, and of `ranges` any.

    Args:
        image: a file; a PIL image; an array (H, W) or (H, W, C); a tensor (H, W) or (C, H, W). Color is RGB in that
            order.
        channels: what they should be. A file's are found by name where it has names for them, and by their number where
            it has none; names that begin with "band" or "channel" are none. Of red, green and blue, gray is repeated,
            and in a picture, a PIL image or an array transparency, the fourth, is laid on white.
        ranges: the numbers of each channel that will be 0 and 1; None for those of the type.
        page, axes: of a file; see `read_pixels`.

    Raises:
        InputError: anything else, with what it has and what was expected.
    """
    if isinstance(image, str | Path):
        return known_type(_read(image, channels, page, axes), str(image), ranges)
    if isinstance(image, Image.Image):
        image = _from_pil(image, channels)
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image is a {type(image).__name__}; give a path, a PIL image, an array or a tensor")
    return np.ascontiguousarray(_with_channels(known_type(image, ranges=ranges), channels))


def known_type(image: np.ndarray, what: str = "an image array", ranges: Ranges | None = None) -> np.ndarray:
    """An image of uint8, of uint16, or of real values in 0..1 as float32; with `ranges`, of any numbers as they are.

    Raises InputError for any other, and for whole numbers that cannot reach the ranges.
    """
    if ranges is not None and image.dtype.kind in "uif":
        top = np.iinfo(image.dtype).max if image.dtype.kind in "ui" else np.inf
        highest = max(high for _, high in ranges)
        if 2 * top < highest:
            raise InputError(
                f"{what} is {image.dtype}, and the model's range reaches {highest:g}; give images of the type that it "
                "was trained on"
            )
        return image
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


def _read(path: str | Path, channels: Sequence[str], page: int | None, axes: str | None) -> np.ndarray:
    header = read_header(path, axes)
    chosen = match_channels(header, channels, path)
    return as_many(read_pixels(path, page, channels=chosen, axes=axes), channels)


def as_many(pixels: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """What was read of the channels that `match_channels` chose, (h, w, C): gray repeated where color is wanted."""
    return np.repeat(pixels, len(channels), axis=2) if pixels.shape[2] < len(channels) else pixels


def match_channels(header: Header, channels: Sequence[str], path: str | Path) -> list[int] | None:
    """Which of a file's channels are a model's, in its order; None for all as they are, or for gray to be repeated.

    Raises InputError where some are not there.
    """
    found = header.channels
    if (header.gray and list(channels) == ["gray"]) or set(channels) <= set(found):
        return None if tuple(channels) == found else channel_indices(header, list(channels), path)
    if len(found) == len(channels) and all(
        one == other or is_nameless(one) or is_nameless(other, model=True)
        for one, other in zip(found, channels, strict=True)
    ):
        return None
    if tuple(channels) == RGB and len(found) == 1 and is_nameless(found[0]):
        return None
    raise InputError(
        f"{path} has the channels {', '.join(found)}; the model was trained on {', '.join(channels)}"
        + ("; choose or name them so" if len(found) >= len(channels) else "")
    )


def is_nameless(name: str, model: bool = False) -> bool:
    """Whether a channel has no name, only its place; of a file, "gray" says no more than that it is the only one."""
    return name.startswith("channel ") if model else name == "gray" or name.startswith("band ")


def _from_pil(image: Image.Image, channels: Sequence[str]) -> np.ndarray:
    name = str(getattr(image, "filename", "")) or "the PIL image"
    with decoding(name):
        image.load()
        if image.mode.startswith("I;16") or (len(channels) == 1 and image.mode in ("L", "I", "F")):
            return np.asarray(ImageOps.exif_transpose(image))
        if tuple(channels) == RGB:
            return to_rgb(image, name)
    raise InputError(f"{name} is of mode {image.mode}; the model takes {', '.join(channels)}: give an array (H, W, C)")


def _with_channels(image: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    pixels, color = image[..., None] if image.ndim == 2 else image, tuple(channels) == RGB
    fits = pixels.ndim == 3 and pixels.size > 0
    if fits and pixels.shape[2] == len(channels):
        return pixels
    if fits and color and pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if fits and color and pixels.shape[2] == 4:
        return on_white(pixels)
    known = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)" if color else f"(H, W, {len(channels)})"
    raise InputError(f"an image array has shape {image.shape}, expected {known}; tensors are (C, H, W)")


def as_bytes(image: np.ndarray, what: str = "an image") -> np.ndarray:
    """An image of uint8, uint16 or real values in 0..1 -> uint8, rounded."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.round(known_type(image, what) * 255).astype(np.uint8)


def view_of(image: np.ndarray, ranges: Ranges | None = None, channels: Sequence[str] = ()) -> np.ndarray:
    """An image (H, W, C) of any type, as people see it: uint8 (H, W, 3), its first channel or its first three.

    ranges: for each channel the numbers that are black and white; None for those of the type, and of numbers that have
    no such type for the image's own smallest and largest. channels: their names; of several
    slices the middle one is shown.
    """
    if channels:
        own = middle(channels)
        image, ranges = image[..., own], None if ranges is None else ranges[own]
    shown = [0, 1, 2] if image.shape[2] >= 3 else [0, 0, 0]
    pixels = image[..., shown]
    unbounded = image.dtype not in (np.uint8, np.uint16) and not (pixels.min() >= 0 and pixels.max() <= 1)
    if ranges is None and not unbounded:
        return as_bytes(pixels)
    limits = percentile_ranges([pixels], percentiles=(0, 100)) if ranges is None else [ranges[k] for k in shown]
    low, high = np.array(limits).T
    unit = (pixels.astype(np.float64) - low) / (high - low)
    return np.round(np.nan_to_num(unit.clip(0, 1)) * 255).astype(np.uint8)


def measured(pixels: np.ndarray, nodata: tuple[float, ...] = ()) -> np.ndarray | None:
    """Which pixels (h, w, C) hold a measurement, bool (h, w); None for all.

    Those do not whose every channel has a number that the file declares to be none, as GDAL counts it, and those with
    NaN in any.
    """
    lacking = np.zeros(pixels.shape[:2], bool)
    for value in nodata:
        lacking |= (pixels == value).all(axis=2)
    if pixels.dtype.kind == "f":
        lacking |= np.isnan(pixels).any(axis=2)
    return ~lacking if lacking.any() else None


def find_ranges(
    images: Iterable[np.ndarray], dtype: np.dtype, nodata: Sequence[float] = ()
) -> tuple[tuple[float, float], ...] | None:
    """The ranges that images (H, W, C) of a type need: None where the type's own will do, or else `percentile_ranges`.

    The type will do for bytes, for 16 bits whose every channel reaches half of what they hold, and for real values that
    lie in 0..1 and reach .5 in every channel. Twelve bits in sixteen, though, would be all but black.
    """
    if dtype == np.uint8:
        return None
    real = dtype.kind == "f"
    samples, within = [], real or dtype == np.uint16
    for k, image in enumerate(images):
        samples.append(_sample(image, k)[None])
        within = within and (not real or bool(image.min() >= 0 and image.max() <= 1))
    ranges = percentile_ranges(samples, nodata)
    half = 0.5 if real else 2**15
    return None if within and all(high >= half for _, high in ranges) else ranges


def percentile_ranges(
    images: Iterable[np.ndarray], nodata: Sequence[float] = (), percentiles: tuple[float, float] = PERCENTILES
) -> tuple[tuple[float, float], ...]:
    """For each channel of images (H, W, C) the numbers that will be 0 and 1: percentiles of some of their pixels.

    The same pixels of the same images, always. NaN, infinity and `nodata` are left out; a channel of one number gets
    the range from that to the next whole one.
    """
    samples = [_sample(image, k).astype(np.float64) for k, image in enumerate(images)]
    if len({sample.shape[1] for sample in samples}) != 1:
        raise InputError("ranges are of one image or more, all of as many channels")
    ranges = []
    for values in np.concatenate(samples).T:
        counted = values[np.isfinite(values) & ~np.isin(values, nodata)]
        low, high = np.percentile(counted, percentiles) if counted.size else (0.0, 1.0)
        ranges.append((float(low), float(high if high > low else low + 1)))
    return tuple(ranges)


def _sample(image: np.ndarray, k: int) -> np.ndarray:
    """Some pixels (N, C) of the k-th image, always the same ones."""
    pixels = image.reshape(-1, image.shape[2])
    if len(pixels) <= SAMPLE:
        return pixels
    return pixels[np.random.default_rng(k).integers(len(pixels), size=SAMPLE)]
