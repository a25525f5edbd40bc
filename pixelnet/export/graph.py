"""A model as one graph, from an image's bytes to its answers: what is written to a file and runs without this package.

    pixels    (N, H, W, C) as they are stored: uint8, or of a model with ranges float32 of any numbers
    maps      (N, h_l, w_l, C_l), one per tap, channels last
    points    (N, P, 2) as (x, y) in pixels of the image
    logits    (N, H, W, K), or (N, P, K) at points

It gives what `PixelNet.predict` gives, for any N, H and W: every size in it is computed from the image's own. Bringing
an image to the working size is Pillow's `resize`, to the byte.
Reading is `nn/projection.py`'s, a few rows at a time, so that no more than these rows' hypercolumns exist at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from pixelnet.data.transforms import to_unit
from pixelnet.model import PixelNet
from pixelnet.nn.backbone import places
from pixelnet.nn.fuse import TRIED, evenly_padded, fused
from pixelnet.nn.head import Norms
from pixelnet.nn.projection import around

# Rows of an image that are answered for at once: few enough that their hypercolumns stay near the processor.
ROWS = 4
# What reading one channel costs in onnxruntime, in multiplications of a matrix product; it decides how a map is read.
READ_COST = 80
WAYS = ("late", "early", "product")
Between = tuple[Tensor, Tensor, Tensor]
BITS = 22  # of the fractions that Pillow resizes bytes by


class Encoder(nn.Module):
    """Pixels -> the backbone's maps, and the factor by which the image was magnified before it was seen."""

    def __init__(self, model: PixelNet):
        super().__init__()
        example = torch.rand(1, model.config.in_channels, TRIED, TRIED, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            self.backbone = evenly_padded(fused(model.backbone, model.backbone.padded(example)))
        self.size, self.ranges = model.config.image_size, model.config.ranges

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, H, W, C) -> the factor, a number, and the maps."""
        # N, too, is a number that nothing is known of: the tracer of loops would take it for two or more.
        planes = pixels.permute(0, 3, 1, 2).index_select(0, places(pixels.shape[0], 1))
        zoom = torch.ones(())
        if self.size is None:
            planes = to_unit(self.backbone.padded(planes), self.ranges)
        else:
            longer = torch.sym_max(*planes.shape[-2:])
            zoom = self.size / torch.full((), longer, dtype=torch.float32)
            planes = planes if self.ranges is None else to_unit(planes, self.ranges)
            for _ in range(2):  # along x, then along y: bytes are rounded in between
                planes = resized_along_x(planes, self.size, longer, self.backbone.multiple).transpose(2, 3)
            planes = to_unit(planes)
        maps = self.backbone(planes)
        return zoom, [features.permute(0, 2, 3, 1) for features in maps]


def resized_along_x(planes: Tensor, size: int, longer: Any, multiple: int) -> Tensor:
    """Each row of planes (N, C, H, W) magnified by size / longer, as `bring_to` does it: uint8, or float.

    Pixel i of what comes out is the mean of the pixels around its center, by weights that fall off evenly. All is
    computed as Pillow does it, in double precision but for the width of what is resized: where a mean falls between
    two bytes, the last bit decides. What lies beyond the last pixel repeats it.
    """
    length = planes.shape[-1]
    count, reach = (length * size + longer - 1) // longer, torch.sym_max(longer, size)
    taps = 2 * ((reach + size - 1) // size) + 1
    end = torch.sym_max(length, (count * longer + size - 1) // size)
    width = torch.full((), count * longer, dtype=torch.float64) / size
    step = width.float().double() / count
    support = step.clamp(min=1)
    centers = (places(count, multiple).clamp(max=count - 1).double() + 0.5) * step
    sources = (centers - support + 0.5).floor()[:, None] + torch.arange(taps)
    weights = (1 - ((sources - centers[:, None] + 0.5) * (1 / support)).abs()).clamp(min=0)
    weights = weights * ((sources >= 0) & (sources < end))
    shares = weights / weights.sum(1, keepdim=True)
    around_each = planes.index_select(3, sources.long().clamp(0, length - 1).flatten()).unflatten(3, sources.shape)
    if planes.is_floating_point():
        return (around_each * shares.float()).sum(-1)
    fractions = (shares * 2**BITS + 0.5).floor().int()
    total = (around_each.int() * fractions).sum(-1, dtype=torch.int32) + 2 ** (BITS - 1)
    return (total.double() / 2**BITS).floor().clamp(0, 255).to(torch.uint8)  # a float would round away what decides


class Decoder(nn.Module):
    """Logits -> answers by name: what `predict` returns, and the distribution of classes beside it."""

    def __init__(self, model: PixelNet):
        super().__init__()
        self.task = model.task

    def forward(self, logits: Tensor) -> dict[str, Tensor]:
        """(..., K) -> for each task its answers (...) or (..., L), and the logits themselves under that name."""
        found = {}
        for name, answer in self.task.answers(logits).items():
            found[name] = answer if answer.is_floating_point() else answer.to(torch.uint8)
            if self.task.parts[name].categorical:
                own = logits[..., self.task.logit_slices[name]]
                found[f"{name}_probabilities"] = self.task.parts[name].decode(own, True)
        return found | {"logits": logits}


class Reader(nn.Module):
    """The head on what maps show, as for prediction: batch norms of taps are in its first layer."""

    bias: Tensor

    def __init__(self, model: PixelNet):
        super().__init__()
        first: Any = model.head.first
        weight, bias = first.weight, first.bias
        if isinstance(model.norms, Norms):
            weight, bias = model.norms.within(first)
        self.register_buffer("bias", bias.detach().clone())
        for tap, own in enumerate(weight.detach().split(model.backbone.channels, dim=1)):
            self.register_buffer(f"weight{tap}", own.T.contiguous())
        self.rest = nn.Sequential(
            *(_plain(layer) for layer in list(model.head)[1:] if not isinstance(layer, nn.Dropout))
        )
        self.strides, self.outputs = model.backbone.strides, model.task.outputs

    @property
    def weights(self) -> list[Tensor]:
        """The first layer's, of each tap: (C_l, D)."""
        return [self.get_buffer(f"weight{tap}") for tap in range(len(self.strides))]


