"""How far a backbone looks: the receptive field, traced, and the smaller halo that is nearly as good, measured.

What a pixel can change is found by a pixel that is no number: NaN goes through convolutions, norms and pooling
wherever a weight leads, whatever the weight, and so marks all that the pixel has a part in. Attention, squeeze-and-
excitation and pooling over an image carry it everywhere: such a backbone has no receptive field.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pixelnet.nn.backbone import Backbone
from pixelnet.nn.fuse import fused

FARTHEST = 2048  # pixels: what reaches farther counts as global
NEAR = 128  # pixels: a receptive field of no more is always covered
CLOSE = 1e-3  # of the largest logit: by how much less context may move a logit, unless all is asked for
SURE = 0.5  # share of that which samples may show, as another part of the image may show more
SAME = 1e-4  # of a map's largest value: rounding moves it by less, another place in the image by more


@torch.inference_mode()
def reach(backbone: Backbone) -> int | None:
    """How many pixels beyond a part of an image its answer depends on, a multiple of the backbone's step.

    None for a backbone with global operations, and for one whose maps depend on where in the image they are.
    """
    step = backbone.step
    side = -(-256 // step) * step
    example = torch.rand(1, backbone.mean.shape[1], side, side, generator=torch.Generator().manual_seed(0))
    example = example.to(backbone.mean)
    network = fused(backbone, example)
    found = 0
    for across in (True, False):
        own = _along(network, step, across)
        if own is None:
            return None
        found = max(found, own)
    return found if _same_elsewhere(network, example, found) else None


def _along(network: Backbone, step: int, across: bool) -> int | None:
    """The reach along one axis: how far beyond a stretch of `step` pixels, that are no numbers, any answer is none."""
    cells = 4
    while cells * step < FARTHEST:
        cells *= 2
        strip = torch.rand(1, network.mean.shape[1], step, step * (2 * cells + 1)).to(network.mean)
        strip[..., step * cells : step * (cells + 1)] = math.nan
        maps = network(strip if across else strip.transpose(2, 3).contiguous())
        marked = [features.isnan()[0].any(0).any(0 if across else 1).nonzero().flatten().tolist() for features in maps]
        if not all(marked):  # it swallows what is no number, and so shows nothing
            return None
        if any(own[0] == 0 for own in marked):
            continue
        # A pixel is read from the cells on both sides of it.
        before = max(
            step * cells - (own[0] - 0.5) * stride for own, stride in zip(marked, network.strides, strict=True)
        )
        behind = max((own[-1] + 1.5) * stride for own, stride in zip(marked, network.strides, strict=True))
        return -(-math.ceil(max(before, behind - step * (cells + 1))) // step) * step
    return None


def _same_elsewhere(network: Backbone, example: Tensor, halo: int) -> bool:
    """Whether a part of an image has the maps of the whole, as it has if they do not hang on the place."""
    step = network.step
    strip = torch.rand(1, example.shape[1], step, 2 * halo + 3 * step, generator=torch.Generator().manual_seed(1))
    strip = strip.to(example)
    whole, part = network(strip), network(strip[..., step:])
    for one, other, stride in zip(whole, part, network.strides, strict=True):
        first = math.ceil((halo + step) / stride)
        moved = (one[..., first:] - other[..., first - int(step / stride) :]).abs().max()
        if not moved <= SAME * one.abs().max():
            return False
    return True


def smaller_halo(
    logits: Callable[[range, range, int, int], Tensor], samples: Sequence[tuple[range, range]], halo: int, step: int
) -> tuple[int, float]:
    """The smallest halo that is nearly as good as one that covers the receptive field, and its error in samples.

    It is the first, of step x 1, 2, 4 and so on, by which no logit is moved by more than SURE x CLOSE of the largest.

    Args:
        logits: rows and columns to answer for, and how far beyond them the image is seen -> (h, w, K).
        samples: rows and columns of the image.
        halo: what covers the receptive field.
        step: what halos are multiples of.
    """
    if halo <= NEAR:
        return halo, 0.0
    candidates = [own for own in (step * 2**k for k in range(12)) if own < halo]
    errors = dict.fromkeys(candidates, 0.0)
    for rows, columns in samples:
        for down, across in ((0, 1), (1, 0)):  # strips, which cost little
            expected = logits(rows, columns, down * halo, across * halo)
            largest = float(expected.abs().max())
            for own in candidates:
                moved = (logits(rows, columns, down * own, across * own) - expected).abs().max()
                errors[own] = max(errors[own], float(moved) / max(largest, 1e-30))
    return next(((own, error) for own, error in errors.items() if error <= SURE * CLOSE), (halo, 0.0))
