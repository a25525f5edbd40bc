"""Curves of a run, and the plots that tasks describe."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pixelnet.files import write_atomic
from pixelnet.report.page import Picture
from pixelnet.tasks import Plot


def draw_plot(plot: Plot) -> Picture:
    """A plot as a picture for a page."""
    figure = Figure(figsize=plot.size, layout="constrained")
    plot.draw(figure.subplots())
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return Picture(content.getvalue(), plot.caption, "plot")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """What a run noted in its metrics.jsonl, in order: a line for each step, and one for each validation."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


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
