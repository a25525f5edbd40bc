"""Reading hypercolumns and the head's first layer at once, sooner than one after the other; sparse and dense alike.

A dense prediction asks for all pixels of a band of rows, and a linear layer on hypercolumns is applied to each map
before or after it is read, whichever costs less. What is read is what `pixelnet.hypercolumn` reads.

    maps      list of (N, C_l, H_l, W_l), one per tap; map l has stride s_l: H_l = H / s_l exactly
    points    (N, P, 2) as (x, y) in pixels of the image; or a Band: all pixels of some of its rows and columns
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelnet.nn.linear import linear

# What reading one channel at a point costs, in multiplications of a matrix product: what is read lies all over memory.
# A rough figure, of a CPU; only the order of reading and multiplying hangs on it.
READ_COST = 10


class Band(NamedTuple):
    """All pixels of some rows and columns of an image: a grid of points, row by row."""

    rows: range
    columns: range

    def split(self, rows: int) -> "list[Band]":
        """The band from the top down, in bands of so many rows; the last may have fewer."""
        return [Band(self.rows[first : first + rows], self.columns) for first in range(0, len(self.rows), rows)]


Points = Tensor | Band


def count_points(points: Points) -> int:
    """P: how many points of each image."""
    return len(points.rows) * len(points.columns) if isinstance(points, Band) else points.shape[1]


class Cells(NamedTuple):
    """The part of a map that points are read from."""

    values: Tensor  # (N, h, w, C)
    stride: float
    rows: range  # of the map, h of them
    columns: range  # of the map, w of them


def cells_below(features: Tensor, stride: float, rows: range | None = None, columns: range | None = None) -> Cells:
    """The cells of a map (N, C, H_l, W_l) that pixels of those rows and columns are read from; None for all."""
    down, across = _between(rows, stride, features.shape[2]), _between(columns, stride, features.shape[3])
    values = features[:, :, down.start : down.stop, across.start : across.stop]
    return Cells(values.permute(0, 2, 3, 1), stride, down, across)


def _between(pixels: range | None, stride: float, length: int) -> range:
    """Along one axis, the cells that those pixels are read from, of so many that there are."""
    if pixels is None:
        return range(length)
    first, last = (math.floor((at + 0.5) / stride - 0.5) for at in (pixels[0], pixels[-1]))
    return range(max(first, 0), min(last + 2, length))


def neighbors(at: Tensor, stride: float, cells: range) -> tuple[Tensor, Tensor]:
    """Along one axis, the two cells around each place (...), int32 (..., 2), and their shares (..., 2).

    at: in pixels of the image. cells: those that there are; places beyond are moved to the first or the last. Shares
    are in the places' own precision, non-negative, and the two add up to 1.
    """
    return around((at + 0.5) / stride - 0.5, cells.start, cells.stop - 1)


def around(place: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
    """The same for places (...) in cells, of which there are those from the first to the last."""
    place = place.clamp(first, last)
    near = place.floor()
    share = place - near
    near = near.int()
    # On the last row or column the far neighbor is the near one again: its share is zero.
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
            points = torch.arange(len(cells), device=cells.device, dtype=torch.int32)
            points = points.repeat_interleave(cells.shape[1]).index_select(0, order)
            weights = shares.flatten().index_select(0, order).to(gradient.dtype)
            gradient = gradient.contiguous()
            of_table = F.embedding_bag(points, gradient, starts, per_sample_weights=weights, mode="sum")
        if ctx.needs_input_grad[2]:
            of_shares = (table[cells.long()] * gradient[:, None]).sum(-1).to(shares.dtype)
        return of_table, None, of_shares


class Projection:
    """A linear layer on hypercolumns, W [f_1(p) ... f_L(p)] + b, each map multiplied before or after it is read.

    Interpolation and the layer are both linear, so W_l (F_l read at p) = (W_l F_l) read at p, forward and backward.
    Deep maps have most of the channels and few cells, fewer than the points: multiplying those first costs less. They
    are as wide as the layer's output then, all of them, so one table holds them and one pass reads them.

    Args:
        maps, strides: as for `hypercolumn.hypercolumns`.
        weight: (D, sum C_l), its columns in the order of the taps.
        bias: (D,).
        points: how many points of each image will be asked for in all, which decides the order for each map.
        image_rows, image_columns: those that hold all the points; None for all.
    """

    def __init__(
        self,
        maps: Sequence[Tensor],
        strides: Sequence[float],
        weight: Tensor,
        bias: Tensor,
        points: int,
        image_rows: range | None = None,
        image_columns: range | None = None,
    ):
        projected: list[Cells] = []
        self.unprojected: list[Table] = []
        columns = []
        for features, stride, own in zip(maps, strides, weight.split([m.shape[1] for m in maps], dim=1), strict=True):
            cells = cells_below(features, stride, image_rows, image_columns)
            _, height, width, channels = cells.values.shape
            # Multiplications and reads for each output: of the cells, then of what came out; or of the points.
            before = channels * height * width + READ_COST * points
            if before < channels * points + READ_COST * points * channels / len(own):
                # The shares of a point add up to 1, and so does a bias that is read with them.
                values = linear(cells.values.flatten(0, 2), own, None if projected else bias)
                projected.append(cells._replace(values=values.view(*cells.values.shape[:3], -1)))
            else:
                self.unprojected.append(Table([cells], image_rows))
                columns.append(own)
        self.projected = Table(projected, image_rows) if projected else None
        self.bias = bias
        self.weight: Any = torch.cat(columns, dim=1) if columns else None

    def __call__(self, points: Points) -> Tensor:
        """The layer's output at P points of each image: (N P, D), image by image."""
        if self.projected is None:
            return linear(self._values(points), self.weight, self.bias)
        total = self.projected.read(points)
        return total if self.weight is None else total.add_(linear(self._values(points), self.weight))

    def _values(self, points: Points) -> Tensor:
        """What is to be multiplied: (N P, channels of the unprojected maps)."""
        return torch.cat([table.read(points) for table in self.unprojected], dim=1)


