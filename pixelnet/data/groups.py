"""Which images belong together, by their names: patients, videos, volumes, the two eyes of one child.

Images of one patient, or neighbors in a video, are so alike that a score on one of them says little after learning
from another. So they are held out together, or, where all are one or two sequences, in blocks.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

FEWEST = 3  # groups of which one can be held out; fewer, and too much would be
ENOUGH = 5  # groups of which one is about a fifth
LARGEST = 0.5  # of the images, in one group, where names can be read in several ways
PART = re.compile(r"\[(\d+)(?:,(\d+))?\]$")  # a page of a stack is NAME[z], a block of a scene NAME[row,column]
MOST = 0.9  # of the names, which are of one kind for them all to be taken so
NUMBER = re.compile(r"\d+")
MIXED = 3  # pieces of digits and letters in a field up to which it is no hash


class Groups(NamedTuple):
    """What belongs together.

    names: of each image, its group. order: of each image, what it is sorted by among its group's, where the groups are
    so few that they are cut into blocks; None where a group stays whole. grid: images are blocks of scenes, and their
    order is the row and the column, that first of which there are more.
    """

    names: list[str]
    order: list[tuple[int, ...]] | None = None
    grid: bool = False


def groups_of(names: Sequence[str]) -> Groups:
    """The groups that names of images show: relative paths without their endings, each once.

    - Pages of stacks, NAME[z], and blocks of scenes, NAME[row,column], belong to NAME.
    - Otherwise a group is what names begin with alike, in whole fields ("Image_01" of Image_01L and Image_01R,
      "patient067" of patient067_frame10_slice_5, "IMG_20210304" of IMG_20210304_101112), where that makes at least
      three groups and most images are not alone in theirs. Of several beginnings it is the shortest that makes at
      least five groups, none of them of more than half of the images; else the longest.
    - Fewer groups, whose images are numbered, are sequences: of frames, of slices. They are to be cut into blocks.
    - Names that show nothing are groups of one.
    """
    stacks = [PART.sub("", name) for name in names]
    if stacks != list(names):
        return _of_stacks(names, stacks)
    found = _beginnings(names)
    return Groups(found) if found is not None else _of_few(names)


def _of_few(names: Sequence[str]) -> Groups:
    """Sequences, or two groups of several images each, or nothing; a few names may be of another kind."""
    for own in _levels(names):
        counts = Counter(own)
        several = {group for group, count in counts.items() if count > 1}
        if not 0 < len(several) < FEWEST or sum(counts[group] for group in several) < MOST * len(names):
            continue
        rests = [name[len(group) :] if group in several else "0" for name, group in zip(names, own, strict=True)]
        numbers = [_numbers(rest) for rest in rests]
        kinds = {NUMBER.sub("0", rest) for rest, group in zip(rests, own, strict=True) if group in several}
        if all(numbers) and len(kinds) == 1:
            return Groups(own, numbers)
        if len(several) > 1:
            return Groups(own)
    return Groups(list(names))


def _of_stacks(names: Sequence[str], stacks: list[str]) -> Groups:
    different = list(dict.fromkeys(stacks))
    if len(different) < FEWEST:
        places = [PART.search(name) for name in names]
        if all(place is not None and place[2] for place in places):
            order = [(int(place[1]), int(place[2])) for place in places if place]
            wide = max(x for _, x in order) > max(y for y, _ in order)
            return Groups(stacks, [place[::-1] if wide else place for place in order], grid=True)
        return Groups(stacks, [_numbers(name[len(stack) :]) or (0,) for name, stack in zip(names, stacks, strict=True)])
    larger = _beginnings(different)
    known = dict(zip(different, larger or different, strict=True))
    return Groups([known[stack] for stack in stacks])


def _beginnings(names: Sequence[str]) -> list[str] | None:
    """The beginning of each name that is its group's, or None if none will do."""
    sound = [own for own in _levels(names) if len(set(own)) >= FEWEST and _shared(own) >= len(names) / 2]
    for own in reversed(sound):
        if len(set(own)) >= ENOUGH and max(Counter(own).values()) <= LARGEST * len(names):
            return own
    return sound[0] if sound else None


def _shared(groups: list[str]) -> int:
    """How many images are not alone in their group."""
    return sum(count for count in Counter(groups).values() if count > 1)


def _levels(names: Sequence[str]) -> Iterator[list[str]]:
    """The names without their last part, without their last two, and so on to nothing.

    One of which nothing is left stays whole, unless nothing is left of any but those of another kind.
    """
    divisible = _divisible(names)
    ends = [_ends(name, divisible) for name in names]
    most = max(map(len, ends), default=0)
    for dropped in range(1, most):
        yield [name[: own[-dropped - 1]] if dropped < len(own) else name for name, own in zip(names, ends, strict=True)]
    yield ["" if divisible.get(0, kind) == kind else name for name in names for kind in [_kind_of_last(name)]]


def _fields(name: str) -> list[re.Match[str]]:
    return list(re.finditer(r"[^\W_]+", name))


def _pieces(field: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\d+|\D+", field))


def _kind(field: str) -> str:
    """Of what a field is, such as letters and then digits."""
    return "".join("d" if piece[0][0].isdigit() else "l" for piece in _pieces(field))


def _kind_of_last(name: str) -> str:
    fields = _fields(name)
    return _kind(fields[-1][0]) if fields else ""


def _divisible(names: Sequence[str]) -> dict[int, str]:
    """The fields, counted from the last, that are of one kind in nearly all names (01L, f01290; no hashes)."""
    kinds: dict[int, Counter[str]] = {}
    for name in names:
        for place, field in enumerate(reversed(_fields(name))):
            kinds.setdefault(place, Counter())[_kind(field[0])] += 1
    found = {place: own.most_common(1)[0] for place, own in kinds.items()}
    return {
        place: kind
        for place, (kind, count) in found.items()
        if len(kind) <= MIXED and count >= MOST * kinds[place].total()
    }


def _ends(name: str, divisible: dict[int, str]) -> list[int]:
    """Where the parts of a name end: its fields, and the pieces of those that are divisible."""
    fields, ends = _fields(name), []
    for place, field in enumerate(fields):
        inside = divisible.get(len(fields) - 1 - place) == _kind(field[0])
        ends += [field.start() + piece.end() for piece in _pieces(field[0])] if inside else [field.end()]
    return ends


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in NUMBER.findall(text))
