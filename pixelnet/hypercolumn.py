"""Hypercolumns: the features of a network at a point, from many layers, read where they are wanted.

    maps      list of (N, C_l, H_l, W_l), one per tap; map l has stride s_l: H_l = H / s_l exactly
    points    (N, P, 2) as (x, y) in pixels of the image; the center of the first pixel is (0, 0)
    features  (N, P, sum C_l)

A map of stride s is read at ((x, y) + 0.5) / s - 0.5, between its four nearest cells (PixelNet, section 3;
the released layer's (x - (s - 1) / 2) / s is the same number), clamped to the map at the borders. That is also
what ``interpolate(align_corners=False)`` does, so reading at every pixel is upsampling. A stride need not be whole: a
map of stride t of an image that was resized by the factor z has the stride t / z in the pixels of the image itself.

This is the method; training and prediction read by `pixelnet.nn.projection`, which gives the same numbers sooner.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def read(features: Tensor, points: Tensor, stride: float) -> Tensor:
    """One map (N, C, H_l, W_l) at P points of each image -> (N, P, C). Differentiable in the map and in the points."""
    height, width = features.shape[-2:]
    x, y = points.unbind(dim=-1)
    # grid_sample has a map's outer edges at -1 and 1, so that cell i lies at (2 i + 1) / size - 1.
    grid = torch.stack([2 * (x + 0.5) / (stride * width) - 1, 2 * (y + 0.5) / (stride * height) - 1], dim=-1)
    read_at = F.grid_sample(features.to(points.dtype), grid[:, None], padding_mode="border", align_corners=False)
    return read_at[:, :, 0].transpose(1, 2)


def hypercolumns(maps: Sequence[Tensor], points: Tensor, strides: Sequence[float]) -> Tensor:
    """All maps at P points of each image, concatenated in the order of the taps -> (N, P, sum C_l)."""
    return torch.cat([read(features, points, stride) for features, stride in zip(maps, strides, strict=True)], dim=-1)


def every_pixel(images: Tensor) -> Tensor:
    """The points of all pixels of images (N, C, H, W), row by row: (N, H W, 2)."""
    height, width = images.shape[-2:]
    precision = torch.float64 if images.dtype == torch.float64 else torch.float32  # half precision cannot count pixels
    y, x = (torch.arange(length, device=images.device, dtype=precision) for length in (height, width))
    grid = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], dim=-1)
    return grid.reshape(1, -1, 2).expand(len(images), -1, -1)
