"""Labels as a table: `image,x,y,class`, a labelled pixel in each row, as spreadsheets and click tools write it."""

import csv
import difflib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from pixelnet.data import as_dataset, parse
from pixelnet.data.dataset import UNLABELLED, Dataset, Window, evenly
from pixelnet.data.folder.item import Item
from pixelnet.data.folder.layout import files_in
from pixelnet.data.folder.pictures import Pictures
from pixelnet.data.folder.survey import Survey, root_and_form
from pixelnet.data.folder.words import Vocabulary
from pixelnet.data.pages import PAGE
from pixelnet.errors import InputError, counted
from pixelnet.files import read_text
from pixelnet.rasters import STACKS, is_image, read_header

COLUMNS = ("image", "x", "y", "class")
DELIMITERS = ",;\t"
NAMED = 5  # lines that are wrong


class Row(NamedTuple):
    """A labelled pixel, and the line of the file that it is in."""

    line: int
    image: str
    x: int
    y: int
    name: str


class PointTable(Dataset):
    """Images of which single pixels are labelled, in a CSV file.

    The file begins with a line of titles, image, x, y and class among them in any order, and has commas, semicolons or
    tabs between its cells. image: a path from the folder of images on, or from the table's, with or without its ending
    (NAME[3] is a page of a stack); or a name of the data set. x, y: in pixels of the image as it is seen, upright, from
    0, and rounded to whole ones. class: a name or a number.

    Args:
        path: of the file.
        data: the folder of images, whose dataset.json may say how they are read; or any data set, of which the images
            alone are taken.
        split: of such a data set.
        class_names: the classes in the order of their numbers, those without a label too; not given, the table's, by
            number where all are numbers, else by the alphabet.
        unlabelled: how many of the images that the table does not name are there, too, at most, evenly spread. Of a
            folder these are the other pages of the stacks that it names, and the files that lie beside its images.

    Raises:
        InputError: an image that is not there, pixels outside of it or of two classes, a cell that is empty or no
            number, with the lines that they are in; a column that is missing.
    """

    task = "segmentation"

    def __init__(
        self,
        path: str | Path,
        data: Any,
        split: str = "train",
        class_names: Sequence[str] = (),
        unlabelled: int = 0,
    ) -> None:
        self.path, self.split = Path(path), split
        rows = read_rows(self.path)
        self.images, found = _images_of(rows, self.path, data, split, others=unlabelled > 0)
        self.class_names = tuple(class_names) or _in_order({row.name for row in rows})
        strange = next((row for row in rows if row.name not in self.class_names), None)
        if strange is not None:
            names = ", ".join(self.class_names)
            raise InputError(f"{path}, line {strange.line}: {strange.name!r} is none of the classes {names}")
        if len(self.class_names) > UNLABELLED:
            raise InputError(f"{path} names {len(self.class_names)} classes; there can be {UNLABELLED}")
        rest = sorted(set(range(len(self.images))) - set(found))
        self.items = sorted({*found, *(rest[k] for k in evenly(len(rest), unlabelled))})
        own: dict[int, list[Row]] = {item: [] for item in self.items}
        for row, item in zip(rows, found, strict=True):
            own[item].append(row)
        self.source = f"{self.images.source} as labelled in {path}"
        self.names = [self.images.names[item] for item in self.items]
        self.groups = [self.images.groups[item] for item in self.items] if self.images.groups else ()
        self.channels, self.ranges, self.notes = self.images.channels, self.images.ranges, self.images.notes
        self.augment = self.images.augment
        self.questions = _alike(self.class_names, self.path)
        ids = {name: k for k, name in enumerate(self.class_names)}
        faults: dict[int, str] = {}
        self.known = [self._known(self.images.size(item), own[item], ids, faults) for item in self.items]
        if faults:
            more = [f"({len(faults) - NAMED} more lines like these)"] if len(faults) > NAMED else []
            raise InputError("\n".join([*(faults[line] for line in sorted(faults)[:NAMED]), *more]))

    def _known(
        self, size: tuple[int, int], rows: Sequence[Row], ids: dict[str, int], faults: dict[int, str]
    ) -> dict[tuple[int, int], int]:
        """The class of each labelled pixel (y, x) of an image of size (width, height); `faults` gets what is wrong."""
        width, height = size
        firsts: dict[tuple[int, int], Row] = {}
        for row in rows:
            where = f"{self.path}, line {row.line}: ({row.x}, {row.y})"
            if not (0 <= row.x < width and 0 <= row.y < height):
                swapped = 0 <= row.y < width and 0 <= row.x < height
                hint = "are x and y swapped?" if swapped else "x and y are in pixels from 0, y from the top"
                faults[row.line] = f"{where} lies outside of {row.image}, which is {width}x{height}; {hint}"
                continue
            first = firsts.setdefault((row.y, row.x), row)
            if first.name != row.name:
                faults[row.line] = (
                    f"{where} of {row.image} is {row.name}, and {first.name} in line {first.line}; give each pixel one "
                    "class"
                )
        return {place: ids[row.name] for place, row in firsts.items()}

    def told(self) -> str:
        """What the table labels, in words: how many pixels of each class, and in how many images."""
        each = [Counter(known.values()) for known in self.known]
        total = sum(each, Counter())
        count, images = total.total(), sum(map(bool, each))
        lines = [f"{self.path}: {counted(count, 'labelled pixel')} of {counted(images, 'image')}"]
        width = max(map(len, self.class_names))
        for k, name in enumerate(self.class_names):
            lines.append(f"  {name:{width}}  {total[k]} in {counted(sum(k in own for own in each), 'image')}")
        return "\n".join(lines)

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.images.image(self.items[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        labels = np.full(self.size(i)[::-1], UNLABELLED, np.uint8)
        for place, label in self.known[i].items():
            labels[place] = label
        return labels[window or ...]

    def size(self, i: int) -> tuple[int, int]:
        return self.images.size(self.items[i])

    def files(self, i: int) -> tuple[Path, ...]:
        own = self.images.files(self.items[i])[:1]
        return (*own, self.path) if own else ()


class Photos(Dataset):
    """The images of a survey, of which nothing is labelled."""

    task = "segmentation"

    def __init__(self, survey: Survey) -> None:
        self.survey, self.source = survey, str(survey.root)
        self.names = [item.name for item in survey.items]
        self.pictures = Pictures(survey)
        self.channels, self.ranges, self.notes = self.pictures.channels, self.pictures.ranges, self.pictures.notes
        self.augment = survey.form.augment or "photo"

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.pictures.read(self.survey.items[i], window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return np.full(self.size(i)[::-1], UNLABELLED, np.uint8)[window or ...]

    def size(self, i: int) -> tuple[int, int]:
        header = self.pictures.header(self.survey.items[i])
        return header.width, header.height

    def files(self, i: int) -> tuple[Path, ...]:
        return (self.survey.root / self.survey.items[i].image,)


# -------------------------------------------------------------------------------------------- the table


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, its numbers in classes' names alike (1 and 1.0). Raises InputError; see `PointTable`."""
    lines = read_text(path).splitlines()
    titles = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=max(DELIMITERS, key=titles.count), strict=True)
    try:
        table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} cannot be read as CSV: {error}") from error
    titled = [title.lower() for title in table[0][1]] if table else []
    missing = [name for name in COLUMNS if name not in titled]
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}; its first line is {titles[:80]!r}, expected the titles "
            f"{','.join(COLUMNS)}"
        )
    places = [titled.index(name) for name in COLUMNS]
    rows = [_row(cells, places, line, path) for line, cells in table[1:]]
    if not rows:
        raise InputError(f"{path} labels nothing; expected a line for each labelled pixel below the titles")
    numbers = [_number(row.name) for row in rows]
    if None in numbers:
        return rows
    return [row._replace(name=f"{number:.12g}") for row, number in zip(rows, numbers, strict=True)]


