"""Augmentation: a view of an image, and where the image's pixels lie in it.

A view is a window of the image, scaled, perhaps mirrored or turned, and tinted. Labels are not touched: points are
drawn in the window of the original label map, where every label is exact, and moved into the view with `View.place`.
Only the pixels of the window are ever resampled, and these once.

A model that works at one size sees training views and, in prediction, whole images brought to it by the same filter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample
from torchvision.transforms.v2 import functional as F

from pixelnet.config import check_size
from pixelnet.data.images import RGB, Ranges
from pixelnet.errors import InputError

BILINEAR = PIL.Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Augmentation:
    """How views differ from their images.

    Args:
        crop: (height, width) of a view in pixels; None for the whole image. An image that is smaller, once scaled,
            gives a smaller view.
        scale: a view is magnified by a factor drawn from this range, evenly in its logarithm.
        flip: mirror every other view left to right.
        color_jitter: brightness, contrast and saturation each change by up to this share, 0..1. Channels that are not
            red, green and blue have each a gain of their own, changed by up to this share, and an offset of up to half
            of it.
        image_size: the longer side, in pixels, that images are brought to; `scale` comes on top. None: as they are.
        rotate: turn every view by an angle of its own, any of the circle, for pictures without an up. With `flip` that
            mirrors them about any axis, top to bottom, too.
    """

    crop: tuple[int, int] | None = (256, 320)
    scale: tuple[float, float] = (0.75, 1.5)
    flip: bool = True
    color_jitter: float = 0.3
    image_size: int | None = None
    rotate: bool = False

    def __post_init__(self) -> None:
        check_size(self.image_size)
        if self.crop is not None and min(self.crop) < 1:
            raise InputError(f"the crop is {self.crop}; give a height and a width of at least 1")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"the scale is {self.scale}; give a smallest and a largest factor, both above 0")
        if not 0 <= self.color_jitter < 1:
            raise InputError(f"the color jitter is {self.color_jitter}; it must be at least 0 and below 1")


class Turn(NamedTuple):
    """How a turned view lies in its image: the pixel (x, y) at its center, an angle, and how far it is magnified.

    Seen in the view, the image is turned counterclockwise by the angle, in radians.
    """

    center: tuple[float, float]
    angle: float
    scale: float

    def to_view(self) -> np.ndarray:
        """(2, 2): steps (x, y) in the image, as columns -> steps in the view before it is mirrored."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.scale * np.array([[cos, sin], [-sin, cos]])

    def to_image(self) -> np.ndarray:
        """(2, 2), the inverse of `to_view`."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]]) / self.scale


class View(NamedTuple):
    """What a view shows: rows and columns of its image, the view's (height, width), and whether it is mirrored.

    turn: of a turned view, which shows a part of these rows and columns, and may reach beyond the image.
    """

    rows: slice
    columns: slice
    size: tuple[int, int]
    mirrored: bool
    turn: Turn | None = None

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) as (x, y) in the window -> the same places in the view.

        Pixel centers are whole numbers on both sides, so pixel edges, which scale, lie at half ones.
        """
        height, width = self.size
        if self.turn is None:
            window = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
            placed = (points + 0.5) * (np.array([width, height]) / window) - 0.5
        else:
            steps = points + np.array([self.columns.start, self.rows.start]) - self.turn.center
            placed = steps @ self.turn.to_view().T + (np.array([width, height]) - 1) / 2
        if self.mirrored:
            placed[:, 0] = width - 1 - placed[:, 0]
        return placed.astype(np.float32)

    def shows(self, chosen: np.ndarray) -> np.ndarray:
        """Those of some pixels of the window, bool (h, w), whose centers lie in the view."""
        if self.turn is None:
            return chosen
        x = np.arange(self.columns.start, self.columns.stop) - self.turn.center[0]
        y = np.arange(self.rows.start, self.rows.stop)[:, None] - self.turn.center[1]
        across, down = (one * x + other * y for one, other in self.turn.to_view())
        return chosen & (abs(across) <= self.size[1] / 2) & (abs(down) <= self.size[0] / 2)


