"""What recipes leave behind: docs/results/NAME.json and NAME.png, and docs/results.md gathered from them."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from pixelnet.config import read_json
from pixelnet.files import write_atomic, write_json
from pixelnet.report.plots import read_metrics
from pixelnet.runs.publish import without_paths
from recipes.experiments.sections import sections as sections_of
from recipes.experiments.tables import BESIDE

RESULTS = Path(__file__).parent.parent / "docs" / "results"
WIDTH = 840  # pixels, of a panel in the documents
HEADER = """# Results

Written by `python -m recipes results` from what the runs wrote (`docs/results/*.json`); nothing here is typed by hand.
Scores are on validation data. One seed each where no others are given, so differences of a point or two would mean
nothing. Where means over seeds are given, it is an experiment on the paper's claims: short runs, three seeds or more.
`nyudv2` and `bsds500` are short runs: the normals, after three passes over the data, are clearly not done.
`camvid`, `nyudv2` and `bsds500` were run when the everyday head had two hidden layers of 256, there was no pyramid,
a step had 8 images, and learning rates were a third of today's.

"""


def keep(run: Path, scores: dict[str, Any], before: Sequence[Path] = ()) -> dict[str, Any]:
    """Write a run's settings, time, memory and scores, and its last panel; returns what NAME.json holds.

    before: the runs that it started from, each from the one before; their steps and time count.
    """
    lines = read_metrics(run)
    steps, memory = _steps(lines), [line["peak_memory_gib"] for line in lines if "peak_memory_gib" in line]
    tenth, earlier = max(1, len(steps) // 10), [step for leg in before for step in _steps(read_metrics(leg))]
    row = {
        "name": run.name,
        "command": f"python -m recipes {run.name}",
        "settings": without_paths(read_json(run / "config.json")["train"]),
        "steps": len(steps) + len(earlier),
        "training_seconds": round(sum(line["seconds"] for line in earlier + steps)),
        "peak_memory_gib": memory[-1] if memory else None,
        "first_loss": round(sum(line["loss"] for line in steps[:tenth]) / tenth, 4),
        "last_loss": round(sum(line["loss"] for line in steps[-tenth:]) / tenth, 4),
        "scores": {name: value for name, value in scores.items() if name != "curve"},
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "torch": torch.__version__},
        "pixelnet": _version(),
    }
    if before:
        row["before"] = [without_paths(read_json(leg / "config.json")["train"]) for leg in before]
    write_json(RESULTS / f"{run.name}.json", row)
    panels = sorted((run / "panels").glob("*.png"))
    if panels:  # the last one: the weights at the end of the run
        with PIL.Image.open(panels[-1]) as picture:
            smaller = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)))
        smaller.save(RESULTS / f"{run.name}.png", optimize=True)
    print(json.dumps(row, indent=2))
    return row


def _steps(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "loss" in line]


def _version() -> str:
    from importlib.metadata import version

    return version("pixelnet")


def results() -> None:
    """Gather all results into docs/results.md."""
    sections = [HEADER]
    for path in sorted(RESULTS.glob("*.json")):
        row = read_json(path)
        if "name" not in row:  # as coverage.json, whose figures are told elsewhere
            continue
        sections.append(f"## {row['name']}\n\n" + _body(row))
        if path.with_suffix(".png").exists():
            sections.append(f"![{row.get('picture', 'input, truth, prediction')}](results/{path.stem}.png)\n\n")
    write_atomic(RESULTS.parent / "results.md", "".join(sections).rstrip().encode() + b"\n")


def _body(row: dict[str, Any]) -> str:
    if "page" in row:  # thousands of rows, which a page of their own sums up
        return f"{row['what']} They are summed up in [{row['page']}]({row['page']}). `{row['command']}`\n\n"
    return _experiment(row) if "runs" in row else _table(row) if "rows" in row else _run(row)


def _experiment(row: dict[str, Any]) -> str:
    spent = sum(run["seconds"] for run in row["runs"]) / 3600
    beside = sorted({run[BESIDE] for run in row["runs"] if BESIDE in run})
    made = f"{len(row['runs'])} runs, " + (f"{' or '.join(map(str, beside))} side by side, " if beside else "")
    text = (
        f"{row['what']} {_machine(row)}{made}{spent:.1f} hours of training. `{row['command']}`\n\n"
        "Means over seeds with 95 % intervals (Student's t), all on the same val images; differences are paired by "
        "seed, and their p is Holm's over the arms of a column.\n\n"
    )
    return text + "".join(f"{words}\n\n{_lines(rows) if rows else ''}" for words, rows in sections_of(row))


def _run(row: dict[str, Any]) -> str:
    settings = row["settings"]
    numbers = {name: value for name, value in row["scores"].items() if isinstance(value, int | float)}
    start = f" from the run {settings['init_from']}" if settings.get("init_from") else ""
    legs = f" of {len(row['before']) + 1} legs (settings and loss: of the last)" if "before" in row else ""
    memory = f", {row['peak_memory_gib']} GiB at most" if row["peak_memory_gib"] else ""  # older runs did not note it
    return (
        f"{settings['task']} on {settings['data']}: {settings['backbone']}{start}, head {settings['head']}, "
        f"{settings['pixels']} pixels of each of {settings['batch_size']} images, {row['steps']} steps{legs} in "
        f"{row['training_seconds'] / 60:.0f} minutes on {row['machine']['cores']} cores{memory}; "
        f"loss {row['first_loss']} -> {row['last_loss']} "
        f"(means of its first and last tenth). Seed {settings['seed']}. `{row['command']}`\n\n" + _lines([numbers])
    )


def _table(row: dict[str, Any]) -> str:
    rows = [_measure(line) if "must_be" in line else line for line in row["rows"]]
    rows = [{name: value for name, value in line.items() if name != "curve"} for line in rows]
    return f"{row['what']} {_machine(row)}`{row['command']}`\n\n" + _lines(rows)


def _machine(row: dict[str, Any]) -> str:
    found = row.get("machine", {}).items()
    return f"On {', '.join(f'{name} {value}' for name, value in found)}. " if found else ""


def _measure(row: dict[str, Any]) -> dict[str, Any]:
    """A benchmark's row (`benchmarks.timing`) for readers: the bar in words, and the medians it was computed from."""
    arms = {unit: row.get(name) or {} for name, unit in (("seconds", "s"), ("mebibytes", "MiB"))}
    medians = [f"{arm}: {value:.4g} {unit}" for unit, values in arms.items() for arm, value in values.items()]
    return {
        "measure": row["measure"],
        "network": row["network"],
        "value": row["value"],
        "quartiles": row["quartiles"] or "",
        "bar": "" if row["bar"] is None else f"{row['must_be']} {row['bar']:g}",
        "holds": {True: "yes", False: "no", None: ""}[row["holds"]],
        "floor": "" if row["floor"] is None else row["floor"],
        "medians": "; ".join(medians),
        "note": row.get("note") or "",
    }


def _lines(rows: list[dict[str, Any]]) -> str:
    """Rows as a table; a cell is empty where a row lacks what another has."""

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        return ", ".join(map(cell, value)) or "none" if isinstance(value, list) else str(value)

    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([cell(row.get(name, "")) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"
