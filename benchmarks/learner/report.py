"""Tables of what the learner's benchmarks have found, for docs/results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learner.rows import Row, by_seed, difference, interval, plain, read
from benchmarks.timing import machine
from pixelnet.files import write_json

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FEW = (
    "Mean IoU learnt from 4 images with n labelled pixels of each class in all: means over draws with 95 % intervals "
    "(Student's t), on at most 8 images kept aside, all pixels. Differences are paired by draw. Processor seconds."
)


@dataclass(frozen=True)
class Report:
    """Tables of what was measured, printed and written to docs/results."""

    few: Path = Path("runs/learner/few.jsonl")
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
    """A line for each set, count and arm."""
    cells, lines = grouped(rows, ("set", "count", "arm")), []
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


def show(lines: Sequence[Row]) -> None:
    """Print a table as Markdown has it."""
    if lines:
        print(f"| {' | '.join(lines[0])} |\n|{'---|' * len(lines[0])}")
    for line in lines:
        print(f"| {' | '.join(map(str, line.values()))} |")


def keep(path: Path, what: str, command: str, lines: list[Row]) -> None:
    show(lines)
    if lines:
        head = {"name": path.stem, "what": what, "command": f"python -m benchmarks learner {command}"}
        write_json(path, head | {"machine": machine(), "rows": lines})


def report(arguments: Report) -> None:
    keep(arguments.out / "learner_few.json", FEW, "few", few_rows(read(arguments.few), arguments.arm))
