"""Data sets by name: `open_dataset("camvid:/data/camvid", "segmentation", "val")`."""

from pathlib import Path

from pixelnet.data.ade20k import ADE20K
from pixelnet.data.bsds500 import BSDS500
from pixelnet.data.camvid import CamVid
from pixelnet.data.cityscapes import Cityscapes
from pixelnet.data.dataset import Dataset, Pairs, form_of
from pixelnet.data.folder import Folder
from pixelnet.data.nyudv2 import NYUDv2, NYUDv2With13
from pixelnet.data.nyudv2_mat import NYUDv2Mat
from pixelnet.data.pascal_context import PascalContext, PascalContext33
from pixelnet.data.voc2012 import VOC2012
from pixelnet.errors import InputError

__all__ = ["NAMES", "TASKS", "Dataset", "first_task", "has_split", "open_dataset"]

NAMES: dict[str, type[Pairs]] = {
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
TASKS = ("segmentation", "normals", "edges", "regression")


def open_dataset(spec: str, task: str, split: str = "train") -> Dataset:
    """Open a data set.

    spec: "NAME:PATH" with a name in NAMES, or "scenes" or "scenes:COUNT". task: one of TASKS. split: "train",
    "val", or another that the data has. Several of each, with commas between them, make a `JointData`. Raises
    InputError for a name, path, task or split that is not there, and for images and labels that do not pair up.
    """
    if "," in task:
        from pixelnet.data.joint import JointData

        sources = [(own, serving(own, task)) for own in spec.split(",")]
        return JointData(
            [(own, {name: open_dataset(own, name, split) for name in names}) for own, names in sources], task, split
        )
    name, rest = parse(spec, task)
    if name == SCENES:
        from pixelnet.data.scenes import Scenes

        return Scenes.from_spec(rest, task, split)
    return kind_of(name, Path(rest).expanduser())(rest, task, split)


def has_split(spec: str, task: str, split: str) -> bool:
    """Whether the data has this split as something apart: False for any split of a folder without splits.

    Without a val split training scores none. Raises InputError as `open_dataset` does, but for the split.
    """
    if "," in task:
        return all(has_split(own, name, split) for own in spec.split(",") for name in serving(own, task))
    name, rest = parse(spec, task)
    if name == SCENES:
        return split in ("train", "val")
    root = Path(rest).expanduser()
    kind = kind_of(name, root)
    kind.demand(root, task)
    return split in kind.splits(root, task)


def serving(spec: str, tasks: str) -> list[str]:
    """Which of several tasks, with commas between them, a data set has labels for. Raises InputError for none."""
    names = tasks.split(",")
    for task in names:
        name, rest = parse(spec, task)
    if name == SCENES:
        return names
    kind, root = kind_of(name, Path(rest).expanduser()), Path(rest).expanduser()
    found = [task for task in names if task in kind.tasks and kind.has_labels(root, task)]
    if not found:
        kind.demand(root, next((task for task in names if task in kind.tasks), kind.tasks[0]))
        raise InputError(f"{spec} has no labels for {', '.join(names)}; leave it out")
    return found


def first_task(spec: str) -> str:
    """The first of a data set's tasks that it has labels for. Raises InputError as `open_dataset` does, or for none."""
    name, rest = parse(spec, TASKS[0])
    if name == SCENES:
        return TASKS[0]
    root = Path(rest).expanduser()
    kind = kind_of(name, root)
    for task in kind.tasks:
        if kind.has_labels(root, task):
            kind.demand(root, task)
            return task
    kind.demand(root, kind.tasks[0])
    source = f"\n\nGet it from {kind.origin}." if kind.origin else ""
    raise InputError(f"{spec} has no labels for {', '.join(kind.tasks)}; it should hold:\n\n{form_of(kind)}{source}")


def kind_of(name: str, root: Path) -> type[Pairs] | type[NYUDv2Mat]:
    """The class that reads the data of a name at a path: NYUv2 comes in two forms."""
    return NYUDv2Mat if NAMES[name] is NYUDv2 and NYUDv2Mat.is_at(root) else NAMES[name]


def parse(spec: str, task: str) -> tuple[str, str]:
    """A spec's name, which is known, and what follows it. Raises InputError."""
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}")
    name, _, rest = spec.partition(":")
    if name != SCENES and name not in NAMES:
        hint = f"did you mean folder:{spec}?" if Path(spec).expanduser().is_dir() else "write NAME:PATH or scenes"
        raise InputError(f"there is no data set {name!r}; known are {', '.join((*NAMES, SCENES))}; {hint}")
    if name != SCENES and not rest:
        raise InputError(f"{name} needs the folder it is in; write {name}:PATH")
    return name, rest
