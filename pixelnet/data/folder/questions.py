"""What only a person can know of labels that are not classes: asked where the numbers look odd."""

from typing import TYPE_CHECKING

import numpy as np

from pixelnet.data.dataset import UNLABELLED, evenly
from pixelnet.data.folder.coding import middle_of
from pixelnet.data.folder.form import FILE
from pixelnet.data.folder.maps import measurements
from pixelnet.errors import InputError
from pixelnet.tasks.normals import read_normals

if TYPE_CHECKING:
    from pixelnet.data.folder import Folder

SAMPLED = 16  # label maps that are looked at
FREQUENT = 0.01  # share of the pixels that one and the same number has, from which on it is asked about
STROKES = 0.9  # share of the pixels that a class has at least where it is asked whether it is what is not labelled
APART = 0.02  # of the pixels of the others, at most so many lie beside one of yet another class
SUSPECTS = (0.0, -1.0, -9999.0, -32768.0, 65535.0)  # what people write where they did not measure


def questions_of(data: "Folder") -> list[str]:
    """Questions about a sample of the data's maps; none that cannot be read, which `check` names."""
    known = {"regression": _values, "edges": _edges, "normals": _normals, "segmentation": _strokes}
    ask = known.get(data.task_name)
    if ask is None:
        return []
    spread = evenly(len(data), SAMPLED)
    try:
        return ask(data, spread)
    except InputError:
        return []


def _strokes(data: "Folder", items: list[int]) -> list[str]:
    """Whether the commonest class is what nobody labelled, as many programs write it: around strokes of the others.

    These lie apart, since nobody paints up to a border from both sides; things that are labelled wholly touch.
    """
    coding = data.coding
    if coding is None or data.form.unlabelled is not None or data.form.classes:
        return []
    counts, beside = np.zeros(256, np.int64), 0
    for i in items:
        labels = data.labels(i, middle_of(*data.size(i)[::-1]))
        own = np.bincount(labels.ravel(), minlength=256)
        counts += own
        common = int(own.argmax())
        for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            beside += int(((one != other) & (one != common) & (other != common)).sum())
    most, every = int(counts.argmax()), int(counts.sum())
    others = every - int(counts[most])
    if most == UNLABELLED or counts[most] < STROKES * every or (counts > 0).sum() < 3 or beside > APART * others:
        return []
    color = coding.colors[most] if coding.colored else None
    said = list(color) if color else coding.stored[most][0]
    return [
        f"{coding.names[most]} covers {counts[most] / every:.1%} of the pixels, and the other classes lie apart, as "
        f'strokes do; if it means not labelled, say in {FILE} "unlabelled": [{said}]'
    ]


def _values(data: "Folder", items: list[int]) -> list[str]:
    if data.form.nodata is not None:
        return []
    found = [(data.items[i], label) for i in items for label in data.items[i].labels[:1]]
    maps = [(data.ground.stored(item, label), data.root / label) for item, label in found]
    values = np.concatenate([measurements(stored, path, data.form).ravel() for stored, path in maps])
    values = values[np.isfinite(values)] / data.form.scale
    asked = []
    for none in SUSPECTS:
        share = float((values == none).mean()) if values.size else 0.0
        extreme = values.size and none in (values.min(), values.max())
        if share >= FREQUENT and extreme:
            asked.append(
                f"{none:g} is the value of {share:.1%} of the pixels; if it means no measurement, say in {FILE} "
                f'"nodata": [{none:g}], and if it is measured, "nodata": []'
            )
    if values.size and data.form.scale == 1 and float(np.median(values)) > 500:
        asked.append(
            f"values are about {np.median(values):g}; if they are thousandths (mm of depth), this in {FILE} makes them "
            'units: "scale": 0.001'
        )
    return asked


def _edges(data: "Folder", items: list[int]) -> list[str]:
    share = float(np.mean([np.nanmean(data.labels(i) >= 0.5) for i in items]))
    if share <= 0.5 or data.form.invert:
        return []
    return [f'{share:.0%} of the pixels are edges; if lines are dark on white, say "invert": true in {FILE}']


def _normals(data: "Folder", items: list[int]) -> list[str]:
    away = [float((read_normals(path)[..., 2] > 0).mean()) for i in items for path in data.files(i)[1:2]]
    if data.form.normals != "pixelnet" or np.mean(away) <= 0.5:
        return []
    return [
        f"{np.mean(away):.0%} of the normals point away from the camera (z into the scene above 0); their axes are "
        f'perhaps others: say "normals": "opengl", "dsine" or "2d3ds" in {FILE}'
    ]
