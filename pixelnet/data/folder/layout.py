"""Which file is an image, and which its labels: found out from names, from content where names say nothing.

Nothing is renamed and nothing guessed in silence: what was taken, what was left aside and why is noted, and what could
be meant in two ways is refused with both ways named.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pixelnet.data.folder.words import LABELS, Place, Vocabulary
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, LOSSY_EXTENSIONS, read_stored

FEW = 64  # different numbers in a map of labels that nothing but its content tells from a picture
NAMED = 3  # examples in a note


class Item(NamedTuple):
    """An image and its labels: paths from the data's folder on, one file of labels an annotator.

    page: of a stack, else None. drawn: how a file of many images' shapes calls this one.
    """

    name: str
    image: PurePosixPath
    labels: tuple[PurePosixPath, ...]
    split: str | None = None
    page: int | None = None
    drawn: str | None = None


class Pair(NamedTuple):
    """An image and the files of its labels, one for each annotator, none where it has none."""

    image: Place
    labels: tuple[Place, ...]


@dataclass
class Found:
    """What a folder holds: pairs, and what people should be told of."""

    pairs: list[Pair] = field(default_factory=list)
    orphans: list[Place] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def files_in(root: Path) -> tuple[list[PurePosixPath], Counter[str]]:
    """The files below a folder, links followed, sorted, and how many were passed over, by reason.

    Passed over: hidden files and folders, `._` files, which macOS leaves beside others, and what archives of it hold.
    """
    found: list[PurePosixPath] = []
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link to what is above it
            inner.clear()
            continue
        seen.add(real)
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        whole = [name for name in inner if name.lower().endswith(".zarr")]
        found += [here / name for name in whole]
        inner[:] = sorted(name for name in inner if not _hidden(name) and name not in whole)
        for name in names:
            if _hidden(name):
                skipped["hidden"] += 1
            else:
                found.append(here / name)
    return sorted(found), skipped


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def discover(
    root: Path,
    files: Sequence[PurePosixPath],
    words: Vocabulary,
    extra: Iterable[str],
    drawn: Callable[[Path, bool], bool],
) -> Found:
    """The pairs among the files of a folder.

    extra: endings of label files beyond the usual ones. drawn: whether a JSON file, which lies among labels or
    does not, holds one image's.
    """
    endings = {*IMAGE_EXTENSIONS, *LABEL_EXTENSIONS, *extra}
    places = [words.place(path) for path in files if path.suffix.lower() in endings]
    jsons = [words.place(path) for path in files if path.suffix.lower() == ".json"]
    drawings = [place for place in jsons if drawn(root / place.path, place.role == "label")]
    named = _by_words(places)
    labels = [place for place in places if place in named] + drawings
    images = [place for place in places if place not in named and place.path.suffix.lower() in IMAGE_EXTENSIONS]
    own = [place for place in images if place.role == "image"]
    aside = [place for place in images if place.role != "image"] if own else []
    images = own or [place for place in images if place.role is None]
    if not labels:
        images, labels, aside = _by_content(root, images + [place for place in aside if place.role is None])
    _refuse_twins(images)
    found = Found()
    found.pairs, found.orphans = _paired(images, labels, found.notes)
    unused = [place for place in aside if place.role is None]
    if unused:
        found.notes.append(f"left aside, beside the folders of images: {_some(unused)}")
    return found


def _refuse_twins(images: Sequence[Place]) -> None:
    known: dict[PurePosixPath, Place] = {}
    for place in images:
        twin = known.setdefault(place.path.with_suffix(""), place)
        if twin is not place:
            raise InputError(f"{twin.path} and {place.path.name} share a name; keep one of them")


def _by_words(places: Sequence[Place]) -> set[Place]:
    """The files that are labels by their folder's name, or by their own where another has the name without the word."""
    silent = {(place.folder, place.bare) for place in places if not place.spoken and place.role in (None, "image")}
    loose = {place.barest for place in places if not place.spoken and place.role in (None, "image")}
    return {
        place
        for place in places
        if place.role == "label"
        or (
            place.role in (None, "image")
            and place.spoken
            and ((place.folder, place.bare) in silent or place.barest in loose)
        )
    }


# How an image and its labels may be called alike, from the strictest: what is compared of either.
KEYS: tuple[Callable[[Place], tuple], ...] = (
    lambda place: (place.split, place.folder, place.stem),
    lambda place: (place.split, place.folder, place.bare),
    lambda place: (place.folder, place.stem),
    lambda place: (place.folder, place.bare),
    lambda place: (place.split, place.stem),
    lambda place: (place.split, place.bare),
    lambda place: (place.stem,),
    lambda place: (place.bare,),
    lambda place: (place.split, place.folder, place.barest),
    lambda place: (place.split, place.barest),
    lambda place: (place.barest,),
)


