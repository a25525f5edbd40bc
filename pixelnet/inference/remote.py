"""Images elsewhere, by their URL: s3://bucket/day/1.tif, gs://, https://. Needs the extra cloud: fsspec, and more.

An image is copied to a temporary file when its turn comes, as one in an archive is; of an archive elsewhere no more is
read than its list of files and the members that are wanted. The place of an image is its URL as a path, without what
may be secret in it: https:/host/day/1.tif.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from pixelnet.errors import InputError
from pixelnet.inference.archives import Archive, copied, name_within
from pixelnet.rasters import decoding

PROTOCOLS = ("s3", "gs", "gcs", "https", "http")  # others would open what a list of strangers names


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
        return Archive(place, file)
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
            try:
                yield copy
            except InputError as error:
                raise InputError(str(error).replace(str(copy), str(place))) from error

    def close(self) -> None:
        """Nothing is open between two images."""


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
            raise InputError(f'{place} needs a package to be read; pip install "pixelnet[cloud]"') from error
        raise
    except ImportError as error:
        raise InputError(f'{place} needs the package fsspec; pip install "pixelnet[cloud]"') from error
    return system, path
