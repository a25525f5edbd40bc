"""The mean of the weights of runs that started one from another, which generalizes better than each of them.

Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (2018); for a model and what it
became, Wortsman et al., Robust Fine-tuning of Zero-shot Models (2022).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

import pixelnet
from pixelnet import PixelNet
from pixelnet.config import TrainConfig, from_dict, read_json
from pixelnet.data import open_dataset, task_of
from pixelnet.data.batches import Batches
from pixelnet.points import make_sampler
from pixelnet.runs.checkpoint import CONFIG
from pixelnet.training import make_batches

BATCHES = 25  # of a run's training views: hundreds of thousands of cells even of the coarsest map


def averaged(shares: Mapping[Path, float]) -> PixelNet:
    """The mean of runs' weights, with batch norms that know the mean's own maps.

    Args:
        shares: of each run's weights in the mean, by the run's folder, from the first run to the last. Those before the
            last may answer other tasks, too.

    Returns:
        A model like the last run's, in evaluation mode.
    """
    *before, last = shares
    model = pixelnet.load(last)
    total = sum(shares.values())
    with torch.no_grad():
        for own in model.parameters():
            own.mul_(shares[last] / total)
        for run in before:
            other = pixelnet.load(run)
            same = other if other.config.task == model.config.task else other.only(model.config.task)
            for own, theirs in zip(model.parameters(), same.parameters(), strict=True):
                own.add_(theirs, alpha=shares[run] / total)
    _measure_norms(model, _views(last))
    return model.eval()


def _views(run: Path) -> Batches:
    """What the run learnt from, with hardly a point: it is the images that count."""
    config = from_dict(TrainConfig, read_json(run / CONFIG)["train"], f"{run / CONFIG}, train")
    data = open_dataset(config.data, config.task, config.split)
    return make_batches(config, data, task_of(data), make_sampler("uniform", 1))


@torch.no_grad()
def _measure_norms(model: PixelNet, views: Batches) -> None:
    """Running statistics anew, each the mean over batches: those of two models are not those of their mean."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to say: a plain mean
    model.train()
    for step in range(BATCHES):
        model.maps(views[step].images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
