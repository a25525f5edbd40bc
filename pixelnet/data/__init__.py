"""Data sets by name: `open_dataset("camvid:/data/camvid", "segmentation", "val")`."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixelnet.data.ade20k import ADE20K
from pixelnet.data.bsds500 import BSDS500
from pixelnet.data.camvid import CamVid
from pixelnet.data.cityscapes import Cityscapes
from pixelnet.data.dataset import Dataset, PairedFiles, form_of, task_of
from pixelnet.data.folder import Folder
from pixelnet.data.nyudv2 import NYUDv2, NYUDv2With13
from pixelnet.data.nyudv2_mat import NYUDv2Mat
from pixelnet.data.pascal_context import PascalContext, PascalContext33
from pixelnet.data.slices import own_channels, slices_of
from pixelnet.data.voc2012 import VOC2012
from pixelnet.errors import InputError
from pixelnet.tasks import TASKS, AnyTask, Task, find_task, split_names

__all__ = [
    "NAMES",
    "Dataset",
    "as_dataset",
    "first_split",
    "first_task",
    "has_split",
    "open_dataset",
    "sources_in",
    "task_of",
    "with_channels",
]

NAMES: dict[str, type[PairedFiles] | type[Folder]] = {
    "ade20k": ADE20K,
    "bsds500": BSDS500,
    "camvid": CamVid,
    "cityscapes": Cityscapes,
    "folder": Folder,
    "nyudv2": NYUDv2,
    "nyudv2-13": NYUDv2With13,
    "pascal-context": PascalContext,
    "pascal-context-33": PascalContext33,
    "voc2012": VOC2012,
}
SCENES = "scenes"  # generated, so it has no path; "scenes:512" gives a number of items instead


def open_dataset(
    spec: str | Path, task: AnyTask, split: str = "train", changes: Mapping[str, Any] | None = None
) -> Dataset:
    """Open a data set.

    spec: "NAME:PATH" with a name in NAMES, a path alone for "folder:PATH", or "scenes" or "scenes:COUNT". task: one of
    TASKS, or a task of your own. split: "train", "val", or another that the data has. Several of each make a
    `JointData`: tasks in a list or with commas between them, data sets with a comma before each NAME:.
    changes: of a folder, keys of dataset.json in place of the file's (see docs/data.md). Raises InputError for a name,
    path, task or split that is not there, and for images and labels that do not pair up.
    """
    tasks = split_names(task)
    if len(tasks) > 1:
        from pixelnet.data.joint import JointData

        opened = [
            (own, {str(name): open_dataset(own, name, split) for name in serving(own, tasks)})
            for own in sources_in(spec)
        ]
        return JointData(opened, tasks, split)
    find_task(tasks[0])
    name, rest = parse(spec)
    if name == SCENES:
        from pixelnet.data.scenes import Scenes

        return Scenes.from_spec(rest, tasks[0], split)
    reader = reader_of(name, Path(rest).expanduser())
    if not changes:
        return reader(rest, tasks[0], split)
    if reader is not Folder:
        raise InputError(
            f"{spec} is of the form of its benchmark; {', '.join(changes)} can be said of folders of your own"
        )
    return Folder(rest, tasks[0], split, dict(changes))


def as_dataset(data: Any, task: AnyTask, split: str = "train", changes: Mapping[str, Any] | None = None) -> Dataset:
    """What somebody calls data: the text that `open_dataset` takes, a `Dataset`, or a list of (image, labels).

    A torch data set of (image, target) is such a list, too; see `Arrays`. Raises InputError for anything else.
    """
    if isinstance(data, str | Path):
        return open_dataset(data, task, split, changes)
    if changes:
        raise InputError(f"{', '.join(changes)} can be said of folders; objects have their own")
    tasks = split_names(task)
    if isinstance(data, Dataset):
        if not hasattr(data, "task"):  # it leaves to its user what its labels are for
            data.task = tasks[0]
        if data.task_name != ",".join(map(str, tasks)):
            raise InputError(f"{data.source} has labels for {data.task_name}, not for {', '.join(map(str, tasks))}")
        return data
    from pixelnet.data.arrays import Arrays, MapStyle

    if not isinstance(data, MapStyle) or len(tasks) > 1:
        expected = "a Dataset" if len(tasks) > 1 else 'text such as "folder:PATH", a Dataset, or (image, labels) pairs'
        raise InputError(f"the data are a {type(data).__name__}; give {expected}")
    return Arrays(data, tasks[0])


def with_channels(dataset: Dataset, channels: Sequence[str]) -> Dataset:
    """A folder's data as a model of channels of these names sees it; other data as it is.

    Stacks with as many slices as channels; images with only those of the channels, if they have them all.
    """
    if not isinstance(dataset, Folder):
        return dataset
    changes, count, own = dict(dataset.changes), slices_of(channels), own_channels(channels)
    if count != dataset.form.slices:
        changes["slices"] = count
    if set(own) < set(own_channels(dataset.channels)) and own != ("gray",):
        changes["channels"] = list(own)
    return dataset if changes == dataset.changes else Folder(dataset.path, dataset.task, dataset.split, changes)


def sources_in(spec: str | Path) -> list[str]:
    """The data sets that are named, one by one. A comma divides them only where NAME: follows; others are a path's."""
    names = "|".join(re.escape(name) for name in NAMES)
    return re.split(rf",(?=(?:{names}):|{SCENES}(?:[,:]|$))", str(spec))


