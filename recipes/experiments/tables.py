"""A results file's runs, gathered by arm: tables for people, and the numbers that pictures show."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pixelnet.tasks import TASKS
from recipes.experiments.statistics import Difference, Estimate, estimate, holm, paired

FULL_RATE = 80 / 96  # of a run's steps are done at its full learning rate, in the schedule "step"
NEARLY = 0.05  # of the score with all pixels: what may be missing where "nearly all of it" is reached
BESIDE = "runs side by side"  # how many there were when a run was made
BY = {"end": "at the end", "step": "equal steps", "images": "equal images", "seconds": "equal seconds"}
Row = dict[str, Any]


def of_task(result: Row, task: str) -> list[Row]:
    """The arms of a task that have runs, in the experiment's order, each with its "runs" by seed.

    A run of several tasks is one of each of them, with this task's scores and curve.
    """
    arms = []
    for arm in result["arms"]:
        if task not in arm["task"].split(","):
            continue
        runs = [run for run in result["runs"] if (run["task"], run["arm"]) == (arm["task"], arm["name"])]
        if arm["task"] != task:
            runs = [{**run, "scores": run["scores"][task], "curve": run["curve"][task]} for run in runs]
        if runs:
            arms.append({**arm, "runs": {run["seed"]: run for run in runs}})
    return arms


def tasks_of(result: Row) -> list[str]:
    return list(dict.fromkeys(task for run in result["runs"] for task in run["task"].split(",")))


def budget(arms: Sequence[Row], by: str) -> float | None:
    """How much of "step", "images" or "seconds" every run has come to at its full learning rate; None for "end".

    Scores of runs are comparable on the way only there: a rate that has come down gains points at once.
    """
    if by == "end":
        return None
    ends = [[point[by] for point in at_full_rate(run)] for arm in arms for run in arm["runs"].values()]
    return min((end[-1] for end in ends if end), default=None)


def at_full_rate(run: Row) -> list[Row]:
    return [point for point in run["curve"] if point["step"] <= run["settings"]["max_steps"] * FULL_RATE + 1e-9]


def score(run: Row, by: str, amount: float | None) -> float | None:
    """A run's headline at the end, or when so much was spent: between two validations on the line that joins them.

    None before the first validation.
    """
    if by == "end":
        return run["curve"][-1]["score"]
    points = [point for point in at_full_rate(run) if point["score"] is not None]
    if amount is None or not points or amount < points[0][by]:
        return None
    return float(np.interp(amount, [point[by] for point in points], [point["score"] for point in points]))


def scores(arm: Row, by: str, amount: float | None) -> dict[int, float]:
    """An arm's scores by seed, where there is one."""
    found = {seed: score(run, by, amount) for seed, run in sorted(arm["runs"].items())}
    return {seed: value for seed, value in found.items() if value is not None}


def difference(ours: dict[int, float], control: dict[int, float]) -> Difference | None:
    """Of the seeds that both have."""
    both = sorted(ours.keys() & control.keys())
    return paired([ours[seed] for seed in both], [control[seed] for seed in both])


def summary(result: Row, task: str) -> list[Row]:
    """A row for each arm of a task: means with 95 % intervals over seeds, and differences to the control, each with its
    interval and its p, which is Holm's over the arms of a column."""
    arms = of_task(result, task)
    name, more = TASKS[task].headline
    rows: list[Row] = [{"arm": arm["name"]} for arm in arms]
    if any(arm["published"] for arm in arms):
        for row, arm in zip(rows, arms, strict=True):
            row["published"] = arm["published"]
    for by in result["compare"]:
        amount = budget(arms, by)
        column = f"{name} ({'higher' if more else 'lower'} is better) {BY[by]}"
        column += "" if amount is None else f", {amount:,.0f}"
        found = {arm["name"]: scores(arm, by, amount) for arm in arms}
        for row in rows:
            row[column] = shown(found[row["arm"]])
        compared = [difference(found[arm["name"]], found.get(arm["control"], {})) for arm in arms]
        for row, text in zip(rows, differences(compared), strict=True):
            row[f"difference to the control {BY[by]}"] = text
    for row, arm in zip(rows, arms, strict=True):
        runs = arm["runs"].values()
        row["seconds a step"] = f"{np.mean([run['seconds'] / run['steps'] for run in runs]):.3f}"
        row["GiB"] = f"{max(run.get('accelerator_gib', run['peak_memory_gib']) for run in runs):.2f}"
        row["seeds"] = len(runs)
    return rows


def shown(values: dict[int, float]) -> str:
    return with_half(estimate(list(values.values()))) if values else ""


def with_half(value: Estimate) -> str:
    digits = 4 if abs(value.mean) < 1 else 2
    return f"{value.mean:.{digits}f}" + ("" if value.half is None else f" ± {value.half:.{digits}f}")


