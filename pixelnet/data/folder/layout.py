"""Which file is an image, and which its labels: found out from names, from content where names say nothing.

Nothing is renamed and nothing guessed in silence: what was taken, what was left aside and why is noted, and what could
be meant in two ways is refused with both ways named.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pixelnet.data.dataset import evenly
from pixelnet.data.folder.words import LABELS, PLAIN, RENDERED, Place, Vocabulary
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, read_stored

FEW = 64  # different numbers in a map of labels that nothing but its content tells from a picture
NAMED = 3  # examples in a note
MOST = 0.9  # share of a split's images that labels must serve to be preferred for what they are called
ALIKE = 0.8  # share of names that two groups of files must have in common
Group = tuple[str | None, str, str]  # split, folder, ending


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
    drawn: Callable[[Path], bool | None],
) -> Found:
    """The pairs among the files of a folder.

    extra: endings of label files beyond the usual ones. drawn: whether a JSON file holds one image's; None for one
    that cannot be told.
    """
    endings = {*IMAGE_EXTENSIONS, *LABEL_EXTENSIONS, *extra, ".json"}
    known = [path for path in files if path.suffix.lower() in endings]
    top = begin_alike([path.parts[:-1] for path in known])
    found = _discovered(root, [words.place(path, top) for path in known], drawn)
    if top and not any(pair.labels for pair in found.pairs):  # perhaps "Photos with labels/" holds both
        again = _discovered(root, [words.place(path, top, top) for path in known], drawn)
        return again if any(pair.labels for pair in again.pairs) else found
    return found


def _discovered(root: Path, every: Sequence[Place], drawn: Callable[[Path], bool | None]) -> Found:
    places = [place for place in every if place.path.suffix.lower() != ".json"]
    named = _by_words(places)
    labels = [place for place in places if place in named]
    jsons = {place: drawn(root / place.path) for place in every if place.path.suffix.lower() == ".json"}
    # A broken one is named when it is read, if nothing else can be the labels.
    labels += [
        place for place, is_one in jsons.items() if is_one or (is_one is None and not labels and place.role == "label")
    ]
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
        found.notes.append(f"left aside, beside the folders of images: {some([place.path for place in unused])}")
    return found


def _refuse_twins(images: Sequence[Place]) -> None:
    known: dict[PurePosixPath, Place] = {}
    for place in images:
        twin = known.setdefault(place.path.with_suffix(""), place)
        if twin is not place:
            raise InputError(f"{twin.path} and {place.path.name} share a name; keep one of them")


def _by_words(places: Sequence[Place]) -> set[Place]:
    """The files that are labels by their folder's name, or by their own where another has the name without the word.

    Without any, those that are rendered for people.
    """
    silent = {(place.folder, place.bare) for place in places if not place.spoken and place.role in (None, "image")}
    loose = {place.barest for place in places if not place.spoken and place.role in (None, "image")}
    found = {
        place
        for place in places
        if place.role == "label"
        or (
            place.role in (None, "image")
            and place.spoken
            and (
                (place.folder, place.bare) in silent
                or (place.folder, _unrendered(place)) in silent
                or place.barest in loose
            )
        )
    }
    return found or {place for place in places if place.role == "rendered"}


def _unrendered(place: Place) -> tuple[str, ...]:
    return tuple(field for field in place.bare if field not in RENDERED | PLAIN)


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
    matched = {words: _matched(images, members, notes) for words, members in sets.items()}
    count = Counter(image.split for image in images)

    def order(words: tuple[str, ...]) -> tuple[bool, int, int]:
        of = sum(count[split] for split in {image.split for image in matched[words]})
        return len(matched[words]) < MOST * of, _rank(words), -len(matched[words])

    ranked = sorted(sets, key=order)
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
    pairs = [Pair(image, _annotators(_plain(taken.get(image, [])))) for image in images]
    if any(pair.labels for pair in pairs):
        orphans = [place for place in orphans if not _is_rendered(place)]
    known = {*orphans, *(place for pair in pairs for place in pair.labels)}
    rendered = [place.path for members in sets.values() for place in members if place not in known]
    if rendered:
        notes.append(f"left aside, as renderings or maps of objects beside the labels: {some(rendered)}")
    return pairs, orphans


def _rank(words: tuple[str, ...]) -> int:
    return min((LABELS.index(word) for word in words if word in LABELS), default=0)


def _matched(images: Sequence[Place], labels: Sequence[Place], notes: list[str]) -> dict[Place, list[Place]]:
    """The labels of each image that has some, by the strictest of KEYS that serves the most images.

    If none serves any, names count without the fields that all of them end in (x_leftImg8bit, x_0000, x_L).
    """
    best: dict[Place, list[Place]] = {}
    for key in KEYS:
        found = _by_key(images, labels, key)
        if len(found) > len(best):
            best = found
        if len(best) == len(images):
            break
    if best or min(len(images), len(labels)) < 2:
        return best
    plain = [place for place in labels if not _is_rendered(place)] or list(labels)
    cut, own = _shared_ending(images), _shared_ending(plain)
    shorter = {place: _cut(place, cut) for place in images} | {place: _cut(place, own) for place in labels}
    for key in KEYS:
        found = _by_key([shorter[image] for image in images], [shorter[place] for place in labels], key)
        if len(found) > len(best):
            best = found
    if best:
        whole = {place.path: place for place in (*images, *labels)}
        best = {whole[image.path]: [whole[place.path] for place in found] for image, found in best.items()}
        one = next(iter(best))
        notes.append(f"paired by their names without what all end in: {one.path} with {best[one][0].path}")
    return best


def _by_key(
    images: Sequence[Place], labels: Sequence[Place], key: Callable[[Place], tuple]
) -> dict[Place, list[Place]]:
    """The labels of the images that are the only ones of their key."""
    by_key: dict[tuple, list[Place]] = defaultdict(list)
    for image in images:
        by_key[key(image)].append(image)
    found: dict[Place, list[Place]] = defaultdict(list)
    for place in labels:
        if len(owners := by_key.get(key(place), [])) == 1:
            found[owners[0]].append(place)
    return dict(found)


def _shared_ending(places: Sequence[Place]) -> int:
    """How many fields all names end in alike; not all of any."""
    backwards = [place.bare[::-1] for place in places]
    return min(begin_alike(backwards), min(map(len, backwards)) - 1)


def _cut(place: Place, count: int) -> Place:
    bare = place.bare[: len(place.bare) - count]
    return replace(place, stem="_".join(bare), bare=bare, barest=bare)


def _is_rendered(place: Place) -> bool:
    return not RENDERED.isdisjoint(place.bare)


def _plain(labels: Sequence[Place]) -> Sequence[Place]:
    """An image's labels without what is rendered of them for people, if one is not."""
    return [place for place in labels if not _is_rendered(place)] or labels


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
    """Images, labels and the rest, where no name has a word of labels: told by what files hold.

    Groups of files that are called alike are compared: by folder, by ending, or by what follows the name.
    """
    groups: dict[Group, dict[str, Place]] = defaultdict(dict)
    for place in places:
        groups[place.split, str(place.path.parent), place.path.suffix.lower()][place.stem] = place
    sure = {group: _look_like_labels(root, list(own.values())) for group, own in groups.items()}
    images: list[Place] = []
    labels: list[Place] = []
    called = {group for group, own in groups.items() if any(place.role == "image" for place in own.values())}
    for group in [group for group, is_one in sure.items() if group in called or not is_one]:
        own = groups[group]
        for other in sorted(
            (other for other in groups if sure[other] and other not in called), key=lambda other: _unlike(group, other)
        ):
            both = own.keys() & groups[other].keys()
            if len(both) >= max(1, ALIKE * len(own)):
                images += own.values()
                labels += groups.pop(other).values()
                break
        else:
            ending = _ending(root, own)
            if ending:
                images += [place for stem, place in own.items() if not stem.endswith(ending)]
                labels += [_named_like(place, ending) for stem, place in own.items() if stem.endswith(ending)]
    if not labels:
        return list(places), [], []
    taken = {place.path for place in (*images, *labels)}
    return images, labels, [place for place in places if place.path not in taken]


