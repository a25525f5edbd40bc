"""python -m benchmarks measure: does a survey's interval hold what it says, and how many labelled pixels does it save?

Simulated surveys of maps whose truth is known: CamVid val by the model `street`, NYUv2 val by `indoor`, BSDS500 val by
`edges`, ACDC val and `scenes` by networks that are taught for 150 steps first. What the models say is kept in --folder.
The rows go to docs/results/measure.json, a picture of them beside it. Half an hour on one core; the data are found in
PIXELNET_DATA.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.measure.coverage import DEFAULT, Row, rows
from benchmarks.measure.picture import draw
from benchmarks.measure.populations import DATA, RUNS, SETS, SetName, population
from benchmarks.measure.simulate import DESIGNS, Frame
from benchmarks.timing import as_command
from pixelnet.config import read_json
from pixelnet.files import write_atomic

RESULT = Path(__file__).parents[2] / "docs" / "results" / "measure.json"
WHAT = (
    "Simulated surveys of maps whose truth is known. coverage: the share of surveys whose 95 % interval holds the "
    "truth. half_width: of that interval, the mean. rmse: the true root mean square error over the surveys. saved: how "
    "many times as many samples uniform sampling takes for that error. rare: fewer than 20 samples of the class are "
    "expected, in truth or map; such rows are listed for the default alone. miou is of the classes that are not rare."
)
HELD = (0.93, 0.97)


@dataclass(frozen=True)
class Arguments:
    sets: tuple[SetName, ...] = SETS
    """Which; their rows take the place of those in the file, the others stay."""
    budgets: tuple[int, ...] = (50, 100, 200, 500, 1000)
    designs: tuple[str, ...] = DESIGNS
    surveys: int = 1000
    images: int | None = None
    """Only the first images of each set, for a quick look."""
    data: Path = DATA
    folder: Path = RUNS
    out: Path = RESULT


def measure(arguments: Arguments) -> None:
    for name in arguments.sets:
        frame = Frame(population(name, arguments.data, arguments.images, arguments.folder))
        found: list[Row] = []
        for some in rows(frame, arguments.budgets, arguments.designs, arguments.surveys):
            found += [row for row in some if row["default"] or not row["rare"]]
        keep(found, name, arguments)
        summarize(found)
    draw(read_json(arguments.out)["rows"], arguments.out.with_suffix(".png"))


def keep(found: Sequence[Row], name: str, arguments: Arguments) -> None:
    """Put a set's rows into the file, a line each."""
    path = arguments.out
    old = read_json(path)["rows"] if path.exists() else []
    every = [row for row in old if row["data"] != name] + list(found)
    head = {
        "name": "measure",
        "what": WHAT,
        "command": "python -m benchmarks measure",
        "page": "measure.md",
        "picture": "coverage of the intervals, and how many times as many pixels uniform sampling takes",
    }
    lines = ",\n".join(json.dumps(row) for row in every)
    write_atomic(path, (json.dumps(head, indent=2)[:-2] + f',\n  "rows": [\n{lines}\n  ]\n}}\n').encode())


def summarize(found: Sequence[Row]) -> None:
    """Print, by design and estimator, how many cells from 200 samples on hold what they say; of the default, all."""
    name = found[0]["data"]
    kinds = dict.fromkeys((row["population"], row["design"], row["estimator"]) for row in found)
    for kind in kinds:
        own = [row for row in found if (row["population"], row["design"], row["estimator"]) == kind]
        cells = [row for row in own if row["budget"] >= 200 and not row["rare"]]
        held = sum(HELD[0] <= row["coverage"] <= HELD[1] for row in cells)
        saved = {row["budget"]: row["saved"] for row in own if row["quantity"] == "miou"}
        mark = " (default)" if (kind[1], kind[2]) == (DEFAULT[0], ", ".join(DEFAULT[1:])) else ""
        print(
            f"{name}, {', '.join(kind)}{mark}: {held} of {len(cells)} cells within; mean IoU saves {saved}", flush=True
        )


def main(words: Sequence[str]) -> int:
    arguments = tyro.cli(Arguments, args=list(words), prog="python -m benchmarks measure", description=__doc__)
    return as_command(lambda: measure(arguments))
