"""What a folder holds for a task: its items by split, as dataset.json says, or else as names do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pixelnet.data.drawn import kind_of
from pixelnet.data.folder import shapes
from pixelnet.data.folder.form import FILE, Form, read_form
from pixelnet.data.folder.ground import blocks, is_layer, layers_and_images
from pixelnet.data.folder.item import Item
from pixelnet.data.folder.layout import Found, Pair, begin_alike, composed, discover, files_in, some
from pixelnet.data.folder.legend import classes_beside
from pixelnet.data.folder.pages import BACKGROUND, REFUSE, SKIP, pages_of, with_policy
from pixelnet.data.folder.patterns import chosen, named_pairs, select
from pixelnet.data.folder.words import LABELS, SPLIT_OF, Vocabulary, fields, vocabulary
from pixelnet.data.listed import read_lines
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS
from pixelnet.tasks import Task, find_task

NAMED = 3
LABEL_WORDS = frozenset(LABELS)
KEPT = 8  # surveys
_known: dict[tuple[Any, ...], "Survey"] = {}


@dataclass
class Survey:
    """What a folder holds.

    root: that paths start from. form: what dataset.json says. files: all there are. drawn: files of shapes, opened.
    items: all, whatever their split, sorted by name. notes: what was taken and left aside. passed_over: files that are
    no part of anything.
    """

    root: Path
    form: Form
    files: Sequence[PurePosixPath] = ()
    drawn: shapes.Drawn = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        return tuple(sorted({item.split for item in self.items if item.split is not None}))

    @cached_property
    def annotators(self) -> int:
        """How many files of labels an image has at most."""
        return max((len(item.labels) for item in self.items), default=0)

    def of(self, split: str) -> list[Item]:
        """The items of a split; of data without splits all, whatever split is asked for."""
        wanted = ("train", "val") if split == "trainval" and split not in self.splits else (split,)
        return [item for item in self.items if not self.splits or item.split in wanted]


def survey(path: Path, task: str | Task, changes: dict[str, Any] | None = None, strict: bool = False) -> Survey:
    """Look through a folder, or the one that a dataset.json elsewhere names.

    changes: keys of dataset.json in place of the file's. strict: labels of another task than segmentation must be
    called after it; without any the survey is empty. Raises InputError for what can be meant in two ways, for
    images and labels that do not pair up, and where there are none.
    """
    root, form = root_and_form(path, changes)
    if form.task is not None and form.task != str(task):
        raise InputError(f"{path} has labels for {form.task}, as its {FILE} says, not for {task}")
    files, skipped = files_in(root)
    files = [file for file in files if file.name != FILE]
    # Opening a data set asks several times what there is (which tasks, which splits): once for the same files will do.
    key = (path, str(task), strict, repr(form), tuple(map(str, files)), tuple(_stamp(root / file) for file in files))
    if key not in _known:
        while len(_known) >= KEPT:
            _known.pop(next(iter(_known)))
        _known[key] = _survey(root, form, task, strict, files, skipped)
    return _known[key]


def _stamp(path: Path) -> int:
    """When a file that says what others are was last changed; 0 for any other."""
    return path.stat().st_mtime_ns if path.suffix.lower() in (".json", ".txt", ".csv") and path.exists() else 0


def _survey(
    root: Path,
    form: Form,
    task: str | Task,
    strict: bool,
    files: Sequence[PurePosixPath],
    skipped: Counter[str],
) -> Survey:
    kind = find_task(task)
    if kind.categorical and not form.classes:
        form = replace(form, classes=classes_beside(root, files))
    result = Survey(root, form, files)
    if drawn := shapes.files_of_many(root, files, form) if kind.categorical else {}:
        _refuse_both(root, files, drawn, form)
        items = shapes.items_of(root, files, drawn, form, result.notes)
        result.drawn = drawn
    else:
        found = _explicit(files, form) if form.images and form.labels else _discovered(root, files, form, task, strict)
        items = _items(found)
        if any(item.labels for item in items):
            result.notes += found.notes
            items = _split(items, files, root, form, result.notes)
        _missing(items, found, form, root)
        items = with_policy(items, form.missing_labels)
    if not items and strict:
        return result
    if not items:
        raise InputError(_nothing(root, files, str(task)))
    if drawn:
        items = _split(items, files, root, form, result.notes)
    pages = _named([page for item in items for page in pages_of(item, root, form)])
    result.items = sorted(block for page in pages for block in blocks(page, root, form))
    result.passed_over = _passed_over(files, items, skipped)
    return result


def _refuse_both(root: Path, files: Sequence[PurePosixPath], drawn: shapes.Drawn, form: Form) -> None:
    """Raise InputError for label maps beside a file of shapes, unless the form says which are meant."""
    words = Vocabulary((), frozenset(), generic=True)
    among = [file for file in files if words.place(file).role == "label" and file not in drawn]
    maps = [file for file in among if file.suffix.lower() in LABEL_EXTENSIONS or kind_of(root / file) == "labelme"]
    if maps and not form.labels:
        raise InputError(
            f"{maps[0]} and {next(iter(drawn))} both hold labels; keep one of them, or say which are meant by "
            f'"labels" in {FILE}'
        )


def root_and_form(path: Path, changes: dict[str, Any] | None = None) -> tuple[Path, Form]:
    """The data's folder, and what dataset.json says. Raises InputError if there is no such folder."""
    file = path / FILE if path.is_dir() else path
    if not path.is_dir() and path.suffix.lower() != ".json":
        raise InputError(f"folder:{path}: there is no folder {path}; give the folder of the data, or its {FILE}")
    if not path.exists():
        raise InputError(f"folder:{path}: {path} is not there; give the folder of the data, or its {FILE}")
    form = read_form(file, changes)
    root = (file.parent / form.root) if form.root else file.parent
    if not root.is_dir():
        raise InputError(f"{file}: root is {form.root!r}, but {root} is no folder; name the folder of the data")
    return root, form


