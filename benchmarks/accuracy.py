"""Seconds of training until a mean IoU of .65 on CamVid val: PixelNet on 2,000 pixels a view, on all, and smp's Unet.

    python -m benchmarks.accuracy [--data DIR] [--weights DIR] [--out DIR] [--limit SECONDS]

All three start from the same ImageNet weights of EfficientNet-lite0 and see the same views, cross-entropy and AdamW, a
short warm-up and then a constant rate; each has its best rate of a few. Only the seconds of training steps count: not
the making of batches, and not the scoring, which happens every 20 steps on every 4th image, and on all when these say
that the goal is reached. A run that takes longer than its arm's best so far, or than the limit, is stopped.

Hours. What was stopped goes on when the command is given again; docs/results/time_to_accuracy.json keeps each run, and
docs/results/speed.json the ratios.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import tyro
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import timing
from benchmarks.adaptive import predict as predict_peer
from benchmarks.networks import ours, peer
from pixelnet import PixelNet
from pixelnet.data import Dataset, open_dataset
from pixelnet.data.batches import Batch, Batches, stream
from pixelnet.data.transforms import Augmentation
from pixelnet.files import write_atomic, write_json
from pixelnet.metrics.confusion import confusion, scores
from pixelnet.points import make_sampler
from pixelnet.tasks.task import Task

RESULT = timing.RESULT.with_name("time_to_accuracy.json")
NETWORK, WEIGHTS = "tf_efficientnet_lite0", "tf_efficientnet_lite0_imagenet.safetensors"
GOAL = 0.65
VIEWS = 8
# At scale 1 a label has one pixel.
AUGMENTATION = Augmentation(crop=(256, 320), scale=(1, 1), flip=True, color_jitter=0.3)
WARM_UP = 20  # steps
CHECK_EVERY, CHECKED = 20, slice(None, None, 4)
BACKBONE_RATE = 0.3  # of the rate, as by default
ENDLESS = 10**6  # steps
UNLABELLED = 255

Arm = Literal["sampled", "every pixel", "Unet"]


@dataclass(frozen=True)
class Arguments:
    data: Path = Path("../shared/data")
    weights: Path = Path("../shared/weights")
    out: Path = Path("runs/time_to_accuracy")
    """Folder for what a stopped run goes on from."""
    arms: tuple[Arm, ...] = ("sampled", "every pixel", "Unet")
    rates: tuple[float, ...] = (1e-3, 3e-3, 3e-4)
    """To choose from; the most promising first, for it sets the limit of the others."""
    limit: float = 7200
    """Seconds of training after which a run is stopped."""


class Learner(NamedTuple):
    """An arm: the network, its loss on a batch, its labels (H, W) of an image, and the part that was trained before."""

    model: nn.Module
    loss: Callable[[Batch], Tensor]
    predict: Callable[[np.ndarray], np.ndarray]
    backbone: nn.Module


def learner(arm: Arm, weights: Path) -> Learner:
    model = ours(NETWORK, backbone_weights=weights)
    if arm == "sampled":
        return Learner(model, partial(loss_at_points, model), model.predict, model.backbone)
    if arm == "every pixel":
        return Learner(model, lambda batch: dense_loss(model(batch.images), batch), model.predict, model.backbone)
    unet: Any = peer("Unet", NETWORK)
    unet.encoder.model.load_state_dict(load_file(weights), strict=False)  # the classifier's part is left over
    return Learner(unet, partial(unet_loss, unet, model), partial(unet_labels, unet, model), unet.encoder)


def loss_at_points(model: PixelNet, batch: Batch) -> Tensor:
    real = batch.weights > 0
    return F.cross_entropy(model(batch.images, batch.points)[real], batch.labels[real])


def unet_loss(unet: nn.Module, model: PixelNet, batch: Batch) -> Tensor:
    images = (batch.images - model.backbone.mean) / model.backbone.std
    return dense_loss(unet(images.contiguous(memory_format=torch.channels_last)), batch)


def unet_labels(unet: nn.Module, model: PixelNet, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return predict_peer(unet, image, model)


def dense_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Of logits (N, K, H, W), at all pixels that have a label."""
    return F.cross_entropy(logits, label_maps(batch), ignore_index=UNLABELLED)


def label_maps(batch: Batch) -> Tensor:
    """The labels (N, H, W) of a batch that has every labelled pixel of its views among its points."""
    maps = torch.full((len(batch.images), *batch.images.shape[-2:]), UNLABELLED)
    real = batch.weights > 0
    x, y = batch.points[real].round().long().unbind(-1)
    maps[real.nonzero()[:, 0], y, x] = batch.labels[real]
    return maps


def batches(train: Dataset, task: Task, arm: Arm, augmentation: Augmentation = AUGMENTATION) -> Batches:
    """The same views for every arm: a sampler draws after the view is drawn, from chances of the view's own."""
    sampler = make_sampler("uniform", 2000) if arm == "sampled" else make_sampler("all")
    return Batches(train, task, sampler, augmentation, VIEWS, seed=0)


def optimizer_of(one: Learner, rate: float) -> torch.optim.Optimizer:
    """AdamW as `pixelnet train` has it: kernels decay, biases and norms do not; the trained part learns more slowly."""
    trained = {id(parameter) for parameter in one.backbone.parameters()}
    groups = [
        {"params": [], "full_rate": rate * share, "lr": rate * share, "weight_decay": decay}
        for share in (BACKBONE_RATE, 1.0)
        for decay in (1e-2, 0.0)
    ]
    for parameter in one.model.parameters():
        groups[2 * (id(parameter) not in trained) + (parameter.ndim <= 1)]["params"].append(parameter)
    return torch.optim.AdamW(groups)


