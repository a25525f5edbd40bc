"""The two sides of a run: the images that it learns from, and those that are held out as val."""

import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from pixelnet.config import TrainConfig
from pixelnet.data import Dataset, as_dataset, has_split, open_dataset
from pixelnet.data.check import validate
from pixelnet.data.dataset import task_of
from pixelnet.data.subset import Subset, hold_out, one_fold
from pixelnet.data.table import PointTable
from pixelnet.errors import InputError
from pixelnet.runs.settings import is_fitted
from pixelnet.runs.start import Given

VAL_SHARE = 0.2  # of the images, held out where the data has no val split and nothing is said
ENOUGH = 10  # labelled images, of which some can be held out to tell a fitted model from the network that it taught
TAUGHT = 20  # images without labels, at most, that a fitted model answers for a network to learn from


def open_data(config: TrainConfig, given: Given, accelerator: Accelerator) -> tuple[Dataset, Dataset | None]:
    """What to learn from, and val or None: both looked through for what would stop a run."""
    data, validation = _two_sides(config, given, accelerator)
    for member in data.members:
        for line in (*member.notes, *(f"is it so? {question}" for question in member.questions)):
            _say(line, accelerator)
    # All processes wait for the one that looks, also where it finds something.
    faults: list[str | None] = [None]
    if accelerator.is_main_process:
        try:
            for dataset in filter(None, (data, validation)):
                for member in {(own.source, own.task_name): own for own in dataset.members}.values():
                    validate(member)
        except InputError as error:
            faults = [str(error)]
    (fault,) = broadcast_object_list(faults)
    if fault is not None:
        raise InputError(fault)
    return data, validation


def _two_sides(config: TrainConfig, given: Given, accelerator: Accelerator) -> tuple[Dataset, Dataset | None]:
    """The split to learn from, and val: what is asked for, the data's own, or a share where it has none."""
    task = given.task or config.task
    changes = said_of_images(config)
    data = _labelled(config, given, changes)
    if config.val_share is not None or config.fold is not None:
        if [config.val_data, config.val_share, config.fold].count(None) != 2:
            raise InputError("--val-data, --val-share and --fold each say what val is; give one of them")
        if not (config.fold or config.val_share):
            return data, None
        return _apart(data, config, accelerator, _with_labels(data) if is_fitted(config) and not config.fold else None)
    if config.val_data is not None:
        return data, as_dataset(config.val_data if given.val_data is None else given.val_data, task, "val", changes)
    if given.data is None and config.labels is None and has_split(config.data, task, "val"):
        validation = open_dataset(config.data, task, "val", changes)
        return data, None if config.split == "val" or _items(data) & _items(validation) else validation
    if any(member.generated for member in data.members):
        return data, None
    among = _with_labels(data) if is_fitted(config) else None
    if among is not None and 1 < (few := len(among)) < ENOUGH:
        # Without one of four, a network was worse by .02 to .12 mean IoU than with all, and one tells nothing.
        told = f"no val split, and nothing is held out as val: the {few} labelled images are too few to do without some"
        _say(f"{told}; --val-share {VAL_SHARE} does, and keeps the fitted model if that is better on them", accelerator)
        return data, None
    return _apart(data, config, accelerator, among)


def _labelled(config: TrainConfig, given: Given, changes: dict[str, Any]) -> Dataset:
    """The split to learn from, with its own labels or those of a table."""
    data, task = config.data if given.data is None else given.data, given.task or config.task
    if config.labels is None:
        return as_dataset(data, task, config.split, changes)
    if config.task != "segmentation":
        raise InputError(f"--labels {config.labels} names classes, which {config.task} does not learn; leave it out")
    if changes:
        raise InputError(
            "--labels goes without --channels, --range and --slices; say them in a dataset.json beside the images"
        )
    return PointTable(config.labels, data, config.split, unlabelled=TAUGHT if is_fitted(config) else 0)


def said_of_images(config: TrainConfig) -> dict[str, Any]:
    """The keys of a folder's dataset.json that options give."""
    said: dict[str, Any] = {}
    if config.channels is not None:
        said["channels"] = [int(name) if name.isdecimal() else name for name in config.channels]
    if config.range is not None:
        said["range"] = config.range if isinstance(config.range, str) else list(config.range)
    if config.slices is not None:
        said["slices"] = config.slices
    return said


def _apart(
    data: Dataset, config: TrainConfig, accelerator: Accelerator, among: Dataset | None
) -> tuple[Dataset, Dataset | None]:
    """The data, and what of it is held out: as was asked for, or a share of our own where there is no val split.

    among: some of the data, of which the share is; None for all of it.
    """
    asked = config.fold is not None or config.val_share is not None
    try:
        if config.fold:
            kept, held = one_fold(data, config.fold)
        else:
            kept, held = hold_out(data, config.val_share or VAL_SHARE, among)
    except InputError as error:
        if asked:
            raise
        _say(f"no val split, and nothing is held out as val: {error}", accelerator)
        return data, None
    out = "is held out" if len(held) == 1 else "are held out"
    told = f"{len(held)} of {len(data)} images {out} as val ({held.chosen})"
    _say(told if asked else f"no val split: {told}; --val-share 0 trains on all", accelerator)
    return kept, held


def _with_labels(data: Dataset) -> Dataset:
    """The images on which something is labelled, which alone can tell a teacher from its pupil."""
    task = task_of(data)
    return Subset(data, [i for i in range(len(data)) if task.labelled(data.labels(i)).any()], data.split)


def _say(line: str, accelerator: Accelerator) -> None:
    """Once, beside the progress, on standard error."""
    if accelerator.is_main_process:
        tqdm.write(line, file=sys.stderr)


def _items(data: Dataset) -> set[tuple[str, tuple[Path, ...]]]:
    """What tells an item of a data set on disk from every other; nothing of generated ones."""
    return {(name, files) for i, name in enumerate(data.names) if (files := data.files(i))}