def draw_view(size: tuple[int, int], augmentation: Augmentation, rng: np.random.Generator) -> View:
    """A view of an image of size (width, height), by the chances of `rng` alone."""
    width, height = size
    longer = max(height, width)
    scale = float(np.exp(rng.uniform(*np.log(augmentation.scale)))) * ((augmentation.image_size or longer) / longer)
    wanted = augmentation.crop or (round(height * scale), round(width * scale))
    if augmentation.rotate:
        shape = max(1, min(wanted[0], round(height * scale))), max(1, min(wanted[1], round(width * scale)))
        reach = [min(side, length / scale) / 2 for side, length in zip(size, shape[::-1], strict=True)]
        # The window may be anywhere where it would be in the image if it were not turned.
        x, y = (rng.uniform(own - 0.5, side - own - 0.5) for side, own in zip(size, reach, strict=True))
        turn = Turn((x, y), rng.uniform(0, 2 * math.pi), scale)
        return _turned(turn, size, shape, augmentation.flip and bool(rng.random() < 0.5))
    rows, window_height = _slice(height, wanted[0], scale, rng)
    columns, window_width = _slice(width, wanted[1], scale, rng)
    height, width = (
        max(1, min(most, round(length * scale)))
        for most, length in zip(wanted, (window_height, window_width), strict=True)
    )
    return View(rows, columns, (height, width), augmentation.flip and bool(rng.random() < 0.5))


def move_onto(view: View, pixel: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> View:
    """The view with its window moved so that it holds a pixel (x, y) of an image of size (width, height).

    Every place of the window that holds the pixel is as likely.
    """
    if view.turn is not None:
        step = view.turn.to_image() @ (rng.uniform(-0.5, 0.5, 2) * view.size[::-1])
        turn = view.turn._replace(center=(pixel[0] - step[0], pixel[1] - step[1]))
        return _turned(turn, size, view.size, view.mirrored)
    columns, rows = (
        _around(at, part.stop - part.start, length, rng)
        for at, part, length in zip(pixel, (view.columns, view.rows), size, strict=True)
    )
    return view._replace(rows=rows, columns=columns)


def cut_view(
    pixels: np.ndarray,
    view: View,
    augmentation: Augmentation,
    rng: np.random.Generator,
    channels: Sequence[str] = RGB,
    ranges: Ranges | None = None,
) -> Tensor:
    """A view's picture, float (C, H, W) in 0..1, from the pixels (h, w, C) of its window, any numbers.

    channels, ranges: the data set's.
    """
    planes = _planes(pixels, ranges)
    planes = F.resize(planes, list(view.size), antialias=True) if view.turn is None else _sampled(to_unit(planes), view)
    if view.mirrored:
        planes = F.horizontal_flip(planes)
    return _jitter(planes, augmentation.color_jitter, rng, color=tuple(channels) == RGB)


def to_unit(image: Tensor, ranges: Ranges | None = None) -> Tensor:
    """An image's numbers (C, H, W) -> float32: here and nowhere else what was read becomes what a network sees.

    ranges: for each channel the numbers that are 0 and 1; what lies beyond is cut, and NaN is 0. None: whole numbers by
    the range of their type, uint8 or uint16, and real ones as they are.
    """
    if ranges is not None:
        low, high = torch.tensor(ranges, dtype=torch.float64, device=image.device).T[..., None, None]
        return ((image.double() - low) / (high - low)).nan_to_num(0, 1, 0).clamp(0, 1).float()
    if image.is_floating_point():
        return image.float()
    return image.float() / {torch.uint8: 255, torch.uint16: 65535}[image.dtype]


def _planes(pixels: np.ndarray, ranges: Ranges | None) -> Tensor:
    """(h, w, C) -> (C, h, w): bytes as they are, which are resized as such, or else in 0..1."""
    planes = torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))
    return planes if planes.dtype == torch.uint8 and ranges is None else to_unit(planes, ranges)


def bring_to(image: np.ndarray, size: int | None, ranges: Ranges | None = None) -> tuple[Tensor, float]:
    """An image (H, W, C) with its longer side brought to `size`, and the factor: one, of both axes.

    Returns float (C, h, w) in 0..1, by `ranges` as in `to_unit`, and exactly 1 for a size of None and for an image of
    that size, which is not resized. Bytes are rounded to bytes, as those of training views are.
    """
    planes, longer = _planes(image, ranges), max(image.shape[:2])
    if size is None or size == longer:
        return to_unit(planes), 1.0
    whole = range(image.shape[0]), range(image.shape[1])
    return to_unit(_resized(planes, Fraction(size, longer), *whole)), size / longer


def magnified(image: np.ndarray, scale: Fraction, rows: range, columns: range, ranges: Ranges | None = None) -> Tensor:
    """A part of an image (H, W, C), magnified by one factor along both axes: float (C, h, w) in 0..1, not rounded.

    It is the part of the whole image magnified, if that begins where whole pixels are on both sides, and if `margin`
    pixels of the image are around it. ranges: as in `to_unit`.
    """
    planes = to_unit(_planes(image, ranges))
    if scale == 1:
        return planes[:, rows.start : rows.stop, columns.start : columns.stop]
    return _resized(planes, scale, rows, columns)


