"""What a richer predictor buys, and what sampling makes it cost: python -m recipes predictors [--full]

The paper's table 2 has a linear predictor, one with batch norm and an MLP, each learnt end to end with the network.
"""

from typing import Any

from recipes.experiments.runs import Arm
from recipes.experiments.scale import TASKS, Setup, common, conduct, worded

HEADS: dict[str, dict[str, Any]] = {
    "linear": {"head": "linear"},
    "linear, batch norm": {"head": "linear-bn"},
    "64": {"hidden": (64,)},
    "256": {},  # the default head
    "1,024": {"hidden": (1024,)},
    "64, 64": {"hidden": (64, 64)},
    "256, 256": {"hidden": (256, 256)},
    "1,024, 1,024": {"hidden": (1024, 1024)},
}
PAPERS: dict[str, dict[str, Any]] = {
    "linear": {"head": "linear"},
    "linear, batch norm": {"head": "linear-bn"},
    "4,096, 4,096": {},  # the paper's head, which all of the full scale have
}
ON_ALL = ("linear", "linear, batch norm", "64", "256", "64, 64")  # a step with wider ones on all pixels takes seconds
CONTROL = "linear, batch norm"  # of the richer ones: what they add


def predictors(setup: Setup) -> None:
    """Heads from linear to two layers of 1,024, on 4 % of the pixels, and the narrower ones on all.

    1.6 hours of 2 cores with three seeds, by the seconds a step of `table1` and `python -m benchmarks.head`: .12 to .4
    seconds sampled, .25 to .4 on all pixels, and as much again for the validation of the widest.
    """
    heads = PAPERS if setup.full else HEADS
    arms = []
    for task in TASKS:
        for name, own in heads.items():
            control = None if name == CONTROL else CONTROL
            arms.append(Arm(task, name, {**own, "pixels": "4%"}, control))
        for name, own in heads.items():
            if name in ON_ALL:
                arms.append(Arm(task, f"{name}, all pixels", {**own, "sampler": "all"}, name))
    what = (
        "Predictors by the widths of their hidden layers, learnt end to end with the network from 4 % of the pixels, "
        f"drawn uniformly, beside the {CONTROL}; and from all pixels, beside the same predictor sampled"
        + (". The MLP of the paper is sampled only." if setup.full else "; the widest sampled only.")
        + " The paper's own figures (its table 2) are of another scale and not at hand."
    )
    conduct("predictors", setup, worded(what, setup), arms, common(setup, TASKS), ("end", "step", "seconds"))
