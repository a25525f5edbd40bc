"""Labels drawn as shapes in one file for many images (COCO, CVAT, Roboflow, Label Studio), and what goes with what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pixelnet.data.drawn import Coco, DrawnFile, LabelStudio, kind_of
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.layout import Item, composed
from pixelnet.data.folder.words import SPLIT_OF, Vocabulary, fields
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


def items_of(root: Path, files: Sequence[PurePosixPath], drawn: Drawn, form: Form) -> list[Item]:
    """An item for each image of the files of shapes. Raises InputError for images that are on one side only."""
    words = Vocabulary((), frozenset(), generic=True)
    images = [path for path in files if path.suffix.lower() in IMAGE_EXTENSIONS]
    by_name: dict[str, list[PurePosixPath]] = {}
    for path in images:
        by_name.setdefault(composed(path.name), []).append(path)
    splits = splits_of(drawn)
    items: list[Item] = []
    for file, shapes in drawn.items():
        for key in shapes.images:
            image = _image_of(key, file, by_name)
            if image is not None:
                place = words.place(image)
                name = "/".join([*place.folder, place.stem])
                items.append(Item(name, image, (file,), splits[file] or place.split, drawn=key))
            elif form.missing_labels != "skip":
                raise InputError(
                    f"{key} is among the images of {file}, but no such file is in {root}; add it, or leave it out by "
                    f'"missing_labels": "skip" in {FILE}'
                )
    claimed = {item.image for item in items}
    alone = [path for path in images if path not in claimed and words.place(path).role != "label"]
    beside = {parent for item in items for parent in [item.image.parent]}
    lone = [path for path in alone if path.parent in beside]
    if lone and form.missing_labels == "refuse":
        more = f" ({len(lone) - 1} more like it)" if len(lone) > 1 else ""
        raise InputError(
            f"{lone[0]} is not among the images of {next(iter(drawn))}{more}; "
            f'"missing_labels": "skip" in {FILE} leaves such images out, "background" takes all of them for background'
        )
    if form.missing_labels == "background":
        for path in lone:
            place, twin = words.place(path), next(item for item in items if item.image.parent == path.parent)
            items.append(Item("/".join([*place.folder, place.stem]), path, (), twin.split))
    return items


def splits_of(drawn: Drawn) -> dict[PurePosixPath, str | None]:
    """The split of each file of shapes, by its folder or its name; COCO's years are told apart where there are two."""
    words = Vocabulary((), frozenset(), generic=True)
    found: dict[PurePosixPath, str | None] = {}
    for path in drawn:
        named = next((SPLIT_OF[field] for field in fields(path.stem) if field in SPLIT_OF), None)
        found[path] = named or words.place(path).split
    twice = {split for split, count in Counter(found.values()).items() if split is not None and count > 1}
    return {path: path.stem.removeprefix(INSTANCES) if split in twice else split for path, split in found.items()}


def _image_of(key: str, file: PurePosixPath, by_name: Mapping[str, Sequence[PurePosixPath]]) -> PurePosixPath | None:
    """The image that a file of shapes means: of those of its name, the one in the most of its folders, then the
    one that is nearest to the file."""
    wanted = PurePosixPath(composed(key.replace("\\", "/")))
    ranked = sorted(
        by_name.get(wanted.name, ()),
        key=lambda path: (-_shared(wanted.parts[::-1], path.parts[::-1]), -_shared(file.parts, path.parts), path),
    )
    return ranked[0] if ranked else None


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for own, its in zip(one, other, strict=False):
        if composed(own) != composed(its):
            break
        count += 1
    return count


def classes_of(drawn: Drawn) -> tuple[str, ...]:
    """ "background", and the classes of all files, in their order. Raises InputError for one number with two names."""
    names: dict[str, None] = {"background": None}
    for own in drawn.values():
        names.update(dict.fromkeys(own.categories))
    return tuple(names)
