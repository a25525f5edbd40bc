"""What a model with a linear head says at all pixels of a window, or at every few of them, from maps that are at hand.

The head and reading are both linear, so each map is brought to the few numbers of the head's output before it is read
(see `pixelnet.nn.projection`). A map with a cell for each pixel is not read at all, only sliced: what is asked of every
third pixel costs a ninth of it, and is what those pixels have in the whole.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from pixelnet.model import PixelNet
from pixelnet.nn.head import Norms
from pixelnet.nn.projection import neighbors

PIECE = 2**14  # cells that are brought to full precision at once, which stay near the processor


def logits_in(model: PixelNet, maps: Sequence[Tensor], top: int, left: int, rows: range, columns: range) -> Tensor:
    """Logits (K, h, w) at some rows and columns of an image.

    Args:
        model: whose head is one linear layer.
        maps: (1, C_l, H_l, W_l), of its backbone's strides, in any precision.
        top, left: the pixel of the image that they begin at, where all of them have a cell that begins.
        rows, columns: which are asked, with steps of 1 or more; none before those.
    """
    rows, columns = (
        range(own.start - first, own.stop - first, own.step) for own, first in ((rows, top), (columns, left))
    )
    weight, bias = cast(Norms, model.norms).within(model.head.first)
    total = bias[:, None, None].expand(-1, len(rows), len(columns))
    for own, features, stride in zip(
        weight.split([features.shape[1] for features in maps], dim=1), maps, model.backbone.strides, strict=True
    ):
        if stride == 1:
            asked = features[0, :, rows.start : rows.stop : rows.step, columns.start : columns.stop : columns.step]
            total = total + _projected(asked, own)
        else:
            total = total + _read(features[0], own, stride, rows, columns)
    return total


def _read(features: Tensor, weight: Tensor, stride: float, rows: range, columns: range) -> Tensor:
    """A map (C, H, W) by a layer (K, C), read at rows and columns, counted from its first: (K, h, w)."""
    (above, down), (before, across) = (
        neighbors(torch.arange(along.start, along.stop, along.step, dtype=torch.float32), stride, range(length))
        for along, length in ((rows, features.shape[1]), (columns, features.shape[2]))
    )
    top, left = int(above.min()), int(before.min())
    cells = _projected(features[:, top : int(above.max()) + 1, left : int(before.max()) + 1], weight)
    for axis, (near, share) in ((1, (above - top, down)), (2, (before - left, across))):
        first, second = (cells.index_select(axis, near[:, k]) for k in (0, 1))
        shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
        cells = first.mul_(share[:, 0].view(shape)).add_(second.mul_(share[:, 1].view(shape)))
    return cells


def _projected(features: Tensor, weight: Tensor) -> Tensor:
    """A layer (K, C) at each cell of a map (C, h, w) of any precision: (K, h, w) float32."""
    _, height, width = features.shape
    out = torch.empty(len(weight), height, width)
    by_cell = features.stride(0) == 1  # a cell's channels lie side by side
    step = max(1, PIECE // max(1, width))
    for top in range(0, height, step):
        piece = features[:, top : top + step]
        if by_cell:
            flat = piece.permute(1, 2, 0).reshape(-1, len(features)).float() @ weight.T
            out[:, top : top + step] = flat.T.view(len(weight), -1, width)
        else:
            out[:, top : top + step] = (weight @ piece.reshape(len(features), -1).float()).view(len(weight), -1, width)
    return out
