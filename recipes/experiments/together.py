"""One network for three tasks against three of one each: python -m recipes joint [--steps STEPS]"""

from typing import Any

from recipes.experiments.runs import Arm
from recipes.experiments.scale import TASKS, Setup, conduct, lasting, reduced
from recipes.experiments.small import VAL, rooms, small

STEPS = 576  # of a network of one task; one of three takes three times as many
ALL = ",".join(TASKS)
LOSSES = {  # those that each task has alone, and what they count for
    "1 : 1 : 1": "cross-entropy,angular,soft",
    "1 : 6 : 3": "cross-entropy,6*angular,3*soft",
    "by uncertainty": "log*cross-entropy,log*angular,log*soft",
}


def joint(setup: Setup) -> None:
    """Classes and normals of NYUv2's rooms and BSDS500's edges, by one network or by three, in as many steps.

    .7 hours of 2 cores with three seeds: 9 runs of 576 steps, 9 of 1,728 and 3 of 576, at .14 to .17 seconds.
    """
    steps = setup.steps or STEPS
    own_rooms, own_edges = rooms(setup.data, setup.out), small("edges", setup.data, setup.out)
    alone = dict(zip(TASKS, (own_rooms, own_rooms, own_edges), strict=True))
    few: dict[str, Any] = {"pixels": "4%"}
    losses = dict(zip(TASKS, LOSSES["1 : 1 : 1"].split(","), strict=True))
    shared = {
        task: {**reduced(setup, task, data), **few, **lasting(steps), "loss": losses[task]}
        for task, data in alone.items()
    }
    shared[ALL] = {
        **reduced(setup, ALL, ",".join((own_rooms, own_edges, own_edges))),
        **few,
        "val_data": f"{own_rooms},{own_edges}",
        "val_images": 2 * VAL,
    }
    arms = [Arm(task, "alone", {}) for task in TASKS]
    for weights, loss in LOSSES.items():
        arms.append(Arm(ALL, f"together, {weights}", {"loss": loss, **lasting(3 * steps)}, "alone"))
    short = f"together, {next(iter(LOSSES))}, a third of the steps"
    arms.append(Arm(ALL, short, {"loss": next(iter(LOSSES.values())), **lasting(steps)}, "alone"))
    what = (
        f"Three networks of {steps:,} steps each, one for 13 classes and one for normals of NYUv2's rooms and one for "
        f"BSDS500's edges, or one network of {3 * steps:,} steps for all, whose losses count by the weights that are "
        "named, or each by the inverse of its own size (uncertainty weighting, Kendall et al. 2018). Two of three "
        "images that the one network sees are of rooms, with both labels, so it sees as many with edges as the network "
        "of edges does, and twice as many rooms. EfficientNet-lite0 from ImageNet, 5 views of 128x160 a step, 4 % of "
        "the pixels. Equal seconds are those of one run: three networks take three times as many."
    )
    conduct("joint", setup, what, arms, shared, ("end", "seconds"))
