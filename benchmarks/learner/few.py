"""Learning from a few labelled pixels: ten draws of four images and n pixels of each class in all.

A draw is a function of its seed alone, and the pixels of a small n are among those of a larger one. The score is the
mean IoU of the counts summed over eight scoring images, evenly spread, all pixels, or fewer where these would be more
than two megapixels; the classes are those that these hold. Differences between arms are paired over draws, with
intervals by Student's t.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from benchmarks.learner.clock import Clock
from benchmarks.learner.rows import Rows
from benchmarks.learner.sets import DATA, SETS, LearnerSet, Part, SetName, open_set
from pixelnet.data.dataset import evenly
from pixelnet.metrics.confusion import UNLABELLED, confusion, scores

Answer = Callable[[np.ndarray], np.ndarray]  # an image (H, W, C) -> class ids (H, W)
Arm = Callable[[list[np.ndarray], list[np.ndarray], int], Answer]
"""Images, their label maps (H, W) uint8 with 255 where nothing is known, number of classes -> what was learnt."""

ArmName = Literal["pixelnet", "refined", "forest", "convpaint"]
IMAGES = 4
UNLABELLED_IMAGES = 20  # at most, of which what is refined learns, too
SCORED, PIXELS = 8, 2 << 20  # images to score, and pixels of these, at most


@dataclass(frozen=True)
class Few:
    """Mean IoU learnt from a few labelled pixels -> runs/learner/few.jsonl; what is there is not run again."""

    sets: tuple[SetName, ...] = SETS
    arms: tuple[ArmName, ...] = get_args(ArmName)
    counts: tuple[int, ...] = (10, 100, 1000)
    """Labelled pixels of each class, in all images together; 0 for people's scribbles, where a set has them."""
    seeds: int = 10
    out: Path = Path("runs/learner/few.jsonl")
    data: Path = DATA


def arm_of(name: ArmName) -> Arm:
    """An arm, with what it needs imported only now."""
    if name == "forest":
        from benchmarks.learner.forest import learn
    elif name == "convpaint":
        from benchmarks.learner.convpaint import learn
    elif name == "refined":
        from benchmarks.learner.ours import refine as learn
    else:
        from benchmarks.learner.ours import learn_few as learn
    return learn


def draw(part: Part, count: int, classes: int, seed: int) -> tuple[list[int], list[np.ndarray]]:
    """The images of a draw and their label maps, 255 but at the pixels drawn.

    The images are of as many groups where there are as many. A class has `count` pixels in all, spread as evenly over
    the images as they have it; all of its pixels where they are fewer. A count of 0 gives the scribbles.
    """
    chosen = draw_images(part, seed)
    if not count:
        return chosen, [found for k in chosen if (found := part.scribbles(k)) is not None]
    maps = [np.full(part.labels(k).shape, UNLABELLED, np.uint8) for k in chosen]
    for label in range(classes):
        places = [np.flatnonzero(part.labels(k) == label) for k in chosen]
        for order, own, share in zip(range(IMAGES), places, shares([len(own) for own in places], count), strict=True):
            rng = np.random.default_rng((seed, 1, label, order))
            maps[order].flat[rng.permutation(own)[:share]] = label
    return chosen, maps


def draw_images(part: Part, seed: int) -> list[int]:
    order = [int(k) for k in np.random.default_rng((seed, 0)).permutation(len(part))]
    first: dict[str, int] = {}
    for k in order:
        first.setdefault(part.groups[k], k)
    chosen = list(first.values()) if len(first) >= IMAGES else order
    return chosen[:IMAGES]


def shares(available: Sequence[int], count: int) -> list[int]:
    """How many of each to take, so that they are `count` in all, or all there are, and as equal as can be."""
    taken, left = [0] * len(available), count
    for place, k in enumerate(sorted(range(len(available)), key=lambda k: available[k])):
        taken[k] = min(available[k], -(-left // (len(available) - place)))
        left -= taken[k]
    return taken


def unlabelled(part: Part, chosen: Sequence[int]) -> tuple[list[int], list[np.ndarray]]:
    """Other images, evenly spread, and their label maps, all of them 255."""
    rest = [k for k in range(len(part)) if k not in chosen]
    others = [rest[k] for k in evenly(len(rest), UNLABELLED_IMAGES)]
    return others, [np.full(part.size(k)[::-1], UNLABELLED, np.uint8) for k in others]


def trial(one: LearnerSet, name: ArmName, count: int, seed: int) -> dict[str, Any]:
    """Learn from a draw, and score."""
    arm, classes = arm_of(name), len(one.class_names)
    chosen, maps = draw(one.learn, count, classes, seed)
    if name == "refined":
        others, empty = unlabelled(one.learn, chosen)
        chosen, maps = chosen + others, maps + empty
    images = [one.learn.image(k).copy() for k in chosen]
    with Clock() as learning:
        answer = arm(images, maps, classes)
    counts, pixels, answering = np.zeros((classes, classes), np.int64), 0, Clock()
    for k in scored(one.score):
        image = one.score.image(k).copy()
        with answering:
            found = answer(image)
        counts += confusion(found, one.score.labels(k), classes)
        pixels += found.size
    iou: Any = scores(counts)["iou_per_class"]
    known = [value for value, labelled in zip(iou, counts.sum(axis=1) > 0, strict=True) if labelled]
    return {
        "miou": round(float(np.mean(known)), 5),
        "iou": [None if value is None else round(value, 5) for value in iou],
        "images": [one.learn.names[k] for k in chosen],
        "pixels": [int((drawn != UNLABELLED).sum()) for drawn in maps],
        "fit": learning.spent(),
        "answer_megapixel": answering.spent(pixels / 1e6),
    }


def scored(part: Part) -> list[int]:
    """The images that tell how good an answer is."""
    width, height = part.size(0)
    return evenly(len(part), min(SCORED, max(1, PIXELS // (width * height))))


def trials(arguments: Few) -> Iterator[dict[str, Any]]:
    """By seed first, so that every arm has figures early."""
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            for count in arguments.counts:
                for arm in arguments.arms:
                    yield {"set": name, "count": count, "arm": arm, "seed": seed}


def measure(arguments: Few) -> None:
    rows, opened = Rows(arguments.out), {}
    for key in trials(arguments):
        if rows.has(key):
            continue
        name = key["set"]
        if name not in opened:
            opened[name] = open_set(name, arguments.data)
        one: LearnerSet = opened[name]
        if not key["count"] and one.learn.scribbles(0) is None:
            continue
        row = rows.add(key, trial(one, key["arm"], key["count"], key["seed"]))
        print(
            f"{name:8}{key['count']:5} {key['arm']:10} seed {key['seed']}: mean IoU {row['miou']:.4f}, "
            f"{row['fit']['processor']:.1f} s to fit, {row['answer_megapixel']['processor']:.2f} s a megapixel",
            flush=True,
        )
