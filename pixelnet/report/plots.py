"""Curves of a run, and the plots that tasks describe."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from pixelnet.errors import InputError
from pixelnet.files import read_text, write_atomic
from pixelnet.report.page import Picture
from pixelnet.tasks import Plot

PLAIN: Any = {"text.parse_math": False}  # a class may be called a$b_c


def draw_plot(plot: Plot) -> Picture:
    """A plot as a picture for a page."""
    with rc_context(PLAIN):
        figure = Figure(figsize=plot.size, layout="constrained")
        plot.draw(figure.subplots())
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110)
    return Picture(content.getvalue(), plot.caption, "plot")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """What a run noted in its metrics.jsonl, in order: a line for each step, and one for each validation; of
    a run of minutes a first one with its number of steps.

    A last line that was being written when the run was killed is left out. Raises InputError for any other that
    training has not written.
    """
    path = run / "metrics.jsonl"
    lines = read_text(path).split("\n")
    found = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            noted = json.loads(line)
            sound = _is_number(noted["step"]) and isinstance(noted.get("scores", {}), dict)
            if not sound or not _is_number(noted.get("loss", 0)):
                raise ValueError("no step with a loss or scores")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}, line {number}, is none that training writes ({error}); remove it") from error
        found.append(noted)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e15


def draw_curves(run: Path) -> Figure:
    """Loss and scores of a run's metrics.jsonl, into its curves.png."""
    lines = read_metrics(run)
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    scores = [(line["step"], line["scores"]) for line in lines if "scores" in line]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    if losses:
        steps, values = np.array(losses).T
        window = max(1, len(values) // 50)
        left.plot(steps, values, color="0.8", linewidth=0.6)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        left.plot(steps[window - 1 :], smooth, color="C0")
    left.set(xlabel="step", ylabel="loss")
    numbers = [name for name, value in scores[-1][1].items() if isinstance(value, float)] if scores else []
    for name in numbers[:3]:
        right.plot([step for step, _ in scores], [score[name] for _, score in scores], marker=".", label=name)
    right.set(xlabel="step", ylabel="score on val")
    if numbers:
        right.legend(frameon=False)
    write_atomic(run / "curves.png", lambda file: figure.savefig(file, format="png", dpi=110))
    return figure
