"""Some of a data set's items, and ways to choose them: a share held out, or one fold of several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Dataset, Window
from pixelnet.errors import InputError


class Subset(Dataset):
    """Some of a data set's items, in its order.

    Args:
        whole: the data set.
        items: which of it, by number, rising.
        split: what they are called.
    """

    def __init__(self, whole: Dataset, items: Sequence[int], split: str) -> None:
        self.whole, self.items, self.split = whole, list(items), split
        self.task, self.source, self.channels, self.reference = whole.task, whole.source, whole.channels, None
        self.class_names, self.class_colors = whole.class_names, whole.class_colors
        self.ranges = whole.ranges
        self.names = [whole.names[i] for i in self.items]

    @property
    def members(self) -> list[Dataset]:
        return self.whole.members

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole.image(self.items[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole.labels(self.items[i], window)

    def size(self, i: int) -> tuple[int, int]:
        return self.whole.size(self.items[i])

    def truth(self, i: int) -> np.ndarray:
        return self.whole.truth(self.items[i])

    def files(self, i: int) -> tuple[Path, ...]:
        return self.whole.files(self.items[i])

    def merge(self, class_names: tuple[str, ...]) -> np.ndarray | None:
        return self.whole.merge(class_names)


def hold_out(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """The data without a share (0..1) of its images, and these: the same ones for the same data, at least one of each.

    An image that is there twice is on one side only.
    """
    if not 0 < share < 1:
        raise InputError(f"the share to hold out is {share}; give a number above 0 and below 1, such as .2")
    images = _images(data)
    return _divided(data, set(images[: min(max(1, round(share * len(images))), len(images) - 1)]))


def one_fold(data: Dataset, fold: str) -> tuple[Dataset, Dataset]:
    """The data without one of K equal parts of its images, and that part: "2/5" is the second of five."""
    number, _, count = fold.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) and int(count) >= 2):
        raise InputError(f"the fold is {fold!r}; give which of how many, as in 2/5")
    images = _images(data)
    if len(images) < int(count):
        raise InputError(f"{data.source} has {len(images)} images, too few for {count} folds")
    return _divided(data, set(images[int(number) - 1 :: int(count)]))


def _key(data: Dataset, i: int) -> str:
    """What tells an image from every other: its file, or its name."""
    files = data.files(i)
    return str(files[0]) if files else data.names[i]


def _images(data: Dataset) -> list[str]:
    """The images of the data, each once, shuffled, always in the same order."""
    keys = sorted({_key(data, i) for i in range(len(data))})
    if len(keys) < 2:
        raise InputError(f"{data.source} has one image, and one cannot be held out of one; add images")
    return [keys[i] for i in np.random.default_rng(0).permutation(len(keys))]


def _divided(data: Dataset, held: set[str]) -> tuple[Dataset, Dataset]:
    inside = [_key(data, i) in held for i in range(len(data))]
    kept = [i for i, out in enumerate(inside) if not out]
    return Subset(data, kept, data.split), Subset(data, [i for i, out in enumerate(inside) if out], "val")