def has_split(spec: str | Path, task: AnyTask, split: str) -> bool:
    """Whether the data has this split as something apart: False for any split of a folder without splits.

    Without a val split training scores none. Raises InputError as `open_dataset` does, but for the split.
    """
    tasks = split_names(task)
    if len(tasks) > 1:
        return all(has_split(own, name, split) for own in sources_in(spec) for name in serving(own, tasks))
    find_task(tasks[0])
    name, rest = parse(spec)
    if name == SCENES:
        return split in ("train", "val")
    root = Path(rest).expanduser()
    reader = reader_of(name, root)
    reader.require(root, tasks[0])
    return split in reader.splits(root, tasks[0])


def serving(spec: str | Path, tasks: list[str | Task]) -> list[str | Task]:
    """Which of several tasks a data set has labels for. Raises InputError for none."""
    for task in tasks:
        find_task(task)
    name, rest = parse(spec)
    if name == SCENES:
        found = [task for task in tasks if str(task) in TASKS]
        if not found:
            raise InputError(f"{spec} has no labels for {', '.join(map(str, tasks))}; leave it out")
        return found
    root = Path(rest).expanduser()
    reader = reader_of(name, root)
    known = [task for task in tasks if reader.serves(task)]
    found = [task for task in known if reader.has_labels(root, task)]
    if not found:
        reader.require(root, next(iter(known), reader.tasks[0]))
        raise InputError(f"{spec} has no labels for {', '.join(map(str, tasks))}; leave it out")
    return found


def first_task(spec: str | Path) -> str:
    """The first of a data set's tasks that it has labels for. Raises InputError as `open_dataset` does, or for none."""
    name, rest = parse(spec)
    if name == SCENES:
        return next(iter(TASKS))
    root = Path(rest).expanduser()
    reader = reader_of(name, root)
    for task in reader.tasks:
        if reader.has_labels(root, task):
            reader.require(root, task)
            return task
    reader.require(root, reader.tasks[0])
    if reader is Folder:
        Folder.splits(root, reader.tasks[0])  # whose message says what is there in place of labels
    source = f"\n\nGet it from {reader.origin}." if reader.origin else ""
    raise InputError(
        f"{spec} has no labels for {', '.join(reader.tasks)}; it should hold:\n\n{form_of(reader)}{source}"
    )


def first_split(spec: str | Path, task: AnyTask) -> str:
    """train, unless the data has splits and no train among them: then the first. Raises InputError as `has_split`."""
    tasks = split_names(task)
    name, rest = parse(spec)
    if name == SCENES or len(tasks) > 1 or len(sources_in(spec)) > 1:
        return "train"
    root = Path(rest).expanduser()
    reader = reader_of(name, root)
    reader.require(root, tasks[0])
    known = reader.splits(root, tasks[0])
    return "train" if "train" in known or not known else known[0]


def reader_of(name: str, root: Path) -> type[PairedFiles] | type[Folder] | type[NYUDv2Mat]:
    """The class that reads the data of a name at a path: NYUv2 comes in two forms."""
    return NYUDv2Mat if NAMES[name] is NYUDv2 and NYUDv2Mat.is_at(root) else NAMES[name]


def parse(spec: str | Path) -> tuple[str, str]:
    """A spec's name, which is known, and what follows it; a path alone is a folder's. Raises InputError."""
    text = str(spec)
    name, colon, rest = text.partition(":")
    if name == SCENES:
        return name, rest
    if name not in NAMES:
        if Path(text).expanduser().exists():
            return "folder", text
        near = difflib.get_close_matches(name, (*NAMES, SCENES), n=1) if colon else []
        hint = f"did you mean {near[0]}:{rest}?" if near else "write NAME:PATH, the path of a folder, or scenes"
        what = f"there is no data set {name!r}" if colon else f"there is no folder {text}, and no data set of that name"
        raise InputError(f"{what}; known are {', '.join((*NAMES, SCENES))}; {hint}")
    if not rest:
        raise InputError(f"{name} needs the folder it is in; write {name}:PATH")
    return name, rest
