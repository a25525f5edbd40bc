"""The picture of what a person needs: mean IoU against strokes and against the machine's seconds, set by set."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from benchmarks.learner.rows import Row, interval, read
from benchmarks.studio.person import RUNS, SCORED_AT
from pixelnet.errors import InputError
from pixelnet.files import write_atomic

COLORS = {"pixelnet": "#0072b2", "forest": "#d55e00"}
DASHES = {"wrong": "-", "suggest": "--", "random": ":"}
SECONDS = (1, 3, 10, 30, 100, 300)
ALL = "all"  # sets together
Point = dict[str, float]  # of a curve: strokes, seconds, miou


@dataclass(frozen=True)
class Picture:
    """Draw runs/studio/person.jsonl -> docs/results/studio_person.png, and print its means and intervals."""

    rows: Path = RUNS
    out: Path = Path(__file__).parents[2] / "docs" / "results" / "studio_person.png"


def draw(arguments: Picture) -> None:
    """Raises InputError where nothing was measured."""
    rows = read(arguments.rows)
    if not rows:
        raise InputError(f"{arguments.rows} has no rows; run `python -m benchmarks studio person` first")
    sets = list(dict.fromkeys(row["set"] for row in rows))
    rows = [*rows, *over_sets(rows)]
    figure = Figure(figsize=(3.2 * len(sets), 5.6), layout="constrained")
    panels = figure.subplots(2, len(sets), squeeze=False)
    for column, name in enumerate(sets):
        for learner, color in COLORS.items():
            for policy, dash in DASHES.items():
                if own := runs_of(rows, name, learner, policy):
                    strokes, seconds, score = means(own)
                    panels[0, column].plot(strokes, score, dash, color=color, label=f"{learner}, {policy}")
                    panels[1, column].plot(seconds, score, dash, color=color)
        panels[0, column].set(title=name, xlabel="strokes")
        panels[1, column].set(xlabel="seconds of the machine")
        for panel, ticks in zip(panels[:, column], (SCORED_AT, SECONDS), strict=True):
            panel.set(xscale="log")
            limits = panel.get_xlim()
            panel.set(xticks=ticks, xlim=limits)
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_locator(NullLocator())
    for line in compared(rows, [*sets, ALL]):
        print(line)
    for panel in panels[:, 0]:
        panel.set_ylabel("mean IoU")
    panels[0, 0].legend(fontsize=7, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    write_atomic(arguments.out, content.getvalue())


def runs_of(rows: list[Row], name: str, learner: str, policy: str) -> list[Row]:
    """Those of a set, a learner and a policy, one for each seed."""
    return [row for row in rows if (row["set"], row["learner"], row["policy"]) == (name, learner, policy)]


def compared(rows: list[Row], sets: list[str]) -> Iterator[str]:
    """Of each set and of all: learners with their policies, and how far ahead of random places and of the forest."""
    for name in sets:
        for learner in COLORS:
            for policy in DASHES:
                if own := runs_of(rows, name, learner, policy):
                    yield f"{name} {learner} {policy}: {told(own)}"
                if policy != "random" and (found := less(rows, name, (learner, policy), (learner, "random"))):
                    yield f"{name} {learner} {policy} less random: {found}"
        for policy in DASHES:
            if found := less(rows, name, ("pixelnet", policy), ("forest", policy)):
                yield f"{name} pixelnet less forest, {policy}: {found}"


def over_sets(rows: list[Row]) -> list[Row]:
    """For each learner, policy and seed that all sets have, the means over these, where all have a score."""
    sets = {row["set"] for row in rows}
    found: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        found.setdefault((row["learner"], row["policy"], row["seed"]), []).append(row)
    return [
        {"set": ALL, "learner": learner, "policy": policy, "seed": seed, "curve": _mean([row["curve"] for row in own])}
        for (learner, policy, seed), own in found.items()
        if len(sets) > 1 and {row["set"] for row in own} == sets
    ]


def _mean(curves: list[list[Point]]) -> list[Point]:
    """A curve with the means of several, at the strokes that all of them have."""
    by_strokes = [{point["strokes"]: point for point in curve} for curve in curves]
    return [
        {what: float(np.mean([own[count][what] for own in by_strokes])) for what in ("strokes", "seconds", "miou")}
        for count in sorted(set.intersection(*map(set, by_strokes)))
    ]


def means(rows: list[Row]) -> tuple[list[float], list[float], list[float]]:
    """Strokes, and over the seeds the mean seconds and the mean score after them."""
    found = _mean([row["curve"] for row in rows])
    strokes, seconds, score = ([point[what] for point in found] for what in ("strokes", "seconds", "miou"))
    return strokes, seconds, score


def told(rows: list[Row]) -> str:
    """After the last stroke: the mean of the seeds, and how far its 95 % interval reaches."""
    mean, reach = interval([row["curve"][-1]["miou"] for row in rows])
    return f"{mean:.3f}" + ("" if reach is None else f" ± {reach:.3f}") + f" after {rows[0]['curve'][-1]['strokes']:g}"


def less(rows: list[Row], name: str, mine: tuple[str, str], theirs: tuple[str, str]) -> str:
    """By how much a learner with a policy is ahead of another, seed by seed, with 95 % intervals; "" without pairs."""
    curves = {
        (row["learner"], row["policy"], row["seed"]): {point["strokes"]: point["miou"] for point in row["curve"]}
        for row in rows
        if row["set"] == name
    }
    pairs = [
        (curve, curves[*theirs, seed])
        for (*own, seed), curve in curves.items()
        if tuple(own) == mine and (*theirs, seed) in curves
    ]
    found = []
    for count in sorted(set.intersection(*(set(curve) for pair in pairs for curve in pair))) if pairs else ():
        mean, reach = interval([one[count] - other[count] for one, other in pairs])
        found.append(f"{mean:+.3f}" + ("" if reach is None else f" ± {reach:.3f}") + f" after {count:g}")
    return ", ".join(found)
