"""The development sets: what is learnt from, and what is kept aside for scoring.

chase: the eyes of 9 children, scored on those of children 02, 05, 08, 11 and 14. em: slices 0 to 19 of a volume, scored
on 22 to 29; the two between keep neighbors apart. acdc: train and val, with people's scribbles. camvid: drives 0001TP
and 0016E5 of the train split, scored on drive 0006R0 of it. scenes: generated, train and val.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import UNLABELLED, Window, evenly

SetName = Literal["chase", "em", "acdc", "camvid", "scenes"]
SETS: tuple[SetName, ...] = get_args(SetName)
DATA = Path(os.environ.get("PIXELNET_DATA", "../shared/data"))
ASIDE = {"02", "05", "08", "11", "14"}  # children of chase
LEARNT_SLICES, SCORED_SLICES = range(20), range(22, 30)


class Part(Dataset):
    """Some images of a data set, in a given order, which are kept in memory once they are read.

    scribbles: the same images with a person's few labels in place of dense ones, where there are any.
    """

    task = "segmentation"

    def __init__(
        self,
        source: Dataset,
        indices: Sequence[int],
        class_names: Sequence[str],
        groups: Sequence[str],
        scribbles: Dataset | None = None,
    ) -> None:
        self.of, self.indices = source, list(indices)
        self.source, self.split = source.source, source.split
        self.class_names, self.class_colors = tuple(class_names), source.class_colors
        self.names, self.groups = [source.names[k] for k in self.indices], list(groups)
        self._scribbles = scribbles
        self._read: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._pair(i)[0][window or ...]

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._pair(i)[1][window or ...]

    def scribbles(self, i: int) -> np.ndarray | None:
        """What a person drew on image i: class ids (H, W), 255 where nothing; None if nobody did."""
        return None if self._scribbles is None else self._scribbles.labels(self.indices[i])

    def files(self, i: int) -> tuple[Path, ...]:
        return self.of.files(self.indices[i])

    def labelled(self, how: str, seed: int) -> Dataset:
        """The same images with fewer labels: `all`, a person's `scribbles`, or so many random pixels of each image."""
        if how == "all":
            return self
        maps = [self.scribbles(k) if how == "scribbles" else self._random(k, int(how), seed) for k in range(len(self))]
        pairs = [(self.image(k), drawn) for k, drawn in enumerate(maps) if drawn is not None]
        return Arrays(pairs, "segmentation", self.class_names)

    def _random(self, i: int, count: int, seed: int) -> np.ndarray:
        labels = self.labels(i)
        known = np.flatnonzero(labels != UNLABELLED)
        own = np.random.default_rng((seed, i)).permutation(known)[:count]
        drawn = np.full_like(labels, UNLABELLED)
        drawn.flat[own] = labels.flat[own]
        return drawn

    def _pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if i not in self._read:
            self._read[i] = (self.of.image(self.indices[i]), self.of.labels(self.indices[i]))
        return self._read[i]


@dataclass(frozen=True)
class LearnerSet:
    """A set: its learning part and its scoring part, of which no group is on both sides."""

    name: SetName
    learn: Part
    score: Part

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.learn.class_names


def chase(data: Path) -> LearnerSet:
    own = open_dataset(data / "own" / "chase", "segmentation")
    children = [name[len("Image_") : -1] for name in own.names]
    return LearnerSet("chase", *_divided(own, ("background", "vessel"), children, lambda k: children[k] in ASIDE))


def em(data: Path) -> LearnerSet:
    own, names = open_dataset(data / "own" / "em", "segmentation"), ("membrane", "cell")
    at = {int(name): k for k, name in enumerate(own.names)}
    parts = ([at[number] for number in numbers] for numbers in (LEARNT_SLICES, SCORED_SLICES))
    return LearnerSet("em", *(Part(own, indices, names, [own.names[k] for k in indices]) for indices in parts))


def acdc(data: Path) -> LearnerSet:
    root, names = data / "acdc-scribbles", ("background", "right ventricle", "myocardium", "left ventricle")
    drawn = {"images": "*/images/*.png", "labels": "{1}/scribbles/{name}.png"}
    parts = []
    for split in ("train", "val"):
        own = open_dataset(root, "segmentation", split)
        scribbles = open_dataset(root, "segmentation", split, drawn)
        if list(own.names) != list(scribbles.names):
            raise AssertionError("scribbles and labels are of other images")
        parts.append(Part(own, range(len(own)), names, [name.partition("_")[0] for name in own.names], scribbles))
    return LearnerSet("acdc", *parts)


def camvid(data: Path) -> LearnerSet:
    own = open_dataset(f"camvid:{data / 'camvid'}", "segmentation")
    drives = [name.partition("_")[0] for name in own.names]
    return LearnerSet("camvid", *_divided(own, own.class_names, drives, lambda k: drives[k] == "0006R0"))


def scenes(data: Path) -> LearnerSet:
    splits = (open_dataset("scenes", "segmentation", split) for split in ("train", "val"))
    return LearnerSet("scenes", *(Part(own, range(len(own)), own.class_names, own.names) for own in splits))


def _divided(
    own: Dataset, class_names: Sequence[str], groups: Sequence[str], aside: Callable[[int], bool]
) -> tuple[Part, Part]:
    sides = ([k for k in range(len(own)) if aside(k) is scored] for scored in (False, True))
    learn, score = (Part(own, indices, class_names, [groups[k] for k in indices]) for indices in sides)
    return learn, score


OPENED: dict[SetName, Callable[[Path], LearnerSet]] = {
    "chase": chase,
    "em": em,
    "acdc": acdc,
    "camvid": camvid,
    "scenes": scenes,
}


def open_set(name: SetName, data: Path = DATA) -> LearnerSet:
    return OPENED[name](data)


def describe(names: Sequence[SetName], data: Path = DATA) -> None:
    """Print which images and which classes each set has."""
    for name in names:
        one = open_set(name, data)
        print(f"{name}: {', '.join(one.class_names)}")
        for what, part in (("learn", one.learn), ("score", one.score)):
            counts = np.sum([np.bincount(part.labels(k).ravel(), minlength=256) for k in range(len(part))], axis=0)
            shares = " ".join(f"{share:.3f}" for share in counts[: len(one.class_names)] / counts.sum())
            known = sorted(set(part.groups), key=lambda group: [int(n) for n in re.findall(r"\d+", group)])
            groups = f"{len(known)} groups ({', '.join(known[:6])}{' ...' if len(known) > 6 else ''})"
            spread = ", ".join(part.names[k] for k in evenly(len(part), 8))
            print(
                f"  {what}: {len(part)} images, {groups}; shares {shares}, unlabelled {counts[255] / counts.sum():.3f}"
            )
            print(f"         {spread}; {part.image(0).shape} {part.image(0).dtype}")
