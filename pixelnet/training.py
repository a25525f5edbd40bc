"""Training: sample a few pixels from several images, read their hypercolumns, learn the head and the network below.

    pixelnet train --task segmentation --data camvid:DATA --out RUN --pretrained

The method is the loop in `run`; what it calls is below it. A step draws all its chance from (seed, step), and a
checkpoint is one file that is there whole or not at all: so a run that was killed and goes on (`resume`) ends with
the very weights of one that was not.
"""

import math
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pixelnet.config import TrainConfig
from pixelnet.data import Dataset
from pixelnet.data.batches import Batch, Batches, stream
from pixelnet.data.transforms import Augmentation
from pixelnet.errors import InputError
from pixelnet.evaluation import score_model
from pixelnet.memory import keep_freed_memory
from pixelnet.model import PixelNet
from pixelnet.points import Sampler, TwoPhase
from pixelnet.runs import checkpoint
from pixelnet.runs.record import Record
from pixelnet.runs.start import (
    Given,
    choose_sampler,
    load_given,
    make_accelerator,
    make_model,
    open_data,
    restore,
    settings_and_objects,
    state_to_resume,
    with_network,
)
from pixelnet.tasks import AnyTask, Task, make_task


def train(task: AnyTask, data: Any, out: str | Path, **options: Any) -> PixelNet:
    """Train a model and keep its run in a folder.

    Args:
        task: "segmentation", "normals", "edges" or "regression"; a `Task` of your own; or several, in a list or with
            commas between them.
        data: "camvid:PATH" and so on, the path of a folder, or several (see `open_dataset`); or a `Dataset`, a list of
            (image, labels), or a torch data set of (image, target) (see `pixelnet.data.arrays.Arrays`).
        out: the run's folder. It gets config.json, model.safetensors (the best on the val split, or the last where
            there is none), metrics.jsonl, curves.png, panels of val images, and checkpoint.pt, from which `resume`
            goes on.
        options: the other fields of `TrainConfig`. `backbone` may be a module (see `PixelNet`), `sampler` a `Sampler`,
            `loss` a function of logits (M, K), labels (M,) and weights (M,), and `val_data` anything that `data` may
            be. Of objects config.json notes the names, for people: a run that goes on, and `load`, are given them
            again.

    Returns:
        The model in model.safetensors, on the CPU, in evaluation mode.

    Raises:
        InputError: options, data or a folder that will not do, before training where it can be known.
    """
    return run(*settings_and_objects({"task": task, "data": data, "out": str(out), **options}))


