"""Scoring a model, or any method's files, on a data set."""

import io
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from csv import writer as csv_writer
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from pixelnet.data import Dataset
from pixelnet.data.dataset import input_files
from pixelnet.errors import InputError
from pixelnet.files import require_apart, require_writable, write_atomic, write_json
from pixelnet.geometry import CONVENTIONS, convert_normals
from pixelnet.inference.methods import Method, files_as_methods, models_as_methods
from pixelnet.inference.predictions import NAMED, Predictions, truth_size
from pixelnet.memory import keep_freed_memory
from pixelnet.metrics.angles import angular_errors
from pixelnet.metrics.intervals import LEVEL
from pixelnet.model import PixelNet
from pixelnet.report.scorecard import interval_words, scorecard, words
from pixelnet.signals import leave_to_parent
from pixelnet.tasks import Scorer, Task

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
    device: str = "auto",
    precision: str = "no",
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
        device, precision: where, and in which precision, models that are given by name see images; see `pixelnet.load`.

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
    leave_to_parent()
    outputs = {"--json": json, "--csv": csv, "--report": report}
    for path in outputs.values():
        if path is not None:
            require_writable(path)
    require_apart(outputs)
    given = {"max_dist": max_dist, "matching": matching, "thinned": thinned or None, "crisp": crisp or None}
    options = {name: value for name, value in given.items() if value is not None}
    if (model is None) == (predictions is None):
        raise InputError("give a model or a folder of predictions (--predictions DIR), one of the two")
    keep_freed_memory()
    if predictions is not None:
        if flip:
            raise InputError("--flip is of a model; leave it out")
        dataset, methods = files_as_methods(data, split, task, [predictions, against], resize, normals)
    else:
        if resize or normals is not None:
            raise InputError("--resize and --normals are for --predictions; leave them out")
        dataset, methods = models_as_methods(data, split, task, [model, against], flip, device, precision)
    require_apart(outputs, chain(input_files(dataset), *(method.files for method in methods)))
    scorers = [score(method.judge.benchmark(**options), dataset, method.answer) for method in methods]
    first, scorer = methods[0], scorers[0]
    scores = _scores(first, scorer, dataset) | _compared(methods, scorers, dataset)
    about = {"data": dataset.source, "split": dataset.split} | first.about
    # All is made before the first file is written, so that none stands alone.
    page = None
    if report is not None:
        order = worst_first(scorer.one_by_one(), scorer.headline).tolist()
        page = scorecard(about, first.judge, dataset, first.answer, scorer, scores, order)
    if json is not None:
        write_json(json, about | scores)
    if csv is not None:
        write_atomic(csv, lambda file: write_rows(file, dataset.names, scorer))
    if report is not None and page is not None:
        write_atomic(report, page.encode(errors="backslashreplace"))
    return scores


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


def score(scorer: Scorer, dataset: Dataset, answer: Callable[[int], np.ndarray]) -> Scorer:
    """The scorer after all items of a data set, answer(i) being the prediction for item i.

    Raises InputError that names every image whose answer cannot be read or does not fit, and where there is nothing
    to score.
    """
    faults = []
    for index in tqdm(range(len(dataset)), unit="image", desc="evaluate", leave=False):
        source = str(answer.file(index) if isinstance(answer, Predictions) else dataset.names[index])
        try:
            _update(scorer, dataset, answer, index)
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


def _update(scorer: Scorer, dataset: Dataset, answer: Callable[[int], np.ndarray], index: int) -> None:
    """Add an item, of which no more is held than a part at once where the scorer and both files allow it."""
    if isinstance(answer, Predictions) and scorer.by_part is not None and dataset.in_parts(index):
        size = truth_size(dataset, index)
        if scorer.divides(size) and answer.in_parts(index):
            scorer.update_by_part(size, lambda window: (answer(index, window), dataset.truth(index, window)))
            return
    scorer.update(answer(index), dataset.truth(index))


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
    first, end = (len(indices) * number // world for number in (rank, rank + 1))
    for index in indices[first:end]:  # in a row: sums of the others behind them are those of one process, to the bit
        scorer.update(model.predict(dataset.image(index)), dataset.truth(index))
    if world > 1:
        gathered, scorer = gather_object([scorer.counts]), model.task.scorer()
        for counts in gathered:
            scorer.add(counts)
    return scorer.result()


def write_rows(file: BinaryIO, names: Sequence[str], scorer: Scorer) -> None:
    """CSV with a row for each image, worst first: its name, and its scores that are one number; nothing for none."""
    keys = list(dict.fromkeys(key for row in scorer.one_by_one() for key in row))  # an image may lack some
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    table = csv_writer(text, lineterminator="\n")
    table.writerow(["name", *keys])
    for i in worst_first(scorer.one_by_one(), scorer.headline):
        row = scorer.alone(i)
        table.writerow([names[i], *(row.get(key) for key in keys)])
    text.detach()  # which writes what is left, and leaves the file open


def worst_first(scored: Iterable[dict[str, Any]], headline: tuple[str, bool]) -> np.ndarray:
    """The order of images by their scores; those without the headline, which nothing was labelled for, come last."""
    name, more_is_better = headline
    sign = 1 if more_is_better else -1
    places = array("d", (math.inf if own[name] is None else sign * own[name] for own in scored))
    return np.argsort(places, kind="stable")


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
