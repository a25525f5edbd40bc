"""Some of a data set's items, and ways to choose them: a share held out, or one fold of several.

Neither divides what belongs together; see `pixelnet.data.groups`.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelnet.data.dataset import Dataset, Window, Within
from pixelnet.data.groups import Groups, groups_of
from pixelnet.errors import InputError

CENTER = Fraction(
    3, 4
)  # of a sequence, from which a block grows: a volume shows little at its ends, and most in its middle
HALF = Fraction(1, 2)  # of a place, so that a sequence of one is in the middle of the others
NAMED = 3  # groups in a sentence, of however many


class Subset(Dataset):
    """Some of a data set's items, in its order.

    Args:
        whole: the data set.
        items: which of it, by number, rising.
        split: what they are called.
        chosen: how they were chosen, in words.
    """

    def __init__(self, whole: Dataset, items: Sequence[int], split: str, chosen: str = "") -> None:
        self.whole, self.items, self.split, self.chosen = whole, list(items), split, chosen
        self.task, self.source, self.channels, self.reference = whole.task, whole.source, whole.channels, None
        self.class_names, self.class_colors, self.ranges = whole.class_names, whole.class_colors, whole.ranges
        self.names = [whole.names[i] for i in self.items]
        self.notes, self.questions, self.augment = whole.notes, whole.questions, whole.augment
        self.groups = [whole.groups[i] for i in self.items] if whole.groups else ()

    @property
    def members(self) -> list[Dataset]:
        return self.whole.members

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole.image(self.items[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole.labels(self.items[i], window)

    def size(self, i: int) -> tuple[int, int]:
        return self.whole.size(self.items[i])

    def truth(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole.truth(self.items[i], *([] if window is None else [window]))  # one of your own may have none

    def in_parts(self, i: int) -> bool:
        return self.whole.in_parts(self.items[i])

    def within(self, i: int) -> Within | None:
        return self.whole.within(self.items[i])

    def files(self, i: int) -> tuple[Path, ...]:
        return self.whole.files(self.items[i])

    def key(self, i: int) -> str:
        return self.whole.key(self.items[i])

    def merge(self, class_names: tuple[str, ...]) -> np.ndarray | None:
        return self.whole.merge(class_names)


class Division(NamedTuple):
    """Which images are held out, and which are left out of both sides, by their keys; and how that was chosen."""

    held: set[str]
    left: set[str]
    chosen: str


def hold_out(data: Dataset, share: float, among: Dataset | None = None) -> tuple[Subset, Subset]:
    """The data without a share (0..1) of its images, and these: the same ones for the same data, at least one of each.

    among: some of the data, of which the share is; None for all of it.

    Groups are held out whole, as many as come nearest to the share, and one that is larger than the share only if none
    is smaller; sequences lose a block, and the images beside it are on neither side. What a smaller share holds out, a
    larger one does, too. An image that is there twice is on one side only.
    """
    if not 0 < share < 1:
        raise InputError(f"the share to hold out is {share}; give a number above 0 and below 1, such as .2")
    keys, groups = _grouped(among or data)
    if groups.order is not None:
        count = min(max(1, round(share * len(keys))), len(keys) - 1)
        return _divided(data, _block(keys, groups, _from_center(groups)[:count]))
    members = _members(keys, groups)
    order = _by_chance(members)
    held = order[: _count_of_groups([len(members[name]) for name in order], share * len(keys))]
    return _divided(data, _whole_groups(members, held))


def one_fold(data: Dataset, fold: str) -> tuple[Subset, Subset]:
    """The data without one of K equal parts of its images, and that part: "2/5" is the second of five.

    Groups stay whole, so that parts are only as equal as they allow; sequences are cut into blocks, and of a run the
    images beside its block are on neither side.
    """
    number, _, count = fold.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) and int(count) >= 2):
        raise InputError(f"the fold is {fold!r}; give which of how many, as in 2/5")
    own, folds = int(number) - 1, int(count)
    keys, groups = _grouped(data)
    if len(keys) < folds:
        raise InputError(f"{data.source} has {len(keys)} images, too few for {folds} folds")
    if groups.order is not None:
        places = sorted(range(len(keys)), key=lambda i: (groups.names[i], groups.order[i]))  # type: ignore[index]
        part = [i for rank, i in enumerate(places) if rank * folds // len(keys) == own]
        return _divided(data, _block(keys, groups, part))
    members = _members(keys, groups)
    if len(members) < folds:
        raise InputError(
            f"{data.source} has {len(members)} groups of images ({_some(sorted(members))}), too few for {folds} folds; "
            f"give at most {len(members)}"
        )
    sizes, held = [0] * folds, []
    for name in sorted(_by_chance(members), key=lambda name: -len(members[name])):
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(members[name])
        held += [name] if smallest == own else []
    return _divided(data, _whole_groups(members, held))


def _grouped(data: Dataset) -> tuple[list[str], Groups]:
    """The keys of the images, each once and sorted, and how these belong together."""
    first = {data.key(i): i for i in reversed(range(len(data)))}
    keys = sorted(first)
    if len(keys) < 2:
        raise InputError(f"{data.source} has one image, and one cannot be held out of one; add images")
    if not data.groups:
        return keys, groups_of([data.names[first[key]] for key in keys])
    given = [data.groups[first[key]] for key in keys]
    if len(set(given)) < 2:
        raise InputError(
            f"the images of {data.source} are all of one group, {given[0]}, and none of a group is held out alone; "
            "give groups of which there are several"
        )
    return keys, Groups(given)


def _members(keys: Sequence[str], groups: Groups) -> dict[str, list[str]]:
    """The keys of each group."""
    found: dict[str, list[str]] = {}
    for key, name in zip(keys, groups.names, strict=True):
        found.setdefault(name, []).append(key)
    return found


def _by_chance(members: dict[str, list[str]]) -> list[str]:
    """The groups, shuffled, always in the same order; none comes before what is half as large together, if it may."""
    names = list(members)
    waiting = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    order: list[str] = []
    total, largest = 0, max(map(len, members.values()))
    while 2 * total < largest:
        most = max(2 * total, min(len(members[name]) for name in waiting))
        chosen = next(name for name in waiting if len(members[name]) <= most)
        waiting.remove(chosen)
        order.append(chosen)
        total += len(members[chosen])
    return order + waiting


def _count_of_groups(sizes: Sequence[int], wanted: float) -> int:
    """How many of the first groups come nearest to so many images; never all, at least one, and no later one alone
    of more."""
    total = sizes[0]
    for count, size in enumerate(sizes[1:-1], start=1):
        if size > wanted or 2 * total + size > 2 * wanted:
            return count
        total += size
    return len(sizes) - 1


def _whole_groups(members: dict[str, list[str]], held: list[str]) -> Division:
    alone = max(map(len, members.values())) == 1
    chosen = "drawn at random" if alone else f"by group: {_some(sorted(held))}"
    return Division({key for name in held for key in members[name]}, set(), chosen)


def _from_center(groups: Groups) -> list[int]:
    """The images of sequences, in the order in which blocks about their centers take them, of scenes from the end."""
    assert groups.order is not None
    found: list[tuple[Fraction, int, int]] = []
    for own in _sequences(groups):
        center = (Fraction(1) if groups.grid else CENTER) * (
            len(own) - 1
        )  # a scene's end has neighbors on one side only
        found += [((abs(place - center) + HALF) / len(own), -place, i) for place, i in enumerate(own)]
    return [i for *_, i in sorted(found)]


def _sequences(groups: Groups) -> list[list[int]]:
    """The numbers of each group's images, in its order."""
    assert groups.order is not None
    found: dict[str, list[int]] = {}
    for i in sorted(range(len(groups.names)), key=groups.order.__getitem__):
        found.setdefault(groups.names[i], []).append(i)
    return list(found.values())


