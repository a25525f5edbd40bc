"""Scoring a model, or any method's files, on a data set."""

import io
import math
from collections.abc import Callable, Sequence
from csv import writer as csv_writer
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from pixelnet.data import Dataset, as_dataset, task_of
from pixelnet.errors import InputError
from pixelnet.files import require_writable, write_atomic, write_json
from pixelnet.inference.predictions import NAMED, Predictions
from pixelnet.memory import keep_freed_memory
from pixelnet.metrics.bootstrap import LEVEL, RESAMPLES, SEED
from pixelnet.model import PixelNet
from pixelnet.report.scorecard import scorecard, words
from pixelnet.runs.hub import load
from pixelnet.tasks import TASKS, Scorer, Task, make_task

BOOTSTRAP = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}


def evaluate(
    model: PixelNet | str | Path | None = None,
    *,
    data: Any,
    split: str = "val",
    predictions: str | Path | None = None,
    task: str | Task | None = None,
    flip: bool = False,
    resize: bool = False,
    normals: str | None = None,
    json: str | Path | None = None,
    csv: str | Path | None = None,
    report: str | Path | None = None,
    max_dist: float | None = None,
    matching: str | None = None,
    thinned: bool = False,
    crisp: bool = False,
) -> dict[str, Any]:
    """Score a model, or a folder of predictions, on a split of a data set.

    Args:
        model: a model, its folder or its name; see `pixelnet.load`. Its classes may be finer than those of the data,
            where these say how (`Dataset.merge`): a class's probability is then the sum of its parts'.
        data: "camvid:PATH" and so on (see `open_dataset`), a `Dataset`, or (image, labels) pairs (see `as_dataset`).
        split: of the data, where they are named.
        predictions: in place of a model, a folder with a file for each image, named as the image is: class ids
            (.png) or probabilities (.npy, (H, W, K)), edge strength (8- or 16-bit .png, or .npy in 0..1), normals
            (.png or .npy), values.
        task: what the predictions are; a model knows its own, and where it has several, which is to be scored.
        flip: of a model: ask each image's mirror image, too, and average.
        resize: bring predictions of another size to that of the truth, which is never resized.
        normals: of predicted normals: the convention of their axes (geometry.CONVENTIONS); None for the library's.
        json: write what is returned to this file as well.
        csv: write a row for each image to this file, worst first.
        report: write a page (.html, complete in itself) to this file.
        max_dist: of edges: how far apart a match may be, as a share of the diagonal (.0075; NYUD takes .011).
        matching: of edges: "fast" (as many pairs as can be) or "exact" (of least total distance, too).
        thinned: of edges: the maps are suppressed already.
        crisp: of edges: judge the maps as they are, neither suppressed nor thinned.

    Returns:
        Segmentation: miou, mean_accuracy, pixel_accuracy, fwiou, dice and the variants of `confusion.scores` (0..1),
        iou_per_class, dice_per_class; boundary_f and boundary_f_per_class of `contours.contour_scores` (0..1); of a
        model or of probabilities, ece, the expected calibration error (0..1). Normals: mean, median, rmse in degrees;
        "11.25", "22.5", "30" in percent.
        Edges, by the BSDS protocol: ods, ois, ap, r50, threshold, settings, curve. Regression: abs_rel, rmse, delta1.
        For all: intervals, [low, high] of each score that is one number, by the bootstrap over images, and bootstrap,
        its settings.

    Raises:
        InputError: neither or both of model and predictions; data that does not go with them; files that are
            missing, extra or of another size (see `Predictions`), cannot be read or do not fit the truth; truth in
            which nothing is labelled; options of another task; a file that could not be written. Nothing is written
            then.
    """
    for path in (json, csv, report):
        if path is not None:
            require_writable(path)
    given = {"max_dist": max_dist, "matching": matching, "thinned": thinned or None, "crisp": crisp or None}
    options = {name: value for name, value in given.items() if value is not None}
    if (model is None) == (predictions is None):
        raise InputError("give a model or a folder of predictions (--predictions DIR), one of the two")
    keep_freed_memory()
    if predictions is not None:
        if task is None:
            raise InputError("predictions do not say what they are; add --task")
        if flip:
            raise InputError("--flip is of a model; leave it out")
        dataset = as_dataset(data, task, split)
        judge = make_task(task, class_names=dataset.class_names, class_colors=dataset.class_colors)
        answer: Callable[[int], np.ndarray] = Predictions(predictions, dataset, judge, resize, normals)
        scorer = score(judge.benchmark(**options), dataset, answer)
    else:
        if resize or normals is not None:
            raise InputError("--resize and --normals are for --predictions; leave them out")
        own = task if isinstance(task, Task) and isinstance(model, str | Path) else None
        loaded = load(model, task=own) if isinstance(model, str | Path) else model
        assert loaded is not None
        loaded = _of_one_task(loaded, task)
        dataset = as_dataset(data, _named_task(loaded), split)
        judge, answer = _model_answers(loaded, dataset, flip)
        scorer = score(judge.benchmark(**options), dataset, answer)
    intervals = {name: list(interval) for name, interval in scorer.intervals().items()}
    scores = scorer.result() | {"intervals": intervals, "bootstrap": BOOTSTRAP}
    what = (
        {"predictions": str(predictions)}
        if predictions is not None
        else {"model": named(model)} | ({"flip": True} if flip else {})
    )
    about = {"data": dataset.source, "split": dataset.split, "images": len(dataset)} | what
    # All is made before the first file is written, so that none stands alone.
    page = None
    if report is not None:
        order = worst_first(scorer.each(), scorer.headline)
        page = scorecard(about, judge, dataset, answer, scorer, scores, order)
    if json is not None:
        write_json(json, about | scores)
    if csv is not None:
        write_atomic(csv, rows(dataset.names, scorer).encode())
    if report is not None and page is not None:
        write_atomic(report, page.encode())
    return scores


