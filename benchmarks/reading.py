"""Reading hypercolumns at points, forward and backward, beside grid_sample."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.networks import make_batch, ours
from benchmarks.timing import Row, alternate, row
from pixelnet.hypercolumn import hypercolumns

VIEWS = (5, 256, 320)  # the paper's five images a step


def reading(network: str, runs: int) -> list[Row]:
    """All maps of the network at 2,000 points of each of 5 images, as one descriptor a point."""
    batch, backbone = make_batch(VIEWS), ours(network).backbone
    with torch.no_grad():
        maps = [features.contiguous(memory_format=torch.channels_last) for features in backbone(batch.images)]
    size = torch.tensor([batch.images.shape[3], batch.images.shape[2]])
    layouts = {
        "ours": maps,
        "grid_sample, channels first": [features.contiguous() for features in maps],
        "grid_sample, channels last": maps,
    }
    slope = torch.randn(*batch.points.shape[:2], sum(backbone.channels))
    works = {}
    for name, given in layouts.items():
        leaves = [features.clone().requires_grad_() for features in given]
        read = partial(sampled, size=size) if "grid" in name else partial(hypercolumns, strides=backbone.strides)
        works[name] = partial(step, read, leaves, batch.points, slope)
    seconds = alternate(works, runs)
    theirs = min((spent for name, spent in seconds.items() if name != "ours"), key=np.median)
    ratio = theirs / seconds["ours"]
    measure = "reading hypercolumns, forward and backward, grid_sample / ours"
    return [row(measure, network, ratio, "at least", 2.5, seconds=seconds)]


def sampled(maps: list[Tensor], points: Tensor, size: Tensor) -> Tensor:
    """Hypercolumns (N, P, D) by grid_sample at points (N, P, 2) of images whose (width, height) is `size`."""
    grid = ((points + 0.5) / size * 2 - 1)[:, :, None]  # -1 and 1 are the outer edges of the image
    read = [F.grid_sample(features, grid, padding_mode="border", align_corners=False) for features in maps]
    return torch.cat(read, dim=1)[..., 0].transpose(1, 2)


def step(read: Callable[[list[Tensor], Tensor], Tensor], maps: list[Tensor], points: Tensor, slope: Tensor) -> None:
    for features in maps:
        features.grad = None
    read(maps, points).backward(slope)