def _plain(layer: nn.Module) -> nn.Module:
    """A layer that the tracer of loops can read: of torch alone."""
    if not isinstance(layer, nn.Linear):
        return nn.ReLU()
    plain = nn.utils.skip_init(nn.Linear, layer.in_features, layer.out_features)
    plain.load_state_dict(layer.state_dict())
    return plain


class Dense(nn.Module):
    """Pixels -> answers at every pixel.

    Interpolation and the head's first layer are both linear, so their order is free; for each map costs decide:

    late     channels are read at the pixels, and go through the layer there: of shallow maps, which have few channels
    early    the layer comes first, and what it gives is read
    product  as early, but a row is read as a matrix product, by the shares that each pixel has of the row's cells: of
             deep maps, whose rows have few cells. How many is known where a model works at one size.
    """

    def __init__(self, model: PixelNet):
        super().__init__()
        self.encoder, self.reader, self.decoder = Encoder(model), Reader(model), Decoder(model)
        width, size = model.head.first.out_features, model.config.image_size
        self.ways = []
        for channels, stride in zip(model.backbone.channels, model.backbone.strides, strict=True):
            layer = channels * width / stride**2
            costs = {"late": (READ_COST + width) * channels, "early": layer + READ_COST * width}
            costs |= {} if size is None else {"product": layer + size / stride * width}
            self.ways.append(min(costs, key=lambda way: costs[way]))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """(N, H, W, C) -> answers by name, (N, H, W) or (N, H, W, L) each."""
        height, width = pixels.shape[1:3]
        zoom, maps = self.encoder(pixels)
        first = self._first_layer(zoom, maps, width)
        if not self.reader.rest:  # a linear head: what is read are few channels, the answers themselves
            logits = first(self._rows(torch.arange(height), zoom, maps)).view(-1, height, width, self.reader.outputs)
            return cast(dict[str, Tensor], self.decoder(logits))
        bands = (height + ROWS - 1) // ROWS
        rows = self._rows(torch.arange(bands * ROWS).view(bands, ROWS), zoom, maps)

        def answer(carry: Tensor, rows: list[Between]) -> tuple[Tensor, Tensor]:
            return carry.clone(), self.reader.rest(first(rows)).view(-1, ROWS, width, self.reader.outputs)

        _, logits = scan(answer, torch.zeros(()), rows)
        return cast(dict[str, Tensor], self.decoder(logits.transpose(0, 1).flatten(1, 2)[:, :height]))

    def _rows(self, rows: Tensor, zoom: Tensor, maps: Sequence[Tensor]) -> list[Between]:
        """Between which rows of each map these rows of the image lie."""
        strides = self.reader.strides
        return [_between(_at(rows, s, zoom), own.shape[1]) for s, own in zip(strides, maps, strict=True)]

    def _first_layer(self, zoom: Tensor, maps: Sequence[Tensor], width: Any) -> Callable[[Sequence[Between]], Tensor]:
        """What gives, for R rows of an image, what the head's first layer gives there: (N R W, D)."""
        weights, strides = self.reader.weights, self.reader.strides
        late, early, product = ([k for k, own in enumerate(self.ways) if own == way] for way in WAYS)
        tables = [own if k in late else own @ weights[k] for k, own in enumerate(maps)]
        across = [_at(torch.arange(width), stride, zoom) for stride in strides]
        columns = {k: _between(across[k], tables[k].shape[2]) for k in (*late, *early)}
        shares = torch.cat([_shares(across[k], tables[k].shape[2]) for k in product], dim=1) if product else None
        weight = torch.cat([weights[k] for k in late]) if late else None

        def first(rows: Sequence[Between]) -> Tensor:
            down = [_read(table, own, 1) for table, own in zip(tables, rows, strict=True)]
            total = self.reader.bias
            if shares is not None:
                total = total + (shares @ torch.cat([down[k] for k in product], dim=2)).flatten(0, 2)
            for k in early:
                total = total + _read(down[k], columns[k], 2).flatten(0, 2)
            if weight is not None:
                values = torch.cat([_read(down[k], columns[k], 2) for k in late], dim=3)
                total = total + values.flatten(0, 2) @ weight
            return total

        return first


