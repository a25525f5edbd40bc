"""Which pixels are worth a label, where only a few of each image get one: python -m recipes labelled

`samplers` draws from images whose pixels are all labelled, anew in every step. Here 10, 30 or 100 pixels of each image
are chosen once, to be labelled, and nothing else is ever learnt from.
"""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.cluster.vq import kmeans2

import pixelnet
from pixelnet import PixelNet
from pixelnet.data import open_dataset
from pixelnet.data.dataset import UNLABELLED, Dataset
from pixelnet.points import make_sampler
from recipes.experiments.runs import Arm, train_apart
from recipes.experiments.scale import Setup, conduct, reduced
from recipes.experiments.small import small

COUNTS = (10, 30, 100)
STRATEGIES = ("uniform", "by class", "by color", "by doubt")
LOOKED_AT = 2000  # pixels of an image whose colors are grouped
CANDIDATES = 20  # for each pixel that is chosen by doubt: of all of an image, the most doubtful lie side by side


def labelled(setup: Setup) -> None:
    """10, 30 and 100 labelled pixels an image, chosen in four ways, CamVid.

    .5 hours of 2 cores with five seeds: 60 runs of 288 steps at .13 seconds, and 15 that tell what is in doubt.
    """
    arms = []
    for count in COUNTS:
        for how in STRATEGIES:
            folder = setup.out / "labelled" / f"{how.replace(' ', '-')}-{count}-{{seed}}"
            arms.append(
                Arm(
                    "segmentation",
                    f"{how}, {count}",
                    {"data": f"folder:{folder}"},
                    None if how == "uniform" else f"uniform, {count}",
                    prepare=partial(write, setup, how, count),
                )
            )
    what = (
        "So many pixels of each training image are chosen once and labelled: uniformly; as many of each class "
        "(which knows the labels beforehand, as nobody does); one of each group of like colors; half of them "
        "uniformly and half where a network that learnt from the first half is least sure (the margin of its two "
        f"best classes, of {CANDIDATES} candidates for each). Only pixels that have a label at all are chosen. Every "
        "view is learnt from with all of its labelled pixels. Reduced to 2 cores: EfficientNet-lite0 from ImageNet, 5 "
        "views of 128x160, 288 steps, CamVid at 240x180, 24 images of val."
    )
    shared = {"segmentation": {**reduced(setup, "segmentation", ""), "sampler": "all"}}
    conduct("labelled", setup, what, arms, shared, ("end",), seeds=5)


def write(setup: Setup, how: str, count: int, settings: dict[str, Any]) -> None:
    """The reduced CamVid with labels of chosen pixels alone, where the run's settings look for it."""
    folder = Path(settings["data"].removeprefix("folder:"))
    if folder.exists():
        return
    source = small("segmentation", setup.data, setup.out)
    train, seed = open_dataset(source, "segmentation", "train"), settings["seed"]
    doubting = _learnt_from_half(setup, count // 2, settings, folder) if how == "by doubt" else None
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    # Images are linked, not copied: they are the same for all.
    shutil.copytree(source.removeprefix("folder:"), unfinished, copy_function=os.link)
    shutil.rmtree(unfinished / "train" / "labels")
    (unfinished / "train" / "labels").mkdir()
    for item, name in enumerate(train.names):
        labels = train.labels(item)
        sparse = np.full_like(labels, UNLABELLED)
        x, y = chosen(train, item, how, count, np.random.default_rng([seed, item]), doubting).T
        sparse[y, x] = labels[y, x]
        Image.fromarray(sparse).save(unfinished / "train" / "labels" / f"{name}.png")
    unfinished.rename(folder)


def _learnt_from_half(setup: Setup, count: int, settings: dict[str, Any], folder: Path) -> PixelNet:
    """What so many pixels of each image, drawn uniformly, teach."""
    first = {**settings, "data": f"folder:{folder.with_name('uniform')}-{count}-{settings['seed']}"}
    write(setup, "uniform", count, first)
    run = folder.with_name(f".{folder.name}.first")
    train_apart(first, run)
    model = pixelnet.load(run)
    shutil.rmtree(run)
    return model


def chosen(
    data: Dataset, item: int, how: str, count: int, rng: np.random.Generator, doubting: PixelNet | None = None
) -> np.ndarray:
    """The pixels (count, 2) of an image that get a label, as (x, y); fewer only where fewer have one.

    The first half of "by doubt" is what "uniform" draws of half as many with the same rng.
    """
    labels, image = data.labels(item), data.image(item)
    known = labels != UNLABELLED
    if how == "by class":
        return make_sampler("stratified", count)(known, rng, labels, image).points.astype(int)
    if how == "by color":
        return _by_color(known, image, count, rng)
    first = make_sampler("uniform", count if doubting is None else count // 2)(known, rng).points.astype(int)
    if doubting is None:
        return first
    known[first[:, 1], first[:, 0]] = False
    rest = count - len(first)
    candidates = make_sampler("uniform", CANDIDATES * rest)(known, rng).points.astype(int)
    best = np.sort(doubting.predict(image, candidates, probabilities=True), axis=1)[:, -2:]
    least = np.argsort(best[:, 1] - best[:, 0], kind="stable")[:rest]
    return np.concatenate([first, candidates[least]])


def _by_color(known: np.ndarray, image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """A pixel of each of `count` groups of like colors (k-means); where a group is empty, any other."""
    points = rng.permutation(make_sampler("uniform", LOOKED_AT)(known, rng).points.astype(int))
    colors = image[points[:, 1], points[:, 0]].astype(float)
    _, groups = kmeans2(
        colors + rng.normal(scale=1e-3, size=colors.shape), min(count, len(points)), minit="++", rng=rng
    )
    _, firsts = np.unique(groups, return_index=True)  # the first of a group, in no order, is any of it
    others = np.setdiff1d(np.arange(len(points)), firsts)
    return points[np.concatenate([firsts, others[: count - len(firsts)]])]
