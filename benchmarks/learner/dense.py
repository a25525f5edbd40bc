"""Learning from the labels of all images in a given time: processor seconds of all threads, scored on all kept aside.

The labels are all that there are, or fewer: a person's scribbles, or so many random pixels of each image.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learner import ours, unet
from benchmarks.learner.clock import Clock
from benchmarks.learner.few import Answer
from benchmarks.learner.rows import Rows
from benchmarks.learner.sets import DATA, LearnerSet, SetName, open_set
from pixelnet.errors import InputError
from pixelnet.metrics.confusion import confusion, scores

Options = dict[str, Any]
STEPS = 400  # of what is taught, whose teacher takes its own time


@dataclass(frozen=True)
class Dense:
    """Scores learnt from all images in a given time -> runs/learner/dense.jsonl; what is there is not run again."""

    set: SetName = "chase"
    labels: tuple[str, ...] = ("all",)
    """all, scribbles where a set has them, or a number of random pixels of each image; each of them a run of pixelnet,
    the peers learn from all."""
    arms: str = "unet@1,unet@2,pixelnet"
    """With commas between them: pixelnet; taught, the same network taught by a fitted model; and unet@ with the factor
    that it magnifies images by."""
    seconds: float = 400
    """Of the processor, all threads together, for learning; of what is taught, STEPS in place of it."""
    seeds: int = 3
    rates: tuple[float, ...] = (1e-3, 3e-3)
    """The Unet's learning rates, each of them a run."""
    encoder_share: float = 0.3
    """Of the Unet's rate, that of its encoder."""
    options: str = ""
    """Of pixelnet.train, as in lr=3e-3,backbone_lr=1e-3,scale=[1,2]."""
    runs: Path = Path("runs/learner")
    data: Path = DATA


def parse(options: str) -> Options:
    """Values as JSON has them, or else text. Raises InputError for what is no NAME=VALUE."""
    found: Options = {}
    for part in filter(None, re.split(r",(?![^\[]*\])", options)):
        name, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"--options has {part!r}; write NAME=VALUE, with commas between them")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found


def variants(arguments: Dense) -> Iterator[tuple[str, str, Options]]:
    """Each arm with each of its labels and settings."""
    for arm in arguments.arms.split(","):
        if arm in ("pixelnet", "taught"):
            for how in arguments.labels:
                yield arm, how, parse(arguments.options)
        elif re.fullmatch(r"unet@\d+(\.\d+)?", arm):
            for rate in arguments.rates:
                yield arm, "all", {"rate": rate, "encoder_share": arguments.encoder_share}
        else:
            raise InputError(f"--arms has {arm!r}; known are pixelnet, taught and unet@1, unet@2 and so on")


def learn(one: LearnerSet, key: dict[str, Any], folder: Path) -> tuple[Answer, dict[str, Any]]:
    arm, options, seed, seconds = (key[name] for name in ("arm", "options", "seed", "seconds"))
    if arm == "pixelnet":
        return ours.learn_dense(one.learn.labelled(key["labels"], seed), seed, seconds, options, folder)
    if arm == "taught":
        return ours.learn_taught(one.learn.labelled(key["labels"], seed), seed, STEPS, options)
    recipe = unet.Recipe(**options, magnify=float(arm.partition("@")[2]))
    return unet.learn(one.learn, recipe, seed, seconds)


def score(one: LearnerSet, answer: Answer) -> dict[str, Any]:
    classes = len(one.class_names)
    counts, pixels, clock = np.zeros((classes, classes), np.int64), 0, Clock()
    for k in range(len(one.score)):
        image = one.score.image(k).copy()
        with clock:
            found = answer(image)
        counts += confusion(found, one.score.labels(k), classes)
        pixels += found.size
    found_scores: dict[str, Any] = scores(counts)
    return {
        "miou": round(found_scores["miou"], 5),
        "iou": [value if value is None else round(value, 5) for value in found_scores["iou_per_class"]],
        "dice": [value if value is None else round(value, 5) for value in found_scores["dice_per_class"]],
        "answer_megapixel": clock.spent(pixels / 1e6),
    }


def measure(arguments: Dense) -> None:
    rows, one = Rows(arguments.runs / "dense.jsonl"), None
    wanted = list(variants(arguments))
    for seed in range(arguments.seeds):
        for arm, how, options in wanted:
            key = {"set": arguments.set, "seconds": arguments.seconds, "arm": arm, "options": options, "seed": seed}
            key["labels"] = how
            if rows.has(key):
                continue
            one = one or open_set(arguments.set, arguments.data)
            answer, facts = learn(one, key, arguments.runs)
            row = rows.add(key, facts | score(one, answer))
            print(
                f"{arguments.set} {arm}, {how} labels, {options}, seed {seed}: {row['steps']} steps in "
                f"{row['fit']['processor']:.0f} s; mean IoU {row['miou']:.4f}, Dice {row['dice']}",
                flush=True,
            )