class AtPoints(nn.Module):
    """An encoder's maps, and points -> answers there."""

    def __init__(self, model: PixelNet):
        super().__init__()
        self.reader, self.decoder = Reader(model), Decoder(model)

    def forward(self, points: Tensor, zoom: Tensor, maps: list[Tensor]) -> dict[str, Tensor]:
        """points (N, P, 2), the encoder's factor and maps -> answers by name, (N, P) or (N, P, L) each."""
        total, (count, asked) = self.reader.bias, points.shape[:2]
        images = torch.arange(count)[:, None]
        for features, weight, stride in zip(maps, self.reader.weights, self.reader.strides, strict=True):
            height, width = features.shape[1:3]
            (x, y), table = points.unbind(-1), features.flatten(0, 2)
            column, across = around(_at(x, stride, zoom), 0, width - 1)
            row, down = around(_at(y, stride, zoom), 0, height - 1)
            read: Any = 0
            for above in (0, 1):
                for left in (0, 1):
                    cells = (images * height + row[..., above]) * width + column[..., left]
                    share = down[..., above] * across[..., left]
                    read = read + table.index_select(0, cells.flatten()) * share.flatten()[:, None]
            total = total + read @ weight
        return cast(dict[str, Tensor], self.decoder(self.reader.rest(total).view(count, asked, self.reader.outputs)))


def _at(pixels: Tensor, stride: float, zoom: Tensor) -> Tensor:
    return (pixels + 0.5) * (zoom / stride) - 0.5


def _between(places: Tensor, length: Any) -> Between:
    """Between which of so many cells M places lie: (M,) each, the near cell, the far one, and the share of that."""
    cells, shares = around(places, 0, length - 1)
    near, far = (own.clone() for own in cells.unbind(-1))  # a loop takes no two views of one
    return near, far, shares[..., 1]


def _read(table: Tensor, between: Between, axis: int) -> Tensor:
    """What lies between cells of a table, along an axis."""
    near, far = (table.index_select(axis, own) for own in between[:2])
    return near + (far - near) * between[2].view(-1, *[1] * (table.ndim - 1 - axis))


def _shares(places: Tensor, length: Any) -> Tensor:
    """The share that each of M places has of each of so many cells: (M, length)."""
    return (1 - (places.clamp(0, length - 1)[:, None] - torch.arange(length)).abs()).clamp(min=0)