def _row(cells: Sequence[str], places: Sequence[int], line: int, path: Path) -> Row:
    found = dict(zip(COLUMNS, (cells[place] if place < len(cells) else "" for place in places), strict=True))
    empty = next((name for name, cell in found.items() if not cell), None)
    if empty:
        raise InputError(f"{path}, line {line}: {empty} is empty; give {', '.join(COLUMNS)} in each line")
    x, y = (_number(found[axis]) for axis in "xy")
    if x is None or y is None:
        axis = "x" if x is None else "y"
        raise InputError(f"{path}, line {line}: {axis} is {found[axis]!r}, expected a number of pixels")
    return Row(line, found["image"], math.floor(x + 0.5), math.floor(y + 0.5), found["class"])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Classes by their number where all are numbers, else by the alphabet."""
    numbered = all(_number(name) is not None for name in names)
    return tuple(sorted(names, key=float) if numbered else sorted(names))


def _alike(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """The questions whether classes are one that differ in capital letters and blanks alone."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault("".join(name.split()).casefold(), []).append(name)
    return tuple(
        f"{' and '.join(map(repr, own))} are {len(own)} classes, and differ in capital letters or blanks alone; if "
        f"they are one, write them alike in {path}"
        for own in kinds.values()
        if len(own) > 1
    )


# ------------------------------------------------------------------------------------------- the images


