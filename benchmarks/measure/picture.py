"""The picture of docs/results/measure.json: what the intervals hold, and what the designs save."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pixelnet.files import write_atomic

COLORS = {"camvid": "#0b66c3", "nyudv2": "#c8541b", "acdc": "#2f8f4e", "bsds500": "#7b4fb3", "scenes": "#b08a00"}
GROUPS = {"overall": "overall accuracy", "miou": "mean IoU", "iou of": "IoU of a class", "area of": "area of a class"}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Coverage of the default's intervals for each quantity and budget, and the pixels that it saves for mean IoU."""
    default = [row for row in rows if row["default"] and row["population"] == "these maps"]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    budgets = sorted({row["budget"] for row in default})
    sets = [name for name in COLORS if any(row["data"] == name for row in default)]
    left.axhspan(0.93, 0.97, color="#e3ecd9")
    left.axhline(0.95, color="#7a8b66", linewidth=0.8)
    for g, start in enumerate(GROUPS):
        for s, name in enumerate(sets):
            own = [
                row
                for row in default
                if row["data"] == name and row["quantity"].startswith(start) and not row["rare"] and row["coverage"]
            ]
            places = [
                g * (len(budgets) + 1.5) + budgets.index(row["budget"]) + (s - len(sets) / 2) * 0.13 for row in own
            ]
            left.scatter(places, [row["coverage"] for row in own], s=9, color=COLORS[name], label=None if g else name)
    ticks = [g * (len(budgets) + 1.5) + b for g in range(len(GROUPS)) for b in range(len(budgets))]
    left.set_xticks(ticks, [str(budget) for _ in GROUPS for budget in budgets], rotation=90, fontsize=7)
    for g, words in enumerate(GROUPS.values()):
        left.text(g * (len(budgets) + 1.5) + (len(budgets) - 1) / 2, 1.003, words, ha="center", fontsize=8)
    least = min([row["coverage"] for row in default if not row["rare"]], default=1.0)
    left.set(
        ylim=(min(0.85, least - 0.01), 1.01),
        ylabel="share of 95 % intervals that hold the truth",
        xlabel="labelled pixels",
    )
    left.legend(loc="lower left", fontsize=8, frameon=False)
    for name in sets:
        own = [row for row in default if row["data"] == name and row["quantity"] == "miou" and row["saved"]]
        right.plot([row["budget"] for row in own], [row["saved"] for row in own], "o-", color=COLORS[name], label=name)
    right.axhline(1, color="gray", linewidth=0.8)
    right.set(xscale="log", xlabel="labelled pixels", ylabel="pixels that uniform sampling takes, over these")
    right.set_xticks(budgets, [str(budget) for budget in budgets])
    right.minorticks_off()
    right.set_ylim(0, max(6, *(np.nan_to_num(row["saved"] or 0) for row in default if row["quantity"] == "miou")) + 0.5)
    right.set_title("mean IoU, at equal true error", fontsize=9)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_atomic(path, content.getvalue())
