"""Scoring a model, or any method's files, on a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from pixelnet.checkpoint import load
from pixelnet.data import open_dataset
from pixelnet.data.dataset import Dataset
from pixelnet.data.images import read_labels, read_normals, read_share, read_values
from pixelnet.errors import InputError
from pixelnet.files import write_json
from pixelnet.tasks import make_task
from pixelnet.tasks.task import Scorer, Task

if TYPE_CHECKING:
    from pixelnet.model import PixelNet

READERS = {"segmentation": read_labels, "normals": read_normals, "edges": read_share, "regression": read_values}


def evaluate(
    model: "PixelNet | str | Path | None" = None,
    *,
    data: str,
    split: str = "val",
    predictions: str | Path | None = None,
    task: str | None = None,
    json: str | Path | None = None,
    max_dist: float | None = None,
    matching: str | None = None,
    thinned: bool = False,
    crisp: bool = False,
) -> dict[str, Any]:
    """Score a model, or a folder of predictions, on a split of a data set.

    Args:
        model: a model or its folder.
        data: "camvid:PATH" and so on; see `open_dataset`.
        split: of the data.
        predictions: in place of a model, a folder with a file for each image, named as the image is: class ids
            (.png), edge strength (8- or 16-bit .png, or .npy in 0..1), normals (.png or .npy), values.
        task: what the predictions are; a model knows its own.
        json: write the scores to this file as well.
        max_dist: of edges: how far apart a match may be, as a share of the diagonal (.0075; NYUD takes .011).
        matching: of edges: "fast" (as many pairs as can be) or "exact" (of least total distance, too).
        thinned: of edges: the maps are suppressed already.
        crisp: of edges: judge the maps as they are, neither suppressed nor thinned.

    Returns:
        Segmentation: miou, mean_accuracy, pixel_accuracy (0..1), iou_per_class. Normals: mean, median, rmse in
        degrees; "11.25", "22.5", "30" in percent. Edges, by the BSDS protocol: ods, ois, ap, r50, threshold,
        settings, curve. Regression: abs_rel, rmse, delta1.

    Raises:
        InputError: neither or both of model and predictions; data that does not go with them; missing files;
            options of another task.
    """
    given = {"max_dist": max_dist, "matching": matching, "thinned": thinned or None, "crisp": crisp or None}
    options = {name: value for name, value in given.items() if value is not None}
    if (model is None) == (predictions is None):
        raise InputError("give a model or a folder of predictions (--predictions DIR), one of the two")
    if predictions is not None:
        if task is None:
            raise InputError("predictions do not say what they are; add --task")
        dataset = open_dataset(data, task, split)
        scores = score_files(Path(predictions), dataset, **options)
    else:
        loaded = load(model) if isinstance(model, str | Path) else model
        assert loaded is not None
        if task not in (None, loaded.config.task):
            raise InputError(f"the model is of {loaded.config.task}, not of {task}; leave --task away")
        dataset = open_dataset(data, loaded.config.task, split)
        same_classes(loaded, dataset)
        scores = score_model(loaded, dataset, scorer=loaded.task.benchmark(**options), progress=True)
    if json is not None:
        write_json(Path(json), {"data": dataset.source, "split": split, "images": len(dataset), **scores})
    return scores


def score_model(
    model: "PixelNet",
    dataset: Dataset,
    items: Sequence[int] | None = None,
    accelerator: Accelerator | None = None,
    progress: bool = False,
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """Scores of a model on some items of a data set, or on all; several processes share the work.

    scorer: one that has seen nothing yet, in place of the task's own.
    """
    indices = list(range(len(dataset)) if items is None else items)
    scorer = model.task.scorer() if scorer is None else scorer
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    silent = rank > 0 or not progress
    for index in tqdm(indices[rank::world], unit="image", desc="evaluate", leave=False, disable=silent):
        scorer.update(model.predict(dataset.image(index)), dataset.truth(index))
    if world > 1:
        scorer, *others = gather_object([scorer])
        for other in others:
            scorer.merge(other)
    return scorer.result()


def score_files(folder: Path, dataset: Dataset, **options: Any) -> dict[str, Any]:
    """Scores of files in a folder, one for each item of a data set and named as it is; `options` of the benchmark.

    Raises:
        InputError: a file is missing, unreadable, of another size than its truth, or out of range.
    """
    scorer = task_of(dataset).benchmark(**options)
    files = [_prediction(folder, name) for name in dataset.names]
    missing = [name for name, path in zip(dataset.names, files, strict=True) if path is None]
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of {len(files)} predictions: {', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}; each is named as its image, .png or .npy"
        )
    for index, path in enumerate(tqdm(files, unit="image", desc="evaluate", leave=False)):
        assert path is not None
        prediction, image = READERS[dataset.task](path), dataset.labels(index)
        if prediction.shape[:2] != image.shape[:2]:
            raise InputError(
                f"{path} is {_size(prediction)} but its truth is {_size(image)}; "
                "write predictions at the size of their images"
            )
        try:
            scorer.update(prediction, dataset.truth(index))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
    return scorer.result()


def same_classes(model: "PixelNet", dataset: Dataset) -> None:
    """Raise InputError if a model's classes are not those of the data."""
    if dataset.task == "segmentation" and model.config.classes != len(dataset.classes):
        raise InputError(
            f"the model has {model.config.classes} classes, {dataset.source} has {len(dataset.classes)}; "
            "evaluate on the data set it was trained for"
        )
    names, classes = model.config.names, dataset.classes
    # A folder without classes.json calls its classes 0, 1, 2.
    if names and names != classes and not names[0].isdecimal() and not classes[0].isdecimal():
        raise InputError(
            f"the model's classes are {', '.join(names)}, those of {dataset.source} {', '.join(classes)}; "
            "evaluate on the data set it was trained for"
        )


def task_of(dataset: Dataset, **options: Any) -> Task:
    """The task that a data set's labels are for, with its classes and colours."""
    if dataset.task == "segmentation":
        options |= {"classes": len(dataset.classes), "names": dataset.classes, "colours": dataset.colours}
    return make_task(dataset.task, **options)


def _prediction(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.png", folder / f"{name}.npy") if path.is_file()), None)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
