"""One page about a method's scores: the table, the curve of its task, its best and its worst images."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelnet import page
from pixelnet.data.dataset import Dataset
from pixelnet.metrics.angles import BINS_PER_DEGREE, THRESHOLDS
from pixelnet.page import Picture
from pixelnet.tasks.task import Scorer, Task

NAMED_CLASSES = 60  # along a confusion matrix
SHOWN = 4  # of the best images, and of the worst
# Recall and precision of BSDS500's annotators against the others: val is BSDS300's test split, where that benchmark's
# plots mark the first; the structured edges toolbox marks the second for test.
HUMAN = {"val": (0.701, 0.898), "test": (0.724, 0.901)}
SAMPLED_IMAGES, SAMPLED_PIXELS = 20, 5000  # of regression's density


def scorecard(
    about: dict[str, Any],
    task: Task,
    dataset: Dataset,
    answer: Callable[[int], np.ndarray],
    scorer: Scorer,
    scores: dict[str, Any],
    order: Sequence[int],
) -> str:
    """The page as HTML, complete in itself.

    about: what was scored, for people. scorer: it has seen the whole data set; scores: its result with "intervals".
    answer(i): the prediction for item i. order: the items, worst first.
    """
    plots = PLOTS[task.name](dataset, answer, scorer, scores)
    bootstrap = scores["bootstrap"]
    settings = scores.get("settings", {}) | {
        "intervals": f"bootstrap, {bootstrap['resamples']} draws of the images, seed {bootstrap['seed']}"
    }
    rows = scorer.each()
    order = [i for i in order if rows[i][scorer.headline[0]] is not None]
    worst, best = order[:SHOWN], order[SHOWN:][-SHOWN:][::-1]
    parts = [
        page.section("Scores", _table(task, scores), page.heading("Settings"), page.paragraph(words(settings))),
        page.section(plots[0].caption, *(page.image(plot) for plot in plots)),
    ]
    for title, items in (("Worst images", worst), ("Best images", best)):
        if items:
            parts.append(page.section(title, *(_example(task, dataset, answer, i, rows[i]) for i in items)))
    if dataset.task == "segmentation":
        colours = zip(task.paint(np.arange(len(dataset.classes))[None])[0].tolist(), dataset.classes, strict=True)
        parts.append(page.section("Classes", page.legend([((r, g, b), name) for (r, g, b), name in colours])))
    scored = about.get("predictions") or about.get("model") or "a model"
    against = f"{about['data']}, split {about['split']}, {about['images']} images"
    lead = f"{task.name.capitalize()} of {scored}, against {against}."
    return page.page("Scores of a method", lead, parts)


def _table(task: Task, scores: dict[str, Any]) -> str:
    rows = []
    for name, value in scores.items():
        if isinstance(value, float):
            low, high = scores["intervals"][name]
            low, value, high = (_number(task, name, number, 4) for number in (low, value, high))
            rows.append(page.Score(_called(name), value, f"{low} to {high}"))
        elif value is None:
            rows.append(page.Score(_called(name), "-", "nothing to count"))
    return page.score_table(rows, "95 % interval over images")


def _called(name: str) -> str:
    return f"within {name}°" if name[0].isdigit() else name


def _number(task: Task, name: str, value: float, digits: int) -> str:
    unit = "" if task.name != "normals" else " %" if name[0].isdigit() else "°"
    return f"{value:.{digits}f}{unit}"


def words(settings: dict[str, Any]) -> str:
    """Settings as people read them."""
    return "; ".join(f"{name}: {_plain(value)}" for name, value in settings.items())


def _plain(value: Any) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _example(task: Task, dataset: Dataset, answer: Callable[[int], np.ndarray], i: int, row: dict[str, Any]) -> str:
    prediction = answer(i)
    if task.name == "segmentation" and prediction.ndim == 3:
        prediction = prediction.argmax(axis=-1)
    shown = [(key, value) for key, value in list(row.items())[:4] if isinstance(value, float)]
    numbers = ", ".join(f"{_called(key)} {_number(task, key, value, 3)}" for key, value in shown)
    name = dataset.names[i]
    pictures = [
        Picture(dataset.image(i), f"Image {name}", "photo"),
        Picture(task.paint(dataset.labels(i)), f"Truth of {name}"),
        Picture(task.paint(prediction), f"Prediction for {name}"),
    ]
    return page.heading(f"{name}: {numbers}") + page.comparison(("Input", "Truth", "Prediction"), [pictures])


def _picture(figure: Figure, caption: str) -> Picture:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return Picture(content.getvalue(), caption, "plot")


def _precision_recall(dataset: Dataset, _: Any, scorer: Scorer, scores: dict[str, Any]) -> list[Picture]:
    """The curve over iso-F lines, and the human point where one is published."""
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes = figure.subplots()
    for f in np.arange(1, 10) / 10:
        reach = np.linspace(f / (2 - f), 1, 200)  # from a precision of 1 to a recall of 1
        axes.plot(reach, f * reach / (2 * reach - f), color="0.8", linewidth=0.8)
        axes.text(1.01, f / (2 - f), f"F {f:.1f}", color="0.4", fontsize=8, va="center")
    if scores["curve"] is not None:
        axes.plot(scores["curve"]["recall"], scores["curve"]["precision"], color="C0", label=f"ODS {scores['ods']:.3f}")
    if dataset.source.startswith("bsds500:") and dataset.split in HUMAN:
        recall, precision = HUMAN[dataset.split]
        f = 2 * precision * recall / (precision + recall)
        axes.plot(recall, precision, "o", color="C2", label=f"human, F {f:.2f} (published)")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="lower left", framealpha=1, edgecolor="none")
    return [_picture(figure, "Precision against recall, with lines of equal F")]


def _confusion(dataset: Dataset, _: Any, scorer: Scorer, scores: dict[str, Any]) -> list[Picture]:
    """The matrix, each row a share of the class's pixels, and IoU per class."""
    size = len(dataset.classes)
    matrix = sum(scorer.counts, start=scorer.nothing)[: size**2].reshape(size, size)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 0.18 * min(size, NAMED_CLASSES)
    figure = Figure(figsize=(max(6, 2.5 + side), max(5, 1.8 + side)), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if size <= NAMED_CLASSES:  # of more the names could not be read; the bars below have them
        axes.set_xticks(range(size), dataset.classes, rotation=90, fontsize=8)
        axes.set_yticks(range(size), dataset.classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="truth")
    if size <= 20:
        for y, x in np.argwhere(share >= 0.005):
            colour = "white" if share[y, x] > 0.5 else "black"
            axes.text(x, y, f"{100 * share[y, x]:.0f}", ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(shown, label="share of the true class", shrink=0.6)
    bars = Figure(figsize=(8, 1.4 + 0.22 * size), layout="constrained")
    axes = bars.subplots()
    iou = np.array([np.nan if value is None else value for value in scores["iou_per_class"]])
    order = np.argsort(np.where(np.isnan(iou), -1, iou))
    axes.barh(range(size), np.nan_to_num(iou[order]), color="C0")
    axes.set_yticks(range(size), [dataset.classes[k] + (" (absent)" if np.isnan(iou[k]) else "") for k in order])
    axes.tick_params(axis="y", labelsize=8)
    axes.set(xlabel="IoU", xlim=(0, 1), ylim=(-0.6, size - 0.4))
    return [_picture(figure, "Confusion matrix, each row summing to 1"), _picture(bars, "IoU of each class")]


def _angles(dataset: Dataset, _: Any, scorer: Scorer, scores: dict[str, Any]) -> list[Picture]:
    """How many pixels are off by how many degrees."""
    number = sum(scorer.counts, start=scorer.nothing)[: 180 * BINS_PER_DEGREE].reshape(180, -1).sum(axis=1)
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes: Axes = figure.subplots()
    axes.stairs(100 * number / max(number.sum(), 1), np.arange(181), fill=True, color="C0")
    for threshold, style in zip(THRESHOLDS, ("-", "--", ":"), strict=True):
        value = scores[f"{threshold:g}"]
        label = f"{threshold:g}°" if value is None else f"{value:.1f} % within {threshold:g}°"
        axes.axvline(threshold, color="C3", linewidth=1.2, linestyle=style, label=label)
    axes.legend(frameon=False)
    axes.set(xlabel="angular error, degrees", ylabel="% of pixels a degree", xlim=(0, 180))
    return [_picture(figure, "Histogram of the angular error")]


def _density(dataset: Dataset, answer: Callable[[int], np.ndarray], _: Scorer, __: dict[str, Any]) -> list[Picture]:
    """Predicted against true values of pixels sampled from images that are evenly spread over the data set."""
    rng, pairs = np.random.default_rng(0), []
    for i in np.unique(np.linspace(0, len(dataset) - 1, SAMPLED_IMAGES).round().astype(int)):
        truth, prediction = dataset.labels(int(i)).ravel(), answer(int(i)).ravel()
        chosen = rng.permutation(np.flatnonzero(np.isfinite(truth)))[:SAMPLED_PIXELS]
        pairs.append(np.stack([truth[chosen], prediction[chosen]]))
    truth, prediction = np.concatenate(pairs, axis=1)
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    if len(truth):
        shown = axes.hexbin(truth, prediction, gridsize=60, bins="log", cmap="Blues", mincnt=1)
        figure.colorbar(shown, label="sampled pixels")
        axes.axline((truth.mean(), truth.mean()), slope=1, color="C3", linewidth=1)
    axes.set(xlabel="true value", ylabel="predicted value")
    return [_picture(figure, "Predicted against true values; on the line they agree")]


PLOTS: dict[str, Callable[..., list[Picture]]] = {
    "segmentation": _confusion,
    "normals": _angles,
    "edges": _precision_recall,
    "regression": _density,
}
