"""How the benchmarks measure: alternating runs, medians of rounds, rows with a bar, and where they were taken.

A row has measure, network, value, its quartiles, must_be ("at most" or "at least") and bar, holds, floor, the median
seconds of each arm, and runs. `floor` is what bounds the measure on this machine, whatever the code: the least it can
be where it must be at most the bar, the most where it must be at least.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from pixelnet.config import read_json
from pixelnet.errors import InputError
from pixelnet.files import write_json
from pixelnet.memory import keep_freed_memory

Row = dict[str, Any]
Seconds = dict[str, np.ndarray]

RESULT = Path(__file__).parent.parent / "docs" / "results" / "speed.json"
WHAT = (
    "Speed and memory: training on 8 views of 256x320, prediction on 480x360. A value is the median over rounds, in "
    "which every arm ran once, one after the other; quartiles are over the same rounds. The floor is what bounds a "
    "measure on this machine, whatever the code."
)


def alternate(works: Mapping[str, Callable[[], object]], runs: int) -> Seconds:
    """Seconds (runs,) of each work, in turn: A B C A B C ..., after a round that is not counted.

    Load on the machine then falls on all arms alike, and a ratio within one round is free of most of it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for counted in range(-1, runs):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            spent = time.perf_counter() - start
            if counted >= 0:
                seconds[name].append(spent)
    return {name: np.array(spent) for name, spent in seconds.items()}


def row(
    measure: str,
    network: str,
    values: np.ndarray | float,
    must_be: Literal["at most", "at least"] | None = None,
    bar: float | None = None,
    floor: float | None = None,
    seconds: Mapping[str, np.ndarray] | None = None,
    **more: Any,
) -> Row:
    """One row.

    Args:
        values: one for each round, or a single figure.
        must_be, bar: both, or neither where the measure is only stated.
        seconds: of the arms that it was computed from.
        more: columns of this row alone.
    """
    rounds = np.atleast_1d(np.asarray(values, np.float64))
    value = _short(np.median(rounds))
    holds = None
    if bar is not None:
        holds = value <= bar if must_be == "at most" else value >= bar
    return {
        "measure": measure,
        "network": network,
        "value": value,
        "quartiles": [_short(q) for q in np.quantile(rounds, (0.25, 0.75))] if len(rounds) > 1 else None,
        "must_be": must_be,
        "bar": bar,
        "holds": holds,
        "floor": None if floor is None else _short(floor),
        "seconds": {name: _short(np.median(spent)) for name, spent in (seconds or {}).items()} or None,
        "runs": len(rounds),
    } | more


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    packages = ("torch", "torchvision", "timm", "segmentation-models-pytorch")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    } | {name: version(name) for name in packages}


def earlier_rows(path: Path = RESULT) -> list[Row]:
    """The rows that a file has.

    Raises:
        InputError: they were measured elsewhere, or with other versions, so that new ones cannot stand beside them.
    """
    if not path.exists():
        return []
    found, here = read_json(path), machine()
    if found["machine"] != here:
        raise InputError(f"{path} was measured on {found['machine']}, this is {here}; remove it to start afresh")
    rows: list[Row] = found["rows"]
    return rows


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Rows by measure and network: a new one takes the place of the old one, and unknown ones follow."""
    rows = {(row["measure"], row["network"]): row for row in old}
    rows |= {(row["measure"], row["network"]): row for row in new}
    return list(rows.values())


def keep(new: Iterable[Row], path: Path = RESULT) -> None:
    """Merge rows into the file; those of one measure stay together."""
    rows = merged(earlier_rows(path), new)
    places = {measure: place for place, measure in enumerate(dict.fromkeys(row["measure"] for row in rows))}
    rows.sort(key=lambda row: places[row["measure"]])
    found = {"name": "speed", "what": WHAT, "command": "python -m benchmarks", "machine": machine(), "rows": rows}
    write_json(path, found | {"picture": "seconds against image pixels, sampled pixels and channels"})


def keep_in(
    path: Path, name: str, rows: Sequence[Row], what: str, command: str, by: Sequence[str], picture: str | None = None
) -> list[Row]:
    """Merge rows of a form of their own into a file that `python -m recipes results` reads; returns all of them.

    by: the columns that tell rows apart; a new one takes the place of an old one, and they are in the columns' order.
    what, picture: what the rows and the picture beside the file show. Raises InputError as `earlier_rows`.
    """
    known = {tuple(row[column] for column in by): row for row in (*earlier_rows(path), *rows)}
    found = [known[key] for key in sorted(known)]
    about = {"name": name, "what": what, "command": command, "machine": machine(), "rows": found}
    write_json(path, about | ({} if picture is None else {"picture": picture}))
    return found


def as_command(work: Callable[[], None]) -> int:
    """Do a benchmark's work on all cores, freed memory kept, for all arms alike; its exit code: 2 for bad input."""
    torch.set_num_threads(os.cpu_count() or 1)
    keep_freed_memory()
    try:
        work()
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


def show(row: Row) -> None:
    bar = "" if row["bar"] is None else f"{row['must_be']} {row['bar']:g}: {'holds' if row['holds'] else 'FAILS'}"
    quartiles = "" if row["quartiles"] is None else "{:.4g} .. {:.4g}".format(*row["quartiles"])
    floor = "" if row["floor"] is None else f"floor {row['floor']:.4g}"
    print(f"{row['measure']:72}{row['network']:23}{row['value']:9.4g}  {quartiles:17}{bar:23}{floor}", flush=True)