class Table:
    """Maps of one number of channels in one table, a row for each cell; what is read of it is their sum.

    Args:
        maps: L of them, of the same N images.
        image_rows: those that the cells are enough for, where they are not all.
    """

    def __init__(self, maps: Sequence[Cells], image_rows: range | None):
        self.count = len(maps[0].values)
        self.values = torch.cat([cells.values.flatten(0, 2) for cells in maps])
        self.maps = [(cells.stride, cells.rows, cells.columns) for cells in maps]
        self.image_rows = image_rows
        self.grid: _Grid | None = None

    def read(self, points: Points) -> Tensor:
        """The sum of the maps at P points of each image: (N P, C), image by image."""
        if isinstance(points, Band):
            return self._read_band(points)
        return _WeightedRows.apply(self.values, *self._corners(points))

    def _corners(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The four cells of each map around N P points: rows of the table (N P, 4 L), and their shares."""
        x, y = points.unbind(-1)
        corners, shares, first = [], [], 0
        for stride, rows, columns in self.maps:
            width = len(columns)
            starts = _starts(self.count, len(rows) * width, first, x)[:, None, None]
            column, column_share = neighbors(x, stride, columns)
            left, right = (column - columns.start).unbind(-1)
            left_share, right_share = column_share.unbind(-1)
            row, row_share = neighbors(y, stride, rows)
            above, below = (starts + (row - rows.start) * width).unbind(-1)
            above_share, below_share = row_share.unbind(-1)
            corners += [above + left, above + right, below + left, below + right]
            shares += [above_share * left_share, above_share * right_share]
            shares += [below_share * left_share, below_share * right_share]
            first += self.count * len(rows) * width
        return torch.stack(corners, dim=-1).flatten(0, 1), torch.stack(shares, dim=-1).flatten(0, 1)

    def _read_band(self, band: Band) -> Tensor:
        """Along y first, then along x.

        The pixels of a row share their rows of cells, so each map is brought to the band's rows at its own width,
        which is small, before it is brought to the band's width: some 12 table rows for a pixel of 5 maps, not 20.
        """
        image_rows = self.image_rows or band.rows
        if self.grid is None or (self.grid.image_rows, self.grid.image_columns) != (image_rows, band.columns):
            self.grid = self._lay_grid(image_rows, band.columns)
        grid, height = self.grid, len(band.rows)
        here = slice(band.rows.start - image_rows.start, band.rows.stop - image_rows.start)
        cells, shares = grid.cells[:, here], grid.shares[here].expand(self.count, -1, -1, -1)
        # A row of the next table is a column of some map, at one row of the band; all maps stand side by side.
        table = _WeightedRows.apply(self.values, cells.reshape(-1, 2), shares.reshape(-1, 2))
        starts = _starts(self.count * height, cells.shape[2], 0, grid.columns)[:, None, None]
        shares = grid.column_shares.expand(self.count * height, -1, -1)
        return _WeightedRows.apply(table, (starts + grid.columns).flatten(0, 1), shares.flatten(0, 1))

    def _lay_grid(self, image_rows: range, image_columns: range) -> "_Grid":
        device = self.values.device
        # Half precision cannot count pixels.
        precision = torch.float64 if self.values.dtype == torch.float64 else torch.float32
        x, y = (
            torch.arange(along.start, along.stop, device=device, dtype=precision)
            for along in (image_columns, image_rows)
        )
        cells, shares, columns, column_shares, first, wide = [], [], [], [], 0, 0
        for stride, rows, own in self.maps:
            own_width = len(own)
            row, share = neighbors(y, stride, rows)  # (H, 2)
            starts = _starts(self.count, len(rows) * own_width, first, x)[:, None, None]
            starts = starts + (row - rows.start) * own_width  # (N, H, 2)
            along = torch.arange(own_width, device=device, dtype=torch.int32)
            cells.append(torch.stack([start[..., None] + along for start in starts.unbind(-1)], dim=-1))
            shares.append(share[:, None].expand(-1, own_width, -1))
            column, share = neighbors(x, stride, own)
            columns.append(column - own.start + wide)
            column_shares.append(share)
            first, wide = first + self.count * len(rows) * own_width, wide + own_width
        along_y = torch.cat(cells, dim=2), torch.cat(shares, dim=1)
        return _Grid(image_rows, image_columns, *along_y, torch.cat(columns, dim=1), torch.cat(column_shares, dim=1))


class _Grid(NamedTuple):
    """Where the pixels of H rows and W columns of the image are read in a table of L maps, whose widths add up to V."""

    image_rows: range
    image_columns: range
    cells: Tensor  # (N, H, V, 2) rows of the table, for each row and each column of each map
    shares: Tensor  # (H, V, 2)
    columns: Tensor  # (W, 2 L) of the V, for each pixel of a row
    column_shares: Tensor  # (W, 2 L)


def _starts(count: int, size: int, start: int, like: Tensor) -> Tensor:
    """(N,) where each of N parts of a table begins, when each has so many rows and the first begins at `start`."""
    return torch.arange(count, device=like.device, dtype=torch.int32) * size + start
