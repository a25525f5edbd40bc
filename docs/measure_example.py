"""Draw docs/measure_example.png: python docs/measure_example.py SCORES.json TRUTH.json

Each score's interval of these maps, as `pixelnet measure report --json` gives it, beside what is so of all their
pixels, as `pixelnet evaluate --json` finds it.
"""

import io
import sys
from pathlib import Path

from matplotlib.figure import Figure

from pixelnet.config import read_json
from pixelnet.files import write_atomic

HERE = Path(__file__).parent


def draw(found: dict, names: list[str], truth: dict, path: Path) -> None:
    """found: as `measure.report` gives it. names: of the classes. truth: as `evaluate` gives it."""
    real = {("overall", None): truth["pixel_accuracy"]}
    real |= {("iou", name): value for name, value in zip(names, truth["iou_per_class"], strict=True)}
    rows = [row for row in found["scores"] if (row["name"], row["class"]) in real]
    rows.sort(key=lambda row: (row["class"] is not None, row["value"]))
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        rare = row["class"] in found["few"]
        low, high = row["these_maps"]
        color = "#b8bec8" if rare else "#0b66c3"
        axes.plot([low, high], [place, place], color=color, linewidth=4, solid_capstyle="butt")
        axes.plot(row["value"], place, "o", color=color, markersize=7)
        axes.plot(real[row["name"], row["class"]], place, "|", color="black", markersize=16, markeredgewidth=2)
    labels = ["all pixels that are right" if row["class"] is None else f"IoU, {row['class']}" for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels)
    axes.set(
        xlim=(0, 1),
        xlabel=f"estimated from {found['labelled']} labelled pixels, with 95 % intervals; black: what is so",
    )
    axes.spines[["top", "right"]].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomic(path, content.getvalue())


if __name__ == "__main__":
    scores, truth = (read_json(path) for path in sys.argv[1:3])
    draw(
        scores,
        list(dict.fromkeys(row["class"] for row in scores["scores"] if row["name"] == "iou")),
        truth,
        HERE / "measure_example.png",
    )
