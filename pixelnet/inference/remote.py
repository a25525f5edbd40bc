"""Images and answers elsewhere, by URL: s3://bucket/day/1.tif, gs://, https://. Needs the extra cloud.

An image is copied to a temporary file when its turn comes, as one in an archive is; of an archive elsewhere no more is
read than its list of files and the members that are wanted. The place of an image is its URL as a path, without what
may be secret in it: https:/host/day/1.tif.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from pixelnet.errors import InputError, needs
from pixelnet.inference.archives import Archive, copied, instead_of, name_within
from pixelnet.rasters import decoding

PROTOCOLS = ("s3", "gs", "gcs", "https", "http")  # others would open what a list of strangers names
WRITTEN = ("s3", "gs", "gcs")  # of these


def is_remote(given: str | Path) -> bool:
    """Whether an input is called as a URL."""
    return "://" in str(given)


def is_place(path: Path) -> bool:
    """Whether a path is the place of an image elsewhere."""
    return path.parts[0].removesuffix(":") in PROTOCOLS if path.parts else False


def place_of(url: str) -> Path:
    """A URL as a path, without user, password and query."""
    parts = urlsplit(url)
    return Path(f"{parts.scheme}:", name_of(url))


def name_of(url: str) -> PurePath:
    """What an image elsewhere is called in a folder of answers: host/day/1.tif."""
    parts = urlsplit(url)
    return name_within(f"{parts.hostname or ''}/{unquote(parts.path)}")


def opened_archive(url: str) -> Archive:
    """A tar or zip file elsewhere. Raises InputError as `Archive`."""
    place = place_of(url)
    system, path = _system(url, place)
    with decoding(place):
        file = system.open(path, "rb")
    try:
        return Archive(place, file, url)
    except BaseException:
        file.close()
        raise


class Remote:
    """Images elsewhere, each by its place; as an `Archive` holds files."""

    def __init__(self) -> None:
        self._urls: dict[Path, str] = {}

    def add(self, url: str) -> Path:
        """The place of an image. Raises InputError for one of two that differ in what places leave out."""
        place = place_of(url)
        if self._urls.setdefault(place, url) != url:
            raise InputError(f"{place} is given twice, with other words behind its name; give it once")
        return place

    def url(self, place: Path) -> str:
        """Of an image, as it was given."""
        return self._urls[place]

    def stamp(self, place: Path) -> list[Any]:
        """What tells that an image is the one of before: its size, and what its server says of its content or time."""
        system, path = _system(self._urls[place], place)
        with decoding(place):
            about = system.info(path)
        marks = (about.get(key) for key in ("ETag", "etag", "LastModified", "updated", "mtime"))
        return [about.get("size"), str(next((mark for mark in marks if mark), ""))]

    @contextmanager
    def unpacked(self, place: Path) -> Iterator[Path]:
        """A copy of an image, for as long as it is asked for. Raises InputError for one that is none, or too large."""
        system, path = _system(self._urls[place], place)
        with tempfile.TemporaryDirectory(prefix="pixelnet-") as folder:
            copy = Path(folder, place.name)
            # From the first byte to the last: not every server sends parts of a file.
            once = {"block_size": 0} if place.parts[0] in ("http:", "https:") else {}
            with decoding(place), system.open(path, "rb", **once) as content, copy.open("wb") as file:
                copied(content, file, place)
            with instead_of(copy, place):
                yield copy

    def close(self) -> None:
        """Nothing is open between two images."""


class Elsewhere:
    """A folder of answers elsewhere, by its place. Files come there whole or not at all.

    Raises InputError, when made and by each of its methods, for what cannot be written or read there.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        protocol = place.parts[0].removesuffix(":")
        if protocol not in WRITTEN:
            raise InputError(f"{place} cannot be written: answers go to {', '.join(WRITTEN)} and to folders")
        self._system, self._root = _system(f"{protocol}://{'/'.join(place.parts[1:])}", place)

    def names(self) -> set[str]:
        """All files, and the folders that they lie in, from this one on."""
        with self._at_work():
            self._system.invalidate_cache()
            try:
                paths = self._system.find(self._root)
            except FileNotFoundError:  # nothing is there yet
                paths = []
        files = [PurePath(path).relative_to(self._root) for path in paths]
        return {path.as_posix() for file in files for path in (file, *file.parents)}

    def fetch(self, name: str, folder: Path) -> None:
        """Copy a file to its name in a folder here."""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with self._at_work():
            self._system.get_file(f"{self._root}/{name}", str(folder / name))

    def send(self, name: str, folder: Path) -> None:
        """Copy a file, or a folder of them, from a folder here."""
        whole = folder / name
        with self._at_work():
            for path in (path for path in whole.rglob("*") if path.is_file()) if whole.is_dir() else [whole]:
                self._system.put_file(str(path), f"{self._root}/{path.relative_to(folder).as_posix()}")

    def remove(self, names: Iterable[str]) -> None:
        """Take away files, and folders of them, of which some may be gone."""
        there = self.names()
        with self._at_work():
            for name in there.intersection(names):
                self._system.rm(f"{self._root}/{name}", recursive=True)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each service's client has errors of its own
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise InputError(
                f"{self.place} cannot be written ({reason}); check the bucket and who may write there"
            ) from error


def _system(url: str, place: Path) -> tuple[Any, str]:
    """The file system of a URL, and its path there. Raises InputError where its package is not installed."""
    protocol = urlsplit(url).scheme
    if protocol not in PROTOCOLS:
        raise InputError(f"{place} is of the protocol {protocol}; known are {', '.join(PROTOCOLS)}")
    try:
        from fsspec.core import url_to_fs

        with decoding(place):
            system, path = url_to_fs(url)
    except InputError as error:
        if isinstance(error.__cause__, ImportError):
            raise needs(str(place), f"that fsspec has for {protocol}", "cloud") from error
        raise
    except ImportError as error:
        raise needs(str(place), "fsspec", "cloud") from error
    return system, path
