"""Results as they come, a line of JSON each, so that a run that was killed goes on; and tables of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.files import append
from pixelnet.metrics.intervals import reach_of_mean

Row = dict[str, Any]


class Rows:
    """The lines of a file, and those that are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = read(path)

    def has(self, key: Row) -> bool:
        """Whether there is a line of which these are the first columns."""
        return any(matches(row, key) for row in self.found)

    def add(self, key: Row, results: Row) -> Row:
        row = key | results
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        append(self.path, "\n" * torn + json.dumps(row) + "\n")
        self.found.append(row)
        return row


def read(path: Path) -> list[Row]:
    """The rows of a file; a line that a kill has torn is left out, and so measured again."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def matches(row: Row, key: Row) -> bool:
    return all(row.get(name) == value for name, value in key.items())


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean of draws, and how far its 95 % interval reaches by Student's t; None for one draw."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, None
    return mean, reach_of_mean(values)


def by_seed(rows: Sequence[Row], column: str) -> dict[int, float]:
    return {row["seed"]: row[column] for row in rows}


def difference(mine: dict[int, float], theirs: dict[int, float]) -> tuple[float, float | None] | None:
    """The mean of the differences over the seeds that both have, and its interval; None without such seeds."""
    both = sorted(mine.keys() & theirs.keys())
    return interval([mine[seed] - theirs[seed] for seed in both]) if both else None


def plain(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return ""
    return f"{found[0]:.4f}" if found[1] is None else f"{found[0]:.4f} ± {found[1]:.4f}"
