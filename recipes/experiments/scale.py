"""The two scales at which experiments are run, and what all arms of a task share there.

Reduced, for 2 cores: EfficientNet-lite0 from ImageNet, CamVid at 240x180, NYUv2 at 280x212 and BSDS500 at 481x321, 5
views of 128x160 a step, 288 steps of AdamW; scores are on 24 images of val, edges by the quick F on the annotators'
consensus. Rates are three times the defaults: so short a run gets further with them (one seed of each task). The rate
is full for the first 80/96 of a run and comes down then (the schedule "step"): scores "at the end" are of whole runs,
those at equal steps, images or seconds of the part at the full rate, where runs can be compared on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.everyday import BACKBONE
from recipes.experiments.runs import Arm, Experiment, carry_out
from recipes.experiments.small import small
from recipes.paper import SETTINGS

Common = dict[str, dict[str, Any]]
TASKS = ("segmentation", "normals", "edges")
SMALL: dict[str, Any] = {
    "pyramid": 0,  # the claims are of hypercolumns alone
    "batch_size": 5,
    "crop": (128, 160),
    "lr": 3e-3,
    "backbone_lr": 1e-3,
    "schedule": "step",
    "max_steps": 288,
    "val_every": 48,
    "val_images": 24,
    "checkpoint_every": 144,
}
FULL = {**SETTINGS, "pretrained": True, "val_every": 1000, "val_images": 200, "checkpoint_every": 1000}
FULL_STEPS = {"segmentation": 21_160, "normals": 10_000, "edges": 10_000}  # table 1: 10 epochs of 10,582, 10,000
FULL_DATA = {"segmentation": "voc2012", "normals": "nyudv2", "edges": "bsds500"}
SCALES = {
    False: "Reduced to 2 cores: EfficientNet-lite0 from ImageNet, 5 views of 128x160, 288 steps; CamVid at 240x180, "
    "NYUv2 at 280x212, BSDS500 at 481x321, 24 images of val.",
    True: "The paper's configuration: VGG-16 with conv-7, 5 views of 224x224, SGD; VOC2012, NYUv2, BSDS500.",
}


@dataclass(frozen=True)
class Setup:
    """Where and how much of an experiment is run.

    data: folder of the data sets. weights: of the trained backbones. out: of the runs, and of what is written for them.
    full: the paper's configuration. seeds: how many, from 0; those of the experiment if None. steps: of a run, where an
    experiment leaves that open.
    """

    data: Path
    weights: Path
    out: Path
    full: bool = False
    seeds: int | None = None
    steps: int | None = None


def common(setup: Setup, tasks: Sequence[str]) -> Common:
    """The settings that all arms of a task share."""
    found: Common = {}
    for task in tasks:
        if setup.full:
            data = f"{FULL_DATA[task]}:{setup.data / FULL_DATA[task]}"
            own = {**FULL, "data": data, "max_steps": FULL_STEPS[task]}
            own |= {"split": "train_aug", "loss": "cross-entropy"} if task == "segmentation" else {"loss": None}
            found[task] = own | {"sampler": "uniform"}
        else:
            found[task] = reduced(setup, task, small(task, setup.data, setup.out))
    return found


def reduced(setup: Setup, task: str, data: str) -> dict[str, Any]:
    """The settings of a run of the reduced scale on data of its own. task: several have their default losses."""
    loss = {"loss": "cross-entropy"} if task == "segmentation" else {}
    return {**SMALL, "data": data, "backbone_weights": setup.weights / BACKBONE, "sampler": "uniform", **loss}


def worded(what: str, setup: Setup) -> str:
    """What an experiment does, and at which scale."""
    return f"{what} {SCALES[setup.full]}"


def lasting(steps: int) -> dict[str, int]:
    """The settings of a run of so many steps, validated as often as one of the usual length."""
    every = max(1, steps // (SMALL["max_steps"] // SMALL["val_every"]))
    return {"max_steps": steps, "val_every": every, "checkpoint_every": every}


def conduct(
    name: str,
    setup: Setup,
    what: str,
    arms: list[Arm],
    shared: Common,
    compare: tuple[str, ...] = ("end", "seconds"),
    seeds: int = 3,
) -> dict[str, Any]:
    """Carry out an experiment; one at the other scale, or of other steps, has results of its own name.

    what: it is done, in words. seeds: how many, unless the setup says it.
    """
    command = f"python -m recipes {name}" + " --full" * setup.full
    command += "" if setup.steps is None else f" --steps {setup.steps}"
    name += "-full" * setup.full + ("" if setup.steps is None else f"-{setup.steps}")
    count = seeds if setup.seeds is None else setup.seeds
    experiment = Experiment(name, what, command, arms, shared, compare, range(count))
    return carry_out(experiment, setup.out)
