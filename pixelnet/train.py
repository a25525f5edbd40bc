"""Training: sample a few pixels from several images, read their hypercolumns, learn the head and the network below.

    pixelnet train --task segmentation --data camvid:DATA --out RUN --backbone-weights FILE

The method is the loop in `run`; what it calls is below it. A step draws all its chance from (seed, step), and a
checkpoint is one file that is there whole or not at all: so a run that was killed and goes on (`resume`) ends with
the very weights of one that was not.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pixelnet import checkpoint
from pixelnet.config import TrainConfig, from_dict, read_json
from pixelnet.data import has_split, open_dataset
from pixelnet.data.batches import Batch, Batches, stream
from pixelnet.data.check import validate
from pixelnet.data.dataset import Dataset
from pixelnet.data.transforms import Augmentation
from pixelnet.errors import InputError
from pixelnet.evaluate import score_model, task_of
from pixelnet.hub import folder_of
from pixelnet.memory import keep_freed_memory
from pixelnet.model import PixelNet
from pixelnet.points import Sampler, TwoPhase, make_sampler
from pixelnet.record import METRICS, Record
from pixelnet.tasks.joint import Joint, JointSampler
from pixelnet.tasks.task import Task

# Settings that change how a run is watched or fed, but not what it learns: one that goes on may change them.
FREE_ON_RESUME = {"resume", "out", "workers", "checkpoint_every"}
# Settings that a model brings with it which a run starts from.
NETWORK = ("backbone", "taps", "before_relu", "conv7", "head", "hidden", "dropout")


def train(task: str, data: str, out: str | Path, **options: Any) -> PixelNet:
    """Train a model and keep its run in a folder.

    Args:
        task: "segmentation", "normals", "edges" or "regression"; or several, with commas between them.
        data: "camvid:PATH" and so on, or several; see `pixelnet.data.open_dataset`.
        out: the run's folder. It gets config.json, model.safetensors (the best on the val split, or the last where
            there is none), metrics.jsonl, curves.png, panels of val images, and checkpoint.pt, from which `resume`
            goes on.
        options: the other fields of `TrainConfig`.

    Returns:
        The model in model.safetensors, on the CPU, in evaluation mode.

    Raises:
        InputError: options, data or a folder that will not do, before training where it can be known.
    """
    return run(from_dict(TrainConfig, {"task": task, "data": data, "out": str(out), **options}, "train"))


def run(config: TrainConfig) -> PixelNet:
    """`train`, from a whole configuration."""
    keep_freed_memory()
    config = _as_its_start(config)
    accelerator = _accelerator(config)
    state = _state_to_resume(config)
    accelerator.wait_for_everyone()  # nobody writes to the folder before all have looked
    data, validation = _open(config, accelerator)
    task = task_of(data, loss=config.loss, class_weights=config.class_weights)
    sampler = _sampler(config, task, data)
    place = (accelerator.process_index, accelerator.num_processes)
    batches = make_batches(config, data, task, sampler, *place)

    torch.manual_seed(config.seed)
    model = _model(config, data, fresh=state is None)
    if state is not None:
        _restore(model, state, config.out / checkpoint.CHECKPOINT)
    record = Record(config, model, validation, accelerator.is_main_process, state)
    learner, optimiser = accelerator.prepare(model, _optimiser(config, model))
    if state is not None:
        optimiser.load_state_dict(state["optimiser"])
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])

    first = 0 if state is None else state["step"]
    for step, batch in enumerate(stream(batches, first, config.steps, config.workers), start=first):
        torch.manual_seed((config.seed << 32) + step * place[1] + place[0])  # dropout is this step's own
        learner.train()
        if not config.backbone_rate:
            model.backbone.eval()
        factor = rate_factor(config.schedule, step / config.steps)
        for group in optimiser.param_groups:
            group["lr"] = group["full_rate"] * factor

        batch = Batch(*(tensor.to(accelerator.device, non_blocking=True) for tensor in batch))
        logits = learner(batch.images, batch.points)
        if isinstance(sampler, TwoPhase):
            batch = batches.narrow(step, batch, _measure(sampler, task, logits.detach(), batch))
        loss = _loss(task, logits, batch, config.weighted, accelerator)
        optimiser.zero_grad()
        accelerator.backward(loss)
        optimiser.step()

        done, last = step + 1, step + 1 == config.steps
        record.step(done, loss.item(), batch)
        if validation is not None and (last or done % config.evaluate_every == 0):
            record.scores(done, score_model(model, validation, record.items, accelerator))
        if last or done % config.checkpoint_every == 0:
            scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
            record.checkpoint({"step": done, "optimiser": optimiser.state_dict(), "scaler": scaler})
    record.close()
    accelerator.wait_for_everyone()
    return checkpoint.load(config.out)


def make_batches(
    config: TrainConfig, data: Dataset, task: Task, sampler: Sampler, rank: int = 0, world: int = 1
) -> Batches:
    """The batches of a run with this configuration; see `Batches`."""
    augmentation = Augmentation(config.crop, config.scale, config.flip, config.colour, config.size)
    return Batches(data, task, sampler, augmentation, config.images_per_step, config.seed, rank, world)


def _accelerator(config: TrainConfig) -> Accelerator:
    try:
        accelerator = Accelerator(mixed_precision=config.precision)
    except ValueError as error:  # this machine cannot, or accelerate has begun with another one in this process
        raise InputError(f"--precision {config.precision}: {error}") from error
    if config.images_per_step < accelerator.num_processes:
        raise InputError(
            f"--images-per-step is {config.images_per_step} but there are {accelerator.num_processes} processes; "
            "each needs at least one image"
        )
    return accelerator


def _restore(model: PixelNet, state: dict[str, Any], path: Path) -> None:
    """The checkpoint's weights into the model, before anything of the run is touched."""
    try:
        if not {"step", "best", "optimiser", "scaler"} <= state.keys():
            raise KeyError("no state of a run")
        model.load_state_dict(state["model"])
    except (AttributeError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[:2][-1].strip()
        raise InputError(f"{path} is of another run ({reason}); remove it to start this run afresh") from error


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
    if sampler.asks == "certainty":
        found = task.certainty(logits[real])
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
        raise InputError(f"the loss is {loss.item()}: training has diverged; lower --rate. The last checkpoint is kept")
    return loss


def _optimiser(config: TrainConfig, model: PixelNet) -> torch.optim.Optimizer:
    """AdamW, or the paper's SGD. Biases and norms do not decay; with SGD biases learn twice as fast (Caffe's habit)."""
    groups = []
    for part, rate in ((model.backbone, config.backbone_rate), (nn.ModuleList([model.norms, model.head]), config.rate)):
        part.requires_grad_(rate > 0)
        kernels = [parameter for parameter in part.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in part.parameters() if parameter.ndim <= 1]
        bias_rate = 2 * rate if config.optimiser == "sgd" else rate
        groups.append({"params": kernels, "full_rate": rate, "weight_decay": config.decay})
        groups.append({"params": others, "full_rate": bias_rate, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"] and group["full_rate"]]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=config.rate)


def _open(config: TrainConfig, accelerator: Accelerator) -> tuple[Dataset, Dataset | None]:
    """The split to learn from and, where the data has it apart, val: both looked through for what would stop a run."""
    data = open_dataset(config.data, config.task, config.split)
    validation = open_dataset(config.data, config.task, "val") if has_split(config.data, config.task, "val") else None
    if validation is not None and (config.split == "val" or _items(data) & _items(validation)):
        validation = None
    if accelerator.is_main_process:
        for dataset in filter(None, (data, validation)):
            for member in dataset.members:
                validate(member)
    return data, validation


def _items(data: Dataset) -> set[tuple[str, tuple[Path, ...]]]:
    """What tells an item of a data set on disk from every other; nothing of generated ones."""
    return {(name, files) for i, name in enumerate(data.names) if (files := data.files(i))}


def _as_its_start(config: TrainConfig) -> TrainConfig:
    """The configuration with the network of the model that it starts from, so that nobody need repeat it."""
    if config.start is None:
        return config
    if config.backbone_weights or config.pretrained:
        raise InputError(
            f"--start {config.start} brings a whole network; leave out --backbone-weights and --pretrained"
        )
    folder = folder_of(config.start)
    theirs = vars(checkpoint.load_config(folder))
    for field in fields(config):
        given = getattr(config, field.name)
        if field.name in NETWORK and given not in (field.default, theirs[field.name]):
            option = field.name.replace("_", "-")
            raise InputError(
                f"--start: {folder} has {field.name} {theirs[field.name]}, not {given}; leave out --{option}"
            )
    return replace(config, **{name: theirs[name] for name in NETWORK})


def _model(config: TrainConfig, data: Dataset, fresh: bool) -> PixelNet:
    model = PixelNet(
        config.task,
        len(data.classes) or None,
        config.backbone,
        pretrained=config.pretrained and fresh,
        backbone_weights=config.backbone_weights if fresh else None,
        taps=config.taps,
        before_relu=config.before_relu,
        conv7=config.conv7,
        head=config.head,
        hidden=config.hidden,
        dropout=config.dropout,
        names=data.classes,
        colours=data.colours,
        size=config.size,
    )
    if config.start and fresh:
        model.start_from(checkpoint.load(config.start))
    return model


def _sampler(config: TrainConfig, task: Task, data: Dataset) -> Sampler:
    name = config.sampler or task.sampler
    if name != "stratified":
        if config.quotas != "equal":
            raise InputError(f"--quotas {config.quotas} are of the sampler stratified; add --sampler stratified")
        if name == "hard":
            task.certainty(torch.zeros(1, task.outputs))  # says so at once where the task knows none
        if config.sampler is None and isinstance(task, Joint):
            return JointSampler(task, config.pixels)
        return make_sampler(name, config.pixels)
    return make_sampler(name, config.pixels, quotas=read_quotas(config.quotas, data.classes))


def read_quotas(text: str, classes: tuple[str, ...]) -> str | Mapping[int, int]:
    """ "equal", "proportional", or "sky=10,road=5" -> {class id: points}.

    Raises:
        InputError: a class that the data has not, or a number that is none.
    """
    if "=" not in text:
        return text
    ids = {name.lower(): index for index, name in enumerate(classes)}
    quotas = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name.lower() not in ids:
            raise InputError(f"--quotas: the data has no class {name!r}; it has {', '.join(classes) or 'none'}")
        if not number.isdecimal():
            raise InputError(f"--quotas: {part.strip()!r} gives no number of points; write sky=10,road=5")
        quotas[ids[name.lower()]] = int(number)
    return quotas


def _state_to_resume(config: TrainConfig) -> dict[str, Any] | None:
    """The run's checkpoint if it is to go on, or None for a start. What is there already is never overwritten."""
    for name in ("steps", "images_per_step", "evaluate_every", "evaluate_images", "checkpoint_every"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(config, name)}; it must be at least 1")
    if min(config.rate, config.backbone_rate, config.decay, config.workers) < 0:
        raise InputError("rates, decay and workers cannot be negative")
    if not (config.rate or config.backbone_rate):
        raise InputError("--rate and --backbone-rate are both 0, so nothing would learn; give one above 0")
    if not 0 <= config.seed < 2**31:
        raise InputError(f"--seed is {config.seed}; it must be at least 0 and below {2**31}")
    if config.out.exists() and not config.out.is_dir():
        raise InputError(f"{config.out} is a file; --out is the folder of a run")
    if not checkpoint.is_model(config.out):
        for name in (METRICS, checkpoint.WEIGHTS, checkpoint.CHECKPOINT):
            if (config.out / name).exists():
                raise InputError(f"{config.out} holds {name} of something else; choose another --out")
        return None
    if not config.resume:
        raise InputError(f"{config.out} holds a run already; add --resume to go on with it, or choose another --out")
    path = config.out / checkpoint.CONFIG
    before = from_dict(TrainConfig, read_json(path).get("train", {}), f"{path}, train")
    changed = [
        f"{name} was {getattr(before, name)} and is {value}"
        for name, value in vars(config).items()
        if name not in FREE_ON_RESUME and getattr(before, name) != value
    ]
    if changed:
        raise InputError(f"{config.out} was begun otherwise: {'; '.join(changed)}. Give the same, or another --out")
    return checkpoint.load_checkpoint(config.out / checkpoint.CHECKPOINT)
