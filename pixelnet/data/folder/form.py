"""dataset.json: what a folder of one's own holds, in words.

Every key may be left out: it is found out then, and `pixelnet check` says what was found.
"""

import difflib
import json
import math
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pixelnet.config import read_json
from pixelnet.data.folder.nnunet import as_form, is_nnunet
from pixelnet.errors import InputError
from pixelnet.geometry import CONVENTIONS

FILE = "dataset.json"
SCHEMA = Path(__file__).with_name("dataset.schema.json")
RGB = tuple[int, int, int]
OTHER = "other"  # as a class's values: all that no other class names
CHOICES: dict[str, tuple[str, ...]] = {
    "missing_labels": ("refuse", "skip", "background"),
    "annotators": ("first", "vote", "all"),
    "orientation": ("exif", "stored"),
    "normals": tuple(CONVENTIONS),
    "augment": ("photo", "top-down"),
}


@dataclass(frozen=True)
class ClassForm:
    """A class: its name, the numbers that stand for it in label maps, and its color there or in pictures."""

    name: str
    values: tuple[int, ...] | Literal["other"] | None = None
    color: RGB | None = None


@dataclass(frozen=True)
class Form:
    """What dataset.json may hold; docs/data.md has an example of each key.

    root: the data's folder, where the file does not lie in it.
    task: what the labels are for.
    images: globs.
    labels: a pattern for each annotator, in terms of the image's name (`patterns.py`), or files of shapes.
    splits: for each, globs of images, or text files of their names.
    group: a regular expression; what its first group, or all of it, finds in a name is what the image belongs to.
    classes: in the order of their ids; () for one a value.
    unlabelled: numbers or colors of label maps that say nothing.
    threshold: of black and white masks, the number from which on they are white.
    missing_labels: of an image without labels or labels without one: refuse, skip, or (of images) background.
    annotators: of several, take the first's, what most say (vote), or for edges the share of all.
    channels: of images, by name or number, in this order.
    range: "type", "percentile", or (low, high) for each channel.
    axes: of arrays and stacks that do not say, such as ZYX.
    slices: of stacks, how many neighboring images, the middle one's labels, are one image's channels.
    scale: of values, what they are multiplied by.
    nodata: of values, the numbers that are no measurement.
    invert: of edges, that lines are dark on white.
    normals: the convention of their axes.
    line_width: of drawn lines and points, in pixels.
    layer: of a file of vectors, which of its layers.
    attribute: of a layer, the field that tells a feature's class.
    block: the side of the blocks that large scenes are cut into, in pixels.
    orientation: whether labels fit photos as EXIF turns them ("exif") or as they are stored ("stored").
    augment: whether pictures have an up ("photo") or none ("top-down").
    """

    root: str | None = None
    task: str | None = None
    images: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    splits: dict[str, tuple[str, ...]] | None = None
    group: str | None = None
    classes: tuple[ClassForm, ...] = ()
    unlabelled: tuple[int | RGB, ...] | None = None
    threshold: float | None = None
    missing_labels: str = "refuse"
    annotators: str | None = None
    channels: tuple[str | int, ...] = ()
    range: str | tuple[tuple[float, float], ...] | None = None
    axes: str | None = None
    slices: int = 1
    scale: float = 1.0
    nodata: tuple[float, ...] | None = None
    invert: bool = False
    normals: str = "pixelnet"
    line_width: int = 3
    layer: str | None = None
    attribute: str | None = None
    block: int | None = None
    orientation: str | None = None
    augment: str | None = None


def read_form(path: Path, changes: dict[str, Any] | None = None) -> Form:
    """The form in a file, or the empty one if it is not there; `changes` are keys in place of its own.

    nnU-Net's file of that name tells the classes. Raises InputError that names the file, the key, what it is and what
    it should be.
    """
    values = read_json(path) if path.is_file() else {}
    if is_nnunet(values):
        values = as_form(values, str(path))
    return parse(values | (changes or {}), str(path))


def parse(values: dict[str, Any], where: str) -> Form:
    """A form from what JSON gave; see `read_form`."""
    known = {field.name for field in fields(Form)}
    for key in values:
        if key not in known and key != "$schema":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")
    found: dict[str, Any] = {}
    for key, value in values.items():
        if value is not None and key != "$schema":
            found[key] = _PARSERS[key](value, f"{where}: {key}")
    form = Form(**found)
    names = [own.name for own in form.classes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where}: classes names {twice!r} twice; give each class its own name")
    return form


