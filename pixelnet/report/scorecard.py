"""One page about a method's scores: the table, the curve of its task, its best and its worst images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pixelnet.data.dataset import Dataset, evenly
from pixelnet.data.images import view_of
from pixelnet.metrics.intervals import ENOUGH, FEWEST, TOO_FEW
from pixelnet.report import page
from pixelnet.report.page import Picture
from pixelnet.report.plots import draw_plot
from pixelnet.tasks import Scored, Scorer, Task

EXAMPLES = 4  # of the best images, and of the worst
SMALL = " (small sample: covers about 90 %)"
PAIRS = 20  # images that plots of pixels are drawn from


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

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for i in evenly(len(dataset), PAIRS):
            yield answer(i), dataset.labels(i)

    plots = task.plots(Scored(scorer.total(), scores, pairs, dataset.reference))
    settings = scores.get("settings", {}) | {"intervals": scores["interval"]["method"]}
    rows = scorer.each()
    order = [i for i in order if rows[i][scorer.headline[0]] is not None]
    worst, best = order[:EXAMPLES], order[EXAMPLES:][-EXAMPLES:][::-1]
    notes = [page.paragraph(note) for note in scores.get("notes", [])]
    parts = [
        page.section("Scores", *notes, _table(task, scores), page.heading("Settings"), page.paragraph(words(settings))),
    ]
    if "against" in scores:
        other = scores["against"].get("predictions") or scores["against"].get("model") or "another model"
        parts.append(page.section(f"Less those of {other}", _differences(task, scores)))
    if plots:
        parts.append(page.section(plots[0].caption, *(page.image(draw_plot(plot)) for plot in plots)))
    for title, items in (("Worst images", worst), ("Best images", best)):
        if items:
            parts.append(page.section(title, *(_example(task, dataset, answer, i, rows[i]) for i in items)))
    if dataset.class_names:
        names = dataset.class_names
        colors = zip(task.paint(np.arange(len(names))[None])[0].tolist(), names, strict=True)
        parts.append(page.section("Classes", page.legend([((r, g, b), name) for (r, g, b), name in colors])))
    scored = about.get("predictions") or about.get("model") or "a model"
    against = f"{about['data']}, split {about['split']}, {scores['images']} images"
    lead = f"{task.name.capitalize()} of {scored}, against {against}."
    return page.page("Scores of a method", lead, parts)


def _table(task: Task, scores: dict[str, Any]) -> str:
    rows = []
    for name, value in scores.items():
        if isinstance(value, float):
            shown = task.format_score(name, value, 4)
            rows.append(page.Score(task.score_label(name), shown, _interval(task, name, scores, "intervals")))
        elif value is None:
            rows.append(page.Score(task.score_label(name), "-", "nothing to count"))
    return page.score_table(rows, "95 % interval over images")


def _differences(task: Task, scores: dict[str, Any]) -> str:
    rows = [
        page.Score(
            task.score_label(name),
            task.format_score(name, value, 4),
            _interval(task, name, scores, "difference_intervals"),
        )
        for name, value in scores["differences"].items()
    ]
    return page.score_table(rows, "95 % interval of the difference, over the same images")


def _interval(task: Task, name: str, scores: dict[str, Any], which: str) -> str:
    return interval_words(
        name, scores[which], scores["images"], lambda value: task.format_score(name, value, 4), " to "
    )


def interval_words(
    name: str,
    intervals: Mapping[str, Sequence[float]],
    images: int,
    write: Callable[[float], str] = "{:.4f}".format,
    between: str = " .. ",
) -> str:
    """A score's interval as people read it, how far it may be trusted, and why there is none."""
    if images < FEWEST:
        return TOO_FEW
    if name not in intervals:
        return "-"  # without some image there is no such score
    return between.join(map(write, intervals[name])) + (SMALL if images < ENOUGH else "")


def words(settings: dict[str, Any]) -> str:
    """Settings as people read them."""
    return "; ".join(f"{name}: {_plain(value)}" for name, value in settings.items())


def _plain(value: Any) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _example(task: Task, dataset: Dataset, answer: Callable[[int], np.ndarray], i: int, row: dict[str, Any]) -> str:
    prediction = answer(i)
    first = [(key, value) for key, value in list(row.items())[:4] if isinstance(value, float)]
    numbers = ", ".join(f"{task.score_label(key)} {task.format_score(key, value, 3)}" for key, value in first)
    name = dataset.names[i]
    pictures = [
        Picture(view_of(dataset.image(i), dataset.ranges, dataset.channels), f"Image {name}", "photo"),
        Picture(task.paint(dataset.labels(i)), f"Truth of {name}"),
        Picture(task.paint(prediction), f"Prediction for {name}"),
    ]
    return page.heading(f"{name}: {numbers}") + page.comparison(("Input", "Truth", "Prediction"), [pictures])
