"""What is scored: models, and folders of any method's predictions, each as answers to one data set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.data import Dataset, as_dataset, has_split, task_of, with_channels
from pixelnet.data.ground import seen_pixel_size
from pixelnet.data.images import is_nameless
from pixelnet.data.subset import Subset
from pixelnet.errors import InputError
from pixelnet.inference.predictions import Predictions
from pixelnet.inference.windows import FINEST
from pixelnet.model import PixelNet
from pixelnet.runs.hub import load, model_files
from pixelnet.runs.learnt import Seen, known_images, read_images, seen
from pixelnet.tasks import TASKS, Task, make_task


@dataclass(frozen=True)
class Method:
    """What is scored: what judges it, its answer for item i, what it is called in files, and what is to be said of it.

    seen: what its run has to do with the images, where that is known. files: those that it reads.
    """

    judge: Task
    answer: Callable[[int], np.ndarray]
    about: dict[str, Any]
    seen: Seen | None = None
    files: Iterable[Path] = ()


def _same_channels(model: PixelNet, dataset: Dataset) -> None:
    """Raise InputError if data has as many channels as a model, but others."""
    named = model.config.channels
    nameless = any(is_nameless(name) or is_nameless(name, model=True) for name in (*named, *dataset.channels))
    if named and set(named) != set(dataset.channels) and not nameless:
        raise InputError(
            f"the images of {dataset.source} have the channels {', '.join(dataset.channels)}; the model was trained on "
            f"{', '.join(named)}: choose or name them so"
        )


def _same_scale(model: PixelNet, dataset: Dataset) -> None:
    """Raise InputError if `predict` would bring the images to another scale: scores see them as training does."""
    learnt = model.config.pixel_size
    seen_at = None if learnt is None else seen_pixel_size(dataset, model.config.image_size)
    if learnt is not None and seen_at is not None and abs(seen_at / learnt - 1) > 1 / (2 * FINEST):
        raise InputError(
            f"{dataset.source} has pixels of {seen_at:g} m on the ground, and the model learnt from those of "
            f"{learnt:g} m, to which predict brings them; let it write its answers, and score these: --predictions DIR"
        )


def files_as_methods(
    data: Any, split: str, task: str | Task | None, folders: Sequence[Any], resize: bool, normals: str | None
) -> tuple[Dataset, list[Method]]:
    """The data, and folders of predictions as methods; None among the folders is none."""
    if task is None:
        raise InputError("predictions do not say what they are; add --task")
    dataset = as_dataset(data, task, split)
    judge = make_task(task, class_names=dataset.class_names, class_colors=dataset.class_colors)
    methods = []
    for folder in folders:
        if isinstance(folder, PixelNet):
            raise InputError("predictions are compared with predictions; give the folder of the others")
        if folder is not None:
            answer = Predictions(folder, dataset, judge, resize, normals)
            methods.append(Method(judge, answer, {"predictions": str(folder)}, files=answer.files))
    return dataset, methods


def models_as_methods(
    data: Any, split: str, task: str | Task | None, models: Sequence[Any], flip: bool, device: str, precision: str
) -> tuple[Dataset, list[Method]]:
    """The data, of which what a model's run held out if that is all the val there is, and models as methods."""
    loaded = []
    for model in models:
        if model is not None:
            own = task if isinstance(task, Task) and isinstance(model, str | Path) else None
            one = load(model, task=own, device=device, precision=precision) if isinstance(model, str | Path) else model
            images = None if one.folder is None else read_images(one.folder)
            loaded.append((model, images, of_one_task(one, task)))
    dataset = with_channels(as_dataset(data, _named_task(loaded[0][2]), split), loaded[0][2].channels)
    alone = split == "val" and not isinstance(data, Dataset)
    if alone and isinstance(data, str | Path):
        alone = not has_split(data, _named_task(loaded[0][2]), split)
    for _, _, one in loaded:
        _same_channels(one, dataset)
        _same_scale(one, dataset)
    founds: list[Seen | None] = []
    items = list(range(len(dataset)))
    hashes = [one.image for one in known_images(dataset)] if any(images for _, images, _ in loaded) else []
    for model, images, _ in loaded:
        found = None
        if images is not None:
            found = seen(images, named(model) or "the model's run", [hashes[i] for i in items], alone)
            items = [items[k] for k in found.items]
        founds.append(found)
    dataset = Subset(dataset, items, split) if len(items) < len(dataset) else dataset
    methods = []
    for (model, _, one), found in zip(loaded, founds, strict=True):
        judge, answer = model_answers(one, dataset, flip)
        about = {"model": named(model)} | ({"flip": True} if flip else {})
        methods.append(Method(judge, answer, about, found, frozenset(model_files(model))))
    return dataset, methods


def of_one_task(model: PixelNet, task: str | Task | None) -> PixelNet:
    """The model itself, or if it is of several tasks the one that is asked for."""
    if len(model.task.parts) > 1:
        if task is None:
            raise InputError(f"the model answers {model.config.task}, and one at a time is scored; add --task")
        return model.only(str(task))
    if task is not None and str(task) != model.config.task:
        raise InputError(f"the model is of {model.config.task}, not of {task}; leave --task away")
    return model


def _named_task(model: PixelNet) -> str | Task:
    """What tells data which labels are meant: the task's name, or itself if it is none of the library's."""
    return model.config.task if type(model.task) is TASKS.get(model.config.task) else model.task


def named(model: Any) -> str | None:
    """A model's folder; None for one in memory, which has no name."""
    return str(model) if isinstance(model, str | Path) else None


def model_answers(model: PixelNet, dataset: Dataset, flip: bool) -> tuple[Task, Callable[[int], np.ndarray]]:
    """What judges a model's answers on a data set, and those answers, in the data set's classes."""
    merge = dataset.merge(model.config.class_names)
    if merge is None:
        same_classes(model, dataset)
    judge = model.task if merge is None else task_of(dataset)

    def answer(index: int) -> np.ndarray:
        found = model.predict(dataset.image(index), probabilities=judge.categorical, flip=flip)
        return found if merge is None else found @ merge

    return judge, answer


def same_classes(model: PixelNet, dataset: Dataset) -> None:
    """Raise InputError if a model's classes are not those of the data."""
    if not model.task.categorical:
        return
    names, theirs = model.config.class_names, dataset.class_names
    if model.config.num_classes != len(theirs):
        raise InputError(
            f"the model has {model.config.num_classes} classes, {dataset.source} has {len(theirs)}; "
            "evaluate on the data set it was trained for"
        )
    # A folder whose classes nobody named calls them by their numbers.
    if names and names != theirs and not names[0].isdecimal() and not theirs[0].isdecimal():
        raise InputError(
            f"the model's classes are {', '.join(names)}, those of {dataset.source} {', '.join(theirs)}; "
            "evaluate on the data set it was trained for"
        )