def _paired(images: Sequence[Place], labels: Sequence[Place], notes: list[str]) -> tuple[list[Pair], list[Place]]:
    """Each image with its labels, and the labels that are no image's."""
    sets: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for place in labels:
        sets[place.words].append(place)
    matched = {words: _matched(images, members) for words, members in sets.items()}
    ranked = sorted(sets, key=lambda words: (-len(matched[words]) // max(1, len(images) // 10), _rank(words)))
    taken: dict[Place, list[Place]] = {}
    for words in ranked:
        rival = [image for image in matched[words] if image in taken]
        if rival:
            other = taken[rival[0]][0]
            notes.append(
                f"labels taken from {_folder(other)}; {len(sets[words])} other files like {sets[words][0].path} were "
                'left aside ("labels" in dataset.json says which are meant)'
            )
            sets[words] = []
            continue
        taken.update(matched[words])
    used = {place for own in taken.values() for place in own}
    orphans = [place for members in sets.values() for place in members if place not in used]
    return [Pair(image, _annotators(taken.get(image, []))) for image in images], orphans


def _rank(words: tuple[str, ...]) -> int:
    return min((LABELS.index(word) for word in words if word in LABELS), default=0)


def _matched(images: Sequence[Place], labels: Sequence[Place]) -> dict[Place, list[Place]]:
    """The labels of each image that has some, by the strictest of KEYS that serves the most images."""
    best: dict[Place, list[Place]] = {}
    for key in KEYS:
        by_key: dict[tuple, list[Place]] = defaultdict(list)
        for image in images:
            by_key[key(image)].append(image)
        found: dict[Place, list[Place]] = defaultdict(list)
        for place in labels:
            if len(owners := by_key.get(key(place), [])) == 1:
                found[owners[0]].append(place)
        if len(found) > len(best):
            best = dict(found)
        if len(best) == len(images):
            break
    return best


def _annotators(labels: Sequence[Place]) -> tuple[Place, ...]:
    """The labels of one image in the order of their annotators. Raises InputError for two files of one."""
    ordered = sorted(labels, key=lambda place: (place.annotator, place.path))
    for one, other in pairwise(ordered):
        if one.annotator == other.annotator:
            raise InputError(
                f'{one.path} and {other.path} both hold labels of one image; keep one of them, or let "labels" in '
                "dataset.json say which are meant"
            )
    return tuple(ordered)


# ----------------------------------------------------------------------------------- by content


def _by_content(root: Path, places: Sequence[Place]) -> tuple[list[Place], list[Place], list[Place]]:
    """Images, labels and the rest, where no name has a word of labels: told by what files hold."""
    for images, labels in _candidates(places):
        shown = [labels[k] for k in np.linspace(0, len(labels) - 1, min(len(labels), NAMED)).round().astype(int)]
        if all(looks_like_labels(root / place.path) for place in shown):
            left = set(places) - {*images, *labels}
            return list(images), list(labels), sorted(left, key=lambda place: place.path)
    return list(places), [], []


def _candidates(places: Sequence[Place]) -> Iterator[tuple[list[Place], list[Place]]]:
    """Two groups of files that are called alike: by ending, by folder, or by what follows the name."""
    groups: dict[tuple[str, str], dict[str, Place]] = defaultdict(dict)
    for place in places:
        groups[str(place.path.parent), place.path.suffix.lower()][place.stem] = place
    ordered = sorted(groups.items(), key=lambda item: item[0][1] not in LOSSY_EXTENSIONS)
    for k, (_, one) in enumerate(ordered):
        for _, other in [*ordered[k + 1 :], *ordered[:k]]:
            both = one.keys() & other.keys()
            if len(both) >= max(1, 0.8 * len(one)):
                yield list(one.values()), [other[stem] for stem in sorted(both)]
    for _, one in ordered:
        endings: Counter[str] = Counter()
        for stem in one:
            endings.update(stem[cut:] for cut in range(1, len(stem)) if stem[:cut] in one)
        for ending, count in endings.most_common(1):
            images = [place for stem, place in one.items() if not stem.endswith(ending)]
            if count >= 0.8 * len(images):
                labels = [one[place.stem + ending] for place in images if place.stem + ending in one]
                yield images, [_named_like(place, ending) for place in labels]


def _named_like(place: Place, ending: str) -> Place:
    """A label's place, called as its image is."""
    stem = place.stem.removesuffix(ending)
    return Place(**{**vars(place), "stem": stem, "bare": (stem,), "barest": (stem,)})


def looks_like_labels(path: Path) -> bool:
    """Whether a picture holds few different numbers a pixel, as labels do and photos do not."""
    try:
        stored = read_stored(path)
    except InputError:
        return False
    return stored.values.ndim == 2 and len(np.unique(stored.values)) <= FEW


def _folder(place: Place) -> str:
    parent = place.path.parent.as_posix()
    return f"{parent}/" if parent != "." else str(place.path)


def _some(places: Sequence[Place]) -> str:
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(str(place.path) for place in places[:NAMED]) + more


def composed(text: str) -> str:
    """A name with its accents composed, as Linux and Windows write them and macOS does not."""
    return unicodedata.normalize("NFC", text)
