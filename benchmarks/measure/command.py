"""python -m benchmarks measure: does a survey's interval hold what it says, and how many labelled pixels does it save?

Simulated surveys of maps whose truth is known: CamVid val by the model `street`, NYUv2 val by `indoor`, BSDS500 val by
`edges`, ACDC val and `scenes` by networks that are taught for 150 steps first. What the models say is kept in --folder.
The rows go to docs/results/measure.json as soon as they are there, a picture of them beside it. Hours on one core;
--default-alone, the rows of the default, takes minutes. The data are found in PIXELNET_DATA.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.measure.coverage import DEFAULT, Row, planned, rows_of
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
    """Which; new rows take the place of those in the file that are of the same surveys, the others stay."""
    budgets: tuple[int, ...] = (50, 100, 200, 500, 1000)
    designs: tuple[str, ...] = DESIGNS
    surveys: int = 1000
    default_alone: bool = False
    """Only the default's rows."""
    resume: bool = False
    """Leave out what the file has already, of as many surveys: go on where a run was cut off."""
    images: int | None = None
    """Only the first images of each set, for a quick look."""
    data: Path = DATA
    folder: Path = RUNS
    out: Path = RESULT


def measure(arguments: Arguments) -> None:
    for name in arguments.sets:
        left = [one for one in planned(arguments.budgets, arguments.designs, arguments.default_alone)
                if not (arguments.resume and done(name, *one, arguments))]  # fmt: skip
        if not left:
            continue
        frame = Frame(population(name, arguments.data, arguments.images, arguments.folder))
        found: list[Row] = []
        for one in left:
            some = rows_of(frame, *one, arguments.surveys, arguments.default_alone)
            some = [row for row in some if row["default"] or not row["rare"]]
            keep(some, arguments)
            found += some
        summarize(found)
    draw(earlier(arguments.out), arguments.out.with_suffix(".png"))


def earlier(path: Path) -> list[Row]:
    found: list[Row] = read_json(path)["rows"] if path.exists() else []
    return found


def done(name: str, budget: int, design: str, population: str, arguments: Arguments) -> bool:
    """Whether the file has these rows. What is not of the default is not there where the default alone was run."""
    asked = (name, budget, design, population, arguments.surveys)
    return any(
        tuple(row[key] for key in ("data", "budget", "design", "population", "surveys")) == asked
        and (arguments.default_alone or not row["default"])
        for row in earlier(arguments.out)
    )


def keep(found: Sequence[Row], arguments: Arguments) -> None:
    """Put rows into the file, a line each, in the place of those of the same surveys and estimator."""
    path, same = arguments.out, ("data", "budget", "design", "population", "estimator")
    new = {tuple(row[key] for key in same) for row in found}
    every = [row for row in earlier(path) if tuple(row[key] for key in same) not in new] + list(found)
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
    kinds = dict.fromkeys((row["population"], row["design"], row["estimator"]) for row in found)
    for kind in kinds:
        own = [row for row in found if (row["population"], row["design"], row["estimator"]) == kind]
        cells = [row for row in own if row["budget"] >= 200 and not row["rare"]]
        held = sum(HELD[0] <= row["coverage"] <= HELD[1] for row in cells)
        saved = {row["budget"]: row["saved"] for row in own if row["quantity"] == "miou"}
        mark = " (default)" if (kind[1], kind[2]) == (DEFAULT[0], ", ".join(DEFAULT[1:])) else ""
        print(
            f"{own[0]['data']}, {', '.join(kind)}{mark}: {held} of {len(cells)} cells within; mean IoU saves {saved}",
            flush=True,
        )


def main(words: Sequence[str]) -> int:
    arguments = tyro.cli(Arguments, args=list(words), prog="python -m benchmarks measure", description=__doc__)
    return as_command(lambda: measure(arguments))
