"""dataset.json as it would say what was found: what `pixelnet check` prints, and `--write` keeps."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixelnet.config import read_json
from pixelnet.data.dataset import Dataset
from pixelnet.data.folder.coding import Coding, color_of
from pixelnet.data.folder.form import FILE, OTHER, ClassForm, Form, to_text
from pixelnet.data.folder.nnunet import is_nnunet
from pixelnet.data.folder.patterns import proposal
from pixelnet.data.folder.pictures import RGB
from pixelnet.data.slices import own_channels
from pixelnet.errors import InputError
from pixelnet.files import write_atomic

if TYPE_CHECKING:
    from pixelnet.data.folder import Folder


def proposed_form(data: "Folder") -> Form:
    """All that was found out of a folder, said. What patterns do not fit is left out, and found out again."""
    form, survey = data.form, data.survey
    if survey.drawn:
        form = replace(form, labels=tuple(map(str, survey.drawn)))
    elif not (form.images and form.labels):
        pairs = {item.image: item.labels for item in survey.items if item.labels}
        if found := proposal(survey.files, list(pairs.items())):
            form = replace(form, images=tuple(found[0]), labels=tuple(found[1]))
    if form.splits is None and survey.splits and form.images:
        form = replace(form, splits=_splits(data))
    return replace(
        form,
        task=data.task_name,
        classes=_classes(data, data.coding) if data.class_names else form.classes,
        unlabelled=form.unlabelled
        if data.coding is None or data.coding.threshold is not None
        else _unlabelled(data.coding),
        threshold=None if data.coding is None else data.coding.threshold,
        annotators=data.maps.policy if survey.annotators > 1 else form.annotators,
        channels=form.channels if data.channels == RGB else own_channels(data.channels),
        range=form.range if data.ranges is None else data.ranges[: len(own_channels(data.channels))],
        orientation="stored" if data.turned else form.orientation,
        augment="top-down" if data.seems_top_down else form.augment,
    )


def write_form(data: Dataset, path: Path | None = None) -> Path:
    """Keep what was found as dataset.json in the data's folder, or in a file elsewhere, which then names the folder.

    Raises InputError for data that is no folder of one's own, and for a dataset.json that is another tool's.
    """
    from pixelnet.data.folder import Folder

    if not isinstance(data, Folder):
        raise InputError(f"{data.source} has a form of its own; {FILE} is for folders of your own")
    form, path = proposed_form(data), path or data.root / FILE
    if path.is_file() and is_nnunet(read_json(path)):
        raise InputError(f"{path} is nnU-Net's, and stays so; keep what was found elsewhere: --out FILE.json")
    if path.resolve().parent != data.root.resolve():
        form = replace(form, root=str(data.root.resolve()))
    write_atomic(path, to_text(form).encode())
    return path


def _splits(data: "Folder") -> dict[str, tuple[str, ...]] | None:
    """Each split by the folders of its images; None if folders do not tell them apart."""
    folders = {
        split: {item.image.parent.as_posix() for item in data.survey.items if item.split == split}
        for split in data.survey.splits
    }
    every = [folder for own in folders.values() for folder in own]
    if len(every) > len(set(every)) or any(a != b and b.startswith(f"{a}/") for a in every for b in every):
        return None
    return {split: tuple(f"{folder}/*" for folder in sorted(own)) for split, own in folders.items()}


def _classes(data: "Folder", coding: Coding | None) -> tuple[ClassForm, ...]:
    colors = data.class_colors or (None,) * len(data.class_names)
    if coding is None or coding.threshold is not None:
        return tuple(ClassForm(name, None, color) for name, color in zip(data.class_names, colors, strict=True))
    found = []
    for k, (name, color) in enumerate(zip(data.class_names, colors, strict=True)):
        values = None if coding.colored else OTHER if coding.other == k else coding.stored[k]
        found.append(ClassForm(name, values, color))  # type: ignore[arg-type]
    return tuple(found)


def _unlabelled(coding: Coding) -> tuple[int | tuple[int, int, int], ...]:
    if not coding.colored:
        return coding.unlabelled
    return tuple(map(color_of, coding.unlabelled))