# ------------------------------------------------------------------------------------------- pairs


def _explicit(files: Sequence[PurePosixPath], form: Form) -> Found:
    """The pairs that dataset.json's globs and patterns name."""
    words = Vocabulary((), frozenset(), generic=True)
    pairs = named_pairs(files, form.images, form.labels)
    top = begin_alike([path.parts[:-1] for image, labels in pairs.items() for path in (image, *labels)])
    return Found(
        [
            Pair(words.place(image, top), tuple(words.place(own, top) for own in labels))
            for image, labels in pairs.items()
        ]
    )


def _discovered(root: Path, files: Sequence[PurePosixPath], form: Form, task: str | Task, strict: bool) -> Found:
    """The pairs that names and contents tell, by the words of the task's own labels, or of any if it has none."""
    kind = find_task(task)
    if form.images:
        images = select(files, form.images, f"{FILE}: images")
        files = [
            path
            for path in files
            if path in images or path.suffix.lower() not in IMAGE_EXTENSIONS or _beside(path, images)
        ]
    if kind.categorical and (placed := layers_and_images(root, files, form)) is not None:
        return placed
    extra = (kind.suffix,)
    found = Found()
    for generic in (True,) if str(task) == "segmentation" else (False,) if strict else (False, True):
        words = vocabulary(str(task), kind.folder, generic)
        found = discover(root, files, words, extra, _is_drawn if kind.categorical else lambda _: False)
        if any(labels for _, labels in found.pairs):
            break
    return found


def _is_drawn(path: Path) -> bool | None:
    """Whether a JSON file holds one image's shapes; None if it is broken or of no known kind."""
    kind = kind_of(path)
    return None if kind is None else kind == "labelme"


def _beside(path: PurePosixPath, images: dict[PurePosixPath, str]) -> bool:
    """Whether a file that no glob of images names may hold labels."""
    return path.suffix.lower() in LABEL_EXTENSIONS and path not in images


