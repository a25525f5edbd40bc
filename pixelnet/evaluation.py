"""Scoring a model, or any method's files, on a data set."""

import io
import math
from collections.abc import Callable, Sequence
from csv import writer as csv_writer
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from pixelnet.data import Dataset, as_dataset, has_split, task_of, with_channels
from pixelnet.data.subset import Subset
from pixelnet.errors import InputError
from pixelnet.files import require_writable, write_atomic, write_json
from pixelnet.geometry import CONVENTIONS, convert_normals
from pixelnet.inference.predictions import NAMED, Predictions
from pixelnet.memory import keep_freed_memory
from pixelnet.metrics.angles import angular_errors
from pixelnet.metrics.intervals import LEVEL
from pixelnet.model import PixelNet
from pixelnet.report.scorecard import interval_words, scorecard, words
from pixelnet.runs.hub import load
from pixelnet.runs.learnt import Seen, known_images, read_images, seen
from pixelnet.tasks import TASKS, Scorer, Task, make_task

INTERVAL = {"method": "jackknife over images, Student's t, on the logit scale", "level": LEVEL}
HINTED = 5  # images that a hint is worked out from
EXPLAINS = 0.8  # of the error, that remains at most where other axes explain it


def evaluate(
    model: PixelNet | str | Path | None = None,
    *,
    data: Any,
    split: str = "val",
    predictions: str | Path | None = None,
    against: PixelNet | str | Path | None = None,
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
            Of data without a val split only the images that the model's run held out are scored, if there are any.
        split: of the data, where they are named.
        predictions: in place of a model, a folder with a file for each image, named as the image is: class ids
            (.png) or probabilities (.npy, (H, W, K)), edge strength (8- or 16-bit .png, or .npy in 0..1), normals
            (.png or .npy), values.
        against: a second model, or a second folder of predictions, to be compared with on the same images.
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
        For all: images, their number; intervals, [low, high] of each score that is one number, by the jackknife over
        images, none below five; and interval, their level and method. Of a run that knows which images it learnt
        from: learnt_from, how many of these were scored. notes: sentences that one should read before the scores.
        With `against`: a dict of the same scores of the other, and differences, the first's less the other's of each
        score that is one number, with difference_intervals of the pairs.

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
        if flip:
            raise InputError("--flip is of a model; leave it out")
        dataset, methods = _files(data, split, task, [predictions, against], resize, normals)
    else:
        if resize or normals is not None:
            raise InputError("--resize and --normals are for --predictions; leave them out")
        dataset, methods = _models(data, split, task, [model, against], flip)
    scorers = [score(method.judge.benchmark(**options), dataset, method.answer) for method in methods]
    first, scorer = methods[0], scorers[0]
    scores = _scores(first, scorer, dataset) | _compared(methods, scorers, dataset)
    about = {"data": dataset.source, "split": dataset.split} | first.about
    # All is made before the first file is written, so that none stands alone.
    page = None
    if report is not None:
        order = worst_first(scorer.each(), scorer.headline)
        page = scorecard(about, first.judge, dataset, first.answer, scorer, scores, order)
    if json is not None:
        write_json(json, about | scores)
    if csv is not None:
        write_atomic(csv, rows(dataset.names, scorer).encode())
    if report is not None and page is not None:
        write_atomic(report, page.encode())
    return scores


@dataclass(frozen=True)
class Method:
    """What is scored: what judges it, its answer for item i, what it is called in files, and what is to be said of it.

    seen: what its run has to do with the images, where that is known.
    """

    judge: Task
    answer: Callable[[int], np.ndarray]
    about: dict[str, Any]
    seen: Seen | None = None


def _files(
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
            methods.append(Method(judge, answer, {"predictions": str(folder)}))
    return dataset, methods


def _models(
    data: Any, split: str, task: str | Task | None, models: Sequence[Any], flip: bool
) -> tuple[Dataset, list[Method]]:
    """The data, of which what a model's run held out if that is all the val there is, and models as methods."""
    loaded = []
    for model in models:
        if model is not None:
            own = task if isinstance(task, Task) and isinstance(model, str | Path) else None
            one = load(model, task=own) if isinstance(model, str | Path) else model
            images = None if one.folder is None else read_images(one.folder)
            loaded.append((named(model), images, of_one_task(one, task)))
    dataset = with_channels(as_dataset(data, _named_task(loaded[0][2]), split), loaded[0][2].channels)
    alone = split == "val" and not isinstance(data, Dataset)
    if alone and isinstance(data, str | Path):
        alone = not has_split(data, _named_task(loaded[0][2]), split)
    founds: list[Seen | None] = []
    items = list(range(len(dataset)))
    hashes = [one.image for one in known_images(dataset)] if any(images for _, images, _ in loaded) else []
    for name, images, _ in loaded:
        found = None
        if images is not None:
            found = seen(images, name or "the model's run", [hashes[i] for i in items], alone)
            items = [items[k] for k in found.items]
        founds.append(found)
    dataset = Subset(dataset, items, split) if len(items) < len(dataset) else dataset
    methods = []
    for (name, _, one), found in zip(loaded, founds, strict=True):
        judge, answer = model_answers(one, dataset, flip)
        methods.append(Method(judge, answer, {"model": name} | ({"flip": True} if flip else {}), found))
    return dataset, methods


def _scores(method: Method, scorer: Scorer, dataset: Dataset) -> dict[str, Any]:
    """What a method scored, with intervals, and what it has to do with the images."""
    intervals = {name: list(interval) for name, interval in scorer.intervals().items()}
    learnt = {} if method.seen is None else {"learnt_from": method.seen.learnt}
    return scorer.result() | {"images": len(dataset)} | learnt | {"intervals": intervals, "interval": INTERVAL}


def _compared(methods: Sequence[Method], scorers: Sequence[Scorer], dataset: Dataset) -> dict[str, Any]:
    """What is to be said before the scores, and the second method, if there is one."""
    words = [method.seen.words for method in methods if method.seen is not None]
    words += [_axes(method, scorer, dataset) for method, scorer in zip(methods, scorers, strict=True)]
    notes = {"notes": said} if (said := list(filter(None, words))) else {}
    if len(methods) == 1:
        return notes
    ours, theirs = scorers[0].result(), _scores(methods[1], scorers[1], dataset)
    return notes | {
        "against": methods[1].about | theirs,
        "differences": {
            name: value - theirs[name]
            for name, value in ours.items()
            if isinstance(value, float) and isinstance(theirs.get(name), float)
        },
        "difference_intervals": {name: list(ends) for name, ends in scorers[0].differences(scorers[1]).items()},
    }


def _axes(method: Method, scorer: Scorer, dataset: Dataset) -> str:
    """A hint where normals point away from their truth, which other axes explain; "" for all else."""
    mean = scorer.result().get("mean") if method.judge.name == "normals" else None
    if mean is None or mean <= 90:
        return ""
    pairs = [(method.answer(i), dataset.truth(i)) for i in range(min(HINTED, len(dataset)))]
    errors = {
        name: float(
            np.mean(np.concatenate([angular_errors(convert_normals(own, name), truth) for own, truth in pairs]))
        )
        for name in CONVENTIONS
    }
    best = min(errors, key=errors.__getitem__)
    if errors[best] > EXPLAINS * mean:
        return ""
    of = "the predictions" if "predictions" in method.about else "the truth"
    remedy = f"--normals {best}" if "predictions" in method.about else f"normals: {best} in what describes the data"
    return (
        f"the mean error is {mean:.0f} degrees, worse than chance: {of} may be in other axes. As {best} the mean is "
        f"{errors[best]:.0f} degrees ({remedy})"
    )


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
    """What `evaluate` returns, as lines for people: what is to be read first, then each score that is one number.

    With its interval, or of two methods the difference with its own; "-" for none.
    """
    lines = list(scores.get("notes", []))
    both = "against" in scores
    lines.append(
        f"{'score':<20} {'value':>9} {'against':>9} {'difference':>10}   95 % interval of the difference"
        if both
        else f"{'score':<20} {'value':>9}   95 % interval over images"
    )
    intervals = scores["difference_intervals" if both else "intervals"]
    for name, value in scores.items():
        if value is None:
            lines.append(f"{name:<20} {'-':>9}")
        elif isinstance(value, float):
            own = f"{name:<20} {value:9.4f}"
            if both:
                other, less = scores["against"].get(name), scores["differences"].get(name)
                own += f" {'-':>9} {'-':>10}" if less is None else f" {other:9.4f} {less:+10.4f}"
            lines.append(f"{own}   {interval_words(name, intervals, scores['images'])}")
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