def _unlike(one: Group, other: Group) -> tuple[bool, int]:
    """How far two groups of files are from belonging together, the nearest first."""
    return one[0] != other[0], -begin_alike([one[1], other[1]])


def _look_like_labels(root: Path, places: Sequence[Place]) -> bool:
    return all(looks_like_labels(root / places[k].path) for k in evenly(len(places), NAMED))


def _ending(root: Path, own: dict[str, Place]) -> str | None:
    """What names of labels end in after their image's, if nearly all images have some."""
    endings = Counter(stem[cut:] for stem in own for cut in range(1, len(stem)) if stem[:cut] in own)
    for ending, count in endings.most_common(1):
        labels = [place for stem, place in own.items() if stem.endswith(ending) and stem.removesuffix(ending) in own]
        if count >= ALIKE * (len(own) - count) and _look_like_labels(root, labels):
            return ending
    return None


def _named_like(place: Place, ending: str) -> Place:
    """A label's place, called as its image is."""
    stem = place.stem.removesuffix(ending)
    return replace(place, stem=stem, bare=(stem,), barest=(stem,))


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


def some(paths: Sequence[PurePosixPath | str]) -> str:
    """The first few of several paths, and how many more there are."""
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(map(str, paths[:NAMED])) + more


def begin_alike(texts: Sequence[Sequence[str]]) -> int:
    """How many letters, or parts, all of them begin with; 0 of none."""
    columns = zip(*texts, strict=False)
    return next((k for k, column in enumerate(columns) if len(set(column)) > 1), min(map(len, texts), default=0))


def composed(text: str) -> str:
    """A name with its accents composed, as Linux and Windows write them and macOS does not."""
    return unicodedata.normalize("NFC", text)
