"""One page about a method's scores: the table, the curve of its task, its best and its worst images."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pixelnet.data.dataset import Dataset
from pixelnet.data.images import view_of
from pixelnet.report import page
from pixelnet.report.page import Picture
from pixelnet.report.plots import draw_plot
from pixelnet.tasks import Scored, Scorer, Task

EXAMPLES = 4  # of the best images, and of the worst
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
        for i in np.unique(np.linspace(0, len(dataset) - 1, PAIRS).round().astype(int)).tolist():
            yield answer(i), dataset.labels(i)

    plots = task.plots(Scored(scorer.total(), scores, pairs, dataset.reference))
    bootstrap = scores["bootstrap"]
    settings = scores.get("settings", {}) | {
        "intervals": f"bootstrap, {bootstrap['resamples']} draws of the images, seed {bootstrap['seed']}"
    }
    rows = scorer.each()
    order = [i for i in order if rows[i][scorer.headline[0]] is not None]
    worst, best = order[:EXAMPLES], order[EXAMPLES:][-EXAMPLES:][::-1]
    parts = [
        page.section("Scores", _table(task, scores), page.heading("Settings"), page.paragraph(words(settings))),
    ]
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
    against = f"{about['data']}, split {about['split']}, {about['images']} images"
    lead = f"{task.name.capitalize()} of {scored}, against {against}."
    return page.page("Scores of a method", lead, parts)


def _table(task: Task, scores: dict[str, Any]) -> str:
    rows = []
    for name, value in scores.items():
        if isinstance(value, float) and name not in scores["intervals"]:
            rows.append(page.Score(task.score_label(name), task.format_score(name, value, 4), "-"))
        elif isinstance(value, float):
            low, high = scores["intervals"][name]
            low, value, high = (task.format_score(name, number, 4) for number in (low, value, high))
            rows.append(page.Score(task.score_label(name), value, f"{low} to {high}"))
        elif value is None:
            rows.append(page.Score(task.score_label(name), "-", "nothing to count"))
    return page.score_table(rows, "95 % interval over images")


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
        Picture(view_of(dataset.image(i), dataset.ranges), f"Image {name}", "photo"),
        Picture(task.paint(dataset.labels(i)), f"Truth of {name}"),
        Picture(task.paint(prediction), f"Prediction for {name}"),
    ]
    return page.heading(f"{name}: {numbers}") + page.comparison(("Input", "Truth", "Prediction"), [pictures])
