"""What a training step costs, beside the backbone's own, and beside the peers'."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pixelnet
from benchmarks.networks import Batch, clear, make_batch, on_fixed_maps, ours, peer
from benchmarks.timing import Row, alternate, row
from pixelnet.nn.head import HEADS
from pixelnet.nn.linear import linear
from pixelnet.tasks.segmentation import cross_entropy

BARS = {"Unet": 3.0, "FPN": 2.6}
LAYOUTS = {
    "Unet": ("Unet", torch.contiguous_format),  # as it comes
    "FPN": ("FPN", torch.contiguous_format),
    "Unet, channels last": ("Unet", torch.channels_last),
    "FPN, channels last": ("FPN", torch.channels_last),
}
PAPER_RUNS = 3  # a step with 2 x 4096 hidden units takes many times the backbone's, so few runs do


def training(network: str, runs: int) -> list[Row]:
    """A step (forward, loss, backward) at 2,000 pixels an image, of the everyday head; and of Unet and FPN."""
    model, batch = ours(network).train(), make_batch()
    bare = partial(bare_backbone_step, model, batch, map_slopes(model, batch))
    updates = {part: torch.optim.AdamW(part.parameters(), 1e-6) for part in (model, model.backbone)}
    works = {
        "backbone": lambda: backbone_step(model, batch),
        "backbone, its maps' gradients given": bare,
        "ours": lambda: sampled_step(model, batch),
        "ours, with Lovasz": lambda: sampled_step(model, batch, lovasz=True),
        "backbone, AdamW": lambda: (backbone_step(model, batch), updates[model.backbone].step()),
        "ours, AdamW": lambda: (sampled_step(model, batch), updates[model].step()),
    }
    for name, (kind, layout) in LAYOUTS.items():
        images = batch.images.contiguous(memory_format=layout)
        works[name] = partial(dense_step, peer(kind, network, layout).train(), batch._replace(images=images))
    seconds = alternate(works, runs)

    backbone, mine = seconds["backbone"], seconds["ours"]
    floor = 1 + head_seconds(model, batch) / float(np.median(backbone))
    bar = 1.1 if network == "tf_efficientnet_lite0" else None
    against = "training step at 2,000 pixels / backbone's"
    rows = [
        row(against, network, mine / backbone, bar and "at most", bar, floor, _only(seconds, "ours", "backbone")),
        row(
            f"{against}, AdamW in both",
            network,
            seconds["ours, AdamW"] / seconds["backbone, AdamW"],
            seconds=_only(seconds, "ours, AdamW", "backbone, AdamW"),
        ),
        row(
            f"{against}, its maps' gradients given",
            network,
            mine / seconds["backbone, its maps' gradients given"],
            seconds=_only(seconds, "backbone, its maps' gradients given"),
        ),
        row(
            f"{against}, with Lovasz",
            network,
            seconds["ours, with Lovasz"] / backbone,
            seconds=_only(seconds, "ours, with Lovasz"),
        ),
    ]
    for name, (kind, _) in LAYOUTS.items():
        ceiling, arms = float(np.median(seconds[name] / backbone)), _only(seconds, name, "ours")
        against = f"training step, smp {name} / ours"
        rows.append(row(against, network, seconds[name] / mine, "at least", BARS[kind], ceiling, arms))
    return rows


def paper_head(network: str, runs: int) -> list[Row]:
    """The same step with the paper's head."""
    model, batch = ours(network, head="paper").train(), make_batch()
    works = {"backbone": lambda: backbone_step(model, batch), "ours": lambda: sampled_step(model, batch)}
    seconds = alternate(works, min(runs, PAPER_RUNS))
    floor = 1 + head_seconds(model, batch) / float(np.median(seconds["backbone"]))
    ratio = seconds["ours"] / seconds["backbone"]
    return [
        row("training step at 2,000 pixels / backbone's, head 2 x 4096", network, ratio, floor=floor, seconds=seconds)
    ]


def head_and_read(network: str, runs: int) -> list[Row]:
    """The read and the head alone, forward and backward, on maps that stand: every pixel against 2,000."""
    batch = make_batch()
    # The paper's head at the everyday one's widths is that without batch norm on the taps, which is of the maps.
    model = ours(network, head="paper", hidden=HEADS["mlp"].hidden, dropout=0.0).train()
    on_fixed_maps(model, batch.images, learn=True)
    works = {"every pixel": lambda: dense_step(model, batch), "2,000": lambda: sampled_step(model, batch)}
    seconds = alternate(works, runs)
    ratio = seconds["every pixel"] / seconds["2,000"]
    return [row("head and read, every pixel / 2,000", network, ratio, "at least", 20.0, seconds=seconds)]


def backbone_step(model: pixelnet.PixelNet, batch: Batch) -> None:
    clear(model)
    sum(features.mean() for features in model.backbone(batch.images)).backward()


def bare_backbone_step(model: pixelnet.PixelNet, batch: Batch, slopes: list[Tensor]) -> None:
    """Without a loss: the gradient of a mean is one number everywhere, which must first be written out."""
    clear(model)
    torch.autograd.backward(model.backbone(batch.images), slopes)


def map_slopes(model: pixelnet.PixelNet, batch: Batch) -> list[Tensor]:
    """Gradients for the backbone's maps to start from."""
    with torch.no_grad():
        return [torch.randn_like(features) for features in model.backbone(batch.images)]


def sampled_step(model: pixelnet.PixelNet, batch: Batch, lovasz: bool = False) -> None:
    clear(model)
    logits, labels = model(batch.images, batch.points).flatten(0, 1), batch.at_points.flatten()
    (model.task.loss if lovasz else cross_entropy)(logits, labels, torch.ones(len(labels))).backward()


def dense_step(model: nn.Module, batch: Batch) -> None:
    clear(model)
    F.cross_entropy(model(batch.images), batch.labels).backward()


def head_seconds(model: pixelnet.PixelNet, batch: Batch) -> float:
    """The multiplications that the head cannot do without, forward and backward, at the speed that this machine has.

    Of the first layer each map has the cheaper order: multiplied on its cells, or on what is read of it.
    """
    count, points = batch.points.shape[:2]
    cells = [batch.labels[0].numel() // stride**2 for stride in model.backbone.strides]
    first, *later = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    products = sum(
        min(points, size) * channels * first.out_features
        for size, channels in zip(cells, model.backbone.channels, strict=True)
    )
    products += points * sum(layer.weight.numel() for layer in later)
    width = first.out_features
    rows, weight = torch.rand(count * points, width), torch.rand(width, width)
    spent = alternate({"multiply": lambda: linear(rows, weight)}, 10)["multiply"].min()
    rate = len(rows) * width * width / spent
    return 3 * count * products / rate


def _only(seconds: dict, *names: str) -> dict:
    return {name: seconds[name] for name in names}