def _block(keys: list[str], groups: Groups, held: Iterable[int]) -> Division:
    """Some images of sequences held out. Those beside them are left out of what is learnt from, unless that is half.

    Of scenes neighbors are never on both sides. Raises InputError where nothing would be left to learn from.
    """
    inside = set(held)
    if groups.grid:
        beside = _around(groups, inside)
        if len(inside) + len(beside) == len(keys):
            raise InputError(
                f"none of the {len(keys)} blocks of {groups.names[0]} is apart from what would be held out; let blocks "
                'be smaller ("block" in dataset.json: their side), or give a scene of its own for val'
            )
    else:
        beside = {
            own[other]
            for own in _sequences(groups)
            for place, i in enumerate(own)
            if i in inside
            for other in (place - 1, place + 1)
            if 0 <= other < len(own) and own[other] not in inside
        }
        if 2 * len(beside) >= len(keys) - len(inside):
            beside = set()
    left = f"; {len(beside)} beside them are left out" if beside else ""
    chosen = f"neighbors, by their {'places' if groups.grid else 'numbers'}{left}"
    return Division({keys[i] for i in inside}, {keys[i] for i in beside}, chosen)


def _around(groups: Groups, inside: set[int]) -> set[int]:
    """The blocks of scenes that touch some of them, at a corner, too."""
    assert groups.order is not None
    number = {(name, *place): i for i, (name, place) in enumerate(zip(groups.names, groups.order, strict=True))}
    touched = {
        number.get((groups.names[i], groups.order[i][0] + down, groups.order[i][1] + across))
        for i in inside
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
    }
    return {i for i in touched if i is not None} - inside


def _divided(data: Dataset, division: Division) -> tuple[Subset, Subset]:
    keys = [data.key(i) for i in range(len(data))]
    kept = [i for i, key in enumerate(keys) if key not in division.held | division.left]
    held = [i for i, key in enumerate(keys) if key in division.held]
    return Subset(data, kept, data.split), Subset(data, held, "val", division.chosen)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
