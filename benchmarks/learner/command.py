"""python -m benchmarks learner sets | few | dense | session | report: how well a learner learns, beside peers.

    sets     which images each development set has for learning and for scoring
    few      from 4 images with 10, 100 and 1,000 labelled pixels of each class; pixelnet, refined, forest, convpaint
    dense    from all labels in a given number of processor seconds; pixelnet, smp's Unet
    session  how long a stroke takes: a fit again, and an answer
    report   the tables of what was measured -> docs/results/learner_*.json

The data are found in PIXELNET_DATA, the weights in PIXELNET_WEIGHTS. All arms have OMP_NUM_THREADS threads, or all
cores if that is not set.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.learner import dense, few, session
from benchmarks.learner.report import Report, report
from benchmarks.learner.sets import DATA, SETS, SetName, describe
from benchmarks.timing import as_command


@dataclass(frozen=True)
class Sets:
    """Print which images each set has for learning and for scoring, and the shares of its classes."""

    sets: tuple[SetName, ...] = SETS
    data: Path = DATA


def work(arguments: Sets | few.Few | dense.Dense | session.Strokes | Report) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1)
    if isinstance(arguments, Sets):
        describe(arguments.sets, arguments.data)
    elif isinstance(arguments, few.Few):
        few.measure(arguments)
    elif isinstance(arguments, dense.Dense):
        dense.measure(arguments)
    elif isinstance(arguments, session.Strokes):
        session.measure(arguments)
    else:
        report(arguments)


def main(words: Sequence[str]) -> int:
    kinds: dict[str, Callable[..., Any]] = {"sets": Sets, "few": few.Few, "dense": dense.Dense}
    kinds |= {"session": session.Strokes, "report": Report}
    arguments = tyro.extras.subcommand_cli_from_dict(
        kinds, args=list(words), prog="python -m benchmarks learner", description=__doc__
    )
    return as_command(lambda: work(arguments))