@dataclass
class Run:
    """One arm at one rate, as far as it has come."""

    one: Learner
    optimizer: torch.optim.Optimizer
    path: Path
    step: int = 0
    seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)  # [step, seconds, mean IoU of the quick check]

    def __post_init__(self) -> None:
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.one.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]

    def keep(self) -> None:
        state = {"model": self.one.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "seconds": self.seconds, "curve": self.curve}
        write_atomic(self.path, lambda file: torch.save(state, file))

    def learn(self, batch: Batch) -> bool:
        """One step, timed; False when it has diverged."""
        self.one.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_rate"] * min(1.0, (self.step + 1) / WARM_UP)
        start = time.perf_counter()
        loss = self.one.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seconds += time.perf_counter() - start
        self.step += 1
        return math.isfinite(loss.item())

    def miou(self, val: Dataset, which: slice = slice(None)) -> float:
        self.one.model.eval()
        counts = 0
        for index in range(len(val))[which]:
            counts = counts + confusion(self.one.predict(val.image(index)), val.labels(index), len(val.class_names))
        return float(scores(counts)["miou"])

    def to_goal(self, steps: Iterator[Batch], val: Dataset, limit: float) -> dict[str, Any]:
        """Train until the goal or the limit."""
        found = {"miou": None, "reached": False, "diverged": False}
        for batch in steps:
            if not self.learn(batch):
                found["diverged"] = True
                break
            if self.step % CHECK_EVERY == 0:
                quick = self.miou(val, CHECKED)
                self.curve.append([self.step, round(self.seconds, 1), round(quick, 4)])
                print(f"{self.path.stem}: step {self.step}, {self.seconds:.0f} s, mean IoU {quick:.4f}", flush=True)
                self.keep()
                if quick >= GOAL:
                    whole = self.miou(val)
                    found |= {"miou": round(whole, 4), "reached": whole >= GOAL}
            if found["reached"] or self.seconds > limit:
                break
        return {"seconds": round(self.seconds, 1), "steps": self.step, "limit": round(limit, 1)} | found


def best_of(rows: list[dict[str, Any]], arm: Arm) -> float:
    """The least seconds in which an arm has reached the goal; infinite if it has not."""
    return min((row["seconds"] for row in rows if row["arm"] == arm and row["reached"]), default=math.inf)


def ratios(rows: list[dict[str, Any]]) -> list[timing.Row]:
    """Each peer's best seconds over ours; of one that has not reached the goal, the least that a run of its had."""
    mine, found = best_of(rows, "sampled"), []
    for arm, name in (("every pixel", "PixelNet on every pixel"), ("Unet", "smp Unet")):
        spent = [row["seconds"] for row in rows if row["arm"] == arm]
        if math.isfinite(mine) and spent:
            reached = math.isfinite(best_of(rows, arm))
            seconds = {arm: np.array([best_of(rows, arm) if reached else min(spent)]), "sampled": np.array([mine])}
            measure = f"seconds to CamVid val mean IoU {GOAL}, {name} / sampled"
            note = None if reached else "more than this: it was stopped before it got there"
            found.append(timing.row(measure, NETWORK, seconds[arm] / mine, "at least", 2.0, seconds=seconds, note=note))
    return found


def trials(arguments: Arguments) -> Iterator[tuple[Arm, float]]:
    """By rate first, so that every arm has a figure early."""
    for rate in arguments.rates:
        for arm in arguments.arms:
            yield arm, rate


def measure(arguments: Arguments) -> None:
    weights = arguments.weights / WEIGHTS
    train, val = (
        open_dataset(f"camvid:{arguments.data / 'camvid'}", "segmentation", part) for part in ("train", "val")
    )
    rows: list[dict[str, Any]] = timing.earlier_rows(RESULT)
    for arm, rate in trials(arguments):
        limit = min(arguments.limit, best_of(rows, arm))
        before = next((row for row in rows if (row["arm"], row["rate"]) == (arm, rate)), None)
        if before and (before["reached"] or before["diverged"] or before["seconds"] > limit):
            continue
        one = learner(arm, weights)
        run = Run(one, optimizer_of(one, rate), arguments.out / f"{arm.replace(' ', '-')}-{rate:g}.pt")
        task = ours(NETWORK).task
        steps = stream(batches(train, task, arm), run.step, ENDLESS, workers=0)
        rows = [row for row in rows if row is not before]
        rows.append({"arm": arm, "rate": rate} | run.to_goal(steps, val, limit) | {"curve": run.curve})
        if isinstance(one.model, PixelNet):
            one.model.save(run.path.with_suffix(""))  # a model to look at, and to measure adaptive prediction on
        what = f"Seconds of training until CamVid val mean IoU is {GOAL} ({NETWORK}, {VIEWS} views of 256x320 a step)."
        command = "python -m benchmarks.accuracy"
        head = {"name": "time_to_accuracy", "what": what, "command": command, "machine": timing.machine()}
        write_json(RESULT, head | {"rows": rows})
    if found := ratios(rows):
        timing.keep(found)
    for row in found:
        timing.show(row)


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    return timing.as_command(lambda: measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
