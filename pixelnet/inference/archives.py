"""Images in archives, as if an archive were a folder: photos.zip/day/1.jpg. Tar and zip, read where they are.

A member is copied to a temporary file when its turn comes, and no more is ever unpacked. Compressed tar (.tar.gz) is
not read: all before a member would have to be unpacked to come to it.
"""

import os
import posixpath
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from threading import Lock
from typing import IO, Any

from pixelnet.errors import InputError
from pixelnet.rasters import VARIABLE, decoding, number_limit, reading

ARCHIVES = (".tar", ".zip")
NUMBER = 4  # bytes of a number, of which so many may be read at once
PIECE = 2**20  # bytes that are copied at once


def is_archive(path: Path) -> bool:
    return path.suffix.lower() in ARCHIVES and path.is_file()


def name_within(text: str) -> PurePath:
    """What a path is called in a folder of answers, as tar calls it: without its root, and without ways up and out."""
    parts = posixpath.normpath(text.replace(os.sep, "/")).lstrip("/").split("/")
    while parts and parts[0] in ("..", "."):
        parts.pop(0)
    return PurePath(*parts)


class Archive:
    """The files in an archive, by where they would lie if it were a folder.

    file: it, opened, where the path is not one of this machine but stands for a URL; closed with the archive. Raises
    InputError for a file that is none, and for two members of one place.
    """

    def __init__(self, path: Path, file: IO[bytes] | None = None, url: str = "") -> None:
        self.path, self.url, self._file, self._lock = path, url, file, Lock()
        with reading(path) if file is None else decoding(path):
            kind: Any = zipfile.ZipFile if path.suffix.lower() == ".zip" else tarfile.TarFile
            named_file = {"file": file} if kind is zipfile.ZipFile else {"fileobj": file}
            self._open = kind(path) if file is None else kind(**named_file)
            members = self._open.infolist() if kind is zipfile.ZipFile else self._open.getmembers()
        named: dict[Path, str] = {}
        self._members: dict[Path, zipfile.ZipInfo | tarfile.TarInfo] = {}
        for member in members:
            given = member.filename if isinstance(member, zipfile.ZipInfo) else member.name
            if member.is_dir() if isinstance(member, zipfile.ZipInfo) else not (member.isreg() or member.islnk()):
                continue
            place = path / name_within(given)
            if named.setdefault(place, given) != given:
                raise InputError(
                    f"{path} has {named[place]} and {given}, which would be one file; unpack it and rename one"
                )
            self._members[place] = member  # of one name the last one counts, as for tar

    @property
    def files(self) -> list[Path]:
        return sorted(self._members)

    def stamp(self, place: Path) -> list[int]:
        """What tells that a member is the one of before: its size, and what the archive says of its content or time."""
        member = self._members[place]
        if isinstance(member, zipfile.ZipInfo):
            return [member.file_size, member.CRC]
        return [member.size, int(member.mtime)]

    @contextmanager
    def unpacked(self, place: Path) -> Iterator[Path]:
        """A copy of a member, for as long as it is asked for. Raises InputError for one that is broken or too large."""
        member = self._members[place]
        size = member.file_size if isinstance(member, zipfile.ZipInfo) else member.size
        if size > limit():
            raise InputError(too_large(place, f"{size:,}", limit()))
        with tempfile.TemporaryDirectory(prefix="pixelnet-") as folder:
            copy = Path(folder, place.name)
            with decoding(place), copy.open("wb") as file, self._lock:
                self._copy(member, file, place)
            with instead_of(copy, place):
                yield copy

    def _copy(self, member: zipfile.ZipInfo | tarfile.TarInfo, file: IO[bytes], place: Path) -> None:
        # A tar's link is followed to what it names within the archive.
        opened = self._open.open(member) if isinstance(member, zipfile.ZipInfo) else self._open.extractfile(member)
        with opened as content:
            copied(content, file, place)

    def close(self) -> None:
        self._open.close()
        if self._file is not None:
            self._file.close()


@contextmanager
def instead_of(copy: Path, place: Path) -> Iterator[None]:
    """Within, errors name the place of what was copied here, and not the copy."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(copy), str(place))) from error


def limit() -> int:
    """How many bytes a file that is copied may have."""
    return NUMBER * number_limit()


def copied(content: IO[bytes], file: IO[bytes], place: Path) -> None:
    """Copy what is read into a file. Raises InputError if it is too large, whatever was said of its size."""
    left = limit()
    while piece := content.read(PIECE):
        left -= len(piece)
        if left < 0:
            raise InputError(too_large(place, "more", limit()))
        file.write(piece)


def too_large(place: Path, size: str, most: int) -> str:
    return (
        f"{place} would be {size} bytes, and no more than {most:,} are unpacked; unpack the archive yourself, or raise "
        f"the environment variable {VARIABLE}, which is a quarter of that"
    )
