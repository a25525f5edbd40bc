"""python -m recipes NAME [--data DIR] [--weights DIR] [--out DIR] [--full]: run a recipe; `results` gathers results.md.

DIR of data holds bsds500, camvid and nyudv2; DIR of weights holds the trained backbones
(`python -m recipes.weights --out DIR` gets them). A recipe that was stopped goes
on when it is called again. It writes docs/results/NAME.json and NAME.png itself. pixelnet, edges, normals, indoor and
street are models that ship.
table1, table4, pixels, samplers, predictors, across, scratch, geometry, labelled and joint are experiments: many runs,
reduced to 2 cores; some are --full as in the paper, too. As many runs go at once as the process may use cores
(taskset bounds them). --seeds 2 now and --seeds 5 later repeats nothing.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from pixelnet import InputError
from recipes.everyday import bsds500, camvid, nyudv2
from recipes.experiments.catalog import EXPERIMENTS, WITH_FULL, WITH_STEPS
from recipes.experiments.scale import Setup
from recipes.models import MODELS, train_model
from recipes.paper import paper
from recipes.results import results

RECIPES = {"camvid": camvid, "nyudv2": nyudv2, "bsds500": bsds500, "paper": paper}
Name = Literal[
    "camvid", "nyudv2", "bsds500", "paper",
    "pixelnet", "edges", "normals", "indoor", "street",
    "table1", "table4", "pixels", "samplers",
    "predictors", "across", "scratch", "geometry", "labelled", "joint",
    "results",
]  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """Run a recipe by name."""

    name: tyro.conf.Positional[Name]
    """Which; `results` gathers what the others wrote into docs/results.md."""
    data: Path = Path("../shared/data")
    """Folder of the data sets."""
    weights: Path = Path("../shared/weights")
    """Folder of the trained backbones."""
    out: Path = Path("runs")
    """Folder of the runs."""
    full: bool = False
    """Of an experiment that the paper has: its own configuration, for a GPU."""
    seeds: int | None = None
    """Of an experiment: how many seeds, in place of its own number."""
    steps: int | None = None
    """Of some experiments: steps of a run; its results get a name with this number."""


def check(arguments: Arguments) -> None:
    """Raise InputError for an option that is of other recipes, and for a number below 1."""
    for option, given, known in (
        ("full", arguments.full or None, WITH_FULL),
        ("seeds", arguments.seeds, tuple(EXPERIMENTS)),
        ("steps", arguments.steps, WITH_STEPS),
    ):
        if given is not None and arguments.name not in known:
            raise InputError(f"--{option} is of {', '.join(known)}; leave it out")
        if given is not None and given < 1:
            raise InputError(f"--{option} is {given}; give a number from 1 on")


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        check(arguments)
        if arguments.name == "results":
            results()
        elif arguments.name in MODELS:
            train_model(arguments.name, arguments.data, arguments.weights, arguments.out / arguments.name)
        elif arguments.name in EXPERIMENTS:
            own = (arguments.data, arguments.weights, arguments.out, arguments.full, arguments.seeds, arguments.steps)
            EXPERIMENTS[arguments.name](Setup(*own))
        else:
            RECIPES[arguments.name](arguments.data, arguments.weights, arguments.out / arguments.name)
    except InputError as error:
        print(f"recipes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
