"""Writing whole or not at all, and saying in one line why not."""

import errno
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from pixelnet.errors import InputError, printable
from pixelnet.files import (
    append,
    exchanged,
    inside,
    read_bytes,
    read_text,
    require_apart,
    require_writable,
    write_atomic,
    write_json,
)


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


def test_two_folders_change_places_or_stay_where_they_are(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "own").write_text(name)
    done = exchanged(tmp_path / "a", tmp_path / "b")
    assert done or sys.platform not in ("linux", "darwin")
    assert [(tmp_path / name / "own").read_text() for name in "ab"] == (["b", "a"] if done else ["a", "b"])
    assert not exchanged(tmp_path / "a", tmp_path / "missing")
    assert sorted(own.name for own in tmp_path.iterdir()) == ["a", "b"]


def test_json_comes_back_and_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": (1, 2.5), "é": None})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": [1, 2.5], "é": None}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["a"] == [1, 2.5]


FULL = [
    (errno.ENOSPC, "No space left on device; free some space"),
    (errno.EROFS, "Read-only file system; give a place that may be written to"),
    (errno.EACCES, "Permission denied; give a place"),
]


@pytest.mark.parametrize(("number", "message"), FULL)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_write_that_fails_is_one_line(tmp_path: Path, monkeypatch, number: int, message: str, call: str) -> None:
    write_atomic(tmp_path / "a.bin", b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "open")), fail)
    with pytest.raises(InputError, match=f"a.bin cannot be written: {message}"):
        write_atomic(tmp_path / "a.bin", b"new")
    monkeypatch.undo()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for ask in (require_writable, lambda path: write_atomic(path, b"")):
        for name, message in (
            ("file/a.png", "a file lies where a folder should be|file is a file"),
            (300 * "a", "give a name of up to 250 bytes"),
            ("loop", "a link that leads to itself"),
            ("pipe", "is a device, a pipe or a socket"),
            (".", "is a folder; give the name of a file"),
            ("a\0b", "a zero byte in its name"),
        ):
            with pytest.raises(InputError, match=message):
                ask(tmp_path / name)
        with pytest.raises(InputError, match="is a device, a pipe or a socket"):
            ask("/dev/null")
    with pytest.raises(InputError, match="file is a file; give another place"):
        require_writable(tmp_path / "file", folder=True)
    require_writable(tmp_path / "new" / "folder", folder=True)
    require_writable(tmp_path / "new" / "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop", "pipe"]
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(InputError, match=r"is a folder|cannot be written"):
        append(tmp_path, "line")


def test_a_link_that_is_named_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.json").symlink_to("elsewhere/b.json")
    for content in (b"first", b"second"):
        write_atomic(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").is_symlink()
        assert (tmp_path / "elsewhere" / "b.json").read_bytes() == content
    (tmp_path / ".c.tmp").symlink_to("elsewhere/b.json")  # set up for what is written under this name
    write_atomic(tmp_path / "c", b"third")
    assert (tmp_path / "elsewhere" / "b.json").read_bytes() == b"second"


def test_within_a_folder_of_outputs_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "view").symlink_to(tmp_path)
    assert inside(tmp_path / "out", "edges", "a.png") == tmp_path / "out" / "edges" / "a.png"
    with pytest.raises(InputError, match="out/view is a link, and outputs do not follow links"):
        inside(tmp_path / "out", "view", "a.png")


def test_no_output_is_an_input_or_another_output(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    image, link = tmp_path / "data" / "a.png", tmp_path / "link.json"
    image.write_bytes(b"")
    link.symlink_to(image)
    with pytest.raises(InputError, match=r"--json and --csv are both a.json; give each a file of its own"):
        require_apart({"--json": "a.json", "--report": None, "--csv": "a.json"})
    for place in (image, link, tmp_path / "data", tmp_path / "data" / ".." / "data" / "a.png"):
        with pytest.raises(InputError, match=r"--out .* would replace what this command reads"):
            require_apart({"--out": place}, [image])
    require_apart({"--json": tmp_path / "data" / "b.json", "--out": tmp_path}, [image])


def test_only_files_are_read_and_no_more_than_was_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    for name, most, message in (
        ("pipe", 9, "is a device, a pipe or a socket"),
        ("/dev/zero", 9, "is a device, a pipe or a socket"),
        (".", 9, "is a folder"),
        ("loop", 9, "cannot be read: Too many levels"),
        ("b", 9, "is not there, or is a link to nothing"),
        ("a", 4, "is larger than 4 bytes"),
        ("a\0", 4, "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            read_bytes(tmp_path / name, most)
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\xff")
    with pytest.raises(InputError, match="a is no text in UTF-8"):
        read_text(tmp_path / "a")


def test_names_that_are_no_text_are_written_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "a.json", {"name": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": name}
    assert printable(f"{name}\x1b[2J\n\tAÄ漢\u202e") == "caf\\udce9.png\\x1b[2J\n\tAÄ漢\\u202e"
