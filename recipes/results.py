"""What recipes leave behind: docs/results/NAME.json and NAME.png, and docs/results.md gathered from them."""

import json
import os
import platform
import resource
import shutil
from pathlib import Path
from typing import Any

import torch

from pixelnet.config import read_json
from pixelnet.files import write_atomic, write_json

RESULTS = Path(__file__).parent.parent / "docs" / "results"
HEADER = """# Results

Written by `python -m recipes results` from what the runs wrote (`docs/results/*.json`); nothing here is typed by hand.
Scores are on validation data. One seed each, so differences of a point or two between rows would mean nothing.

"""


def keep(run: Path, scores: dict[str, Any]) -> None:
    """Write a run's settings, time, memory and scores, and its last panel."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    tenth = max(1, len(steps) // 10)
    row = {
        "name": run.name,
        "command": f"python -m recipes {run.name}",
        "settings": read_json(run / "config.json")["train"],
        "steps": len(steps),
        "training_seconds": round(sum(line["seconds"] for line in steps)),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "first_loss": round(sum(line["loss"] for line in steps[:tenth]) / tenth, 4),
        "last_loss": round(sum(line["loss"] for line in steps[-tenth:]) / tenth, 4),
        "scores": scores,
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "torch": torch.__version__},
        "pixelnet": _version(),
    }
    for name in ("data", "out", "backbone_weights"):  # where they were on one machine is nobody's business
        value = row["settings"][name]
        row["settings"][name] = value and f"{value.split(':')[0]}:" * (":" in value) + Path(value.split(":")[-1]).name
    write_json(RESULTS / f"{run.name}.json", row)
    panels = sorted((run / "panels").glob("*.png"))
    if panels:
        shutil.copyfile(panels[-1], RESULTS / f"{run.name}.png")
    print(json.dumps(row, indent=2))


def _version() -> str:
    from importlib.metadata import version

    return version("pixelnet")


def results() -> None:
    """Gather all results into docs/results.md."""
    sections = [HEADER]
    for path in sorted(RESULTS.glob("*.json")):
        row = read_json(path)
        settings = row["settings"]
        numbers = {name: value for name, value in row["scores"].items() if isinstance(value, int | float)}
        sections.append(
            f"## {row['name']}\n\n"
            f"{settings['task']} on {settings['data']}: {settings['backbone']}, head {settings['head']}, "
            f"{settings['pixels']} pixels of each of {settings['images_per_step']} images, {row['steps']} steps in "
            f"{row['training_seconds'] / 60:.0f} minutes on {row['machine']['cores']} cores, "
            f"{row['peak_memory_gib']} GiB at most; loss {row['first_loss']} -> {row['last_loss']} "
            f"(means of its first and last tenth). Seed {settings['seed']}. `{row['command']}`\n\n"
            f"| {' | '.join(numbers)} |\n|{'---|' * len(numbers)}\n"
            f"| {' | '.join(f'{value:.4g}' for value in numbers.values())} |\n\n"
        )
        if path.with_suffix(".png").exists():
            sections.append(f"![input, truth, prediction](results/{path.stem}.png)\n\n")
    write_atomic(RESULTS.parent / "results.md", "".join(sections).encode())
