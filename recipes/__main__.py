"""python -m recipes NAME [--data DIR] [--weights DIR] [--out DIR] [--full]: run a recipe; `results` gathers results.md.

DIR of data holds bsds500, camvid and nyudv2; DIR of weights holds the trained backbones
(`python -m recipes.weights --out DIR` gets them). A recipe that was stopped goes
on when it is called again. It writes docs/results/NAME.json and NAME.png itself. pixelnet, edges, normals, indoor and
street are models that ship.
table1, table4, pixels and samplers are experiments: many runs, reduced to 2 cores, or --full as in the paper.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from pixelnet import InputError
from recipes.everyday import bsds500, camvid, nyudv2
from recipes.experiments.claims import EXPERIMENTS
from recipes.models import MODELS, train_model
from recipes.paper import paper
from recipes.results import results

RECIPES = {"camvid": camvid, "nyudv2": nyudv2, "bsds500": bsds500, "paper": paper}
Name = Literal[
    "camvid", "nyudv2", "bsds500", "paper",
    "pixelnet", "edges", "normals", "indoor", "street",
    "table1", "table4", "pixels", "samplers",
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
    """Of an experiment: the paper's own configuration, for a GPU."""


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        if arguments.full and arguments.name not in EXPERIMENTS:
            raise InputError(f"--full is of {', '.join(EXPERIMENTS)}; leave it out")
        if arguments.name == "results":
            results()
        elif arguments.name in MODELS:
            train_model(arguments.name, arguments.data, arguments.weights, arguments.out / arguments.name)
        elif arguments.name in EXPERIMENTS:
            EXPERIMENTS[arguments.name](arguments.data, arguments.weights, arguments.out, arguments.full)
        else:
            RECIPES[arguments.name](arguments.data, arguments.weights, arguments.out / arguments.name)
    except InputError as error:
        print(f"recipes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
