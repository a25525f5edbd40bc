"""The picture of what a person needs: mean IoU against strokes and against the machine's seconds, set by set."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.learner.rows import Row, interval, read
from benchmarks.studio.person import RUNS
from pixelnet.errors import InputError
from pixelnet.files import write_atomic

COLORS = {"pixelnet": "#0072b2", "forest": "#d55e00"}
DASHES = {"wrong": "-", "suggest": "--", "random": ":"}


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
    figure = Figure(figsize=(3.2 * len(sets), 5.6), layout="constrained")
    panels = figure.subplots(2, len(sets), squeeze=False)
    for column, name in enumerate(sets):
        for learner, color in COLORS.items():
            for policy, dash in DASHES.items():
                own = [row for row in rows if (row["set"], row["learner"], row["policy"]) == (name, learner, policy)]
                if not own:
                    continue
                strokes, seconds, score = means(own)
                panels[0, column].plot(strokes, score, dash, color=color, label=f"{learner}, {policy}")
                panels[1, column].plot(seconds, score, dash, color=color)
                print(f"{name} {learner} {policy}: {told(own)}")
            for policy in DASHES:
                if policy != "random" and (found := against_random(rows, name, learner, policy)):
                    print(f"{name} {learner} {policy} less random: {found}")
        panels[0, column].set(title=name, xlabel="strokes", xscale="log")
        panels[1, column].set(xlabel="seconds of the machine", xscale="log")
    for panel in panels[:, 0]:
        panel.set_ylabel("mean IoU")
    panels[0, 0].legend(fontsize=7, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    write_atomic(arguments.out, content.getvalue())


def means(rows: list[Row]) -> tuple[list[float], list[float], list[float]]:
    """Strokes, and over the seeds the mean seconds and the mean score after them."""
    points = zip(*(row["curve"] for row in rows), strict=False)
    found = [
        [float(np.mean([one[what] for one in point])) for what in ("strokes", "seconds", "miou")] for point in points
    ]
    strokes, seconds, score = map(list, zip(*found, strict=True))
    return strokes, seconds, score


def told(rows: list[Row]) -> str:
    """After the last stroke: the mean of the seeds, and how far its 95 % interval reaches."""
    mean, reach = interval([row["curve"][-1]["miou"] for row in rows])
    return f"{mean:.3f}" + ("" if reach is None else f" ± {reach:.3f}") + f" after {rows[0]['curve'][-1]['strokes']}"


def against_random(rows: list[Row], name: str, learner: str, policy: str) -> str:
    """By how much a policy is ahead of random places, seed by seed, with 95 % intervals; "" without pairs."""
    curves = {
        (row["policy"], row["seed"]): {point["strokes"]: point["miou"] for point in row["curve"]}
        for row in rows
        if (row["set"], row["learner"]) == (name, learner)
    }
    seeds = [seed for own, seed in curves if own == policy and ("random", seed) in curves]
    counts = (
        sorted(set.intersection(*(set(curves[own, seed]) for own in (policy, "random") for seed in seeds)))
        if seeds
        else []
    )
    found = []
    for count in counts:
        mean, reach = interval([curves[policy, seed][count] - curves["random", seed][count] for seed in seeds])
        found.append(f"{mean:+.3f}" + ("" if reach is None else f" ± {reach:.3f}") + f" after {count}")
    return ", ".join(found)
