"""What a run begins with: its data opened, its network made, and its checkpoint if it goes on."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import broadcast_object_list
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from pixelnet.config import TrainConfig, from_dict, read_json, read_list
from pixelnet.data import Dataset
from pixelnet.data.ground import seen_pixel_size
from pixelnet.devices import find_device
from pixelnet.errors import InputError
from pixelnet.model import PixelNet
from pixelnet.nn.networks import network_names
from pixelnet.nn.pretrained import require_weights
from pixelnet.points import Sampler, make_sampler
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import folder_of, load
from pixelnet.runs.learnt import IMAGES
from pixelnet.runs.lock import only_writer
from pixelnet.runs.record import METRICS
from pixelnet.tasks import AnyTask, Task, make_task, split_names
from pixelnet.tasks.task import Loss

# Settings that change how a run is watched or fed, but not what it learns: one that goes on may change them.
FREE_ON_RESUME = {"resume", "out", "num_workers", "checkpoint_every", "log", "device"}
SETTLED = ("augment", "lr", "backbone_lr")  # by the data and the model, where nothing is said
# Where nothing is said of a run's length: so many passes over the data, but no fewer and no more steps than these. The
# first steps of few images teach as much as those of many; and of many a part shows what all would.
PASSES, FEWEST_STEPS, MOST_STEPS = 50, 600, 10_000


@dataclass(frozen=True)
class Given:
    """What a run was given that no text can say: objects in place of names, None where the configuration has it all."""

    task: AnyTask | None = None
    data: Any = None
    val_data: Any = None
    sampler: Sampler | None = None
    loss: Loss | None = None
    backbone: nn.Module | None = None


def settings_and_objects(options: Mapping[str, Any]) -> tuple[TrainConfig, Given]:
    """The arguments of `train`, as settings, which are text and numbers, and the objects among them."""
    settings, objects = dict(options), {}
    check_objects(options)
    for name in Given.__dataclass_fields__:
        value = options.get(name)
        if isinstance(value, Path):
            settings[name] = str(value)
        elif value is not None and not isinstance(value, str):
            settings[name], objects[name] = _name(value), value
    if "task" in objects:
        parts = split_names(objects["task"])
        settings["task"] = ",".join(map(str, parts))
        if all(isinstance(part, str) for part in parts):
            objects.pop("task")
    return from_dict(TrainConfig, settings, "train"), Given(**objects)


def check_objects(options: Mapping[str, Any]) -> None:
    """Raise InputError for an object that is not what its place needs; a class where an instance is meant, say."""
    for name in ("task", "sampler", "backbone"):
        value = options.get(name)
        if isinstance(value, type):
            raise InputError(f"{name} is the class {value.__name__}; give an instance: {value.__name__}(...)")
    sampler, loss = options.get("sampler"), options.get("loss")
    if not isinstance(sampler, str | Sampler | None):
        raise InputError(f"sampler is a {type(sampler).__name__}; give a name, or an instance of a class of Sampler")
    if loss is not None and not isinstance(loss, str) and not callable(loss):
        raise InputError(f"loss is a {type(loss).__name__}; give a name, or a function of logits, labels and weights")
    for task in split_names(options["task"]):
        if isinstance(task, Task):
            check_task(task)


def check_task(task: Task) -> None:
    """Raise InputError for a task of somebody's own that would fail later in the run."""
    if not hasattr(task, "loss_function"):
        raise InputError(f"{task.name} was not made by Task's own __init__; call super().__init__() in its")
    if task.headline[0] not in task.scorer().result():
        known = ", ".join(task.scorer().result())
        raise InputError(f"the headline of {task.name} is {task.headline[0]!r}, which is none of its scores: {known}")


def _name(value: Any) -> str:
    """What people may call an object."""
    return getattr(value, "__name__", type(value).__name__)


def make_accelerator(config: TrainConfig) -> Accelerator:
    """What knows of devices and of other processes."""
    trackers = [name.strip() for name in config.log.split(",")] if config.log else []
    known = [str(name) for name in get_available_trackers()]
    for name in trackers:
        if name not in known:
            raise InputError(
                f"--log {name}: this tracker is not installed, or not of accelerate; install it (pip install {name}), "
                f"or leave it out. Here are {', '.join(known) or 'none'}"
            )
    world = os.environ.get("WORLD_SIZE", "1")
    alone = not torch.accelerator.is_available() or torch.backends.mps.is_available()
    wanted = find_device(config.device)
    # Processes on CPUs talk to each other only if accelerate is told.
    cpu = config.device == "cpu" or (world != "1" and alone)
    try:
        with _wished(config.device):
            accelerator = Accelerator(
                mixed_precision=config.precision, log_with=trackers or None, project_dir=config.out, cpu=cpu
            )
    except ValueError as error:  # this machine cannot, or accelerate has begun with another one in this process
        raise InputError(f"--precision {config.precision}: {error}") from error
    if config.device != "auto" and (wanted.type, wanted.index or 0) != (
        accelerator.device.type,
        accelerator.device.index or 0,
    ):
        raise InputError(
            f"--device {config.device}: this process has begun on {accelerator.device}; start another one, and of "
            "several processes leave the choice to what starts them"
        )
    if world not in ("1", str(accelerator.num_processes)):
        raise InputError(
            f"{world} processes were started (WORLD_SIZE), and accelerate knows of {accelerator.num_processes}: each "
            "would be a run of its own; start one process, or start them with accelerate launch"
        )
    if config.batch_size < accelerator.num_processes:
        raise InputError(
            f"--batch-size is {config.batch_size} but there are {accelerator.num_processes} processes; "
            "each needs at least one image"
        )
    return accelerator


