import json
from pathlib import Path

import pytest

from pixelnet.files import write_atomic, write_json


def test_writes_bytes_and_what_a_function_writes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_atomic(path, b"one")
    assert path.read_bytes() == b"one"
    write_atomic(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_failure_half_way_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")

    def fail(file) -> None:
        file.write(b"ne")
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".a.bin.tmp").write_bytes(b"half a ve")
    write_atomic(tmp_path / "a.bin", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_json_comes_back_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": (1, 2.5), "é": None})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": [1, 2.5], "é": None}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["a"] == [1, 2.5]
