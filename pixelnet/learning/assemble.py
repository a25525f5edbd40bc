"""A model out of what was chosen: the networks of all members side by side, and one linear head on all their maps.

The mean of linear predictors is one, of the features of them all. So what a choice of several comes to is an ordinary
model, which predicts, is scored, exported and trained on like any other; its head, being linear, is applied to maps
before they are read, and a dense answer costs little more than the networks.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from pixelnet.data.dataset import Dataset
from pixelnet.data.ground import seen_pixel_size
from pixelnet.learning.choose import Choice, union
from pixelnet.learning.logistic import Linear, Scale
from pixelnet.learning.parts import name_of, open_part
from pixelnet.model import PixelNet
from pixelnet.nn.head import FITTED, FixedNorms

# How far answers go from all classes alike, 0, to classes as common as they are, 1, by a predictor without a fault.
PRIOR = 0.6


def joined(members: Sequence[tuple[tuple[str, ...], Linear]], widths: dict[str, int]) -> tuple[tuple[str, ...], Linear]:
    """The mean of several predictors, each of its own parts' features, as one of all their parts side by side.

    widths: how many features each part has.
    """
    parts = union(own for own, _ in members)
    ends = np.cumsum([0, *(widths[part] for part in parts)])
    starts = dict(zip(parts, ends, strict=False))
    kernel = np.zeros((len(members[0][1].bias), int(ends[-1])))
    scale = Scale.unit(kernel.shape[1])
    for own, linear in members:
        first = 0
        for part in own:
            place = slice(starts[part], starts[part] + widths[part])
            given = slice(first, first + widths[part])
            kernel[:, place] += linear.kernel[:, given] / len(members)
            if linear.scale is not None:
                scale.mean[place], scale.deviation[place] = linear.scale.mean[given], linear.scale.deviation[given]
            first += widths[part]
    return parts, Linear(kernel, np.mean([linear.bias for _, linear in members], axis=0), scale)


def toward(linear: Linear, choice: Choice, shares: np.ndarray) -> Linear:
    """The predictor with its logits set right, and with classes that are so common, (K,), adding up to 1.

    Not all of the way: scores of overlap weigh all classes alike, and what is known of shares is as good as the
    predictor that tells them.
    """
    offset = PRIOR * choice.skill * np.log(shares * len(shares))
    return Linear(linear.kernel * choice.warmth, linear.bias * choice.warmth + offset, linear.scale)


def assemble(parts: tuple[str, ...], linear: Linear, data: Dataset) -> PixelNet:
    """A model of the data set's classes and channels, in evaluation mode.

    Its head is that of standardized features where their scale is known, and so can be learnt on.
    """
    channels = len(data.channels)
    model = PixelNet(
        "segmentation",
        backbone="+".join(map(name_of, parts)),
        head=FITTED,
        in_channels=channels,
        channels=data.channels,
        ranges=data.ranges,
        class_names=data.class_names,
        class_colors=data.class_colors,
        pixel_size=seen_pixel_size(data),
    )
    members = [model.backbone] if len(parts) == 1 else list(model.backbone.members)  # type: ignore[arg-type]
    for member, part in zip(members, parts, strict=True):
        member.load_state_dict(open_part(part, channels).state_dict())
    put(linear, model)
    return model.eval()


@torch.no_grad()
def put(linear: Linear, model: PixelNet) -> None:
    """Make a predictor the head of a model that was assembled of its parts."""
    scale = linear.scale or Scale.unit(linear.kernel.shape[1])
    norms = cast(FixedNorms, model.norms)
    norms.mean.copy_(torch.from_numpy(scale.mean))
    norms.deviation.copy_(torch.from_numpy(scale.deviation))
    model.head.last.weight.copy_(torch.from_numpy(linear.kernel * scale.deviation))
    model.head.last.bias.copy_(torch.from_numpy(linear.bias + linear.kernel @ scale.mean))