@contextmanager
def _wished(device: str) -> Iterator[None]:
    """Tell accelerate, which is asked by its environment alone, which device it is to take."""
    name = "ACCELERATE_TORCH_DEVICE"
    if device in ("auto", "cpu") or name in os.environ:
        yield
        return
    os.environ[name] = device
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def writing(config: TrainConfig, accelerator: Accelerator) -> Iterator[None]:
    """Hold the run's folder, for all of its processes, until the block ends; see `only_writer`."""
    with ExitStack() as stack:
        faults: list[str | None] = [None]
        if accelerator.is_main_process:
            try:
                kept, passing = (checkpoint.WEIGHTS, checkpoint.CHECKPOINT), (checkpoint.CONFIG, METRICS, IMAGES)
                stack.enter_context(only_writer(config.out, kept, passing))
            except InputError as error:
                faults = [str(error)]
        (fault,) = broadcast_object_list(faults)
        if fault is not None:
            raise InputError(fault)
        yield


def anywhere(here: bool, accelerator: Accelerator) -> bool:
    """Whether something is so in any of a run's processes, which all ask at the same place."""
    if accelerator.num_processes == 1:
        return here
    found: torch.Tensor = accelerator.reduce(torch.tensor(float(here), device=accelerator.device), reduction="sum")
    return bool(found > 0)


def total_steps(config: TrainConfig, images: int, state: dict[str, Any] | None = None) -> int | None:
    """The steps of a run over so many images; of minutes those of its checkpoint, or None where there is none yet.

    Where nothing is said they go with the images.
    """
    if config.epochs is not None and (config.max_steps, config.minutes) != (None, None):
        raise InputError("--epochs says how long the run is, and so does --max-steps or --minutes; give one of them")
    if config.minutes is not None:
        return None if state is None else int(state["total"])
    if config.max_steps is not None:
        return config.max_steps
    steps = math.ceil((config.epochs or PASSES) * images / config.batch_size)
    return max(1, steps) if config.epochs else min(MOST_STEPS, max(FEWEST_STEPS, steps))


def with_augmentation(config: TrainConfig, data: Dataset, resumed: bool) -> TrainConfig:
    """The kind of pictures settled: as was asked for, as the run began, or as the data says."""
    begun = read_json(config.out / checkpoint.CONFIG)["train"].get("augment") if resumed else None
    kind = config.augment or begun or data.augment
    return from_dict(TrainConfig, {**vars(config), "augment": kind}, data.source)


def choose_task(config: TrainConfig, given: Given, data: Dataset) -> Task:
    """What is to be learnt, with the data's classes and the loss that was asked for."""
    loss = given.loss or config.loss
    task = make_task(given.task or config.task, None, data.class_names, data.class_colors, loss)
    if config.class_weights is None:
        return task
    weights = balanced_weights(data, task) if config.class_weights == "balanced" else config.class_weights
    return make_task(given.task or config.task, None, data.class_names, data.class_colors, loss, weights)


def balanced_weights(data: Dataset, task: Task) -> tuple[float, ...]:
    """A factor for each class by which all weigh the same: labelled pixels / (classes x pixels of the class).

    1 for a class that has no pixel. Raises InputError for a task without classes.
    """
    part = next((own for own in task.parts.values() if own.categorical), None)
    if part is None or part.num_classes is None:
        raise InputError(f"--class-weights balanced is of classes, and {task} has none; leave it out")
    counts = np.zeros(part.num_classes)
    for i in tqdm(range(len(data)), "counting classes", delay=2, leave=False):
        labels = task.unpack(data.labels(i))[part.name]
        counts += np.bincount(labels[part.labelled(labels)], minlength=part.num_classes)
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return tuple(float(weight) for weight in np.where(counts > 0, weights, 1))


def make_model(config: TrainConfig, given: Given, task: Task, data: Dataset, fresh: bool) -> PixelNet:
    assert config.backbone is not None
    assert config.head is not None
    return PixelNet(
        task,
        backbone=given.backbone or config.backbone,
        pretrained=config.pretrained and fresh,
        backbone_weights=config.backbone_weights if fresh else None,
        taps=config.taps,
        in_channels=len(data.channels),
        channels=data.channels,
        ranges=data.ranges,
        before_relu=bool(config.before_relu),
        conv7=bool(config.conv7),
        magnify=config.magnify or 1,
        pyramid=config.pyramid or 0,
        head=config.head,
        hidden=config.hidden,
        dropout=config.dropout,
        image_size=config.image_size,
        pixel_size=seen_pixel_size(data, config.image_size),
    )


