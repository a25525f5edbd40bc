"""Hypercolumns: the features of a network at a point, from many layers, read where they are wanted.

    maps      list of (N, C_l, H_l, W_l), one per tap; map l has stride s_l: H_l = H / s_l exactly
    points    (N, P, 2) as (x, y) in pixels of the image; the centre of the first pixel is (0, 0); or a Band
    features  (N, P, sum C_l)

A map of stride s is read at ((x, y) + 0.5) / s - 0.5, between its four nearest cells (PixelNet, section 3;
the released layer's (x - (s - 1) / 2) / s is the same number), clamped to the map at the borders. That is also
what ``interpolate(align_corners=False)`` does, so reading at every pixel is upsampling.

Sparse, dense and projected are one code path: a dense prediction asks for all pixels of a band of rows, and a linear
layer on hypercolumns is applied to each map before or after it is read, whichever costs less.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# What reading one channel at a point costs, in multiplications of a matrix product: what is read lies all over memory.
# A rough figure, of a CPU; only the order of reading and multiplying hangs on it.
READ = 10


class Band(NamedTuple):
    """All pixels of rows `top` to `bottom` - 1 of an image that is `width` wide: a grid of points, row by row."""

    top: int
    bottom: int
    width: int


Points = Tensor | Band


def number(points: Points) -> int:
    """P: how many points of each image."""
    return (points.bottom - points.top) * points.width if isinstance(points, Band) else points.shape[1]


class Cells(NamedTuple):
    """The part of a map that points are read from."""

    values: Tensor  # (N, h, w, C)
    stride: int
    rows: range  # of the map, h of them


def cells_below(features: Tensor, stride: int, lines: range | None) -> Cells:
    """The cells of a map (N, C, H_l, W_l) that pixels of those lines of the image are read from; None for all."""
    rows = range(features.shape[2])
    if lines is not None:
        first, last = ((2 * line + 1 - stride) // (2 * stride) for line in (lines[0], lines[-1]))
        rows = range(max(first, 0), min(last + 2, len(rows)))
    return Cells(features[:, :, rows.start : rows.stop].permute(0, 2, 3, 1), stride, rows)


def neighbours(at: Tensor, stride: int, cells: range) -> tuple[Tensor, Tensor]:
    """Along one axis, the two cells around each place (...), int32 (..., 2), and their shares (..., 2).

    at: in pixels of the image. cells: those that there are; places beyond are moved to the first or the last. Shares
    are in the places' own precision, non-negative, and the two add up to 1.
    """
    last = cells.stop - 1
    place = ((at + 0.5) / stride - 0.5).clamp(cells.start, last)
    near = place.floor()
    share = place - near
    near = near.int()
    # On the last row or column the far neighbour is the near one again: its share is zero.
    return torch.stack([near, (near + 1).clamp(max=last)], dim=-1), torch.stack([1 - share, share], dim=-1)


class _WeightedRows(torch.autograd.Function):
    """table (T, C), cells (M, R), shares (M, R) -> (M, C): for each point the sum of R weighted rows of the table.

    That is an embedding bag: one pass over what is needed, no gathered copy of the corners. So is its transpose: a
    row's gradient is the weighted sum of the gradients of the points that it was read at, once these are put in the
    order of the rows. torch's own backward pass adds them one at a time, which takes more than twice as long. Sums are
    taken in a fixed order, so that a run can be repeated bit for bit.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, cells: Tensor, shares: Tensor) -> Tensor:
        ctx.save_for_backward(table if ctx.needs_input_grad[2] else table.new_empty(len(table), 0), cells, shares)
        return F.embedding_bag(cells, table, per_sample_weights=shares.to(table.dtype), mode="sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        (gradient,), (table, cells, shares) = gradients, ctx.saved_tensors
        of_table = of_shares = None
        if ctx.needs_input_grad[0]:
            flat = cells.flatten()
            order = flat.argsort(stable=True)
            counts = torch.bincount(flat, minlength=len(table))
            starts = (counts.cumsum(0) - counts).int()
            points = torch.div(order, cells.shape[1], rounding_mode="floor").int()
            weights = shares.flatten()[order].to(gradient.dtype)
            gradient = gradient.contiguous()
            of_table = F.embedding_bag(points, gradient, starts, per_sample_weights=weights, mode="sum")
        if ctx.needs_input_grad[2]:
            of_shares = (table[cells.long()] * gradient[:, None]).sum(-1).to(shares.dtype)
        return of_table, None, of_shares


def read(features: Tensor, points: Points, stride: int) -> Tensor:
    """One map (N, C, H_l, W_l) at P points of each image -> (N, P, C). Differentiable in the map and in the points."""
    return _total([cells_below(features, stride, _lines(points))], points)


def hypercolumns(maps: Sequence[Tensor], points: Points, strides: Sequence[int]) -> Tensor:
    """All maps at P points of each image, concatenated in the order of the taps -> (N, P, sum C_l)."""
    return torch.cat([read(features, points, stride) for features, stride in zip(maps, strides, strict=True)], dim=-1)


class Projection:
    """A linear layer on hypercolumns, W [f_1(p) ... f_L(p)] + b, each map multiplied before or after it is read.

    Interpolation and the layer are both linear, so W_l (F_l read at p) = (W_l F_l) read at p, forward and backward.
    Deep maps have most of the channels and few cells, fewer than the points: multiplying those first costs less. They
    are as wide as the layer's output then, all of them, so one pass reads them and adds them up.

    Args:
        maps, strides: as for `hypercolumns`.
        weight: (D, sum C_l), its columns in the order of the taps.
        bias: (D,).
        points: how many points of each image will be asked for in all, which decides the order for each map.
        lines: of the image, which hold all the points; None for all lines.
    """

    def __init__(
        self,
        maps: Sequence[Tensor],
        strides: Sequence[int],
        weight: Tensor,
        bias: Tensor,
        points: int,
        lines: range | None = None,
    ):
        self.before: list[Cells] = []
        self.after: list[Cells] = []
        columns = []
        for features, stride, own in zip(maps, strides, weight.split([m.shape[1] for m in maps], dim=1), strict=True):
            cells = cells_below(features, stride, lines)
            _, height, width, channels = cells.values.shape
            if channels * height * width + READ * points < channels * points:
                # The shares of a point add up to 1, and so does a bias that is read with them.
                values = F.linear(cells.values, own, None if self.before else bias)
                self.before.append(cells._replace(values=values))
            else:
                self.after.append(cells)
                columns.append(own)
        self.bias = bias
        self.weight = torch.cat(columns, dim=1) if columns else None

    def __call__(self, points: Points) -> Tensor:
        """The layer's output (N, P, D) at P points of each image."""
        total = _total(self.before, points) if self.before else None
        if self.weight is None:
            assert total is not None
            return total
        values = torch.cat([_total([cells], points) for cells in self.after], dim=-1)
        if total is None:
            return F.linear(values, self.weight, self.bias)
        return torch.addmm(total.flatten(0, 1), values.flatten(0, 1), self.weight.t()).view_as(total)


def _lines(points: Points) -> range | None:
    return range(points.top, points.bottom) if isinstance(points, Band) else None


def _total(maps: Sequence[Cells], points: Points) -> Tensor:
    """The sum of maps of one number of channels at P points of each image -> (N, P, C)."""
    count, channels = len(maps[0].values), maps[0].values.shape[-1]
    table = torch.cat([cells.values.reshape(-1, channels) for cells in maps])
    if isinstance(points, Band):
        rows = _in_band(maps, table, points)
    else:
        rows = _WeightedRows.apply(table, *_corners(maps, points))
    return rows.view(count, number(points), channels)


def _corners(maps: Sequence[Cells], points: Tensor) -> tuple[Tensor, Tensor]:
    """The four cells of each of L maps around N P points: rows of the maps' table (N P, 4 L), and their shares."""
    x, y = points.unbind(-1)
    corners, shares, first = [], [], 0
    for values, stride, rows in maps:
        count, height, width, _ = values.shape
        starts = _starts(count, height * width, first, x)[:, None, None]
        (left, right), (left_share, right_share) = (pair.unbind(-1) for pair in neighbours(x, stride, range(width)))
        row, row_share = neighbours(y, stride, rows)
        (above, below), (above_share, below_share) = (
            (starts + (row - rows.start) * width).unbind(-1),
            row_share.unbind(-1),
        )
        corners += [above + left, above + right, below + left, below + right]
        shares += [above_share * left_share, above_share * right_share]
        shares += [below_share * left_share, below_share * right_share]
        first += count * height * width
    return torch.stack(corners, dim=-1).flatten(0, 1), torch.stack(shares, dim=-1).flatten(0, 1)


def _in_band(maps: Sequence[Cells], table: Tensor, band: Band) -> Tensor:
    """The sum of the maps, whose cells are all in one table, at a band's pixels: along y first, then along x.

    The pixels of a row share their rows of cells, so each map is brought to the band's rows at its own width, which
    is small, before it is brought to the band's width: some 12 table rows for a pixel of 5 maps, in place of 20.
    """
    count, height = len(maps[0].values), band.bottom - band.top
    precision = torch.float64 if table.dtype == torch.float64 else torch.float32  # half precision cannot count pixels
    x = torch.arange(band.width, device=table.device, dtype=precision)
    y = torch.arange(band.top, band.bottom, device=table.device, dtype=precision)
    along_y, along_x, first, wide = [], [], 0, 0
    for values, stride, rows in maps:
        _, deep, width, _ = values.shape
        row, share = neighbours(y, stride, rows)
        starts = _starts(count, deep * width, first, x)[:, None, None] + (row - rows.start) * width  # (N, height, 2)
        columns = torch.arange(width, device=x.device, dtype=torch.int32)
        cells = torch.stack([start[..., None] + columns for start in starts.unbind(-1)], dim=-1)
        along_y.append((cells, share[:, None].expand(count, -1, width, -1)))  # (N, height, width, 2)
        column, share = neighbours(x, stride, range(width))
        along_x.append((column + wide, share))  # (W, 2)
        first, wide = first + count * deep * width, wide + width
    # A row of the next table is a column of some map, at one row of the band; all maps stand side by side.
    cells, shares = (torch.cat(parts, dim=2).view(-1, 2) for parts in zip(*along_y, strict=True))
    table = _WeightedRows.apply(table, cells, shares)
    columns, shares = (torch.cat(parts, dim=1) for parts in zip(*along_x, strict=True))  # (W, 2 L)
    cells = _starts(count * height, wide, 0, x)[:, None, None] + columns
    return _WeightedRows.apply(table, cells.flatten(0, 1), shares.expand(count * height, -1, -1).flatten(0, 1))


def _starts(count: int, size: int, start: int, like: Tensor) -> Tensor:
    """(N,) where each of N parts of a table begins, when each has so many rows and the first begins at `start`."""
    return torch.arange(count, device=like.device, dtype=torch.int32) * size + start