def _resized(planes: Tensor, scale: Fraction, rows: range, columns: range) -> Tensor:
    """Rows and columns of planes (C, H, W), magnified.

    A pixel's center p goes to (p + 0.5) scale - 0.5. A side is seldom a whole number of pixels then: the image is
    repeated beyond its last row or column as far as the last of them reaches.
    """
    lengths = [math.ceil(len(own) * scale) for own in (rows, columns)]
    top, left = rows.start, columns.start
    bottom, right = (  # of the image, not of whole pixels
        own.start + length * scale.denominator / scale.numerator
        for own, length in zip((rows, columns), lengths, strict=True)
    )
    beyond = [max(0, math.ceil(end) - length) for end, length in zip((bottom, right), planes.shape[1:], strict=True)]
    padded = np.pad(planes.numpy(), ((0, 0), (0, beyond[0]), (0, beyond[1])), mode="edge")
    resized = []
    for plane in map(PIL.Image.fromarray, padded):
        # Along x, then along y: left to itself, Pillow from 13 on takes tall images the other way, and bytes differ.
        wide = plane.resize((lengths[1], plane.height), BILINEAR, (left, 0, right, plane.height))
        resized.append(np.asarray(wide.resize((lengths[1], lengths[0]), BILINEAR, (0, top, wide.width, bottom))))
    return torch.from_numpy(np.stack(resized))


def margin(scale: Fraction) -> int:
    """How many pixels around a part of an image `magnified` needs, so that it is the part of the whole magnified."""
    return 0 if scale == 1 else math.ceil(max(Fraction(1), 1 / scale)) + 1


def _slice(length: int, wanted: int, scale: float, rng: np.random.Generator) -> tuple[slice, int]:
    window = min(length, max(1, round(wanted / scale)))
    first = int(rng.integers(length - window + 1))
    return slice(first, first + window), window


def _around(at: int, window: int, length: int, rng: np.random.Generator) -> slice:
    first = int(rng.integers(max(0, at - window + 1), min(at, length - window) + 1))
    return slice(first, first + window)


def _turned(turn: Turn, size: tuple[int, int], shape: tuple[int, int], mirrored: bool) -> View:
    """A turned view of (height, width) `shape`, with the rows and columns that it needs of an image of `size`."""
    reach = np.abs(turn.to_image()) @ shape[::-1] / 2
    columns, rows = (
        slice(max(0, math.floor(at - own)), min(length, math.ceil(at + own) + 1))
        for at, own, length in zip(turn.center, reach, size, strict=True)
    )
    return View(rows, columns, shape, mirrored, turn)


def _sampled(planes: Tensor, view: View) -> Tensor:
    """A turned view (C, H, W), not yet mirrored, of its window (C, h, w), both in 0..1.

    Where a view is smaller than what it shows, each of its pixels is a mean. Images are reflected at their borders.
    """
    assert view.turn is not None
    finer = math.ceil(1 / view.turn.scale - 1e-9)
    across, down = ((torch.arange(finer * length) + 0.5) / finer - length / 2 for length in view.size[::-1])
    # Of the window's whole width and height, from its middle, twice: as `grid_sample` counts.
    first = np.array(view.turn.center) - (view.columns.start - 0.5, view.rows.start - 0.5)
    unit = 2 / np.array(planes.shape[:0:-1])
    (xx, xy), (yx, yy) = (view.turn.to_image() * unit[:, None]).tolist()
    x, y = (first * unit - 1).tolist()
    grid = torch.stack([xx * across + (xy * down + x)[:, None], yx * across + (yy * down + y)[:, None]], dim=-1)
    sampled = grid_sample(planes[None], grid[None], padding_mode="reflection", align_corners=False)
    return avg_pool2d(sampled, finer)[0]


def _jitter(view: Tensor, amount: float, rng: np.random.Generator, color: bool) -> Tensor:
    """A view (C, H, W), bytes or in 0..1, in another light: float in 0..1."""
    if not amount:
        return to_unit(view)
    if color:
        brightness, contrast, saturation = rng.uniform(1 - amount, 1 + amount, 3)
        view = F.adjust_contrast(F.adjust_brightness(view, brightness), contrast)
        return to_unit(F.adjust_saturation(view, saturation))
    gain, offset = torch.tensor(rng.uniform(-amount, amount, (2, len(view), 1, 1)), dtype=torch.float32)
    return (to_unit(view) * (1 + gain) + offset / 2).clamp(0, 1)