def run(config: TrainConfig, given: Given | None = None) -> PixelNet:
    """`train`, from a whole configuration, and what of it is objects."""
    keep_freed_memory()
    given = given or Given()
    config = with_network(config)
    accelerator = make_accelerator(config)
    state = state_to_resume(config)
    accelerator.wait_for_everyone()  # nobody writes to the folder before all have looked
    data, validation = open_data(config, given, accelerator)
    task = make_task(
        given.task or config.task,
        class_names=data.class_names,
        class_colors=data.class_colors,
        loss=given.loss or config.loss,
        class_weights=config.class_weights,
    )
    sampler = choose_sampler(config, given, task, data)
    place = (accelerator.process_index, accelerator.num_processes)
    batches = make_batches(config, data, task, sampler, *place)

    torch.manual_seed(config.seed)
    model = make_model(config, given, task, data, fresh=state is None)
    if state is not None:
        restore(model, state, config.out / checkpoint.CHECKPOINT)
    record = Record(config, model, validation, accelerator.is_main_process, state)
    learner, optimizer = accelerator.prepare(model, _optimizer(config, model))
    if state is not None:
        optimizer.load_state_dict(state["optimizer"])
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])

    first = 0 if state is None else state["step"]
    for step, batch in enumerate(stream(batches, first, config.max_steps, config.num_workers), start=first):
        torch.manual_seed((config.seed << 32) + step * place[1] + place[0])  # dropout is this step's own
        learner.train()
        if not config.backbone_lr:
            model.backbone.eval()
        factor = rate_factor(config.schedule, step / config.max_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor

        batch = Batch(*(tensor.to(accelerator.device, non_blocking=True) for tensor in batch))
        logits = learner(batch.images, batch.points)
        if isinstance(sampler, TwoPhase):
            batch = batches.narrow(step, batch, _measure(sampler, task, logits.detach(), batch))
        loss = _loss(task, logits, batch, config.weighted, accelerator)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()

        done, last = step + 1, step + 1 == config.max_steps
        record.step(done, loss.item(), batch)
        if validation is not None and (last or done % config.val_every == 0):
            record.scores(done, score_model(model, validation, record.items, accelerator))
        if last or done % config.checkpoint_every == 0:
            scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
            record.checkpoint({"step": done, "optimizer": optimizer.state_dict(), "scaler": scaler})
    record.close()
    accelerator.wait_for_everyone()
    return load_given(config.out, given)


def make_batches(
    config: TrainConfig, data: Dataset, task: Task, sampler: Sampler, rank: int = 0, world: int = 1
) -> Batches:
    """The batches of a run with this configuration; see `Batches`."""
    augmentation = Augmentation(config.crop, config.scale, config.flip, config.color_jitter, config.image_size)
    return Batches(data, task, sampler, augmentation, config.batch_size, config.seed, rank, world)


def rate_factor(schedule: str, progress: float) -> float:
    """What the learning rates are multiplied by when `progress` (0..1) of a run is done.

    one-cycle: a straight rise over the first tenth, then half a cosine. poly: (1 - progress)^.9. step: the paper's 80
    epochs, then 8 at a tenth and 8 at a hundredth.
    """
    if schedule == "one-cycle":
        rise = 0.1
        if progress < rise:
            return 0.04 + 0.96 * progress / rise
        return 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))
    if schedule == "poly":
        return (1 - progress) ** 0.9
    return 1.0 if progress < 80 / 96 else 0.1 if progress < 88 / 96 else 0.01


def _measure(sampler: TwoPhase, task: Task, logits: Tensor, batch: Batch) -> Tensor:
    """What the sampler asks of each candidate: (N, P), 0 of padding. No step is taken by what is found here."""
    real = batch.weights > 0
    if sampler.asks == "confidence":
        found = task.confidence(logits[real])
    else:
        at = logits[real].requires_grad_()
        (gradient,) = torch.autograd.grad(task.loss(at, batch.labels[real], torch.ones_like(batch.weights[real])), at)
        found = torch.linalg.vector_norm(gradient.float(), dim=1)
    return torch.zeros_like(batch.weights).masked_scatter(real, found.to(batch.weights))


def _loss(task: Task, logits: Tensor, batch: Batch, weighted: bool, accelerator: Accelerator) -> Tensor:
    """The loss of the points that have a label; padding has weight 0."""
    real = batch.weights > 0
    weights = batch.weights[real] if weighted else torch.ones_like(batch.weights[real])
    loss = task.loss(logits[real], batch.labels[real], weights)
    if accelerator.num_processes > 1:
        # Each process divided by its own points and the gradients will be averaged: divide by everybody's instead.
        # That is exact for means over points; Dice and Lovasz stay means over the processes' own sets.
        everybody = accelerator.reduce(weights.sum(), reduction="mean")
        loss = loss * weights.sum() / everybody.clamp_min(1e-12)
    if not torch.isfinite(loss):
        raise InputError(f"the loss is {loss.item()}: training has diverged; lower --lr. The last checkpoint is kept")
    return loss


def _optimizer(config: TrainConfig, model: PixelNet) -> torch.optim.Optimizer:
    """AdamW, or the paper's SGD. Biases and norms do not decay; with SGD biases learn twice as fast (Caffe's habit)."""
    groups = []
    for part, rate in ((model.backbone, config.backbone_lr), (nn.ModuleList([model.norms, model.head]), config.lr)):
        part.requires_grad_(rate > 0)
        kernels = [parameter for parameter in part.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in part.parameters() if parameter.ndim <= 1]
        bias_rate = 2 * rate if config.optimizer == "sgd" else rate
        groups.append({"params": kernels, "full_rate": rate, "weight_decay": config.weight_decay})
        groups.append({"params": others, "full_rate": bias_rate, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"] and group["full_rate"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=config.lr)
