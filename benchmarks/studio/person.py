"""Somebody simulated, who paints short strokes: the score against the number of strokes, and against seconds.

A stroke is a short line of one class, as the truth has it, on one of four images. Where it begins: `wrong`, on a pixel
that is answered wrongly, drawn evenly of the image that is looked at, which is the next one with each stroke; `random`,
on any pixel of it; `suggest`, where the studio sends people, whether that is right or wrong. The first strokes are one
of each class, alike for all. Scored are all pixels of images that are kept aside, as in `benchmarks.learner.few`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

import pixelnet
from benchmarks.learner.clock import Clock
from benchmarks.learner.few import draw_images
from benchmarks.learner.rows import Rows
from benchmarks.learner.sets import DATA, LearnerSet, SetName, open_set
from pixelnet.data.dataset import evenly
from pixelnet.metrics.confusion import UNLABELLED, confusion, scores
from pixelnet.studio.canvas import brushed
from pixelnet.studio.suggest import GRID, most_wanted

LearnerName = Literal["pixelnet", "forest"]
Policy = Literal["wrong", "random", "suggest"]
LENGTH, RADIUS = 24, 2.0  # of a stroke, in pixels
TURN = 0.3  # radians, by how much a hand strays with each pixel
SCORED_AT = (5, 10, 20, 40, 80)
RUNS = Path("runs/studio/person.jsonl")


@dataclass(frozen=True)
class Person:
    """Strokes of somebody simulated -> runs/studio/person.jsonl; what is there is not run again."""

    sets: tuple[SetName, ...] = ("chase", "em", "acdc", "camvid")
    learners: tuple[LearnerName, ...] = get_args(LearnerName)
    policies: tuple[Policy, ...] = get_args(Policy)
    strokes: int = 80
    seeds: int = 5
    scored: int = 4
    """Images that are kept aside, evenly spread."""
    out: Path = RUNS
    data: Path = DATA


class Learner(Protocol):
    """Learns from label maps (H, W) of the learning images, 255 where nothing is known."""

    def learn(self, maps: list[np.ndarray]) -> None:
        """Learn anew."""

    def answer(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Of an image, learning ones first: class ids (H, W), and the probability of each."""


