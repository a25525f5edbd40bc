"""Which images a run learnt from, by what is in them: `images.json`, {"learnt": [...], "held_out": [...]}.

An image is known by a hash of its file's bytes, or of its pixels where there is no file, and its labels likewise: so
that it is known wherever it lies. Data that is not the same twice (augmented as it is read) has no hashes.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from pixelnet.config import from_dict, read_json
from pixelnet.data.dataset import Dataset
from pixelnet.data.groups import PART
from pixelnet.errors import InputError
from pixelnet.files import write_json

IMAGES = "images.json"
BYTES = 16  # of a hash


@dataclass(frozen=True)
class Known:
    """An image of a run: its name, and the hashes of the image and of its labels, "" where there are none."""

    name: str
    image: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Images:
    """The images of a run: those learnt from, and those held out; the val split's, or a share's."""

    learnt: tuple[Known, ...] = ()
    held_out: tuple[Known, ...] = ()

    def write(self, folder: Path) -> None:
        write_json(folder / IMAGES, {name: [asdict(one) for one in own] for name, own in vars(self).items()})


def read_images(folder: Path) -> Images | None:
    """What a run noted; None where there is nothing, as of a model that is no run's."""
    path = folder / IMAGES
    if not path.is_file():
        return None
    found = read_json(path)
    known: dict[str, Any] = {}
    for name, own in found.items():
        if not isinstance(own, list):
            raise InputError(f"{path}: {name} is a {type(own).__name__}, not a list of images")
        known[name] = tuple(from_dict(Known, one, f"{path}, {name}") for one in own)
    return from_dict(Images, known, str(path))


def known_images(data: Dataset) -> tuple[Known, ...]:
    """The images of a data set, with their hashes; of generated ones of what names them."""
    generated = any(member.generated for member in data.members)
    if not len(data) or (not data.files(0) and not generated and _hash_of_pixels(data, 0) != _hash_of_pixels(data, 0)):
        return tuple(Known(name) for name in data.names)
    files = sorted({path for i in range(len(data)) for path in data.files(i)})
    with ThreadPoolExecutor() as pool:
        found = pool.map(_hash_of_file, files)
        hashes = dict(zip(files, tqdm(found, "hashing files", len(files), delay=2, leave=False), strict=True))
    firsts = Counter(data.files(i)[:1] for i in range(len(data)))

    def known(i: int) -> Known:
        name, own = data.names[i], data.files(i)
        if not own:
            return Known(name, _hash(data.key(i).encode())) if generated else Known(name, *_hash_of_pixels(data, i))
        page = PART.search(name)
        place = page[0] if page else name if firsts[own[:1]] > 1 else ""  # which of a file's many images
        if page and page[2]:  # a block of a scene, which may be cut into others
            place += "{}x{}".format(*data.size(i))
        labels = [hashes[path] for path in own[1:]]
        return Known(name, _together(hashes[own[0]], place), _together(*labels, place) if labels else "")

    return tuple(known(i) for i in range(len(data)))


def note_images(
    folder: Path, data: Dataset, validation: Dataset | None, accelerator: Accelerator, resumed: bool
) -> Images:
    """What a run is to write of its images, in the main process; the others wait for it.

    Raises InputError in all of them if the run goes on and its images or their labels are no more what they were.
    """
    images, fault = Images(), None
    if accelerator.is_main_process:
        images = Images(known_images(data), () if validation is None else known_images(validation))
        before = read_images(folder) if resumed else None
        fault = None if before is None else _difference(before, images)
    (fault,) = broadcast_object_list([fault])
    if fault is not None:
        raise InputError(f"{folder} was begun on other data: {fault}. Give the same again, or another --out")
    return images


class Seen(NamedTuple):
    """Which items of a data set are to be scored, how many of these a run learnt from, and that in words ("")."""

    items: list[int]
    learnt: int
    words: str


def seen(images: Images, run: str, hashes: Sequence[str], alone: bool) -> Seen:
    """What a run has to do with the images that it is scored on, by their hashes.

    alone: the data has no val split, so that those of its images that the run held out are one, if there are any.
    """
    learnt, held = ({one.image for one in own} - {""} for own in (images.learnt, images.held_out))
    items = [i for i, own in enumerate(hashes) if own in held - learnt] if alone else []
    if items:
        from_them = sum(own in learnt for own in hashes)
        others = len(hashes) - from_them - len(items)
        scored = f"scored on the {_images(len(items))} that {run} held out"
        left = [f"the {from_them} that it learnt from"] * bool(from_them) + [f"{others} others"] * bool(others)
        return Seen(items, 0, f"{scored}; {' and '.join(left)} are left out" if left else scored)
    count = sum(own in learnt for own in hashes)
    words = (
        f"{count} of these {_images(len(hashes))} are among those that {run} learnt from: this score says nothing of "
        "new images"
    )
    return Seen(list(range(len(hashes))), count, words if count else "")


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _difference(before: Images, now: Images) -> str | None:
    """How the images of a run differ from those it began with, in words; None if only their place or names do."""
    if _contents(before) == _contents(now):
        return None
    for ours, theirs, what in (
        (before.learnt, now.learnt, "it learnt from"),
        (before.held_out, now.held_out, "it is validated on"),
    ):
        old, new = ({one.name: one for one in own} for own in (ours, theirs))
        both = [name for name in old if name in new]
        for names, said in (
            ([name for name in both if old[name].image != new[name].image], "is another image"),
            ([name for name in both if old[name].labels != new[name].labels], "has other labels"),
            ([name for name in old if name not in new], "is gone"),
            ([name for name in new if name not in old], "is new"),
        ):
            if names:
                more = f" ({len(names) - 1} more like it)" if len(names) > 1 else ""
                return f"{names[0]}, of the images {what}, {said}{more}"
    return "its images are in another order"


def _contents(images: Images) -> list[tuple[str, str] | str]:
    """What tells two runs' images apart: hashes, or names where there are none."""
    return [
        (one.image, one.labels) if one.image else one.name for own in (images.learnt, images.held_out) for one in own
    ]


def _hash(*parts: bytes) -> str:
    found = blake2b(digest_size=BYTES)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _together(*hashes: str) -> str:
    return hashes[0] if not any(hashes[1:]) else _hash(" ".join(hashes).encode())


def _hash_of_file(path: Path) -> str:
    """ "" for one that cannot be read, of which others say more."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return file_digest(file, lambda: blake2b(digest_size=BYTES)).hexdigest()
    except OSError:
        return ""


def _hash_of_pixels(data: Dataset, i: int) -> tuple[str, str]:
    """Of an image and its labels, which have no files."""
    image, labels = (np.ascontiguousarray(array) for array in (data.image(i), data.labels(i)))
    return tuple(_hash(f"{own.dtype} {own.shape}".encode(), own.tobytes()) for own in (image, labels))  # type: ignore[return-value]
