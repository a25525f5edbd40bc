"""Training: sample a few pixels from several images, read their hypercolumns, learn the head and the network below.

    pixelnet train --task segmentation --data camvid:DATA --out RUN --pretrained

The method is the loop in `learn` and `Learning.step`; what they call is below them. A step draws all its chance from
(seed, step), and a checkpoint is one file that is there whole or not at all: so a run that was killed and goes on
(`resume`) ends with the very weights of one that was not.
"""

import math
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint as checkpointed
from tqdm import tqdm

from pixelnet.config import TrainConfig
from pixelnet.data import Dataset
from pixelnet.data.batches import Batch, Batches, stream
from pixelnet.data.dataset import input_files
from pixelnet.data.transforms import Augmentation
from pixelnet.devices import repeatable
from pixelnet.errors import InputError
from pixelnet.evaluation import score_model
from pixelnet.files import require_apart
from pixelnet.learning.spread import spread
from pixelnet.learning.taught import begin, teach
from pixelnet.memory import keep_freed_memory
from pixelnet.model import PixelNet
from pixelnet.points import Sampler, TwoPhase
from pixelnet.runs import checkpoint
from pixelnet.runs.learnt import note_images
from pixelnet.runs.processes import of_all, peers
from pixelnet.runs.record import Record
from pixelnet.runs.settings import check_settings, with_network, with_rates
from pixelnet.runs.sides import open_data
from pixelnet.runs.start import (
    Given,
    anywhere,
    begin_from,
    check_weights,
    choose_sampler,
    choose_task,
    go_on,
    load_given,
    make_accelerator,
    make_model,
    restore,
    settings_and_objects,
    state_to_resume,
    total_steps,
    with_augmentation,
    writing,
)
from pixelnet.signals import leave_to_parent, noted
from pixelnet.tasks import AnyTask, Task

TIMED, UNTIMED = 20, 5  # steps that tell how long one takes, and of these the first, which take longer
SPARE = 0.1  # of the time of a run, for validations and checkpoints; and the most of it that telling may take