def begin_from(config: TrainConfig, given: Given, model: PixelNet) -> bool:
    """Give the model the weights of the one that the run starts from; whether it can answer all of its tasks then."""
    return config.init_from is not None and model.start_from(load_given(config.init_from, given))


def load_given(folder: str | Path, given: Given) -> PixelNet:
    """A model, with those of the run's objects that it was made with; see `hub.load`."""
    needed = checkpoint.load_config(folder_of(folder)).objects
    return load(folder, **{name: deepcopy(getattr(given, name)) for name in needed})


def choose_sampler(config: TrainConfig, given: Given, task: Task, data: Dataset) -> Sampler:
    if given.sampler is not None:
        if (config.pixels, config.quotas) != ("2000", "equal"):
            raise InputError("pixels and quotas are the sampler's own, which was given as an object; leave them out")
        return given.sampler
    if config.sampler == "stratified":
        return make_sampler(config.sampler, config.pixels, quotas=read_quotas(config.quotas, data.class_names))
    if config.quotas != "equal":
        raise InputError(f"--quotas {config.quotas} are of the sampler stratified; add --sampler stratified")
    if config.sampler == "hard":
        task.confidence(torch.zeros(1, task.outputs))  # says so at once where the task knows none
    return task.make_sampler(config.pixels) if config.sampler is None else make_sampler(config.sampler, config.pixels)


def read_quotas(text: str, classes: tuple[str, ...]) -> str | Mapping[int, int]:
    """ "equal", "proportional", or "sky=10,road=5" -> {class id: points}.

    Raises:
        InputError: a class that the data has not, or a number that is none.
    """
    if "=" not in text:
        return text
    ids = {name.lower(): index for index, name in enumerate(classes)}
    quotas = {}
    for part in read_list(text, "--quotas"):
        name, _, number = (piece.strip() for piece in part.rpartition("="))
        if name.lower() not in ids:
            raise InputError(f"--quotas: the data has no class {name!r}; it has {', '.join(classes) or 'none'}")
        if not number.isdecimal():
            raise InputError(f"--quotas: {part!r} gives no number of points; write sky=10,road=5")
        quotas[ids[name.lower()]] = int(number)
    return quotas


def restore(model: PixelNet, state: dict[str, Any], path: Path) -> None:
    """The checkpoint's weights into the model, before anything of the run is touched."""
    try:
        if not {"step", "total", "best", "stale", "optimizer", "scaler", "average"} <= state.keys():
            raise KeyError("no state of a run")
        model.load_state_dict(state["model"])
    except (AttributeError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[:2][-1].strip()
        raise InputError(f"{path} is of another run ({reason}); remove it to start this run afresh") from error


def check_weights(config: TrainConfig, given: Given, fresh: bool) -> None:
    """Raise InputError for weights that are not to be had, before data is opened, which may take minutes."""
    if config.pretrained and fresh and given.backbone is None:
        for name in network_names(str(config.backbone)):
            require_weights(name)


def state_to_resume(config: TrainConfig) -> dict[str, Any] | None:
    """The run's checkpoint if it is to go on, or None for a start. What is there already is never overwritten."""
    if config.out.exists() and not config.out.is_dir():
        raise InputError(f"{config.out} is a file; --out is the folder of a run")
    if not checkpoint.is_model(config.out):
        for name in (METRICS, checkpoint.WEIGHTS, checkpoint.CHECKPOINT):
            if (config.out / name).exists():
                raise InputError(f"{config.out} holds {name} of something else; choose another --out")
        return None
    path = config.out / checkpoint.CONFIG
    begun = any((config.out / name).exists() for name in (checkpoint.WEIGHTS, checkpoint.CHECKPOINT))
    if not config.resume and not begun and "train" in read_json(path):
        return None  # of a run that was stopped before it had learnt anything
    if not config.resume:
        raise InputError(f"{config.out} holds a run already; add --resume to go on with it, or choose another --out")
    before = from_dict(TrainConfig, read_json(path).get("train", {}), f"{path}, train")
    # The same images may lie elsewhere by now: `note_images` knows them.
    free = FREE_ON_RESUME | ({"data", "val_data"} if (config.out / IMAGES).is_file() else set())
    free |= {name for name in SETTLED if getattr(config, name) is None}  # which are then as they were
    changed = [
        f"{name} was {getattr(before, name)} and is {value}"
        for name, value in vars(config).items()
        if name not in free and getattr(before, name) != value
    ]
    if changed:
        raise InputError(f"{config.out} was begun otherwise: {'; '.join(changed)}. Give the same, or another --out")
    return checkpoint.load_checkpoint(config.out / checkpoint.CHECKPOINT)


def go_on(
    state: dict[str, Any], optimizer: torch.optim.Optimizer, average: AveragedModel | None, accelerator: Accelerator
) -> None:
    """The checkpoint's state of what learns into what is to go on."""
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.load_state_dict(state["average"])
    if accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