def _items(found: Found) -> list[Item]:
    return [
        Item("/".join([*image.folder, image.stem]), image.path, tuple(place.path for place in labels), image.split)
        for image, labels in found.pairs
    ]


def _missing(items: Sequence[Item], found: Found, form: Form, root: Path) -> None:
    """Raise InputError for images without labels and labels without an image, unless the form says what they mean."""
    labelled = {item.split for item in items if item.labels}
    alone = [item.image for item in items if not item.labels and item.split in labelled]
    where = f"{root}: "
    how = f'"missing_labels": "{SKIP}" in {FILE} leaves them out'
    if form.missing_labels == REFUSE and alone and labelled:
        raise InputError(
            f"{where}{_counted(alone, 'image', len(items))} no labels: {some(alone)}; {how}, "
            f'"{BACKGROUND}" takes all of it for background'
        )
    if form.missing_labels != SKIP and found.orphans:
        orphans = [place.path for place in found.orphans]
        raise InputError(
            f"{where}{_counted(orphans, 'file of labels', None)} no image: {some(orphans)}; add it, move it away, or "
            f"{how}"
        )


def _counted(paths: Sequence[PurePosixPath], what: str, of: int | None) -> str:
    whole = f" of {of}" if of else ""
    plural = what.replace("file", "files") if what.startswith("file") else what + "s"
    return (
        f"{len(paths)}{whole} {what if len(paths) == 1 and not of else plural} {'has' if len(paths) == 1 else 'have'}"
    )


def _nothing(root: Path, files: Sequence[PurePosixPath], task: str) -> str:
    images = [path for path in files if path.suffix.lower() in IMAGE_EXTENSIONS]
    if not images:
        return f"{root} holds no images; expected files ending in {' '.join(IMAGE_EXTENSIONS)}"
    if layer := next((path for path in files if is_layer(path)), None):
        return f"{layer} holds places on the ground, and no image in {root} says where it lies; give GeoTIFF"
    own = {
        "segmentation": "labels/ or masks/",
        "normals": "normals/",
        "edges": "edges/",
        "regression": "values/ or depth/",
    }
    table = "; a table of labelled pixels goes with them by --labels FILE.csv" if task == "segmentation" else ""
    return (
        f"{root} holds {len(images)} images ({some(images)}) and no labels for {task} that go with them; expected a "
        f"folder such as {own.get(task, find_task(task).folder + '/')} beside them, or files such as "
        f'{images[0].stem}_mask.png; "images" and "labels" in {FILE} name others{table}'
    )


# ------------------------------------------------------------------------------------------- splits


def _split(items: list[Item], files: Sequence[PurePosixPath], root: Path, form: Form, notes: list[str]) -> list[Item]:
    """The items with their splits: as the form says, as lists of names say, or as their folders do."""
    if form.splits:
        return _by_form(items, root, form, notes)
    known = {item.split for item in items} - {None}
    if not known:
        return _by_lists(items, files, root, notes)
    rest = [item for item in items if item.split is None]
    if rest and "train" not in known:
        notes.append(f"{len(rest)} images in no split's folder ({some([item.image for item in rest])}) are train")
        return [item._replace(split=item.split or "train") for item in items]
    if rest:
        notes.append(f"left aside: {len(rest)} images in no split's folder ({some([item.image for item in rest])})")
    return [item for item in items if item.split is not None]


