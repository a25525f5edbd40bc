"""What of each experiment goes into the results page: its tables, and what only some of them have."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from pixelnet.tasks import TASKS
from recipes.experiments.statistics import estimate
from recipes.experiments.tables import by_class, correlations, needed, of_task, saved, shown, summary, tasks_of

Row = dict[str, Any]
Section = tuple[str, list[Row]]  # a line of text, and a table, which may be empty
BY_CLASS = "IoU by class, and the difference to the control (* if its interval leaves out 0):"


def sections(result: Row) -> list[Section]:
    """What to print of a results file."""
    parts: list[Section] = [(f"{task[0].upper()}{task[1:]}:", summary(result, task)) for task in tasks_of(result)]
    extra: dict[str, Callable[[], list[Section]]] = {
        "pixels": lambda: [("Pixels needed: " + " ".join(needed(result, task) for task in tasks_of(result)), [])],
        "samplers": lambda: _samplers(result),
        "labelled": lambda: [(BY_CLASS, by_class(result))],
        "across": lambda: [(f"Gains over the control, {task}:", survival(result, task)) for task in tasks_of(result)],
        "joint": lambda: [("In percent of what a network of the task alone scores:", beside_alone(result))],
    }
    parts += extra.get(result["name"].split("-")[0], list)()
    if "correlation" in result:
        parts.append(
            (
                "Correlation of two pixels of an image, by their distance (over all images together):",
                correlations(result),
            )
        )
    return parts


def _samplers(result: Row) -> list[Section]:
    parts: list[Section] = [(f"Pixels saved, {task}:", saved(result, task)) for task in tasks_of(result)]
    return [*parts, (BY_CLASS, by_class(result))] if "segmentation" in tasks_of(result) else parts


def survival(result: Row, task: str) -> list[Row]:
    """How far each kind of arm is ahead of its control on seen places (the split val) and on unseen ones (test).

    Arms are called "KIND, PLACE". A gain is the mean over places, its interval over seeds: places are the ones there
    are, so nothing is said of others; that of each place is beside it.
    """
    name, more = TASKS[task].headline
    arms = {arm["name"]: arm for arm in of_task(result, task)}
    gains: dict[str, dict[str, dict[str, dict[int, float]]]] = defaultdict(dict)  # kind -> place -> split -> by seed
    for own, arm in arms.items():
        if arm["control"] not in arms:
            continue
        kind, _, place = own.rpartition(", ")
        theirs = arms[arm["control"]]["runs"]
        gains[f"{kind} over {arm['control'].rpartition(', ')[0]}"][place] = {
            split: {
                seed: (1 if more else -1) * (run["splits"][split][name] - theirs[seed]["splits"][split][name])
                for seed, run in arm["runs"].items()
                if seed in theirs
            }
            for split in ("val", "test")
        }
    rows = []
    for kind, places in gains.items():
        row: Row = {"gain": kind}
        for split, word in (("val", "seen"), ("test", "unseen")):
            seeds = set.intersection(*(set(found[split]) for found in places.values()))
            means = {seed: float(np.mean([found[split][seed] for found in places.values()])) for seed in sorted(seeds)}
            row[f"{name}, {word}"] = shown(means)
            each = [f"{place} {np.mean(list(found[split].values())):+.3g}" for place, found in places.items()]
            row[f"each place, {word}"] = "; ".join(each)
        rows.append(row)
    return rows


def beside_alone(result: Row) -> list[Row]:
    """Each arm of several tasks beside its control's, one of each task: by how many percent it is better, per task and
    on average (Maninis, Radosavovic and Kokkinos 2019), and the seconds of training of one and of the others together.
    """
    tasks = tasks_of(result)
    by_task = {task: {arm["name"]: arm for arm in of_task(result, task)} for task in tasks}
    rows = []
    for arm in by_task[tasks[0]].values():
        if arm["control"] is None or not all({arm["name"], arm["control"]} <= own.keys() for own in by_task.values()):
            continue
        better: dict[str, dict[int, float]] = {}
        for task, own in by_task.items():
            name, more = TASKS[task].headline
            theirs = own[arm["control"]]["runs"]
            better[task] = {
                seed: (100 if more else -100) * (run["scores"][name] / theirs[seed]["scores"][name] - 1)
                for seed, run in own[arm["name"]]["runs"].items()
                if seed in theirs
            }
        seeds = set.intersection(*(set(found) for found in better.values()))
        average = {seed: float(np.mean([found[seed] for found in better.values()])) for seed in sorted(seeds)}
        alone = [own[arm["control"]]["runs"].values() for own in by_task.values()]
        rows.append(
            {
                "arm": arm["name"],
                "average": shown(average),
                **{task: shown(found) for task, found in better.items()},
                "seconds": f"{estimate([run['seconds'] for run in arm['runs'].values()]).mean:.0f}",
                "seconds alone": f"{sum(np.mean([run['seconds'] for run in runs]) for runs in alone):.0f}",
            }
        )
    return rows