def _images_of(rows: Sequence[Row], table: Path, data: Any, split: str, others: bool) -> tuple[Dataset, list[int]]:
    """The images that the rows are of, or with `others` more, and for each row which of them."""
    if isinstance(data, str | Path) and parse(data)[0] == "folder":
        root, form = root_and_form(Path(parse(data)[1]).expanduser())
        find = _Finder(root, table, form.axes)
        found = _each(rows, find, table)
        items = sorted({*found, *(find.others(found) if others else ())})
        places = {item: k for k, item in enumerate(items)}
        if len({item.name for item in items}) < len(items):
            items = [item._replace(name=_name(str(item.image), item.page)) for item in items]
        return Photos(Survey(root, form, items=items)), [places[item] for item in found]
    dataset = as_dataset(data, "segmentation", split)
    places = {name: k for k, name in enumerate(dataset.names)}

    def place(text: str) -> int:
        known = next((name for name in (text, str(PurePosixPath(text).with_suffix(""))) if name in places), None)
        if known is None:
            raise InputError(f"{dataset.source} has no image {text!r}{_meant(text, places)}")
        return places[known]

    return dataset, _each(rows, place, table)


def _each(rows: Sequence[Row], find: Callable[[str], Any], table: Path) -> list[Any]:
    """What each row's image is, each looked for once. An error names the line."""
    known: dict[str, Any] = {}
    for row in rows:
        if row.image not in known:
            try:
                known[row.image] = find(row.image)
            except InputError as error:
                raise InputError(f"{table}, line {row.line}: {error}") from error
    return [known[row.image] for row in rows]


def _meant(text: str, names: Any) -> str:
    near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


class _Finder:
    """Finds the image that a table calls so: below its root, or from the table's folder on."""

    def __init__(self, root: Path, table: Path, axes: str | None) -> None:
        self.root, self.bases, self.axes = root, (root, table.parent), axes

    def __call__(self, text: str) -> Item:
        page = PAGE.search(text)
        for name in (text, *([PAGE.sub("", text)] if page else [])):
            path = self._file(name)
            if path is not None:
                pages = read_header(path, self.axes).pages if path.suffix.lower() in STACKS else 1
                return self._item(path, pages, int(page[1]) if page and name != text else None)
        files = [file for file in files_in(self.root)[0] if is_image(self.root / file)]
        raise InputError(
            f"there is no image {text!r} in {self.root}, nor beside the table{_meant(text, list(map(str, files)))}"
        )

    def others(self, items: Sequence[Item]) -> Iterator[Item]:
        """The other pages of the stacks that some items are of, and the images that lie beside them."""
        words = Vocabulary((), frozenset(), generic=True)
        kinds = {(item.image.parent, item.image.suffix.lower()) for item in items}
        known = {item.image for item in items}
        for file in files_in(self.root)[0]:
            if file in known or (
                (file.parent, file.suffix.lower()) in kinds
                and not words.place(file).words
                and is_image(self.root / file)
            ):
                path = Path(os.path.normpath((self.root / file).absolute()))
                pages = read_header(path, self.axes).pages if file.suffix.lower() in STACKS else 1
                yield from (self._item(path, pages, page if pages > 1 else None) for page in range(pages))

    def _file(self, text: str) -> Path | None:
        for base in self.bases:
            whole = Path(os.path.normpath((base / text).absolute()))  # one path, however it is written
            # Path's own would raise where a name is too long for a file.
            if os.path.exists(whole) and is_image(whole):  # noqa: PTH110
                return whole
            beside = sorted(whole.parent.iterdir()) if os.path.isdir(whole.parent) else []  # noqa: PTH112
            alike = [path for path in beside if path.stem == whole.name and is_image(path)]
            if len(alike) > 1:
                raise InputError(f"{text} may be {alike[0].name} or {alike[1].name}; write which, with its ending")
            if alike:
                return alike[0]
        return None

    def _item(self, path: Path, pages: int, page: int | None) -> Item:
        root = Path(os.path.normpath(self.root.absolute()))
        within = path.is_relative_to(root)
        image = PurePosixPath((path.relative_to(root) if within else path).as_posix())
        if page is None and pages > 1:
            raise InputError(f"{image} holds {pages} images; write which, as in {image}[0]")
        if page is not None and page >= pages:
            raise InputError(f"{image} holds {pages} images, the last of them {image}[{pages - 1}]; correct the number")
        page = page if pages > 1 else None
        return Item(_name(str(image.with_suffix("")) if within else image.stem, page), image, (), page=page)


def _name(image: str, page: int | None) -> str:
    return image if page is None else f"{image}[{page}]"
