"""dataset.json's keys: what is read, what is written, what is refused, and the schema, which says the same."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pixelnet.data.folder.form import SCHEMA, ClassForm, Form, parse, parse_change, read_form, to_json, to_text
from pixelnet.errors import InputError

VALID = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
WHOLE: dict[str, Any] = {
    "root": "/data", "task": "segmentation", "images": "photos/**/*.tif", "labels": ["a/{path}.png", "b/{1}.png"],
    "splits": {"train": "site1/*", "val": ["site2/*", "site3/*"], "test": "test.txt"}, "group": "^(patient\\d+)",
    "classes": [
        {"name": "soil", "value": 0}, {"name": "weed", "values": [1, 7], "color": [200, 30, 30]},
        {"name": "rest", "values": "other"}, {"name": "open"},
    ],
    "unlabelled": [255, [1, 2, 3]], "threshold": 128, "missing_labels": "skip", "annotators": "vote",
    "channels": ["red", 3], "range": [[0, 4095], [10, 20]], "axes": "ZYX", "scale": 0.001, "nodata": [0, -9999],
    "invert": True, "normals": "opengl", "line_width": 5, "orientation": "stored",
    "augment": "top-down",
}  # fmt: skip


def test_every_key_is_read_and_written() -> None:
    form = parse(WHOLE, "here")
    assert form.images == ("photos/**/*.tif",)
    assert form.classes[1] == ClassForm("weed", (1, 7), (200, 30, 30))
    assert form.classes[2].values == "other"
    assert form.unlabelled == (255, (1, 2, 3))
    assert form.range == ((0, 4095), (10, 20))
    assert to_json(form) == WHOLE
    assert json.loads(to_text(form)) == WHOLE
    assert parse(to_json(form), "there") == form
    assert to_json(Form()) == {}


def test_the_schema_knows_every_key() -> None:
    assert VALID.schema["properties"].keys() - {"$schema"} == Form.__dataclass_fields__.keys()
    VALID.validate(WHOLE)
    jsonschema.Draft202012Validator.check_schema(VALID.schema)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("unlabelled", 0, (0,)),
        ("unlabelled", [], ()),
        ("unlabelled", ["#ff0080"], ((255, 0, 128),)),
        ("nodata", "nan", None),
        ("range", "percentile", "percentile"),
        ("range", [0, 4095], ((0.0, 4095.0),)),
        ("channels", 2, (2,)),
        ("threshold", None, None),
    ],
)
def test_short_forms(key: str, value: Any, expected: Any) -> None:
    found = getattr(parse({key: value}, "here"), key)
    assert found == expected or expected is None
    assert VALID.is_valid({key: value}) or value is None


WRONG: list[tuple[str, Any, str]] = [
    ("imags", "x", r"unknown key 'imags'; did you mean 'images'\?"),
    ("xyzzy", "x", "unknown key 'xyzzy'; known are annotators, attribute, augment, axes, "),
    ("images", 7, "images is 7, expected a text"),
    ("images", "/abs/*.png", 'expected a path within the data\'s own folder; "root" names another'),
    ("labels", "../{name}.png", "expected a path within the data's own folder"),
    ("splits", {}, "splits is {}, expected an object such as"),
    ("splits", {"train": 3}, "splits, train is 3, expected a text"),
    ("group", "(", r"group is '\(', expected a regular expression"),
    ("classes", [], "expected a list such as"),
    ("classes", [{"name": "a", "value": 0, "values": [1]}], r"classes\[0\] has both a value and values"),
    ("classes", [{"name": "a", "colour": [0, 0, 0]}], r"classes\[0\]: unknown key 'colour'; known are name, value"),
    ("classes", [{"value": 1}], r"classes\[0\] is .*, expected a name, or an object"),
    ("classes", [{"name": "a", "value": 1.5}], "value is 1.5, expected a whole number"),
    ("classes", [{"name": "a", "value": True}], "value is True, expected a whole number"),
    ("classes", [{"name": "a", "value": 10**30}], "expected a whole number"),
    ("classes", [{"name": " "}], "name is ' ', expected a text"),
    ("unlabelled", "white", "expected a color"),
    ("unlabelled", [[0, 0]], r"expected a color \[red, green, blue\]"),
    ("threshold", "half", "threshold is 'half', expected a number"),
    ("missing_labels", "ignore", "is 'ignore', expected one of refuse, skip, background"),
    ("annotators", "mean", "expected one of first, vote, all"),
    ("channels", [1.5], "channels is 1.5, expected a whole number"),
    ("range", [5, 5], "each low below its high"),
    ("range", "auto", '"type", "percentile", '),
    ("range", [[0, 1], [2]], "one such pair a channel"),
    ("axes", "XYZ", "expected letters such as YXC"),
    ("axes", "ZZYX", "expected letters such as YXC"),
    ("scale", 0, "scale is 0, expected a number above 0"),
    ("scale", -1, "expected a number above 0"),
    ("nodata", "none", "nodata is 'none', expected a number"),
    ("nodata", [[1]], r"nodata is \[1\], expected a number"),
    ("scale", 10**400, "expected a number"),
    ("range", [0, 10**400], "expected a number"),
    ("invert", "yes", "expected true or false"),
    ("invert", 1, "invert is 1, expected true or false"),
    ("normals", "up", "expected one of pixelnet, "),
    ("line_width", 0, "expected a width of 1 to 1000 pixels"),
    ("line_width", 2.0, "expected a whole number"),
    ("orientation", "exif ", "expected one of exif, stored"),
    ("augment", "aerial", "expected one of photo, top-down"),
]
FREE = {"group", "axes", "images", "labels", "range"}  # whose texts and numbers a schema cannot judge


@pytest.mark.parametrize(("key", "value", "message"), WRONG)
def test_a_mistake_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"here: .*{message}"):
        parse({key: value}, "here")
    assert key in FREE or not VALID.is_valid({key: value}) or value in (2.0, 10**400) or key == "classes"


@pytest.mark.parametrize("kind", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite_where_a_word_is_not_asked_for(kind: float) -> None:
    for key in ("threshold", "scale"):
        with pytest.raises(InputError, match="expected a number"):
            parse({key: kind}, "here")


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(InputError) as caught:
        parse({"invert": "x" * 10_000}, "here")
    assert len(str(caught.value)) < 200


def test_changes_take_the_place_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text('{"scale": 2, "invert": true, "$schema": "x"}')
    assert read_form(path, {"scale": 3, "invert": None}) == Form(scale=3.0)
    assert read_form(tmp_path / "none.json") == Form()
    with pytest.raises(InputError, match=re.escape(f"{path}: scale is 'a'")):
        read_form(path, {"scale": "a"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("threshold=128", ("threshold", 128)),
        ("unlabelled=[0]", ("unlabelled", [0])),
        ("images=a/*.png", ("images", "a/*.png")),
        ("classes=road,sky", ("classes", ["road", "sky"])),
        ('classes=["a", "b"]', ("classes", ["a", "b"])),
        ("group=^(a=b)", ("group", "^(a=b)")),
        ("nodata=NaN", None),
    ],
)
def test_changes_of_the_command_line(text: str, expected: tuple[str, Any] | None) -> None:
    assert expected is None or parse_change(text) == expected
    parse(dict([parse_change(text)]), "--set")


def test_a_change_without_a_value() -> None:
    with pytest.raises(InputError, match="--set threshold: write KEY=VALUE, such as threshold=128"):
        parse_change("threshold")


def test_the_examples_of_the_documents_are_valid() -> None:
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    table = text.split("| key | what it says | example |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \|.*\| (`.*`) \|$", table, re.MULTILINE)
    named = []
    for keys, examples in rows:
        for key, example in zip(re.findall("`(.*?)`", keys), re.findall(r"`((?:[^`]|\\`)+)`", examples), strict=False):
            value = {key: json.loads(example)}
            VALID.validate(value)
            parse(value, "docs/data.md")
            named.append(key)
    assert sorted(named) == sorted(Form.__dataclass_fields__)
    (said,) = re.findall(r"--write keeps it\):\n\n(\{.*?\n\})", text, re.DOTALL)
    VALID.validate(json.loads(said))
    assert to_text(parse(json.loads(said), "docs/data.md")).strip() == said
