"""Augmentation: a view of an image, and where the image's pixels lie in it.

A view is a window of the image, scaled, perhaps mirrored, and tinted. Labels are not touched: points are drawn in the
window of the original label map, where every label is exact, and moved into the view with `View.place`. Only the
pixels of the window are ever resampled.

A model that works at one size sees training views and, in prediction, whole images brought to it by the same filter.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pixelnet.config import check_size
from pixelnet.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """How views differ from their images.

    Args:
        crop: (height, width) of a view in pixels; None for the whole image. An image that is smaller, once scaled,
            gives a smaller view.
        scale: a view is magnified by a factor drawn from this range, evenly in its logarithm.
        flip: mirror every other view left to right.
        colour: brightness, contrast and saturation each change by up to this share, 0..1.
        size: the longer side, in pixels, that images are brought to; `scale` comes on top. None: as they are.
    """

    crop: tuple[int, int] | None = (256, 320)
    scale: tuple[float, float] = (0.75, 1.5)
    flip: bool = True
    colour: float = 0.3
    size: int | None = None

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.crop is not None and min(self.crop) < 1:
            raise InputError(f"the crop is {self.crop}; give a height and a width of at least 1")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"the scale is {self.scale}; give a smallest and a largest factor, both above 0")
        if not 0 <= self.colour < 1:
            raise InputError(f"the colour change is {self.colour}; it must be at least 0 and below 1")


class View(NamedTuple):
    """A view (C, h, w) uint8, and the window (rows, columns) of its image that it shows."""

    image: Tensor
    rows: slice
    columns: slice
    mirrored: bool

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (P, 2) as (x, y) in the window -> the same places in the view.

        Pixel centres are whole numbers on both sides, so pixel edges, which scale, lie at half ones.
        """
        height, width = self.image.shape[-2:]
        window = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
        placed = (points + 0.5) * (np.array([width, height]) / window) - 0.5
        if self.mirrored:
            placed[:, 0] = width - 1 - placed[:, 0]
        return placed.astype(np.float32)


def draw_view(image: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> View:
    """A view of an image (H, W, C) uint8, by the chances of `rng` alone."""
    height, width = image.shape[:2]
    longer = max(height, width)
    scale = float(np.exp(rng.uniform(*np.log(augmentation.scale)))) * ((augmentation.size or longer) / longer)
    wanted = augmentation.crop or (round(height * scale), round(width * scale))
    rows, window_height = _window(height, wanted[0], scale, rng)
    columns, window_width = _window(width, wanted[1], scale, rng)
    pixels = torch.from_numpy(np.ascontiguousarray(image[rows, columns].transpose(2, 0, 1)))
    size = [max(1, min(wanted[0], round(window_height * scale))), max(1, min(wanted[1], round(window_width * scale)))]
    view = F.resize(pixels, size, antialias=True)
    mirrored = augmentation.flip and rng.random() < 0.5
    if mirrored:
        view = F.horizontal_flip(view)
    return View(_tint(view, augmentation.colour, rng), rows, columns, mirrored)


def whole_view(image: np.ndarray) -> View:
    """The image itself as a view."""
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return View(pixels, slice(0, image.shape[0]), slice(0, image.shape[1]), mirrored=False)


def bring_to(image: np.ndarray, size: int | None) -> tuple[Tensor, float]:
    """An image (H, W, C) uint8 with its longer side brought to `size`, and the factor: one, of both axes.

    So a pixel's centre p goes to (p + 0.5) factor - 0.5. The shorter side is seldom a whole number of pixels then: the
    image is repeated beyond its last row or column as far as the last of them reaches.
    Returns (C, h, w) uint8, and exactly 1 for a size of None and for an image of that size, which is not touched.
    """
    longer = max(image.shape[:2])
    if size is None or size == longer:
        return torch.tensor(image).permute(2, 0, 1), 1.0
    lengths = [-(-length * size // longer) for length in image.shape[:2]]
    needed = [-(-length * longer // size) for length in lengths]
    below, right = (more - length for more, length in zip(needed, image.shape[:2], strict=True))
    planes = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge").transpose(2, 0, 1)
    box = (0, 0, lengths[1] * longer / size, lengths[0] * longer / size)  # of the image, not of whole pixels
    resized = [PIL.Image.fromarray(plane).resize(lengths[::-1], PIL.Image.Resampling.BILINEAR, box) for plane in planes]
    return torch.from_numpy(np.stack([np.asarray(plane) for plane in resized])), size / longer


def _window(length: int, wanted: int, scale: float, rng: np.random.Generator) -> tuple[slice, int]:
    window = min(length, max(1, round(wanted / scale)))
    first = int(rng.integers(length - window + 1))
    return slice(first, first + window), window


def _tint(view: Tensor, colour: float, rng: np.random.Generator) -> Tensor:
    if not colour:
        return view
    brightness, contrast, saturation = rng.uniform(1 - colour, 1 + colour, 3)
    view = F.adjust_contrast(F.adjust_brightness(view, brightness), contrast)
    return F.adjust_saturation(view, saturation) if len(view) == 3 else view
