"""python -m benchmarks [MEASURE ...]: speed and memory beside peers -> docs/results/speed.json; all measures, or some.

    training   a step at 2,000 pixels an image: beside the backbone's own, and beside smp's Unet and FPN
    head       the read and the head alone: every pixel against 2,000
    paper      a step with the paper's head of 2 x 4096
    dense      exact dense prediction beside the naive one, and its memory

`python -m recipes results` writes the table in docs/results.md from it. Nothing else should run on the machine.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import tyro

from benchmarks.dense import dense
from benchmarks.networks import NETWORKS
from benchmarks.timing import Row, earlier_rows, keep, show
from benchmarks.training import head_and_read, paper_head, training
from pixelnet import InputError

MEASURES: dict[str, Callable[[str, int], list[Row]]] = {
    "training": training,
    "head": head_and_read,
    "paper": paper_head,
    "dense": dense,
}
Measure = Literal["training", "head", "paper", "dense"]
Network = Literal["tf_efficientnet_lite0", "resnet18", "vgg16"]


@dataclass(frozen=True)
class Arguments:
    measures: tyro.conf.Positional[tuple[Measure, ...]] = ()
    """Which; all if none is named. Their rows take the place of those in the file; the others stay."""
    networks: tuple[Network, ...] = tuple(NETWORKS)
    runs: int = 10
    """Rounds, in each of which every arm runs once."""


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        earlier_rows()
        for measure in arguments.measures or MEASURES:
            for network in arguments.networks:
                rows = MEASURES[measure](network, arguments.runs)
                keep(rows)
                for row in rows:
                    show(row)
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
