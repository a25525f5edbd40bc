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
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pixelnet.config import read_json
from pixelnet.errors import InputError
from pixelnet.files import append, inside, write_atomic, write_json
from pixelnet.inference.archives import instead_of
from pixelnet.inference.inputs import Failure, Item
from pixelnet.inference.remote import Elsewhere, is_place
from pixelnet.runs.lock import held

NOTE, JOURNALS, FAILURES = "predict.json", ".predict", "failures.csv"
ENDING = ".jsonl"
LINES = 256  # of a journal elsewhere, in one file: so many images are answered again after a kill, at most


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
        return self._files(entry["files"]) if entry["image"] == stamp(item) else None

    def _files(self, names: list[str]) -> list[Path] | None:
        """Answers by their names in the folder, if all are there."""
        files = [self.folder / name for name in names]
        return files if all(map(os.path.exists, files)) else None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Hold this process's journal. Raises InputError if another process is at work in the folder."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with held(self._file.with_suffix(".lock")):
            yield

    def note(self, item: Item, written: Iterable[Path]) -> None:
        """That an image is answered, by which files."""
        self.note_names(item, [os.path.relpath(path, self.folder) for path in written], stamp(item))

    def note_names(self, item: Item, names: list[str], image: list[Any]) -> None:
        """The same, the files being named as they are in the folder. image: the stamp of what was answered."""
        entry = {"name": str(item.name), "image": image, "files": names}
        append(self._file, f"\n{json.dumps(entry)}")  # the break ends what half a line a killed process has left

    def begin_anew(self) -> None:
        """Forget all images, and take away the files that were noted."""
        noted = (name for line in self._known.values() for name in json.loads(line)["files"])
        self._remove(name for name in noted if ".." not in Path(name).parts and not Path(name).is_absolute())
        self._known = {}
        for path in (*(self.folder / JOURNALS).glob(f"*{ENDING}"), self.folder / NOTE, self.folder / FAILURES):
            path.unlink(missing_ok=True)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = inside(self.folder, name)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Names and whole lines, which take less memory than what they say."""
        for path in sorted((self.folder / JOURNALS).glob(f"*{ENDING}")):
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    with suppress(ValueError, TypeError, KeyError):  # whoever was killed may have left half a line
                        entry = json.loads(line)
                        if all(isinstance(name, str) for name in entry["files"]) and "image" in entry:
                            yield str(entry["name"]), line


class JournalElsewhere(Journal):
    """The journal of a folder elsewhere, where no file can be added to: it is kept here, and goes there by pieces.

    folder: a folder here, for as long as the journal is in use. Nothing keeps two processes from one folder elsewhere.
    """

    def __init__(self, folder: Path, elsewhere: Elsewhere) -> None:
        self._elsewhere, self._there, self._since = elsewhere, elsewhere.names(), 0
        pieces = [name for name in self._there if re.fullmatch(rf"{re.escape(JOURNALS)}/\d+{re.escape(ENDING)}", name)]
        for name in {*pieces, *({NOTE} & self._there)}:
            elsewhere.fetch(name, folder)
        super().__init__(folder)
        self._number = max((int(Path(name).stem) for name in pieces), default=-1)
        self._next()

    def _next(self) -> None:
        self._number, self._since = self._number + 1, 0
        self._file = self._file.with_name(f"{self._number:06d}{ENDING}")

    def _files(self, names: list[str]) -> list[Path] | None:
        return [self._elsewhere.place / name for name in names] if self._there.issuperset(names) else None

    @contextmanager
    def noting(self) -> Iterator[None]:
        with super().noting():
            if (self.folder / NOTE).exists():
                self._elsewhere.send(NOTE, self.folder)
            try:
                yield
            finally:
                self._send()

    def note_names(self, item: Item, names: list[str], image: list[Any]) -> None:
        super().note_names(item, names, image)
        self._since += 1
        if self._since >= LINES:
            self._send()

    def _send(self) -> None:
        """The lines since the last time, as a file of their own."""
        if self._since:
            self._elsewhere.send(f"{JOURNALS}/{self._file.name}", self.folder)
            self._next()

    def _remove(self, names: Iterable[str]) -> None:
        notes = {name for name in self._there if name.startswith(f"{JOURNALS}/")} | {NOTE, FAILURES}
        self._elsewhere.remove({*names, *notes})


def stamp(item: Item) -> list[Any]:
    """What tells that an image is the one of before."""
    path = str(item.path if is_place(item.path) else item.path.absolute())
    try:
        if item.archive is not None:
            return [path, item.page, item.archive.stamp(item.path)]
        about = item.path.stat()
    except (OSError, InputError):
        return [path, item.page]
    return [path, item.page, about.st_size, about.st_mtime_ns]


class Notes:
    """What a folder of answers notes: which model answered, for which images, and which of them it could not.

    folder: where the notes are read and written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def are_there(self) -> bool:
        return (self.folder / NOTE).exists()

    def journal(self, number: int = 0) -> Journal:
        return Journal(self.folder, number)

    def write_failures(self, failures: Iterable[Failure]) -> None:
        """By name, whichever was the first to fail; none takes away those of before."""
        if failures := sorted(failures):
            write_failures(self.folder / FAILURES, failures)
        else:
            (self.folder / FAILURES).unlink(missing_ok=True)


class NotesElsewhere(Notes):
    """Those of a folder elsewhere. folder: one here, for as long as they are in use."""

    def __init__(self, place: Path, folder: Path) -> None:
        super().__init__(folder)
        self._elsewhere = Elsewhere(place)

    def are_there(self) -> bool:
        return NOTE in self._elsewhere.names()

    def journal(self, number: int = 0) -> Journal:
        return JournalElsewhere(self.folder, self._elsewhere)

    def write_failures(self, failures: Iterable[Failure]) -> None:
        super().write_failures(failures)
        if (self.folder / FAILURES).exists():
            self._elsewhere.send(FAILURES, self.folder)
        else:
            self._elsewhere.remove([FAILURES])


@contextmanager
def notes_of(folder: Path) -> Iterator[Notes]:
    """The notes of a folder, or of the place of one elsewhere, which messages name."""
    if not is_place(folder):
        yield Notes(folder)
        return
    with tempfile.TemporaryDirectory(prefix="pixelnet-") as here, instead_of(Path(here), folder):
        yield NotesElsewhere(folder, Path(here))


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
