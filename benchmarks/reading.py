"""Reading hypercolumns at points as training does, forward and backward, beside grid_sample."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.networks import make_batch, ours
from benchmarks.timing import Row, alternate, row
from pixelnet.hypercolumn import hypercolumns
from pixelnet.nn.projection import Table, cells_below

VIEWS = (5, 256, 320)  # the paper's five images a step


def reading(network: str, runs: int) -> list[Row]:
    """All maps of the network at 2,000 points of each of 5 images, as one descriptor a point."""
    batch, backbone = make_batch(VIEWS), ours(network).backbone
    with torch.no_grad():
        maps = [features.contiguous(memory_format=torch.channels_last) for features in backbone(batch.images)]
    layouts = {
        "ours": maps,
        "grid_sample, channels first": [features.contiguous() for features in maps],
        "grid_sample, channels last": maps,
    }
    slope = torch.randn(*batch.points.shape[:2], sum(backbone.channels))
    works = {}
    for name, given in layouts.items():
        leaves = [features.clone().requires_grad_() for features in given]
        read = partial(hypercolumns if "grid" in name else from_tables, strides=backbone.strides)
        works[name] = partial(step, read, leaves, batch.points, slope)
    seconds = alternate(works, runs)
    theirs = min((spent for name, spent in seconds.items() if name != "ours"), key=np.median)
    ratio = theirs / seconds["ours"]
    measure = "reading hypercolumns, forward and backward, grid_sample / ours"
    return [row(measure, network, ratio, "at least", 2.5, seconds=seconds)]


def from_tables(maps: list[Tensor], points: Tensor, strides: Sequence[float]) -> Tensor:
    """Hypercolumns (N, P, D) at points (N, P, 2), each map read as the head's first layer has it read."""
    read = [
        Table([cells_below(features, stride, None)], None).read(points)
        for features, stride in zip(maps, strides, strict=True)
    ]
    return torch.cat([rows.view(*points.shape[:2], -1) for rows in read], dim=-1)


def step(read: Callable[[list[Tensor], Tensor], Tensor], maps: list[Tensor], points: Tensor, slope: Tensor) -> None:
    for features in maps:
        features.grad = None
    read(maps, points).backward(slope)