def to_json(form: Form) -> dict[str, Any]:
    """What dataset.json holds of a form: the keys that are not as they would be left out."""
    empty = Form()
    kept = {
        field.name: getattr(form, field.name)
        for field in fields(Form)
        if getattr(form, field.name) != getattr(empty, field.name)
    }
    kept |= {key: int(value) for key, value in kept.items() if isinstance(value, float) and value == int(value)}
    if form.classes:
        kept["classes"] = [
            {key: value for key, value in asdict(own).items() if value is not None} for own in form.classes
        ]
        for own in kept["classes"]:
            if isinstance(own.get("values"), tuple) and len(own["values"]) == 1:
                own["value"] = own.pop("values")[0]
    for key in ("images", "labels"):
        if key in kept and len(kept[key]) == 1:
            kept[key] = kept[key][0]
    if form.splits:
        kept["splits"] = {name: globs[0] if len(globs) == 1 else globs for name, globs in form.splits.items()}
    result: dict[str, Any] = json.loads(json.dumps(kept))
    return result


def to_text(form: Form) -> str:
    """dataset.json's text: a line a key, and a line a class."""
    lines = []
    for key, value in to_json(form).items():
        said = json.dumps(value, ensure_ascii=False)
        if key == "classes":
            said = "[\n" + ",\n".join(f"    {json.dumps(own, ensure_ascii=False)}" for own in value) + "\n  ]"
        lines.append(f"  {json.dumps(key)}: {said}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse_change(text: str) -> tuple[str, Any]:
    """KEY=VALUE, as the command line gives a key of dataset.json: VALUE is JSON, or else a text.

    Of classes a list of names with commas between them will do, too. Raises InputError for a text without "=".
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: write KEY=VALUE, such as threshold=128 (the keys are those of {FILE})")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value.split(",") if key in ("classes", "channels") else value


# ------------------------------------------------------------------------------------- what each key is


def _wrong(value: Any, where: str, expected: str) -> InputError:
    shown = repr(value)
    return InputError(f"{where} is {shown[:80]}{'...' if len(shown) > 80 else ''}, expected {expected}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(value, where, "a text")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and value:
        return tuple(_text(item, where) for item in value)
    return (_text(value, where),)


def _globs(value: Any, where: str) -> tuple[str, ...]:
    globs = _texts(value, where)
    for glob in globs:
        if glob.startswith("/") or ".." in glob.split("/"):
            raise _wrong(glob, where, 'a path within the data\'s own folder; "root" names another folder')
    return globs


def _choice(value: Any, where: str) -> str:
    choices = CHOICES[where.rpartition(" ")[2]]
    if value not in choices:
        raise _wrong(value, where, f"one of {', '.join(choices)}")
    return str(value)


def _number(value: Any, where: str) -> float:
    large = isinstance(value, int) and abs(value) >= 2**1023  # which no float is
    if isinstance(value, bool) or not isinstance(value, int | float) or large or not math.isfinite(value):
        raise _wrong(value, where, "a number")
    return value


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise _wrong(value, where, "a whole number")
    return value


def _bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, where, "true or false")
    return value


def _color(value: Any, where: str) -> RGB:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        value = list(bytes.fromhex(value[1:]))
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise _wrong(value, where, 'a color [red, green, blue] of 0 to 255 each, or "#rrggbb"')
    red, green, blue = (_whole(part, where) for part in value)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise _wrong(value, where, "a color [red, green, blue] of 0 to 255 each")
    return red, green, blue


def _classes(value: Any, where: str) -> tuple[ClassForm, ...]:
    if not isinstance(value, list) or not value:
        raise _wrong(value, where, 'a list such as [{"name": "soil", "value": 0}, {"name": "weed", "values": [1, 7]}]')
    return tuple(_class(own, f"{where}[{k}]") for k, own in enumerate(value))


def _class(value: Any, where: str) -> ClassForm:
    if isinstance(value, str):
        return ClassForm(_text(value, where))
    if not isinstance(value, dict) or "name" not in value:
        raise _wrong(value, where, "a name, or an object with a name and, if need be, a value, values or a color")
    for key in value:
        if key not in ("name", "value", "values", "color"):
            raise InputError(f"{where}: unknown key {key!r}; known are name, value, values, color")
    if "value" in value and "values" in value:
        raise InputError(f"{where} has both a value and values; give one of them")
    values = value.get("values", value.get("value"))
    known: tuple[int, ...] | Literal["other"] | None
    if values == OTHER:
        known = "other"
    elif values is None:
        known = None
    else:
        known = tuple(_whole(item, f"{where}: value") for item in (values if isinstance(values, list) else [values]))
    color = value.get("color")
    return ClassForm(
        _text(value["name"], f"{where}: name"), known, None if color is None else _color(color, f"{where}: color")
    )


def _splits(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not value:
        raise _wrong(value, where, 'an object such as {"train": "site1/*", "val": "val.txt"}')
    return {_text(name, where): _texts(globs, f"{where}, {name}") for name, globs in value.items()}


def _group(value: Any, where: str) -> str:
    try:
        re.compile(_text(value, where))
    except re.error as error:
        raise _wrong(value, where, f"a regular expression ({error})") from error
    return str(value)


def _unlabelled(value: Any, where: str) -> tuple[int | RGB, ...]:
    if not isinstance(value, list):
        value = [value]
    return tuple(_color(item, where) if isinstance(item, list | str) else _whole(item, where) for item in value)


def _channels(value: Any, where: str) -> tuple[str | int, ...]:
    listed = value if isinstance(value, list) and value else [value]
    return tuple(_text(item, where) if isinstance(item, str) else _whole(item, where) for item in listed)


def _range(value: Any, where: str) -> str | tuple[tuple[float, float], ...]:
    if value in ("type", "percentile"):
        return str(value)
    pairs = [value] if isinstance(value, list) and value and not isinstance(value[0], list) else value
    expected = '"type", "percentile", [low, high], or one such pair a channel'
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise _wrong(value, where, expected)
    ranges = tuple((float(_number(low, where)), float(_number(high, where))) for low, high in pairs)
    if not ranges or not all(low < high for low, high in ranges):
        raise _wrong(value, where, f"{expected}, each low below its high")
    return ranges


def _nodata(value: Any, where: str) -> tuple[float, ...]:
    listed = value if isinstance(value, list) else [value]
    named = [str(item).lower() for item in listed]
    return tuple(
        float(name) if name in ("nan", "inf", "-inf") else _number(item, where)
        for name, item in zip(named, listed, strict=True)
    )


def _axes(value: Any, where: str) -> str:
    if not re.fullmatch(r"[ZTPICS]*Y[CS]?X[CS]?", _text(value, where)) or len(set(value)) < len(value):
        raise _wrong(value, where, "letters such as YXC, CYX or ZYX: Y and X, C for channels, Z or T for images")
    return str(value)


def _positive(value: Any, where: str) -> float:
    if not _number(value, where) > 0:
        raise _wrong(value, where, "a number above 0")
    return float(value)


def _width(value: Any, where: str) -> int:
    if not 1 <= _whole(value, where) <= 1000:
        raise _wrong(value, where, "a width of 1 to 1000 pixels")
    return int(value)


def _slices(value: Any, where: str) -> int:
    if not 1 <= _whole(value, where) <= 31 or value % 2 == 0:
        raise _wrong(value, where, "an odd number up to 31: a slice, and as many on either side")
    return int(value)


def _side(value: Any, where: str) -> int:
    if not 64 <= _whole(value, where) <= 2**14:
        raise _wrong(value, where, f"a side of 64 to {2**14} pixels")
    return int(value)


_PARSERS: dict[str, Any] = {
    "root": _text, "task": _text, "images": _globs, "labels": _globs, "splits": _splits, "group": _group,
    "classes": _classes, "unlabelled": _unlabelled, "threshold": _number, "missing_labels": _choice,
    "annotators": _choice, "channels": _channels, "range": _range, "axes": _axes, "slices": _slices, "scale": _positive,
    "nodata": _nodata, "invert": _bool, "normals": _choice, "line_width": _width, "orientation": _choice,
    "augment": _choice, "layer": _text, "attribute": _text, "block": _side,
}  # fmt: skip