def _by_form(items: Sequence[Item], root: Path, form: Form, notes: list[str]) -> list[Item]:
    assert form.splits is not None
    found: dict[str, Item] = {}
    for name, entries in form.splits.items():
        globs = [entry for entry in entries if not entry.endswith(".txt")]
        lists = {composed(line) for entry in entries if entry.endswith(".txt") for line in read_lines(root / entry)}
        here = []
        for item in items:
            whole = composed(str(item.image))
            names = {
                item.name,
                whole,
                whole.removesuffix(item.image.suffix),
                composed(item.image.name),
                composed(item.image.stem),
            }
            if names & lists or chosen(item.image, form.images, globs) or chosen(PurePosixPath(item.name), (), globs):
                here.append(item)
        if not here:
            raise InputError(
                f"{FILE}: the split {name} ({', '.join(entries)}) names no image; they are called "
                f"{some([item.image for item in items])}"
            )
        for item in here:
            if str(item.image) in found:
                raise InputError(
                    f"{FILE}: {item.image} is in the splits {found[str(item.image)].split} and {name}; it belongs in "
                    "one"
                )
            found[str(item.image)] = item._replace(split=name)
    left = [item.image for item in items if str(item.image) not in found]
    if left:
        notes.append(f"left aside: {len(left)} images in no split ({some(left)})")
    return list(found.values())


def _by_lists(items: list[Item], files: Sequence[PurePosixPath], root: Path, notes: list[str]) -> list[Item]:
    """By text files called train.txt, val.txt, test.txt, if what they name are images."""
    among = [path for path in files if path.suffix == ".txt" and path.stem.lower() in SPLIT_OF]
    among.sort(key=lambda path: not LABEL_WORDS.isdisjoint(word for part in path.parts[:-1] for word in fields(part)))
    lists = {SPLIT_OF[path.stem.lower()]: path for path in among}  # of VOC's those in ImageSets/Segmentation
    both = lists.pop("trainval", None)
    if both is not None and "train" not in lists:
        lists["train"] = both
    found: dict[PurePosixPath, Item] = {}
    for split, path in lists.items():
        lines = {
            composed(PurePosixPath(name).name) for line in read_lines(root / path) for name in (line, *line.split()[:1])
        }
        for item in items:
            if composed(item.image.name) in lines or composed(item.image.stem) in lines:
                found.setdefault(item.image, item._replace(split=split))
    if not found:
        return items
    notes.append(f"splits by {', '.join(str(path) for path in lists.values())}")
    left = [item for item in items if item.image not in found]
    if left and "train" not in lists:
        notes.append(f"{len(left)} images in no list ({some([item.image for item in left])}) are train")
        return [*found.values(), *(item._replace(split="train") for item in left)]
    if left:
        notes.append(f"left aside: {len(left)} images in no list ({some([item.image for item in left])})")
    return list(found.values())


# --------------------------------------------------------------------------------------------- names


def _named(items: list[Item]) -> list[Item]:
    """The items with names that differ within a split, without the folders that all names share.

    Raises InputError for two images that only their endings tell apart.
    """
    parts = [PurePosixPath(item.name).parts for item in items]
    shared = 0
    while all(len(own) > shared + 1 and own[shared] == parts[0][shared] for own in parts):
        shared += 1
    named = [item._replace(name="/".join(own[shared:])) for item, own in zip(items, parts, strict=True)]
    count = Counter((item.split, item.name) for item in named)
    twins = [item for item in named if count[item.split, item.name] > 1]
    if not twins:
        return named
    whole = Counter(item.image.with_suffix("") for item in named if item.page in (None, 0))
    for path, number in whole.items():
        if number > 1:
            one, other, *_ = (item.image for item in twins if item.image.with_suffix("") == path)
            raise InputError(f"{one} and {other} share a name; keep one of them, or rename one")
    page = {id(item): "" if item.page is None else f"[{item.page}]" for item in named}
    return [item._replace(name=f"{composed(str(item.image.with_suffix('')))}{page[id(item)]}") for item in named]


def _passed_over(files: Sequence[PurePosixPath], items: Sequence[Item], skipped: Counter[str]) -> list[str]:
    """What was skipped, and why."""
    used = {path for item in items for path in (item.image, *item.labels)}
    left = [path for path in files if path not in used]
    notes = [f"passed over: {count} hidden files" for _, count in skipped.items()]
    endings = Counter(path.suffix.lower() or "no ending" for path in left)
    if left:
        counted = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
        notes.append(f"passed over, no part of any pair: {counted} ({some(left)})")
    return notes
