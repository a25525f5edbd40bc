"""A peer: smp's Unet on EfficientNet-lite0 with ImageNet weights, cross-entropy and Dice, AdamW, one cycle.

It sees the views that `pixelnet train` cuts, with all of their labels, and answers whole images, magnified as its views
were. Steps are as many as the given processor seconds allow, by what the first ten cost, which are then taken back.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.learner.clock import Clock
from benchmarks.learner.few import Answer
from benchmarks.learner.sets import Part
from benchmarks.learner.views import Views, magnified
from pixelnet.metrics.confusion import UNLABELLED
from pixelnet.training import rate_factor

WEIGHTS = Path(os.environ.get("PIXELNET_WEIGHTS", "../shared/weights")) / "tf_efficientnet_lite0_imagenet.safetensors"
STRIDE = 32
REHEARSED = 10  # steps
DECAY = 1e-2


class Recipe(NamedTuple):
    """How a Unet learns.

    rate: of the decoder. encoder_share: the encoder's, of that. magnify: of images, in learning and in answering.
    """

    rate: float = 1e-3
    encoder_share: float = 0.3
    magnify: float = 1


class Run:
    """A Unet and its optimizer, before the first step."""

    def __init__(self, part: Part, recipe: Recipe, seed: int) -> None:
        torch.manual_seed(seed)
        self.net: Any = smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, classes=len(part.class_names))
        missing = self.net.encoder.model.load_state_dict(load_file(WEIGHTS), strict=False).missing_keys
        if missing:
            raise AssertionError(f"{WEIGHTS} has no {missing[0]}")
        self.net.to(memory_format=torch.channels_last)
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=UNLABELLED)
        self.views = Views(part, magnified(recipe.magnify), seed)
        self.optimizer = torch.optim.AdamW(groups(self.net, recipe))

    def step(self, number: int, factor: float) -> float:
        """One step on the views of that number; its loss."""
        images, labels = self.views[number]
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor
        logits = self.net(normalized(images))
        loss = F.cross_entropy(logits, labels, ignore_index=UNLABELLED) + self.dice(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


def learn(part: Part, recipe: Recipe, seed: int, seconds: float) -> tuple[Answer, dict[str, Any]]:
    """Learn for so many processor seconds; the answer to images, and what it took."""
    total = max(1, round(seconds / rehearsed(Run(part, recipe, seed))))
    run, losses = Run(part, recipe, seed), []
    run.net.train()
    with Clock() as clock:
        for step in range(total):
            losses.append(run.step(step, rate_factor("one-cycle", step / total)))
    run.net.eval()
    facts = {"steps": total, "fit": clock.spent(), "last_loss": round(statistics.fmean(losses[-20:]), 4)}
    return lambda image: answer(run.net, image, recipe.magnify), facts


def rehearsed(run: Run) -> float:
    """Processor seconds of a step. The first is not like the others."""
    run.net.train()
    costs = []
    for step in range(REHEARSED):
        began = time.process_time()
        run.step(step, 0.04)
        costs.append(time.process_time() - began)
    return statistics.fmean(costs[1:])


def groups(net: Any, recipe: Recipe) -> list[dict[str, Any]]:
    """As `pixelnet train` has them: kernels decay, biases and norms do not; the encoder has a rate of its own."""
    found = []
    encoder = {id(parameter) for parameter in net.encoder.parameters()}
    for inside, rate in ((True, recipe.rate * recipe.encoder_share), (False, recipe.rate)):
        own = [parameter for parameter in net.parameters() if (id(parameter) in encoder) is inside]
        for kernels in (True, False):
            chosen = [parameter for parameter in own if (parameter.ndim > 1) is kernels]
            found.append({"params": chosen, "full_rate": rate, "lr": rate, "weight_decay": DECAY * kernels})
    return found


def normalized(images: Tensor) -> Tensor:
    """(N, 3, H, W) in 0..1 as the encoder was trained on."""
    return ((images - 127 / 255) / (128 / 255)).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def answer(net: nn.Module, image: np.ndarray, magnify: float) -> np.ndarray:
    """Class ids (H, W) of a whole image (H, W, 3), bytes."""
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255
    if magnify != 1:
        planes = F.interpolate(planes, scale_factor=magnify, mode="bilinear", antialias=True)
    height, width = planes.shape[-2:]
    planes = F.pad(planes, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    logits = net(normalized(planes))[..., :height, :width]
    if magnify != 1:
        logits = F.interpolate(logits, image.shape[:2], mode="bilinear", antialias=True)
    return logits[0].argmax(0).to(torch.uint8).numpy()
