"""Our own arms."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import pixelnet
from benchmarks.learner.clock import Clock
from benchmarks.learner.few import Answer
from benchmarks.learner.unet import WEIGHTS
from pixelnet.data import Dataset
from pixelnet.data.arrays import Arrays

REFINED = 200  # steps
ENOUGH = 300.0  # seconds, in which all candidates are tried
FEWER, MOST_FEWER, MORE = 6, 60, 24  # steps that a run begins with, and so many more, which tell what steps cost


def learn_few(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> Answer:
    """`pixelnet.fit` on a few labelled pixels. See `benchmarks.learner.few.Arm`."""
    return pixelnet.fit(of(images, maps, classes)).predict


def refine(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> Answer:
    """The same, and then `pixelnet.train --init-from` it."""
    return teach(of(images, maps, classes), REFINED).predict


def teach(data: Dataset, steps: int, seconds: float = 30, **options: Any) -> pixelnet.PixelNet:
    """A network that learnt for so many steps from a model that `pixelnet.fit` has fitted in so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        pixelnet.fit(data, f"{folder}/fitted", seconds=seconds)
        told = {"init_from": f"{folder}/fitted", "max_steps": steps, "num_workers": 0}
        return pixelnet.train("segmentation", data, f"{folder}/run", **told, **options)


def learn_taught(part: Dataset, seed: int, steps: int, options: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
    """`teach`, from all images, with all the time that a choice takes; nothing is held out, as by the others."""
    with Clock() as clock:
        model = teach(part, steps, ENOUGH, seed=seed, val_share=0.0, **options)
    return model.predict, {"steps": steps, "fit": clock.spent()}


def of(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> Arrays:
    return Arrays(list(zip(images, maps, strict=True)), "segmentation", [str(label) for label in range(classes)])


def learn_dense(
    part: Dataset, seed: int, seconds: float, options: dict[str, Any], folder: Path
) -> tuple[Answer, dict[str, Any]]:
    """`pixelnet.train` for so many processor seconds, what it does before and after the steps among them.

    options: of `pixelnet.train`. Nothing is held out, and the last weights are kept, as the peers keep theirs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fewer = min(max(FEWER, len(part) // 4), MOST_FEWER)  # a first pass, in which an image may cost more
    spent = []
    for steps in (fewer, fewer + MORE):
        with Clock() as clock:
            train(part, seed, steps, options, folder)
        spent.append(clock.processor)
    total = max(1, round((seconds - spent[1]) / (spent[1] - spent[0]) * MORE) + fewer + MORE)
    with Clock() as clock:
        model = train(part, seed, total, options, folder)
    return model.predict, {"steps": total, "fit": clock.spent()}


def train(part: Dataset, seed: int, steps: int, options: dict[str, Any], folder: Path) -> pixelnet.PixelNet:
    """A run in a folder that is removed; batches are made in this process, whose seconds count."""
    told = {"backbone_weights": WEIGHTS, "val_share": 0.0, "num_workers": 0, "checkpoint_every": 10**6}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        return pixelnet.train("segmentation", part, f"{out}/run", max_steps=steps, seed=seed, **(told | options))
