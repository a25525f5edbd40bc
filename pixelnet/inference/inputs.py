"""Which images are meant: files, folders, lists and archives of them, each with the name that its answers get."""

import csv
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePath
from typing import NamedTuple, TypeVar

import numpy as np

from pixelnet.errors import InputError
from pixelnet.files import read_text
from pixelnet.inference.archives import ARCHIVES, Archive, is_archive, name_within
from pixelnet.inference.remote import Remote, is_place, is_remote, name_of, opened_archive
from pixelnet.rasters import IMAGE_EXTENSIONS, STACKS, TIFF, check_axes, is_image, read_header
from pixelnet.runs.checkpoint import is_model
from pixelnet.runs.hub import shipped

LIST = ".txt"
Name = TypeVar("Name", bound=PurePath)
Archives = dict[Path, Archive | Remote]  # what images are in that are no files, by where it is; "https:" of all URLs


class Failure(NamedTuple):
    """An image that could not be answered: what its answers would have been called, its file, and why."""

    name: str
    file: Path
    reason: str


class Item(NamedTuple):
    """What is answered into one file: what that is called, the image's file, and which of the file's images it is.

    archive: that the file is in, where it is in one. pages: how many of the file's images, from the first on; of more
    than one the answer is a stack, too.
    """

    name: PurePath
    path: Path
    page: int
    archive: Archive | Remote | None = None
    pages: int = 1

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The file itself, which of an archive is a copy for as long as it is asked for."""
        with nullcontext(self.path) if self.archive is None else self.archive.unpacked(self.path) as path:
            yield path


def is_many(given: str | Path) -> bool:
    """Whether an input is a folder, a list or an archive of images, here or elsewhere, and no image itself."""
    path = Path(given)
    if is_remote(given):
        return name_of(str(given)).suffix.lower() in ARCHIVES
    return (path.is_dir() and not is_image(path)) or is_list(path) or is_archive(path)


def is_list(path: Path) -> bool:
    return path.suffix.lower() == LIST and path.is_file()


def model_and_images(inputs: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """What `predict` is given: a model, or None where none is named, and the images.

    The first is a model if it is a model's folder, or has the name of one that ships and images follow it (a folder
    of images of that name is ./NAME). If it is something else on disk, or is called as an image is, it is an image; if
    it is neither, the name of a model.
    """
    if not inputs:
        return None, inputs
    first = Path(inputs[0])
    a_model = is_model(first) or (len(inputs) > 1 and inputs[0] in shipped())
    an_image = first.exists() or is_remote(inputs[0]) or first.suffix.lower() in IMAGE_EXTENSIONS
    if an_image and not a_model:
        return None, inputs
    return inputs[0], inputs[1:]


def image_files(
    inputs: Iterable[str | Path], answers: Iterable[Path] = (), archives: Archives | None = None
) -> dict[PurePath, Path]:
    """The images that are named, and those in folders, lists and archives that are: by what their answers are called.

    That is where an image lies in its folder or archive, or as its list has it, without its ending: relative/NAME.
    Those that differ in nothing else keep their endings. Hidden files and folders are passed over, and so are the
    folders of answers.

    Args:
        inputs: files; folders; text files of a path or URL a line, from the list's folder on; .tar and .zip; URLs of
            images and of archives.
        answers: folders of answers.
        archives: gets the archives, by their paths, and the images in them are ARCHIVE/relative/NAME; None if archives
            are not to be looked into.

    Raises:
        InputError: two images of one name, one that lies among the answers, none at all, or a list or an archive that
            cannot be read.
    """
    taken = [folder.resolve() for folder in answers]

    def is_answer(path: Path) -> bool:
        here = not is_place(path)
        return here and any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in taken)

    found: list[tuple[PurePath, Path]] = []
    for one in inputs:
        given = Path(one)
        if is_remote(one):
            here = _elsewhere(str(one), archives)
        elif is_many(given) and (archives is not None or not is_archive(given)):
            images = _images_of(given, archives if archives is not None else {})
            if not images:
                raise InputError(f"{given} holds no image ({', '.join(sorted(IMAGE_EXTENSIONS))})")
            here = images
            if given.is_dir():
                here = [(name, path) for name, path in images if not is_answer(path)] or images[:1]  # named below
        elif given.exists():
            level = not given.suffix and given.parent.suffix.lower() == ".zarr"  # of a pyramid
            here = [(PurePath(given.parent.stem, given.name) if level else PurePath(given.name), given)]
        else:
            raise InputError(f"{given} is not there; give images, or folders, lists or archives of images")
        for _, path in here if taken else ():
            if is_answer(path):
                raise InputError(f"{path} lies where answers are written, which would replace it; choose another --out")
        found += here
    if not found:
        raise InputError("no image was given; name images, or folders, lists or archives of images")
    return _named(found)


def _named(found: Sequence[tuple[PurePath, Path]]) -> dict[PurePath, Path]:
    """Images by their names without endings; with them where those alone tell them apart."""
    several = dict.fromkeys(found)  # the same image may be named twice
    check_names(several)
    stems = Counter(_folded(name.with_suffix("")) for name, _ in several)
    return {name if stems[_folded(name.with_suffix(""))] > 1 else name.with_suffix(""): path for name, path in several}


def _images_of(given: Path, archives: Archives) -> list[tuple[PurePath, Path]]:
    if given.is_dir():
        return [(path.relative_to(given), path) for path in images_in(given)]
    if is_list(given):
        lines = dict.fromkeys(line.rstrip("\r") for line in read_text(given).split("\n") if line.strip())
        named = [
            (name_of(line), _remote(line, archives)) if is_remote(line) else (name_within(line), given.parent / line)
            for line in lines
        ]
        if nameless := next((path for name, path in named if not name.name), None):
            raise InputError(f"{given} lists {nameless}, which is no file; write the path of an image in each line")
        return named
    return _members_of(given, Archive(given), archives)


def _members_of(given: Path, archive: Archive, archives: Archives) -> list[tuple[PurePath, Path]]:
    archives[given] = archive
    relative = [path.relative_to(given) for path in archive.files]
    shown = [path for path in relative if _is_called_image(path)]
    return [(path, given / path) for path in _without_arrays_beside(shown)]


def _elsewhere(url: str, archives: Archives | None) -> list[tuple[PurePath, Path]]:
    """The image, or those of the archive, that a URL names."""
    if archives is None:
        raise InputError(f"{url} is elsewhere, where only predict reads; copy it to this machine")
    if not is_many(url):
        return [(PurePath(name_of(url).name), _remote(url, archives))]
    archive = opened_archive(url)
    images = _members_of(archive.path, archive, archives)
    if not images:
        raise InputError(f"{archive.path} holds no image ({', '.join(sorted(IMAGE_EXTENSIONS))})")
    return images


def _remote(url: str, archives: Archives) -> Path:
    """The place of an image elsewhere."""
    known = archives.setdefault(Path(url.partition("//")[0]), Remote())
    assert isinstance(known, Remote)
    return known.add(url)


def images_in(folder: Path) -> list[Path]:
    """The images in a folder and those within it, but for hidden ones and what macOS leaves beside them.

    An array (.npy) beside a picture of its name is something about that picture, and no other image.
    """
    found = []
    for here, folders, files in os.walk(folder):
        paths = [Path(here, name) for name in (*folders, *files)]
        folders[:] = [path.name for path in paths[: len(folders)] if _is_searched(path.name) and not is_image(path)]
        found += _without_arrays_beside([path for path in paths if is_image(path)])
    return sorted(found)


def _is_searched(folder: str) -> bool:
    return not folder.startswith(".") and folder != "__MACOSX"


def _is_called_image(path: PurePath) -> bool:
    """Whether a file of an archive is called as images are, and lies where a folder would be looked through."""
    suffix = path.suffix.lower()
    around = path.parent.parts
    return (
        suffix in IMAGE_EXTENSIONS
        and suffix != ".zarr"
        and not path.name.startswith(".")
        and all(_is_searched(part) and not part.lower().endswith(".zarr") for part in around)
    )


def _without_arrays_beside(images: Sequence[Name]) -> list[Name]:
    pictures = {path.with_suffix("") for path in images if path.suffix.lower() != ".npy"}
    return [path for path in images if path.suffix.lower() != ".npy" or path.with_suffix("") not in pictures]


def find_pages(
    images: Mapping[PurePath, Path],
    axes: str | None,
    archives: Mapping[Path, Archive | Remote] | None = None,
    stacks: bool = False,
) -> tuple[list[Item], list[Failure]]:
    """The images in files that may hold many, and the files whose headers cannot be read.

    stacks: those of a TIFF file are one item.
    """
    if axes is not None:
        check_axes(axes)
    items, failures, used = [], [], []
    for name, path in images.items():
        # Of an archive elsewhere both it and "https:" are above; it is the longer one.
        around = [place for place in archives or {} if path.is_relative_to(place)]
        inside = archives[max(around, key=lambda place: len(place.parts))] if archives and around else None
        one, pages = Item(name, path, 0, inside), 1
        if path.suffix.lower() in STACKS:
            try:
                with one.file() as file:
                    pages = read_header(file, axes).pages
            except InputError as error:
                failures.append(Failure(str(name), path, str(error)))
                continue
        names = [name] if pages == 1 else [page_name(name, page) for page in range(pages)]
        used += [(own, path) for own in names]
        if stacks and path.suffix.lower() in TIFF:
            items.append(one._replace(pages=pages))
        else:
            items += [Item(own, path, page, inside) for page, own in enumerate(names)]
    check_names(used)
    return items, failures


def page_name(name: PurePath, page: int) -> PurePath:
    """What the answers for one image of a stack are called."""
    return name.with_name(f"{name.name}[{page}]")


def check_names(named: Iterable[tuple[PurePath, Path]]) -> None:
    """Raise InputError for two images whose answers would be one file, as some systems tell no a from A."""
    found: dict[str, Path] = {}
    for name, path in named:
        other = found.setdefault(_folded(name), path)
        if other != path:
            raise InputError(f"{other} and {path} would both be written as {name}; rename one, or predict them apart")


def _folded(name: PurePath) -> str:
    return unicodedata.normalize("NFC", str(name)).casefold()


def read_points(path: Path) -> np.ndarray:
    """(P, 2) from a CSV file of x, y, with or without a line of titles."""
    try:
        rows = [row for row in csv.reader(read_text(path).splitlines()) if row]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["x", "y"]:
        rows = rows[1:]
    try:
        table = np.array([[float(row[0]), float(row[1])] for row in rows], np.float32)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}; each line is x,y in pixels") from error
    if not len(table) or not np.isfinite(table).all():
        raise InputError(f"{path} holds no points, or some that are not finite; each line is x,y in pixels")
    return table
