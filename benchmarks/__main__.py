"""python -m benchmarks [MEASURE ...]: speed and memory beside peers -> docs/results/speed.json; all measures, or some.

    training   a step at 2,000 pixels an image: beside the backbone's own, and beside smp's Unet and FPN
    paper      a step with the paper's head of 2 x 4096
    head       the read and the head alone: every pixel against 2,000
    memory     of a step beyond the backbone's own: every pixel against 2,000
    reading    hypercolumns at points, beside grid_sample
    dense      exact dense prediction beside the naive one, and its memory
    defaults   what each default adds to a step and to an answer, in seconds and memory, beside smp's Unet
    adaptive   adaptive dense prediction beside smp's Unet; needs --run, a model trained on CamVid
    growth     with the image, the pixels sampled, the channels -> docs/results/speed.png

Seconds to a given mean IoU take hours and have a command of their own, `python -m benchmarks.accuracy`; so have scores
learnt from few labels, and from all in a given time, beside peers: `python -m benchmarks learner --help`; and the
surveys of `pixelnet measure`: `python -m benchmarks measure --help`, the studio: `python -m benchmarks studio --help`,
and exported models: `python -m benchmarks export`. `python -m recipes results` writes the table in
docs/results.md. Nothing else should run on the machine meanwhile.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import tyro

from benchmarks.adaptive import adaptive
from benchmarks.defaults import defaults
from benchmarks.dense import dense
from benchmarks.export import main as exported
from benchmarks.growth import growth
from benchmarks.learner.command import main as learner
from benchmarks.measure.command import main as surveys
from benchmarks.memory import memory
from benchmarks.networks import NETWORKS
from benchmarks.reading import reading
from benchmarks.studio.command import main as studio
from benchmarks.timing import Row, as_command, earlier_rows, keep, show
from benchmarks.training import head_and_read, paper_head, training

Measure = Literal["training", "paper", "head", "memory", "reading", "dense", "defaults", "adaptive", "growth"]
Network = Literal["tf_efficientnet_lite0", "resnet18", "vgg16"]
BY_NETWORK: dict[str, Callable[[str, int], list[Row]]] = {
    "training": training,
    "paper": paper_head,
    "head": head_and_read,
    "memory": memory,
    "reading": reading,
    "dense": dense,
    "defaults": defaults,
}


@dataclass(frozen=True)
class Arguments:
    measures: tyro.conf.Positional[tuple[Measure, ...]] = ()
    """Which; all if none is named. Their rows take the place of those in the file; the others stay."""
    networks: tuple[Network, ...] = tuple(NETWORKS)
    """Which networks; adaptive and growth have one of their own."""
    runs: int = 10
    """Rounds, in each of which every arm runs once."""
    run: Path | None = None
    """Folder of a run trained on CamVid, for adaptive."""
    dials: tuple[float, ...] = (0, 0.3, 0.5, 0.7, 0.9)
    """Of adaptive prediction: those to try."""
    data: Path = Path("../shared/data")


def measured(arguments: Arguments) -> Iterator[list[Row]]:
    """The rows of each measure, as soon as they are there."""
    for measure in arguments.measures or get_args(Measure):
        if measure == "growth":
            yield growth(arguments.runs)
        elif measure == "adaptive":
            if arguments.run is None:
                print("adaptive: not measured; give --run, the folder of a model trained on CamVid")
            else:
                yield adaptive(arguments.run, arguments.data, arguments.dials, arguments.runs)
        else:
            for network in arguments.networks:
                yield BY_NETWORK[measure](network, arguments.runs)


def measure(arguments: Arguments) -> None:
    earlier_rows()
    for rows in measured(arguments):
        keep(rows)
        for row in rows:
            show(row)


def main() -> int:
    if sys.argv[1:2] == ["learner"]:
        return learner(sys.argv[2:])
    if sys.argv[1:2] == ["measure"]:
        return surveys(sys.argv[2:])
    if sys.argv[1:2] == ["studio"]:
        return studio(sys.argv[2:])
    if sys.argv[1:2] == ["export"]:
        return exported(sys.argv[2:])
    arguments = tyro.cli(Arguments, description=__doc__)
    return as_command(lambda: measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
