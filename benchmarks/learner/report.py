"""Tables of what the learner's benchmarks have found, for docs/results."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learner.rows import Row, by_seed, difference, interval, plain, read
from benchmarks.timing import machine
from pixelnet.data.camvid import COLORS
from pixelnet.files import write_atomic, write_json

THIN = ("Pole", "SignSymbol", "Fence", "Pedestrian", "Bicyclist")  # of CamVid's classes
RESULTS = Path(__file__).parents[2] / "docs" / "results"
FEW = (
    "Mean IoU learnt from 4 images with n labelled pixels of each class in all: means over draws with 95 % intervals "
    "(Student's t), on at most 8 images and 2 megapixels kept aside, all pixels. Differences are paired by draw; of "
    "all sets, what is compared is a draw's mean over them. Processor seconds."
)
DENSE = (
    "Scores learnt from the labels of all images, or from so many pixels of each, in so many processor seconds of all "
    "threads together: means over seeds with 95 % intervals (Student's t), on all images kept aside. Differences are "
    "paired by seed, from the best of our own settings with all labels; thin classes are pole, sign, fence, pedestrian "
    "and bicyclist."
)


@dataclass(frozen=True)
class Report:
    """Tables of what was measured, printed and written to docs/results, and the rows beside them, as .jsonl."""

    few: Path = Path("runs/learner/few.jsonl")
    dense: Path = Path("runs/learner/dense.jsonl")
    arm: str = "pixelnet"
    """The arm that the others are compared with."""
    out: Path = RESULTS


def grouped(rows: Sequence[Row], columns: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of some columns, in the order in which they come."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in columns), []).append(row)
    return found


def mean_of(rows: Sequence[Row], column: str) -> float:
    return round(float(np.mean([row[column]["processor"] for row in rows])), 2)


def few_rows(rows: Sequence[Row], arm: str) -> list[Row]:
    """A line for each set, count and arm, and for all sets together."""
    cells, lines = grouped([*rows, *over_sets(rows)], ("set", "count", "arm")), []
    for (name, count, other), own in cells.items():
        mine = cells.get((name, count, arm), [])
        against = None if other == arm else difference(by_seed(mine, "miou"), by_seed(own, "miou"))
        lines.append({
            "set": name,
            "pixels a class": count or "scribbles",
            "arm": other,
            "draws": len(own),
            "mean IoU": plain(interval([row["miou"] for row in own])),
            f"{arm} less this": plain(against),
            "seconds to learn": mean_of(own, "fit"),
            "seconds a megapixel": mean_of(own, "answer_megapixel"),
        })  # fmt: skip
    return sorted(lines, key=lambda line: (line["set"], str(line["pixels a class"]).rjust(9)))


def over_sets(rows: Sequence[Row]) -> list[Row]:
    """For each count, arm and draw that all sets of the count have, the means over these."""
    found: list[Row] = []
    for (count,), same in grouped(rows, ("count",)).items():
        names = {row["set"] for row in same}
        for (arm, seed), own in grouped(same, ("arm", "seed")).items():
            if len(names) > 1 and {row["set"] for row in own} == names:
                spent = {name: {"processor": mean_of(own, name)} for name in ("fit", "answer_megapixel")}
                score = float(np.mean([row["miou"] for row in own]))
                found.append({"set": "all", "count": count, "arm": arm, "seed": seed, "miou": score, **spent})
    return found


def dense_rows(rows: Sequence[Row], arm: str) -> list[Row]:
    """A line for each set, budget, arm, labels and settings, by the set's own score: of chase the Dice of vessels."""
    lines = []
    told = [row | {"settings": ", ".join(f"{key}={value}" for key, value in row["options"].items())} for row in rows]
    for row in told:
        row["score"] = row["dice"][1] if row["set"] == "chase" else row["miou"]
    for (name, seconds), cell in grouped(told, ("set", "seconds")).items():
        variants = grouped(cell, ("arm", "labels", "settings"))
        means = {key: np.mean([row["score"] for row in own]) for key, own in variants.items()}
        best = max((key for key in variants if key[:2] == (arm, "all")), key=lambda key: means[key], default=None)
        for key, own in variants.items():
            against = difference(by_seed(variants[best], "score"), by_seed(own, "score")) if best else None
            lines.append({
                "set": name,
                "seconds": seconds,
                "arm": key[0],
                "labels": key[1],
                "settings": key[2],
                "seeds": len(own),
                "score": "vessel Dice" if name == "chase" else "mean IoU",
                "value": plain(interval([row["score"] for row in own])),
                f"{arm} less this": "" if key == best else plain(against),
                "share": round(float(means[key] / means[best]), 3) if best else "",
                "thin classes": plain(interval([thin(row) for row in own])) if name == "camvid" else "",
                "IoU of classes": " ".join(f"{value:.3f}" for value in mean_iou(own)),
                "steps": round(np.mean([row["steps"] for row in own])),
                "seconds to learn": mean_of(own, "fit"),
                "seconds a megapixel": mean_of(own, "answer_megapixel"),
            })  # fmt: skip
    return lines


def thin(row: Row) -> float:
    return float(np.mean([row["iou"][k] or 0.0 for k, name in enumerate(COLORS) if name in THIN]))


def mean_iou(rows: Sequence[Row]) -> list[float]:
    """Of each class, over seeds; one that was never found nor there is 0."""
    return [
        float(np.mean([value or 0.0 for value in values])) for values in zip(*(row["iou"] for row in rows), strict=True)
    ]


def show(lines: Sequence[Row]) -> None:
    """Print a table as Markdown has it."""
    if lines:
        print(f"| {' | '.join(lines[0])} |\n|{'---|' * len(lines[0])}")
    for line in lines:
        print(f"| {' | '.join(map(str, line.values()))} |")


def keep(path: Path, what: str, command: str, rows: Sequence[Row], lines: list[Row]) -> None:
    show(lines)
    if lines:
        # Kept, so that whoever doubts a difference can pair it again, and more draws can be added (few --out).
        write_atomic(path.with_suffix(".jsonl"), "".join(f"{json.dumps(row)}\n" for row in rows).encode())
        head = {"name": path.stem, "what": what, "command": f"python -m benchmarks learner {command}"}
        write_json(path, head | {"machine": machine(), "rows": lines})


def report(arguments: Report) -> None:
    few, dense = read(arguments.few), read(arguments.dense)
    keep(arguments.out / "learner_few.json", FEW, "few", few, few_rows(few, arguments.arm))
    keep(arguments.out / "learner_dense.json", DENSE, "dense", dense, dense_rows(dense, arguments.arm))
