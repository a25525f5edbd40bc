"""NAME.png of an experiment: learning curves, scores against pixels, or differences to the control."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelnet.files import write_atomic
from pixelnet.tasks import TASKS
from recipes.experiments.statistics import estimate
from recipes.experiments.tables import BY, at_full_rate, budget, difference, of_task, scores, tasks_of

Row = dict[str, Any]


def draw(result: Row, path: Path) -> Figure:
    """The picture of a results file that has runs."""
    kinds: dict[str, Callable[[Row], Figure]] = {
        "pixels": against_pixels,
        "samplers": differences_at_the_end,
        "across": differences_at_the_end,
        "labelled": differences_at_the_end,
    }
    figure = kinds.get(result["name"].split("-")[0], learning_curves)(result)
    write_atomic(path, lambda file: figure.savefig(file, format="png", dpi=100))
    return figure


def learning_curves(result: Row) -> Figure:
    """A row for each task: the mean score over seeds against steps, images seen and seconds of training."""
    tasks, units = tasks_of(result), ("step", "images", "seconds")
    figure = Figure(figsize=(11, 3.1 * len(tasks)), layout="constrained")
    for task, row in zip(tasks, figure.subplots(len(tasks), 3, squeeze=False), strict=True):
        for unit, axes in zip(units, row, strict=True):
            for arm in of_task(result, task):
                curves = [at_full_rate(run) for run in arm["runs"].values()]
                curves = [[point for point in curve if point["score"] is not None] for curve in curves]
                length = min(map(len, curves))
                spent = np.mean([[point[unit] for point in curve[:length]] for curve in curves], axis=0)
                found = np.array([[point["score"] for point in curve[:length]] for curve in curves])
                band(axes, spent, found, arm["name"])
            axes.set(
                xlabel={"step": "steps", "images": "images seen"}.get(unit, unit), ylabel=f"{TASKS[task].headline[0]}"
            )
        row[0].set_title(task, loc="left")
        row[-1].legend(frameon=False, fontsize=8)
    return figure


def band(axes: Axes, x: np.ndarray, found: np.ndarray, label: str) -> None:
    """A mean over seeds, found (seeds, points), and its interval."""
    estimates = [estimate(column.tolist()) for column in found.T]
    means = np.array([value.mean for value in estimates])
    halves = np.array([value.half or 0 for value in estimates])
    (line,) = axes.plot(x, means, marker=".", label=label)
    axes.fill_between(x, means - halves, means + halves, color=line.get_color(), alpha=0.15, linewidth=0)


def against_pixels(result: Row) -> Figure:
    """Above, each task's score against pixels an image; below, how alike two pixels of an image are by distance."""
    tasks = tasks_of(result)
    figure = Figure(figsize=(3.7 * len(tasks), 6.4), layout="constrained")
    above, below = figure.subplots(2, len(tasks), squeeze=False)
    for task, top, bottom in zip(tasks, above, below, strict=True):
        arms = of_task(result, task)
        names = [arm["name"].removesuffix(" pixels") for arm in arms]
        for by in result["compare"]:
            amount = budget(arms, by)
            found = [scores(arm, by, amount) for arm in arms]
            bars(top, range(len(arms)), [list(values.values()) for values in found], BY[by])
        top.set_xticks(range(len(arms)), names, fontsize=8)
        top.set(title=task, xlabel="pixels an image", ylabel=TASKS[task].headline[0])
        like = result.get("correlation", {}).get(task)
        for what, style in (("labels", "-"), ("hypercolumns", "--"), ("gradients", ":")):
            if like:
                shown = f"{what}: {like['effective'][what]:.0f} independent pixels"
                bottom.plot(like["distance"], like[what], style, color="0.2", label=shown)
        bottom.set(xscale="log", xlabel="distance, pixels", ylabel="correlation")
        if like:
            bottom.legend(frameon=False, fontsize=7)
    above[0].legend(frameon=False, fontsize=8)
    return figure


def bars(axes: Axes, x: Sequence[int], found: Sequence[list[float]], label: str) -> None:
    """Means and intervals of several lists of values; the empty ones are left out."""
    kept = [(place, estimate(values)) for place, values in zip(x, found, strict=True) if values]
    halves = [value.half or 0 for _, value in kept]
    axes.errorbar(
        [place for place, _ in kept], [value.mean for _, value in kept], halves, marker="o", capsize=2, label=label
    )


def differences_at_the_end(result: Row) -> Figure:
    """How far each arm is from its control at the end: the mean over seeds and its interval; to the right is better."""
    tasks = tasks_of(result)
    figure = Figure(figsize=(4 * len(tasks), 5), layout="constrained")
    for task, axes in zip(tasks, figure.subplots(1, len(tasks), squeeze=False)[0], strict=True):
        arms = of_task(result, task)
        found = {arm["name"]: scores(arm, "end", None) for arm in arms}
        sign = 1 if TASKS[task].headline[1] else -1
        changes = {arm["name"]: difference(found[arm["name"]], found.get(arm["control"], {})) for arm in arms}
        rows = [(name, change) for name, change in reversed(changes.items()) if change]
        axes.axvline(0, color="0.7")
        for place, (_, change) in enumerate(rows):
            axes.errorbar(sign * change.mean, place, xerr=change.half, marker="o", color="C0", capsize=2)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
        axes.set(title=task, xlabel=f"gain in {TASKS[task].headline[0]} over the control")
    return figure
