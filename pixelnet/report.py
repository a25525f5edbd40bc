"""Pictures for people: panels of predictions, curves of a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from pixelnet.data.dataset import Dataset
from pixelnet.files import write_atomic, write_png
from pixelnet.predict import by_task
from pixelnet.tasks import Joint

if TYPE_CHECKING:
    from pixelnet.model import PixelNet

GAP = 4  # pixels between the pictures of a panel


def panel(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of pictures (H, W, 3) uint8, of any sizes -> one picture, each row at its own height, left aligned."""
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    width = max(sum(picture.shape[1] + GAP for picture in row) for row in rows) - GAP
    sheet = np.full((sum(heights) + GAP * (len(rows) - 1), width, 3), 255, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            left += picture.shape[1] + GAP
        top += height + GAP
    return sheet


def draw_panel(model: "PixelNet", dataset: Dataset, items: Sequence[int], path: Path) -> None:
    """Input, truth and prediction of a few items, a row for each task that the item is labelled for."""
    task, rows = model.task, []
    for item in items:
        image, labels = dataset.image(item), dataset.labels(item)
        truth = task.unpack(labels) if isinstance(task, Joint) else {task.name: labels}
        found = by_task(model, model.predict(image))
        for name, part in task.parts.items():
            if part.labelled(truth[name]).any() or len(truth) == 1:
                rows.append([image, part.paint(truth[name]), part.paint(found[name])])
    write_png(path, panel(rows))


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