def _of_one_task(model: PixelNet, task: str | Task | None) -> PixelNet:
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


def score(scorer: Scorer, dataset: Dataset, answer: Callable[[int], np.ndarray]) -> Scorer:
    """The scorer after all items of a data set, answer(i) being the prediction for item i.

    Raises InputError that names every image whose answer cannot be read or does not fit, and where there is nothing
    to score.
    """
    faults = []
    for index in tqdm(range(len(dataset)), unit="image", desc="evaluate", leave=False):
        source = str(answer.files[index] if isinstance(answer, Predictions) else dataset.names[index])
        try:
            scorer.update(answer(index), dataset.truth(index))
        except InputError as error:
            faults.append(str(error) if source in str(error) else f"{source}: {error}")
    if faults:
        more = [f"({len(faults) - NAMED} more like these)"] if len(faults) > NAMED else []
        raise InputError("\n".join(["nothing is scored.", *faults[:NAMED], *more]))
    if not any(isinstance(value, float) for value in scorer.result().values()):
        raise InputError(
            f"nothing is scored: the truth of {dataset.source}, split {dataset.split}, has no labelled pixel or "
            "no edge; choose another split"
        )
    return scorer


def _model_answers(model: PixelNet, dataset: Dataset, flip: bool) -> tuple[Task, Callable[[int], np.ndarray]]:
    """What judges a model's answers on a data set, and those answers, in the data set's classes."""
    merge = dataset.merge(model.config.class_names)
    if merge is None:
        same_classes(model, dataset)
    judge = model.task if merge is None else task_of(dataset)

    def answer(index: int) -> np.ndarray:
        found = model.predict(dataset.image(index), probabilities=judge.categorical, flip=flip)
        return found if merge is None else found @ merge

    return judge, answer


def score_model(
    model: PixelNet,
    dataset: Dataset,
    items: Sequence[int] | None = None,
    accelerator: Accelerator | None = None,
) -> dict[str, Any]:
    """Scores of a model on some items of a data set, or on all, as in training; several processes share the work."""
    indices = list(range(len(dataset)) if items is None else items)
    scorer = model.task.scorer()
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    for index in indices[rank::world]:
        scorer.update(model.predict(dataset.image(index)), dataset.truth(index))
    if world > 1:
        scorer, *others = gather_object([scorer])
        for other in others:
            scorer.merge(other)
    return scorer.result()


def rows(names: Sequence[str], scorer: Scorer) -> str:
    """CSV with a row for each image, worst first: its name, and its scores that are one number; nothing for none."""
    scored = scorer.each()
    found = dict.fromkeys(key for row in scored for key in row)  # an image may lack a score that others have
    keys = [key for key in found if not any(isinstance(row.get(key), list | dict) for row in scored)]
    text = io.StringIO()
    table = csv_writer(text, lineterminator="\n")
    table.writerow(["name", *keys])
    table.writerows([names[i], *(scored[i].get(key) for key in keys)] for i in worst_first(scored, scorer.headline))
    return text.getvalue()


def worst_first(scored: Sequence[dict[str, Any]], headline: tuple[str, bool]) -> list[int]:
    """The order of images by their scores; those without the headline, which nothing was labelled for, come last."""
    name, more_is_better = headline
    sign = 1 if more_is_better else -1
    return sorted(range(len(scored)), key=lambda i: math.inf if scored[i][name] is None else sign * scored[i][name])


def table(scores: dict[str, Any]) -> str:
    """What `evaluate` returns, as lines for people: each score that is one number, and its interval; "-" for none."""
    lines = [f"{'score':<20} {'value':>9}   95 % interval over images"]
    for name, value in scores.items():
        if isinstance(value, float) and name not in scores["intervals"]:  # no draw of the images gives it
            lines.append(f"{name:<20} {value:9.4f}   -")
        elif isinstance(value, float):
            low, high = scores["intervals"][name]
            lines.append(f"{name:<20} {value:9.4f}   {low:.4f} .. {high:.4f}")
        elif value is None:
            lines.append(f"{name:<20} {'-':>9}")
    if "settings" in scores:
        lines.append("settings: " + words(scores["settings"]))
    return "\n".join(lines)


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
    # A folder without classes.json calls its classes 0, 1, 2.
    if names and names != theirs and not names[0].isdecimal() and not theirs[0].isdecimal():
        raise InputError(
            f"the model's classes are {', '.join(names)}, those of {dataset.source} {', '.join(theirs)}; "
            "evaluate on the data set it was trained for"
        )
