"""What a folder of answers notes of itself: which model answered, asked how, and which images are answered already.

    OUT/predict.json         the model's hash and the options, of all answers in the folder
    OUT/.predict/0.jsonl     a line an image that is answered, by the first process; its lock beside it
    OUT/failures.csv         the images that could not be answered

A line is added once an image's files are whole and on disk. Who is killed between the two answers that image again, to
the same bytes.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pixelnet.config import read_json
from pixelnet.errors import InputError
from pixelnet.files import append, inside, write_atomic, write_json
from pixelnet.inference.inputs import Failure, Item
from pixelnet.runs.lock import held

NOTE, JOURNALS, FAILURES = "predict.json", ".predict", "failures.csv"
ENDING = ".jsonl"


def require_same(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise InputError if a folder's answers are another model's, or were asked for in another way.

    about: the model's hash as "model", and the "options".
    """
    if not (folder / NOTE).is_file():
        return
    noted: Any = read_json(folder / NOTE)
    remedy = "give another --out, or --overwrite to begin anew"
    known = noted.get("options")
    if not isinstance(known, dict):
        raise InputError(f"{folder / NOTE} is no note of `predict`; {remedy}")
    if noted.get("model") != about["model"]:
        raise InputError(f"{folder} holds the answers of another model; {remedy}")
    other = [name for name, value in about["options"].items() if known.get(name) != value]
    if other:
        told = ", ".join(f"{name} {known.get(name)} there and {about['options'][name]} now" for name in other)
        raise InputError(f"{folder} holds answers to other options: {told}; {remedy}")


class Journal:
    """The images that are answered in a folder, by all processes that share it.

    number: of this process. Use `noting` to write in it.
    """

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.folder = folder
        self._file = inside(folder, JOURNALS, f"{number}{ENDING}")
        self._known = dict(self._lines())

    def answered(self, item: Item) -> list[Path] | None:
        """The files of an image's answers, if they are there and the image is as it was; None otherwise."""
        if str(item.name) not in self._known:
            return None
        entry = json.loads(self._known[str(item.name)])
        if entry["image"] != _stamp(item):
            return None
        files = [self.folder / name for name in entry["files"]]
        return files if all(map(os.path.exists, files)) else None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Hold this process's journal. Raises InputError if another process is at work in the folder."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with held(self._file.with_suffix(".lock")):
            yield

    def note(self, item: Item, written: Iterable[Path]) -> None:
        """That an image is answered, by which files."""
        files = [path.relative_to(self.folder).as_posix() for path in written]
        entry = {"name": str(item.name), "image": _stamp(item), "files": files}
        append(self._file, f"\n{json.dumps(entry)}")  # the break ends what half a line a killed process has left

    def begin_anew(self) -> None:
        """Forget all images, and take away the files that were noted."""
        for line in self._known.values():
            for name in json.loads(line)["files"]:
                if ".." not in Path(name).parts and not Path(name).is_absolute():
                    path = inside(self.folder, name)
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self._known = {}
        for path in (*(self.folder / JOURNALS).glob(f"*{ENDING}"), self.folder / NOTE, self.folder / FAILURES):
            path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Names and whole lines, which take less memory than what they say."""
        for path in sorted((self.folder / JOURNALS).glob(f"*{ENDING}")):
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    with suppress(ValueError, TypeError, KeyError):  # whoever was killed may have left half a line
                        entry = json.loads(line)
                        if all(isinstance(name, str) for name in entry["files"]) and "image" in entry:
                            yield str(entry["name"]), line


def _stamp(item: Item) -> list[Any]:
    """What tells that an image is the one of before."""
    path = str(item.path.absolute())
    try:
        if item.archive is not None:
            return [path, item.page, item.archive.stamp(item.path)]
        about = item.path.stat()
    except (OSError, InputError):
        return [path, item.page]
    return [path, item.page, about.st_size, about.st_mtime_ns]


def write_note(folder: Path, about: Mapping[str, Any]) -> None:
    if not (folder / NOTE).is_file():
        write_json(inside(folder, NOTE), dict(about))


def write_failures(path: Path, failures: Iterable[Failure]) -> Path:
    """CSV of name, file, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Failure._fields)
    writer.writerows(failures)
    write_atomic(path, text.getvalue().encode(errors="backslashreplace"))
    return path