def differences(compared: Sequence[Difference | None]) -> list[str]:
    """As "-0.0120 ± 0.0080, p .03"; "" where there is none."""
    adjusted = iter(holm([found.p for found in compared if found]))

    def text(found: Difference | None) -> str:
        if found is None:
            return ""
        digits = 4 if abs(found.mean) < 1 else 2
        p = next(adjusted)
        level = "p < 0.001" if p < 0.001 else f"p {p:.3f}"
        return f"{found.mean:+.{digits}f} ± {found.half:.{digits}f}, {level}"

    return [text(found) for found in compared]


def by_class(result: Row) -> list[Row]:
    """Segmentation at the end, class by class: an arm's mean IoU, and how it differs from its control's.

    A star marks a difference whose 95 % interval leaves out 0, classes and arms not allowed for.
    """
    arms = of_task(result, "segmentation")
    ious = {arm["name"]: {seed: run["scores"]["iou_per_class"] for seed, run in arm["runs"].items()} for arm in arms}
    rows = []
    for arm in arms:
        row, own, control = {"arm": arm["name"]}, ious[arm["name"]], ious.get(arm["control"], {})
        for name in next(iter(own.values())):
            values = {seed: found[name] for seed, found in own.items() if found[name] is not None}
            others = {seed: found[name] for seed, found in control.items() if found[name] is not None}
            cell = f"{np.mean(list(values.values())):.3f}" if values else ""
            if change := difference(values, others):
                cell += f" ({change.mean:+.3f}{'*' if abs(change.mean) > change.half else ''})"
            row[name] = cell
        rows.append(row)
    return rows


def uniform_scores(arms: Sequence[Row], loss: str | None) -> list[tuple[int, float]]:
    """(pixels an image, mean score at the end) of the uniform arms of a loss, fewest first."""
    found = []
    for arm in arms:
        settings = next(iter(arm["runs"].values()))["settings"]
        if (settings["sampler"], settings["loss"]) == ("uniform", loss) and settings["pixels"].isdecimal():
            found.append((int(settings["pixels"]), float(np.mean(list(scores(arm, "end", None).values())))))
    return sorted(found)


def uniform_pixels(value: float, uniform: Sequence[tuple[int, float]], more: bool) -> str:
    """How many pixels, drawn uniformly, score as much: on the line of scores over the logarithm of pixels.

    A number that scores no more than a smaller one is left out, so that the line rises.
    """
    sign = 1 if more else -1
    value, line, counts = sign * value, [sign * uniform[0][1]], [uniform[0][0]]
    for count, mean in uniform[1:]:
        if sign * mean > line[-1]:
            line, counts = [*line, sign * mean], [*counts, count]
    if value > line[-1]:
        return f"> {counts[-1]:,}"
    if value < line[0]:
        return f"< {counts[0]:,}"
    return f"{math.exp(float(np.interp(value, line, np.log(counts)))):,.0f}"


def saved(result: Row, task: str) -> list[Row]:
    """For each arm of a task the number of pixels that score as much when they are drawn uniformly."""
    arms, more = of_task(result, task), TASKS[task].headline[1]
    rows = []
    for arm in arms:
        settings = next(iter(arm["runs"].values()))["settings"]
        uniform = uniform_scores(arms, settings["loss"])
        mean = float(np.mean(list(scores(arm, "end", None).values())))
        equal = uniform_pixels(mean, uniform, more) if len(uniform) > 1 else ""
        rows.append({"arm": arm["name"], "pixels an image": settings["pixels"], "uniform pixels of equal score": equal})
    return rows


def needed(result: Row, task: str) -> str:
    """The fewest pixels that reach nearly the score of all, in words."""
    arms = of_task(result, task)
    found = {arm["name"]: scores(arm, "end", None) for arm in arms}
    for arm in arms:
        if arm["control"] is None or not (change := difference(found[arm["name"]], found.get(arm["control"], {}))):
            continue
        worst = change.mean - change.half if TASKS[task].headline[1] else -(change.mean + change.half)
        if worst >= -NEARLY * float(np.mean(list(found[arm["control"]].values()))):
            return f"{task}: {arm['name']} come within {NEARLY:.0%} of the score with all, the interval included."
    return f"{task}: no arm comes within {NEARLY:.0%} of the score with all, the interval included."


def correlations(result: Row) -> list[Row]:
    """How alike two pixels of one image are, by task and distance, and what that makes of an image's pixels."""
    rows = []
    for task, found in result["correlation"].items():
        for what in ("labels", "hypercolumns", "gradients"):
            by_distance = zip(found["distance"], found[what], strict=True)
            at = {f"{distance:g} px": "" if r is None else f"{r:.2f}" for distance, r in by_distance}
            rows.append({"task": task, "of": what, **at, "independent pixels": f"{found['effective'][what]:.0f}"})
    return rows