def train(task: AnyTask, data: Any, out: str | Path, **options: Any) -> PixelNet:
    """Train a model and keep its run in a folder.

    Args:
        task: "segmentation", "normals", "edges" or "regression"; a `Task` of your own; or several, in a list or with
            commas between them.
        data: "camvid:PATH" and so on, the path of a folder, or several (see `open_dataset`); or a `Dataset`, a list of
            (image, labels), or a torch data set of (image, target) (see `pixelnet.data.arrays.Arrays`).
        out: the run's folder. It gets config.json, model.safetensors (the best on the val split, or the last where
            there is none), images.json (which images it learnt from, and which are held out), metrics.jsonl,
            curves.png, panels of val images, and checkpoint.pt, from which `resume` goes on.
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
    leave_to_parent()
    keep_freed_memory()
    given = given or Given()
    config = with_network(config)
    accelerator = make_accelerator(config)
    check_settings(config)
    with peers(), repeatable(config.deterministic), writing(config, accelerator):
        learn(config, given, accelerator)
        return load_given(config.out, given)


def learn(config: TrainConfig, given: Given, accelerator: Accelerator) -> None:
    """The steps of a run, whose folder is held."""
    state = state_to_resume(config)
    accelerator.wait_for_everyone()  # nobody writes to the folder before all have looked
    check_weights(config, given, fresh=state is None)
    data, validation = open_data(config, given, accelerator)
    require_apart({"--out": config.out}, input_files(data))
    images = note_images(config.out, data, validation, accelerator, resumed=state is not None)
    with accelerator.main_process_first():  # the others find the teacher's answers there
        data, teacher = teach(config, data, fresh=state is None, main=accelerator.is_main_process)
    config = with_augmentation(config, data, resumed=state is not None)
    total, task = total_steps(config, len(data), state), choose_task(config, given, data)
    sampler = choose_sampler(config, given, task, data)
    learnt = spread(config, given, data, task, sampler, fresh=state is None, main=accelerator.is_main_process)
    batches = make_batches(config, *learnt, accelerator.process_index, accelerator.num_processes)

    torch.manual_seed(config.seed)
    model = make_model(config, given, task, data, fresh=state is None)
    config = with_rates(config, model)
    begun = state is None and teacher is None and begin_from(config, given, model)
    if state is not None:
        restore(model, state, config.out / checkpoint.CHECKPOINT)
    elif teacher is not None and not (config.pretrained or config.backbone_weights):
        begin(model, teacher)
    learner, optimizer = accelerator.prepare(in_parts(model, config.grad_accum), _optimizer(config, model))
    average = moving_average(model, config.ema)
    if state is not None:
        go_on(state, optimizer, average, accelerator)
    learning = Learning(config, batches.task, batches, model, learner, optimizer, average, accelerator)
    if total is None:
        total = steps_within(cast(float, config.minutes), learning)
    kept = model if average is None else cast(PixelNet, average.module)
    record = Record(config, kept, validation, accelerator, total, state, images)
    if begun and validation is not None:  # no run ends worse than it began
        record.scores(0, score_model(kept, validation, record.items, accelerator))

    first = 0 if state is None else total if record.stalled else state["step"]
    with noted() as signals:
        for step, batch in enumerate(stream(batches, first, total, config.num_workers), start=first):
            loss, pixels = learning.step(step, batch, step / total)
            done, last = step + 1, step + 1 == total
            record.step(done, loss, pixels)
            if validation is not None and (last or done % config.val_every == 0):
                record.scores(done, score_model(kept, validation, record.items, accelerator))
                last = last or record.stalled
            stopped = not last and anywhere(bool(signals), accelerator)
            if last or stopped or done % config.checkpoint_every == 0:
                record.checkpoint(_state(done, model, average, optimizer, accelerator))
            if stopped:
                record.stop(done, signals)
            if last:
                break
    record.close()
    if teacher is not None and validation is not None:
        record.keep_better(score_model(teacher, validation, record.items, accelerator))
    accelerator.wait_for_everyone()


class Learning(NamedTuple):
    """What learns in a run, and by what.

    model: whose weights change. learner: the same as accelerate has it. The rest is as in `learn`.
    """

    config: TrainConfig
    task: Task
    batches: Batches
    model: PixelNet
    learner: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    accelerator: Accelerator

    def step(self, step: int, batch: Batch, progress: float) -> tuple[float, int]:
        """Learn from a batch, when `progress` (0..1) of the run is done: the loss, and of how many points it is.

        Both are of all processes. What each finds is averaged with the others' gradients, hence the factor.
        """
        config, accelerator, batches = self.config, self.accelerator, self.batches
        torch.manual_seed((config.seed << 32) + step * batches.world + batches.rank)  # dropout is this step's own
        self.learner.train()
        if config.freeze:
            self.model.backbone.core.eval()
        _set_rates(self.optimizer, rate_factor(config.schedule, progress, config.warmup))
        batch = Batch(*(tensor.to(accelerator.device, non_blocking=True) for tensor in batch))
        logits = _logits(self.learner, batch)
        if isinstance(batches.sampler, TwoPhase):
            measure = _measure(batches.sampler, self.task, logits.detach(), batch, accelerator)
            batch = batches.narrow(step, batch, measure)
        points = _labelled(logits, batch, config.weighted, accelerator)
        loss = _loss(self.task, points)
        self.optimizer.zero_grad()
        accelerator.backward(loss * accelerator.num_processes)
        if config.grad_clip is not None:
            accelerator.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.item(), len(points.labels)


def steps_within(minutes: float, learning: Learning) -> int:
    """How many steps fit in so many minutes, by the time that the first twenty take.

    These are taken back: what follows is the very run of that number of steps, whose schedule knows it from the start.
    Of short runs fewer are timed, as many as a tenth of the time allows. Of several processes the main one decides.
    A run that has `max_steps`, too, takes no more than these.
    """
    _, _, _, model, _, optimizer, average, accelerator = learning
    before = deepcopy(_state(0, model, average, optimizer, accelerator))
    times = [perf_counter()]
    for step, batch in enumerate(stream(learning.batches, 0, TIMED, learning.config.num_workers)):
        learning.step(step, batch, 0.0)
        times.append(perf_counter())
        if anywhere(times[-1] - times[0] > SPARE * 60 * minutes, accelerator) and step:
            break
    model.load_state_dict(before["model"])
    go_on(before, optimizer, average, accelerator)
    untimed = min(UNTIMED, (len(times) - 1) // 2)
    seconds = (times[-1] - times[untimed]) / (len(times) - 1 - untimed)
    left = (1 - SPARE) * (60 * minutes - (times[-1] - times[0]))
    (total,) = broadcast_object_list([max(1, min(int(left / seconds), learning.config.max_steps or sys.maxsize))])
    if accelerator.is_main_process:
        ends = ["" if number == 1 else "s" for number in (minutes, total)]
        tqdm.write(f"{minutes:g} minute{ends[0]}: {total} step{ends[1]}", sys.stderr)
    return total


def in_parts(model: PixelNet, parts: int) -> nn.Module:
    """What sees the images of a step in so many parts, one after the other; the model itself for 1."""
    return model if parts == 1 else InParts(model, parts)


class InParts(nn.Module):
    """A model that sees a batch in parts, and each of them once more on the way back, so as to hold one at a time.

    The logits are together before there is a loss, so that it is the loss of the whole batch, of whatever kind: parts
    that had one each and added up their gradients would get another Dice, Lovasz or mean by class. (Gao et al. 2021,
    Scaling deep contrastive learning batch size under memory limited setup, section 3.)
    """

    def __init__(self, model: PixelNet, parts: int) -> None:
        super().__init__()
        self.model, self.parts = model, parts

    def forward(self, images: Tensor, points: Tensor) -> Tensor:
        """(N, C, H, W), (N, P, 2) -> (N, P, K)."""
        pairs = zip(images.chunk(self.parts), points.chunk(self.parts), strict=True)
        return torch.cat([checkpointed(self.model, *pair, use_reentrant=False) for pair in pairs])


def _logits(learner: nn.Module, batch: Batch) -> Tensor:
    try:
        return cast(Tensor, learner(batch.images, batch.points))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        height, width = batch.images.shape[-2:]
        raise InputError(
            f"{len(batch.images)} views of {width}x{height} leave a batch norm of this network one number a channel, "
            "which has no deviation; give more images a step (--batch-size) or larger views (--crop)"
        ) from error


def _set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * factor


def _state(
    done: int,
    model: PixelNet,
    average: AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> dict[str, Any]:
    """What a run goes on from after so many steps."""
    return {
        "step": done,
        "model": model.state_dict(),
        "average": None if average is None else average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": {} if accelerator.scaler is None else accelerator.scaler.state_dict(),
    }


def moving_average(model: PixelNet, decay: float | None) -> AveragedModel | None:
    """The exponential moving average of a model's weights and statistics, to be told of each step; None for None.

    Of the first steps the decay is (1 + n) / (10 + n) after n of them, where that is less: else where it began would
    weigh too much.
    """
    if decay is None:
        return None

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for own, new in zip(averaged, current, strict=True):
            own.lerp_(new, share) if own.is_floating_point() else own.copy_(new)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def make_batches(
    config: TrainConfig, data: Dataset, task: Task, sampler: Sampler, rank: int = 0, world: int = 1
) -> Batches:
    """The batches of a run with this configuration; see `Batches`."""
    rotate = config.augment == "top-down"
    assert config.crop != "auto"  # which `with_network` has settled
    augmentation = Augmentation(config.crop, config.scale, config.flip, config.color_jitter, config.image_size, rotate)
    return Batches(data, task, sampler, augmentation, config.batch_size, config.seed, rank, world)


def rate_factor(schedule: str, progress: float, warmup: float | None = None) -> float:
    """What the learning rates are multiplied by when `progress` (0..1) of a run is done.

    one-cycle: a straight rise over the first tenth, then half a cosine. poly: (1 - progress)^.9. step: the paper's 80
    epochs, then 8 at a tenth and 8 at a hundredth. warmup: the share of the run over which the rates rise, from a
    twenty-fifth; None for the schedule's own.
    """
    rise = (0.1 if schedule == "one-cycle" else 0.0) if warmup is None else warmup
    rising = 0.04 + 0.96 * progress / rise if progress < rise else 1.0
    if schedule == "one-cycle":
        return rising if progress < rise else 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))
    if schedule == "poly":
        return rising * (1 - progress) ** 0.9
    return rising * (1.0 if progress < 80 / 96 else 0.1 if progress < 88 / 96 else 0.01)


class Points(NamedTuple):
    """Points that have a label: logits (M, K), labels (M,) or (M, L), weights (M,)."""

    logits: Tensor
    labels: Tensor
    weights: Tensor


def _labelled(logits: Tensor, batch: Batch, weighted: bool, accelerator: Accelerator) -> Points:
    """The points of a step that have a label, those of the other processes, too; padding has weight 0.

    Without them a loss would be one of this process's points, and of what is no mean over points (Dice, Lovasz, classes
    with weights, several tasks) another one than that of them all. Gradients go to the own.
    """
    real = batch.weights > 0
    weights = batch.weights[real] if weighted else torch.ones_like(batch.weights[real])
    return Points(*of_all((logits[real], batch.labels[real], weights), accelerator))


def _measure(sampler: TwoPhase, task: Task, logits: Tensor, batch: Batch, accelerator: Accelerator) -> Tensor:
    """What the sampler asks of each candidate: (N, P), 0 of padding. No step is taken by what is found here."""
    real = batch.weights > 0
    if sampler.asks == "confidence":
        found = task.confidence(logits[real])
    else:
        at = logits.requires_grad_()
        (gradient,) = torch.autograd.grad(task.loss(*_labelled(at, batch, False, accelerator)), at)
        found = torch.linalg.vector_norm(gradient[real].float(), dim=1)
    return torch.zeros_like(batch.weights).masked_scatter(real, found.to(batch.weights))


def _loss(task: Task, points: Points) -> Tensor:
    loss = task.loss(*points)
    if not torch.isfinite(loss):
        raise InputError(f"the loss is {loss.item()}: training has diverged; lower --lr. The last checkpoint is kept")
    return loss


def _optimizer(config: TrainConfig, model: PixelNet) -> torch.optim.Optimizer:
    """AdamW, or the paper's SGD. Biases and norms do not decay; with SGD biases learn twice as fast (Caffe's habit)."""
    groups = []
    assert config.lr is not None  # which `with_rates` has settled
    assert config.backbone_lr is not None
    backbone_lr = 0.0 if config.freeze else config.backbone_lr
    learnt = nn.ModuleList([model.backbone.added, model.norms, model.head])
    for part, rate in ((model.backbone.core, backbone_lr), (learnt, config.lr)):
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
