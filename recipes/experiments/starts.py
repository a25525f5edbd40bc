"""What a network begins with: python -m recipes scratch | geometry [--steps STEPS]

`scratch`: sampling lets a network be learnt from random weights (the paper's section 5); how far it gets beside
ImageNet's in as many steps. `geometry`: normals need no people, since depth gives them; is a network that learnt them
from random weights a start for classes, as the paper says?
"""

from functools import partial
from pathlib import Path
from typing import Any

from recipes.everyday import BACKBONE
from recipes.experiments.runs import Arm, train_apart
from recipes.experiments.scale import TASKS, Setup, common, conduct, lasting, reduced
from recipes.experiments.small import rooms, small

RANDOM: dict[str, Any] = {"backbone_weights": None}
STEPS = 1440  # of a run from random weights, five times those of the other experiments
TARGET = 576  # of one that learns classes from some start


def scratch(setup: Setup) -> None:
    """Random weights against ImageNet's for three tasks, and with a linear predictor, in runs of as many steps.

    1.1 hours of 2 cores with three seeds of 1,440 steps at .145 seconds. One long run each: `--steps 20000 --seeds 1`,
    7.3 hours of one core with all nine arms.
    """
    arms = []
    for task in TASKS:
        arms += [
            Arm(task, "ImageNet", {}),
            Arm(task, "random weights", RANDOM, "ImageNet"),
            Arm(task, "random weights, linear predictor", {**RANDOM, "head": "linear-bn"}, "random weights"),
        ]
    steps = setup.steps or STEPS
    shared = {task: {**own, "pixels": "4%", **lasting(steps)} for task, own in common(setup, TASKS).items()}
    what = (
        f"EfficientNet-lite0 from random weights and from ImageNet's, {steps:,} steps of 5 views of 128x160, 4 % of "
        "the pixels, on the data of the other reduced experiments; a network with "
        "batch norms throughout, as the released code's from scratch."
    )
    conduct("scratch", setup, what, arms, shared, ("step", "end"))


def geometry(setup: Setup) -> None:
    """Classes of rooms and of streets from random weights, from normals learnt from random weights, from ImageNet.

    .6 hours of 2 cores with three seeds: 24 runs of 576 steps and 6 starts of 1,440, at .145 seconds.
    """
    steps = setup.steps or TARGET
    arms = []
    for place, data in (
        ("rooms", rooms(setup.data, setup.out)),
        ("streets", small("segmentation", setup.data, setup.out)),
    ):
        arms += [
            Arm("segmentation", f"random weights, {place}", {**RANDOM, "data": data}),
            *(
                Arm(
                    "segmentation",
                    f"{start}, {place}",
                    {**RANDOM, "data": data, "init_from": setup.out / "starts" / f"{slug}-{STEPS}-{{seed}}"},
                    f"random weights, {place}",
                    prepare=partial(learn_normals, setup, weights),
                )
                for start, slug, weights in (
                    ("normals from random weights", "normals", None),
                    ("normals from ImageNet", "imagenet-normals", setup.weights / BACKBONE),
                )
            ),
            Arm("segmentation", f"ImageNet, {place}", {"data": data}, f"random weights, {place}"),
        ]
    shared = {"segmentation": {**reduced(setup, "segmentation", ""), "pixels": "4%", **lasting(steps)}}
    what = (
        f"Classes learnt for {steps:,} steps from several starts: NYUv2's 13 of rooms, the very images whose normals "
        f"were learnt before ({STEPS:,} steps of train), and CamVid's of streets. EfficientNet-lite0, 5 views of "
        "128x160, 4 % of the pixels."
    )
    conduct("geometry", setup, what, arms, shared, ("step", "end"))


def learn_normals(setup: Setup, weights: Path | None, settings: dict[str, Any]) -> None:
    """The network that a run starts from: normals of NYUv2's train, with the run's seed; nothing if it is learnt."""
    own = reduced(setup, "normals", small("normals", setup.data, setup.out))
    start = {"task": "normals", "seed": settings["seed"], "backbone_weights": weights, "pixels": "4%", **lasting(STEPS)}
    train_apart({**own, **start}, Path(settings["init_from"]))
