"""Labels drawn as shapes in one file for many images (COCO, CVAT, Roboflow, Label Studio), and what goes with what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pixelnet.data.drawn import Coco, DrawnFile, LabelStudio, kind_of, without_prefix
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.item import Item
from pixelnet.data.folder.layout import begin_alike, composed
from pixelnet.data.folder.words import SPLIT_OF, Place, Vocabulary, fields
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS

INSTANCES = "instances_"  # of COCO's own release, whose other files hold captions and keypoints
Drawn = Mapping[PurePosixPath, DrawnFile]


def files_of_many(root: Path, files: Sequence[PurePosixPath], form: Form) -> dict[PurePosixPath, DrawnFile]:
    """The files of shapes among those of a folder, each opened: those that the form names, or all that there are."""
    known = {composed(str(path)): path for path in files}
    if form.labels:
        named = [known[label] for label in map(composed, form.labels) if label.endswith(".json") and label in known]
    else:
        named = [path for path in files if path.suffix.lower() == ".json"]
    kinds = {path: kind_of(root / path) for path in named}
    own = [path for path in named if path.name.startswith(INSTANCES) and kinds[path] == "coco"]
    opened: dict[PurePosixPath, DrawnFile] = {}
    for path in own or named:
        if kinds[path] == "coco":
            opened[path] = Coco(root / path)
        elif kinds[path] == "label-studio":
            opened[path] = LabelStudio(root / path)
    return opened


def items_of(root: Path, files: Sequence[PurePosixPath], drawn: Drawn, form: Form, notes: list[str]) -> list[Item]:
    """An item for each image of the files of shapes. Raises InputError for images that are on one side only."""
    words = Vocabulary((), frozenset(), generic=True)
    pictures = [path for path in files if path.suffix.lower() in IMAGE_EXTENSIONS]
    top = begin_alike([path.parts[:-1] for path in pictures])
    places = [words.place(path, top) for path in pictures]
    by_name: dict[str, list[Place]] = {}
    for place in places:
        by_name.setdefault(composed(place.path.name), []).append(place)
    short = {file: _split_of(file, words) for file in drawn}
    splits = _apart(short)
    items: list[Item] = []
    undone: set[Place] = set()
    for file, shapes in drawn.items():
        for key in shapes.images:
            image = _image_of(key, short[file], file, by_name)
            if image is not None:
                items.append(_item(image, (file,), splits[file] or image.split, key))
            elif form.missing_labels != "skip":
                raise InputError(
                    f"{key} is among the images of {file}, but no such file is in {root}; add it, or leave it out by "
                    f'"missing_labels": "skip" in {FILE}'
                )
        undone |= {image for key in shapes.unannotated if (image := _image_of(key, short[file], file, by_name))}
    if undone:
        notes.append(f"left out: {len(undone)} images that nobody has labelled yet")
    return items + _lone(places, items, undone, drawn, form)


def _item(place: Place, labels: tuple[PurePosixPath, ...], split: str | None, key: str | None = None) -> Item:
    return Item("/".join([*place.folder, place.stem]), place.path, labels, split, drawn=key)


def _lone(places: Sequence[Place], items: Sequence[Item], undone: set[Place], drawn: Drawn, form: Form) -> list[Item]:
    """Items of the images that no file of shapes knows and that lie beside others, as the form has it."""
    claimed, split_of = {item.image for item in items}, {item.image.parent: item.split for item in items}
    lone = [
        place
        for place in places
        if place.path not in claimed and place not in undone and place.role != "label" and place.path.parent in split_of
    ]
    if lone and form.missing_labels == "refuse":
        more = f" ({len(lone) - 1} more like it)" if len(lone) > 1 else ""
        raise InputError(
            f"{lone[0].path} is not among the images of {next(iter(drawn))}{more}; "
            f'"missing_labels": "skip" in {FILE} leaves such images out, "background" takes all of them for background'
        )
    return [_item(place, (), split_of[place.path.parent]) for place in lone if form.missing_labels == "background"]


def _split_of(file: PurePosixPath, words: Vocabulary) -> str | None:
    """The split of a file of shapes, by its name or its folder."""
    return next((SPLIT_OF[field] for field in fields(file.stem) if field in SPLIT_OF), None) or words.place(file).split


def _apart(splits: Mapping[PurePosixPath, str | None]) -> dict[PurePosixPath, str | None]:
    """Splits by file; those of COCO's years are told apart where a split has two."""
    count = Counter(splits.values())
    return {
        file: file.stem.removeprefix(INSTANCES) if split is not None and count[split] > 1 else split
        for file, split in splits.items()
    }


def _image_of(key: str, split: str | None, file: PurePosixPath, by_name: Mapping[str, Sequence[Place]]) -> Place | None:
    """The image that a file of shapes means: of those of its name the one in the most of its folders, of its split,
    nearest to the file."""
    wanted = PurePosixPath(composed(key.replace("\\", "/")))
    ranked = sorted(
        by_name.get(wanted.name) or by_name.get(without_prefix(wanted.name), ()),
        key=lambda place: (
            -begin_alike((wanted.parts[::-1], [composed(part) for part in place.path.parts[::-1]])),
            place.split != split,
            -begin_alike((file.parts, place.path.parts)),
            place.path,
        ),
    )
    return ranked[0] if ranked else None


def classes_of(drawn: Drawn) -> tuple[str, ...]:
    """ "background", and the classes of all files, in their order. Raises InputError for one number with two names."""
    names: dict[str, None] = {"background": None}
    for own in drawn.values():
        names.update(dict.fromkeys(own.categories))
    return tuple(names)
