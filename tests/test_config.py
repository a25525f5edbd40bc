"""Configurations to JSON and back, and what is said of a wrong one."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet import InputError
from pixelnet.config import ModelConfig, TrainConfig, as_list, from_dict, read_json, read_list, to_dict

MODELS = [
    ModelConfig("edges"),
    ModelConfig("segmentation", 2, "vgg16", (0, 2), 5, True, True, "paper", (8, 9), 0.25, ("a", "b"), ((1, 2, 3),) * 2),
    ModelConfig("edges", image_size=480, threshold=0.3, magnify=2.0),
]
RUNS = [
    TrainConfig("edges", "scenes", Path("run")),
    TrainConfig(
        "segmentation", "camvid:x", Path("/r/n"), backbone_weights=Path("w.pt"), taps=(1,), hidden=(), dropout=0.5,
        pixels="4%", sampler="stratified", class_weights=(1.0, 0.5), crop=None, optimizer="sgd", precision="bf16",
        image_size=480, magnify=0.5,
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", [*MODELS, *RUNS])
def test_they_come_back_from_json(config) -> None:
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config))), "here") == config


def test_what_has_a_default_may_be_left_out() -> None:
    assert from_dict(ModelConfig, {"task": "edges"}, "here") == ModelConfig("edges")


def test_they_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS[0].task = "normals"  # type: ignore[misc]


def test_whole_numbers_serve_as_real_ones() -> None:
    config = from_dict(TrainConfig, {"task": "edges", "data": "scenes", "out": "r", "lr": 1, "scale": [1, 2]}, "here")
    assert isinstance(config.lr, float)
    assert config.scale == (1.0, 2.0)


def test_pixels_may_be_a_number() -> None:
    config = from_dict(TrainConfig, {"task": "edges", "data": "scenes", "out": "r", "pixels": 500}, "here")
    assert str(config.pixels) == "500"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "edges", "num_clases": 3}, "here: unknown key 'num_clases'; did you mean 'num_classes'"),
        ({"task": "edges", "zzz": 3}, "here: unknown key 'zzz'; known are task, num_classes"),
        ({"num_classes": 3}, "here: the key 'task' is missing"),
        ({"task": [3]}, r"here: task is \[3\], not str"),
        ({"task": "edges", "num_classes": "3"}, "here: num_classes is '3'"),
        ({"task": "edges", "num_classes": True}, "here: num_classes is True"),
        ({"task": "edges", "conv7": 1}, "here: conv7 is 1, not bool"),
        ({"task": "edges", "taps": [1.5]}, r"here: taps is \[?1.5"),
        ({"task": "edges", "taps": 3}, "here: taps is 3"),
        ({"task": "edges", "in_channels": None}, "here: in_channels is None"),
        ({"task": "edges", "dropout": "much"}, "here: dropout is 'much'"),
        ({"task": "edges", "class_colors": [[1, 2]]}, "here: class_colors is"),
    ],
)
def test_a_wrong_key_or_value_is_named(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_dict(ModelConfig, values, "here")


@pytest.mark.parametrize(
    ("key", "value"), [("optimizer", "adam"), ("crop", [1, 2, 3]), ("scale", 1.0), ("max_steps", 2.5), ("out", 7)]
)
def test_a_wrong_setting_of_a_run_is_named(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"here: {key}"):
        from_dict(TrainConfig, {"task": "edges", "data": "scenes", "out": "r", key: value}, "here")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[1]", b"3"])
def test_a_file_that_holds_no_object_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json"):
        read_json(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json is not there"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a folder, not a file"):
        read_json(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ' + 100_000 * "[", "nested too deep"),
        ('{"a": ' + 5000 * "1" + "}", "integer string conversion"),
        ('{"a": 1e400}', "1e400 is no number that a float holds"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": "\xff"}', "is no text in UTF-8"),
    ],
)
def test_json_that_no_one_can_hold_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b c ", ["a", "b c"]),
        ('"cell, alive", "cell, dead"', ["cell, alive", "cell, dead"]),
        ('"say ""a""",b', ['say "a"', "b"]),
        ('["cell, alive", "b"]', ["cell, alive", "b"]),
        ('"[a]",b', ["[a]", "b"]),
    ],
)
def test_a_list_is_a_row_of_csv_or_json(text: str, names: list[str]) -> None:
    assert read_list(text, "--classes") == names


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_a_list_comes_back(names: list[str]) -> None:
    assert read_list(as_list(names), "--classes") == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "which is no list"),
        ("a,,b", "has nothing between two commas"),
        ("a,b,a", "has something twice"),
        ('"a', "which is no list .*; give a,b or '\"a, or so\",b' or"),
        ('"a"b,c', "which is no list"),
        ("a\nb", "which is no list"),
        ('["a", 3]', "not all are texts"),
        ('["a"', "which is no list"),
        ("[" * 100000, "which is no list"),
        ('["a", ""]', "has nothing between"),
    ],
)
def test_what_is_no_list_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_list(text, "--classes")
