"""Hypercolumns: the features of a network at a point, from many layers, read where they are wanted.

    maps      list of (N, C_l, H_l, W_l), one per tap; map l has stride s_l: H_l = H / s_l exactly
    points    (N, P, 2) as (x, y) in pixels of the image; the centre of the first pixel is (0, 0)
    features  (N, P, sum C_l)

A map of stride s is read at ((x, y) + 0.5) / s - 0.5, between its four nearest cells (PixelNet, section 3;
the released layer's (x - (s - 1) / 2) / s is the same number), clamped to the map at the borders. That is also
what ``interpolate(align_corners=False)`` does, so reading at every pixel is upsampling.

Sparse and dense are one code path: a dense prediction asks for every pixel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def corners(points: Tensor, height: int, width: int, stride: int) -> tuple[Tensor, Tensor]:
    """The four cells of a map around each point, and how much each counts.

    Args:
        points: (N, P, 2) as (x, y), in pixels of the image.
        height, width: size of the map, in cells.
        stride: pixels of the image per cell.

    Returns:
        cells (N * P, 4), rows of the map when it is flattened to (N * height * width, C); and
        shares (N * P, 4), non-negative, each row sums to 1, in the points' own precision.
    """
    at = (points + 0.5) / stride - 0.5
    x = at[..., 0].clamp(0, width - 1)
    y = at[..., 1].clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    right_share, bottom_share = x - left, y - top
    column, row = left.long(), top.long()
    # On the last row or column the far neighbour is the near one again: its share is zero.
    next_column, next_row = (column + 1).clamp(max=width - 1), (row + 1).clamp(max=height - 1)
    row, next_row = row * width, next_row * width
    cells = torch.stack([row + column, row + next_column, next_row + column, next_row + next_column], dim=-1)
    first = torch.arange(len(points), device=points.device) * (height * width)
    shares = torch.stack(
        [
            (1 - bottom_share) * (1 - right_share),
            (1 - bottom_share) * right_share,
            bottom_share * (1 - right_share),
            bottom_share * right_share,
        ],
        dim=-1,
    )
    return (cells + first[:, None, None]).flatten(0, 1), shares.flatten(0, 1)


def read(features: Tensor, points: Tensor, stride: int) -> Tensor:
    """One map (N, C, H_l, W_l) at points (N, P, 2) -> (N, P, C).

    Reading four weighted rows of a channels-last table is an embedding bag: one pass over what is needed and no
    gathered copy of the corners. Its backward pass adds in a fixed order, so that a run can be repeated bit for bit.
    """
    count, channels, height, width = features.shape
    cells, shares = corners(points, height, width, stride)
    table = features.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    rows = F.embedding_bag(cells, table, per_sample_weights=shares.to(table.dtype), mode="sum")
    return rows.view(count, points.shape[1], channels)


def hypercolumns(maps: Sequence[Tensor], points: Tensor, strides: Sequence[int]) -> Tensor:
    """All maps at points (N, P, 2), concatenated in the order of the taps -> (N, P, sum C_l)."""
    return torch.cat([read(features, points, stride) for features, stride in zip(maps, strides, strict=True)], dim=-1)


class Projection:
    """A linear layer on hypercolumns, W [f_1(p) ... f_L(p)] + b, each map multiplied before or after it is read.

    Interpolation and the layer are both linear, so W_l (F_l read at p) = (W_l F_l) read at p, forward and backward.
    Deep maps have most of the channels and few cells, fewer than the points asked for: multiplying those first costs
    less, and what is read is as narrow as the layer's output.

    Args:
        maps, strides: as for `hypercolumns`.
        weight: (D, sum C_l), its columns in the order of the taps.
        bias: (D,).
        points: how many points of each image will be asked for in all, which decides the order for each map.
    """

    def __init__(self, maps: Sequence[Tensor], strides: Sequence[int], weight: Tensor, bias: Tensor, points: int):
        columns = weight.split([features.shape[1] for features in maps], dim=1)
        self.before: list[tuple[Tensor, int]] = []  # (map of D channels, stride)
        self.after: list[tuple[Tensor, int]] = []
        after: list[Tensor] = []
        for features, stride, own in zip(maps, strides, columns, strict=True):
            if features.shape[2] * features.shape[3] < points:
                projected = F.linear(features.permute(0, 2, 3, 1), own).permute(0, 3, 1, 2)
                self.before.append((projected, stride))
            else:
                self.after.append((features, stride))
                after.append(own)
        self.weight, self.bias = torch.cat(after, dim=1) if after else None, bias

    def __call__(self, points: Tensor) -> Tensor:
        """The layer's output (N, P, D) at points (N, P, 2)."""
        if self.weight is None:
            total = self.bias
        else:
            maps, strides = zip(*self.after, strict=True)
            total = F.linear(hypercolumns(maps, points, strides), self.weight, self.bias)
        for features, stride in self.before:
            total = total + read(features, points, stride)
        return total
