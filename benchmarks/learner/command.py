"""python -m benchmarks learner sets | few | report: how well a learner learns, beside peers.

    sets     which images each development set has for learning and for scoring
    few      from 4 images with 10, 100 and 1,000 labelled pixels of each class; pixelnet, forest, convpaint
    report   the tables of what was measured -> docs/results/learner_*.json

The data are found in PIXELNET_DATA, the weights in PIXELNET_WEIGHTS. All arms have OMP_NUM_THREADS threads, or all
cores if that is not set.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from benchmarks.learner import few
from benchmarks.learner.report import Report, report
from benchmarks.learner.sets import DATA, SETS, SetName, describe
from benchmarks.timing import as_command


@dataclass(frozen=True)
class Sets:
    """Print which images each set has for learning and for scoring, and the shares of its classes."""

    sets: tuple[SetName, ...] = SETS
    data: Path = DATA


def work(arguments: Sets | few.Few | Report) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1)
    if isinstance(arguments, Sets):
        describe(arguments.sets, arguments.data)
    elif isinstance(arguments, few.Few):
        few.measure(arguments)
    else:
        report(arguments)


def main(words: Sequence[str]) -> int:
    arguments = tyro.extras.subcommand_cli_from_dict(
        {"sets": Sets, "few": few.Few, "report": Report}, args=list(words), prog="python -m benchmarks learner",
        description=__doc__,
    )  # fmt: skip
    return as_command(lambda: work(arguments))