class Ours:
    """`pixelnet.Session`, as the studio has it."""

    def __init__(self, images: list[np.ndarray], learning: int, names: tuple[str, ...]) -> None:
        self.session, self.learning = pixelnet.Session(images, names), learning

    def learn(self, maps: list[np.ndarray]) -> None:
        for k, labels in enumerate(maps):
            rows, columns = np.nonzero(labels != UNLABELLED)
            self.session.strokes.replace(k, np.stack([columns, rows], axis=1), labels[rows, columns])
        self.session.fit()

    def answer(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        return self.session.predict(k)


class Forest:
    """Scale-space filters, seen once, and a random forest, fitted anew; see `benchmarks.learner.forest`."""

    def __init__(self, images: list[np.ndarray], learning: int, names: tuple[str, ...]) -> None:
        from benchmarks.learner.forest import filters

        self.filters = [filters(image) for image in images]

    def learn(self, maps: list[np.ndarray]) -> None:
        from benchmarks.learner.forest import fitted

        known = [labels != UNLABELLED for labels in maps]
        rows = [self.filters[k][:, own].T for k, own in enumerate(known)]
        labels = [own[there] for own, there in zip(maps, known, strict=True)]
        self.forest = fitted(np.concatenate(rows), np.concatenate(labels))

    def answer(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = self.filters[k]
        chances = self.forest.predict_proba(found.reshape(len(found), -1).T)
        labels, shape = self.forest.classes_[chances.argmax(axis=1)], found.shape[1:]
        return labels.reshape(shape).astype(np.uint8), chances.max(axis=1).reshape(shape)


LEARNERS: dict[LearnerName, type[Ours] | type[Forest]] = {"pixelnet": Ours, "forest": Forest}


def measure(arguments: Person) -> None:
    rows = Rows(arguments.out)
    for name in arguments.sets:
        one: LearnerSet | None = None
        for seed in range(arguments.seeds):
            for learner in arguments.learners:
                for policy in arguments.policies:
                    key = {
                        "set": name,
                        "learner": learner,
                        "policy": policy,
                        "seed": seed,
                        "strokes": arguments.strokes,
                    }
                    if not rows.has(key):
                        one = one or open_set(name, arguments.data)
                        curve = list(paint(one, learner, policy, seed, arguments))
                        rows.add(key, {"curve": curve})
                        print(f"{name} {learner} {policy} seed {seed}: {curve}", flush=True)


def paint(
    one: LearnerSet, learner: LearnerName, policy: Policy, seed: int, arguments: Person
) -> Iterator[dict[str, float]]:
    """The score, and the machine's seconds so far, after 5, 10, 20 ... strokes."""
    chosen, aside = draw_images(one.learn, seed), evenly(len(one.score), arguments.scored)
    images = [one.learn.image(k).copy() for k in chosen] + [one.score.image(k).copy() for k in aside]
    truths = [one.learn.labels(k) for k in chosen]
    hand, clock = np.random.default_rng((seed, 2)), Clock()
    with clock:
        model: Learner = LEARNERS[learner](images, len(chosen), one.class_names)
    maps = [np.full(truth.shape, UNLABELLED, np.uint8) for truth in truths]
    begun = first(maps, truths, len(one.class_names), hand)
    for count in range(begun, arguments.strokes + 1):
        with clock:
            model.learn(maps)
        if count in SCORED_AT or count == arguments.strokes:
            yield {"strokes": count, "seconds": round(clock.wall, 2), "miou": score(one, model, aside, len(chosen))}
        image = count % len(maps)
        with clock:
            place = next_place(policy, model, maps, truths, image, hand)
        stroke(*place, maps, truths, hand)


def first(maps: list[np.ndarray], truths: list[np.ndarray], classes: int, hand: np.random.Generator) -> int:
    """A stroke of each class, on the image that has most of it; returns how many."""
    counts = np.array([np.bincount(truth.ravel(), minlength=256)[:classes] for truth in truths])
    for label in np.flatnonzero(counts.sum(axis=0)):
        image = int(counts[:, label].argmax())
        rows, columns = np.nonzero(truths[image] == label)
        k = hand.integers(len(rows))
        stroke(image, int(rows[k]), int(columns[k]), maps, truths, hand)
    return int((counts.sum(axis=0) > 0).sum())


def next_place(
    policy: Policy,
    model: Learner,
    maps: list[np.ndarray],
    truths: list[np.ndarray],
    image: int,
    hand: np.random.Generator,
) -> tuple[int, int, int]:
    """The image, row and column where the next stroke begins: a pixel that has a true class."""
    if policy == "suggest":
        image, row, column = suggested(model, maps, hand)
        known = truths[image] != UNLABELLED
        rows, columns = np.nonzero(known)
        k = int((np.abs(rows - row) + np.abs(columns - column)).argmin())
        return image, int(rows[k]), int(columns[k])
    wanted = truths[image] != UNLABELLED
    if policy == "wrong":
        wrong = wanted & (model.answer(image)[0] != truths[image])
        wanted = wrong if wrong.any() else wanted
    rows, columns = np.nonzero(wanted)
    k = hand.integers(len(rows))
    return image, int(rows[k]), int(columns[k])


def suggested(model: Learner, maps: list[np.ndarray], hand: np.random.Generator) -> tuple[int, int, int]:
    """Where the studio's `suggest` sends people."""
    doubts, labelled, steps = {}, {}, {}
    for k, own in enumerate(maps):
        step = steps[k] = max(1, -(-max(own.shape) // GRID))
        doubts[k] = 1 - model.answer(k)[1][::step, ::step]
        rows, columns = np.nonzero(own != UNLABELLED)
        labelled[k] = np.zeros(doubts[k].shape, bool)
        labelled[k][rows // step, columns // step] = True
    image, row, column = most_wanted(doubts, labelled, hand)
    return image, row * steps[image], column * steps[image]


def stroke(
    image: int, row: int, column: int, maps: list[np.ndarray], truths: list[np.ndarray], hand: np.random.Generator
) -> None:
    """Paint from a pixel on, as long as its class goes on; what the brush has of other classes is left out."""
    truth, label = truths[image], truths[image][row, column]
    x, y, heading = float(column), float(row), hand.uniform(0, 2 * np.pi)
    points = [(x, y)]
    for _ in range(LENGTH):
        heading += hand.normal(0, TURN)
        x, y = x + np.cos(heading), y + np.sin(heading)
        inside = 0 <= round(y) < truth.shape[0] and 0 <= round(x) < truth.shape[1]
        if not inside or truth[round(y), round(x)] != label:
            break
        points.append((x, y))
    patch = brushed(points, RADIUS, truth.shape[1], truth.shape[0])
    window = slice(patch.top, patch.top + patch.mask.shape[0]), slice(patch.left, patch.left + patch.mask.shape[1])
    maps[image][window][patch.mask & (truth[window] == label)] = label


def score(one: LearnerSet, model: Learner, aside: list[int], begins: int) -> float:
    """Mean IoU of the classes that the images kept aside have."""
    counts = np.zeros((len(one.class_names),) * 2, np.int64)
    for place, k in enumerate(aside):
        counts += confusion(model.answer(begins + place)[0], one.score.labels(k), len(one.class_names))
    iou = scores(counts)["iou_per_class"]
    return round(float(np.mean([own for own, known in zip(iou, counts.sum(axis=1) > 0, strict=True) if known])), 4)
