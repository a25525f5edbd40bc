"""What people call things: the words in names of files and folders that say what is an image, a label, a split.

A name is cut into fields ("Image_01L_1stHO" -> image, 01, l, 1st, ho; "SegmentationClass" -> segmentation, class),
and each field is a word of one of the lists below or belongs to the item's own name.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

FIELD = re.compile(r"\d+(?:st|nd|rd|th)(?![a-z])|\d+|[A-Z]+(?![a-z])|[^\W\d_][^\W\d_A-Z]*")
GLUED = re.compile(r"(train|val|valid|test|img|image|gt)(annot|annotation|label|mask|image|img|crop|data|set)(s?)")

SPLITS = {
    "train": ("train", "training", "trn", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst", "ts"),
    "trainval": ("trainval",),
}
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
IMAGES = frozenset((
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics", "frame", "frames",
    "scan", "scans", "raw", "rgb", "original", "originals", "input", "inputs", "jpeg", "jpg", "sat", "satellite",
    "volume", "volumes", "stack", "stacks",
))  # fmt: skip
# From those that say most: a folder "manual" beside a folder "mask" holds the labels, "mask" a field of view.
LABELS = (
    "manual", "groundtruth", "truth", "gt", "ground", "ho", "annotation", "annotations", "annot", "annots", "ann",
    "anno", "label", "labels", "lbl", "labelled", "labeled", "segmentation", "segmentations", "seg", "segs", "semantic",
    "target", "targets", "mask", "masks", "msk",
)  # fmt: skip
TASKS = {  # words of labels for one task only
    "normals": ("normal", "normals"),
    "edges": ("edge", "edges", "boundary", "boundaries", "contour", "contours"),
    "regression": ("value", "values", "depth", "depths", "height", "heights", "elevation", "dsm", "disparity"),
}
ANNOTATORS = frozenset(("annotator", "annotators", "rater", "observer", "expert", "grader", "reader"))
ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
# Renderings of labels for people, and maps of objects in place of classes: not the labels if others are there.
RENDERED = frozenset((
    "object", "objects", "instance", "instances", "color", "colors", "colored", "colour", "rgb", "overlay", "preview",
    "vis", "viz", "thumb",
))  # fmt: skip
PLAIN = frozenset((
    "class", "classes", "id", "ids", "index", "map", "maps", "dir", "folder", "files", "data", "png", "tif", "tiff",
    "bmp", "gif",
))  # fmt: skip


@lru_cache(maxsize=65536)
def fields(text: str) -> tuple[str, ...]:
    """The fields of a name, in lower case; accents composed."""
    found = []
    for field in FIELD.findall(unicodedata.normalize("NFC", text)):
        glued = GLUED.fullmatch(field.lower())
        found += [glued[1], glued[2] + glued[3]] if glued else [field.lower()]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Place:
    """What a file's path says of it.

    path: from the data's own folder on. split, role ("image", "label", "rendered", "aside" or None), as its folders
    say. words: of labels, those that made it one. annotator: fields that tell who drew it. folder: what of its folders
    belongs to the item's name. stem: its name without the ending. bare: the fields of that which are no words of images
    and labels; barest: nor of splits. spoken: whether the name itself, beyond its folders, has a word of labels.
    """

    path: PurePosixPath
    split: str | None
    role: str | None
    words: tuple[str, ...]
    annotator: tuple[str, ...]
    folder: tuple[str, ...]
    stem: str
    bare: tuple[str, ...]
    barest: tuple[str, ...]
    spoken: bool


class Vocabulary:
    """The words that mean labels for one task.

    own: those of the task alone. With `generic` those of any labels, too; without, these are left aside.
    """

    def __init__(self, own: tuple[str, ...], others: frozenset[str], generic: bool) -> None:
        self.labels = frozenset(own) | (frozenset(LABELS) if generic else frozenset())
        self.aside = (others | (frozenset() if generic else frozenset(LABELS))) - frozenset(own)

    def place(self, path: PurePosixPath, shared: int = 0, top: int = 0) -> Place:
        """What the path of a file says.

        shared: how many of its folders, from the outermost, hold everything: a split below them counts more. top: how
        many of these say nothing of what it is, either.
        """
        role, split = None, _split_of(path.parts[:-1], shared)
        words: list[str] = []
        annotator: list[str] = []
        folder = []
        for depth, part in enumerate(path.parts[:-1]):
            own, people, rest = self._sorted(fields(part))
            rest = [field for field in rest if split is None or SPLIT_OF.get(field) != split]
            found = self._role(own, rest) if depth >= top else None
            if found:
                role, words = found, [] if found in ("image", "aside") else own
                rest = [field for field in rest if field not in IMAGES | self.aside | RENDERED | PLAIN]
                annotator += people
            elif people and not rest:  # a folder for each annotator
                annotator += people
            if rest:
                folder.append(unicodedata.normalize("NFC", part))
        stem = unicodedata.normalize("NFC", path.name.removesuffix(path.suffix))
        own, people, rest = self._sorted(fields(stem))
        spoken = any(field in self.labels for field in own)
        bare = tuple(field for field in rest if field not in IMAGES)
        barest = tuple(field for field in bare if field not in SPLIT_OF)
        if spoken or role == "label":
            annotator += people
        elif people:  # an ordinal without a word of labels belongs to the name
            bare = barest = tuple(fields(stem))
        stem_words = [field for field in own if field in self.labels]
        return Place(
            path, split, role, tuple(words or stem_words), tuple(annotator), tuple(folder), stem, bare, barest, spoken
        )

    def _role(self, own: list[str], rest: list[str]) -> str | None:
        """What a folder of these fields holds."""
        if any(field in self.labels for field in own):
            return "rendered" if any(field in RENDERED for field in rest) else "label"
        if any(field in self.aside for field in rest):
            return "aside"
        return "image" if any(field in IMAGES for field in rest) else None

    def _sorted(self, found: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
        """Fields that are words of labels, fields that tell annotators apart, and the rest, in their order."""
        own: list[str] = []
        people: list[str] = []
        rest: list[str] = []
        for k, field in enumerate(found):
            before = found[k - 1] if k else ""
            if field in self.labels:
                own.append(field)
            elif (
                field in ANNOTATORS
                or ORDINAL.fullmatch(field)
                or (field.isdecimal() and (before in ANNOTATORS or before == "manual"))
            ):
                people.append(field)
            else:
                rest.append(field)
        return own, people, rest


def _split_of(folders: Sequence[str], shared: int) -> str | None:
    """The split that a path's folders tell: the outermost that tells one, of those below the shared ones if any does.

    Within it a folder may be called after what it shows: val/train/0.png is a train. train_val is train;
    train_test_split tells nothing.
    """
    found = []
    for depth, folder in enumerate(folders):
        own = {SPLIT_OF[field] for field in fields(folder) if field in SPLIT_OF}
        if own and (len(own) == 1 or own == {"train", "val"}):
            found.append((depth < shared, "train" if len(own) > 1 else own.pop()))
    return min(found, key=lambda own: own[0])[1] if found else None


def vocabulary(task: str, folder: str, generic: bool) -> Vocabulary:
    """The words for a task of that name whose labels' folder is called `folder`; see `Vocabulary`."""
    own = tuple(dict.fromkeys((*TASKS.get(task, ()), *(() if task == "segmentation" else fields(folder)))))
    others = frozenset(word for name, words in TASKS.items() if name != task for word in words)
    return Vocabulary(own, others, generic)
