"""The per-pixel predictor: hypercolumn (..., D) -> logits (..., K)."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from pixelnet.errors import InputError
from pixelnet.nn.linear import Linear

FITTED = "fitted"
LEAD = 0.9  # of the variance of a hidden unit at first, the share of the tap that leads
QUIET = 0.1  # of He's, the weights of the last layer at first, where a tap leads
WIDEST = 2**16  # of a hidden layer; the paper's have 4096


class HeadShape(NamedTuple):
    """What distinguishes one head from another."""

    hidden: tuple[int, ...]
    dropout: float
    normalize: Literal["batch", "fixed"] | None  # of taps: batch norm over whole maps, or by numbers that stay
    sigma: float | None  # of the Gaussian that the weights start from; None for He's, which suits normalized features


# `linear` needs features of one scale: on raw VGG activations it diverges (the released code's README), which is
# what `linear-bn` mends. `paper` is the published MLP. `mlp` is the everyday one, chosen by `benchmarks/head.py`: a
# second layer as wide scores within the seeds' spread of it, and costs more than all the rest of the head together.
# `fitted` is what `pixelnet.fit` makes: linear, on features that are standardized as those were that it was fitted to.
HEADS: dict[str, HeadShape] = {
    "linear": HeadShape((), 0.0, normalize=None, sigma=0.001),
    "linear-bn": HeadShape((), 0.0, normalize="batch", sigma=0.001),
    "mlp": HeadShape((256,), 0.0, normalize="batch", sigma=None),
    "paper": HeadShape((4096, 4096), 0.5, normalize=None, sigma=0.001),
    FITTED: HeadShape((), 0.0, normalize="fixed", sigma=0.001),
}


def head_shape(name: str, hidden: Sequence[int] | None = None, dropout: float | None = None) -> HeadShape:
    """The shape called `name`, with its hidden widths or its dropout changed where they are given.

    Raises:
        InputError: no such head, a width below 1, or a dropout outside 0..1.
    """
    if name not in HEADS:
        raise InputError(f"there is no head {name!r}; choose one of {', '.join(HEADS)}")
    shape = HEADS[name]
    if hidden is not None:
        shape = shape._replace(hidden=tuple(hidden))
    if dropout is not None:
        shape = shape._replace(dropout=dropout)
    if any(not 1 <= width <= WIDEST for width in shape.hidden):
        raise InputError(f"hidden widths are {list(shape.hidden)}; each must be at least 1, and at most {WIDEST}")
    if not 0 <= shape.dropout < 1:
        raise InputError(f"dropout is {shape.dropout}; it must be at least 0 and below 1")
    return shape


class Head(nn.Sequential):
    """Linear layers with ReLU and dropout between them (PixelNet, section 3.2).

    Args:
        channels: of each tap; their sum is D, the width of a hypercolumn.
        outputs: K.
        shape: hidden widths, dropout and initialization; no hidden layer makes a linear predictor.
        lead: the last tap has met the others already, so that most is learnt from it; see `_listen`.
    """

    def __init__(self, channels: Sequence[int], outputs: int, shape: HeadShape, lead: bool = False):
        layers: list[nn.Module] = []
        features = sum(channels)
        for width in shape.hidden:
            layers += [Linear(features, width), nn.ReLU(inplace=True)]
            if shape.dropout:
                layers.append(nn.Dropout(shape.dropout))
            features = width
        layers.append(Linear(features, outputs))
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)
                if shape.sigma is None:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                else:
                    nn.init.normal_(layer.weight, std=shape.sigma)
        if lead and shape.sigma is None:
            self._listen(channels)

    @torch.no_grad()
    def _listen(self, channels: Sequence[int]) -> None:
        """Begin so that a hidden unit hears the last tap far more than all others together, and says little.

        By He's rule alone the 32 channels of a pyramid are a twentieth of what it hears, and hundreds of others, which
        nobody has learnt yet to weigh, its noise; and answers begin far from 0, which is what the backbone then learns
        from first.
        """
        shares = [(1 - LEAD) / max(1, len(channels) - 1)] * (len(channels) - 1) + [LEAD]
        scales = [math.sqrt(share * sum(channels) / own) for share, own in zip(shares, channels, strict=True)]
        self.first.weight *= torch.tensor(scales).repeat_interleave(torch.tensor(channels))
        self.last.weight *= QUIET

    @property
    def first(self) -> nn.Linear:
        """The first layer, which is linear and so can be applied to maps before they are read."""
        return cast(nn.Linear, self[0])

    @property
    def last(self) -> nn.Linear:
        """The last layer, with a row for each output."""
        return cast(nn.Linear, self[-1])

    def rest(self, features: Tensor, drop: bool = True) -> Tensor:
        """The layers after the first: its output (..., D') -> logits (..., K). drop: with dropout, if in training."""
        for layer in list(self)[1:]:
            if drop or not isinstance(layer, nn.Dropout):
                features = layer(features)
        return features


class Norms(nn.Module):
    """What brings taps of unlike scale to one: in evaluation mode s f + t, with an s and a t for each channel."""

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, C_l, H_l, W_l), one per tap -> the same, normalized."""
        raise NotImplementedError

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """s and t of the channels of all taps: (sum C_l,) each."""
        raise NotImplementedError

    def within(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """Weight (D, sum C_l) and bias (D,) of a linear layer that has these norms in it, in evaluation mode.

        A norm is linear then, and commutes with reading, as the layer does: W (s f + t) = (W s) f + W t.
        """
        scale, shift = self.scale_and_shift()
        return layer.weight * scale, layer.bias + layer.weight @ shift


class FixedNorms(Norms):
    """(f - mean) / deviation, by numbers that stay: those of the features that a head was fitted to.

    So its kernel has one scale, and an optimizer's steps are right for all of it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.channels = tuple(channels)
        self.register_buffer("mean", torch.zeros(sum(channels)))
        self.register_buffer("deviation", torch.ones(sum(channels)))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        means, deviations = (values[:, None, None].split(self.channels) for values in (self.mean, self.deviation))
        return [(own - mean) / deviation for own, mean, deviation in zip(maps, means, deviations, strict=True)]

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        return 1 / self.deviation, -self.mean / self.deviation


class TapNorms(Norms):
    """One batch norm per tap, on the whole map: taps of unlike scale become comparable.

    The statistics are those of all cells, not of the sampled points, so that sparse equals dense in training too.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [norm(features) for norm, features in zip(self.norms, maps, strict=True)]

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        norms = cast(list[nn.BatchNorm2d], list(self.norms))
        scales = [norm.weight / (cast(Tensor, norm.running_var) + norm.eps).sqrt() for norm in norms]
        shifts = [norm.bias - cast(Tensor, norm.running_mean) * s for norm, s in zip(norms, scales, strict=True)]
        return torch.cat(scales), torch.cat(shifts)


NORMS: dict[str, type[TapNorms | FixedNorms]] = {"batch": TapNorms, "fixed": FixedNorms}
