"""What lies beside label maps and says what their numbers and colors mean.

CVAT's labelmap.txt, Roboflow's _classes.csv, and the tables name,r,g,b that many data sets come with (class_dict.csv).
"""

import csv
from pathlib import Path
from typing import Any

from pixelnet.data.drawn.shapes import class_name
from pixelnet.errors import InputError

HEADING = ("name", "r", "g", "b")


def read_labelmap(path: Path) -> dict[tuple[int, int, int], str]:
    """The class of each color in the maps of a VOC export of CVAT: lines "name:red,green,blue:parts:actions".

    Raises InputError that names the line.
    """
    classes: dict[tuple[int, int, int], str] = {}
    for where, line in lines(path):
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (byte(text) for text in rest.partition(":")[0].split(","))
        except ValueError:
            raise InputError(f"{where} is {line!r}, expected name:red,green,blue:: with colors of 0 to 255") from None
        add(classes, (red, green, blue), name, where)
    return classes


def roboflow_classes(path: Path) -> dict[int, str]:
    """The class of each number in the masks that Roboflow exports: lines "0, background" below a heading.

    Raises InputError that names the line.
    """
    classes: dict[int, str] = {}
    for where, line in lines(path)[1:]:
        try:
            number, name = next(csv.reader([line], skipinitialspace=True))
            value = byte(number)
        except ValueError:
            raise InputError(f"{where} is {line!r}, expected a pixel value of 0 to 255, a comma, a class") from None
        add(classes, value, name, where)
    return classes


def read_class_table(path: Path) -> dict[tuple[int, int, int], str] | None:
    """The class of each color in a table headed "name,r,g,b"; None for a table of another kind.

    Raises InputError that names the line.
    """
    heading, *rest = [*lines(path), ("", "")]
    if [field.strip().lower() for field in heading[1].split(",")] not in (list(HEADING), ["class", *HEADING[1:]]):
        return None
    classes: dict[tuple[int, int, int], str] = {}
    for where, line in rest[:-1]:
        try:
            name, *color = next(csv.reader([line], skipinitialspace=True))
            red, green, blue = map(byte, color)
        except ValueError:
            raise InputError(
                f"{where} is {line!r}, expected a class and its color: name, 0 to 255 three times"
            ) from None
        add(classes, (red, green, blue), name, where)
    return classes


def lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a text file that are neither empty nor a comment, each with where it is."""
    if not Path(path).is_file():
        raise InputError(f"{path} is not there, or is no file; check the path")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from error
    stripped = ((f"{path}: line {k}", line.strip()) for k, line in enumerate(text.splitlines(), start=1))
    return [(where, line) for where, line in stripped if line and not line.startswith("#")]


def byte(text: str) -> int:
    """A number of 0 to 255. Raises ValueError."""
    if not text.strip().isdecimal() or len(text) > 20 or int(text) > 255:
        raise ValueError(text)
    return int(text)


def add(classes: dict[Any, str], key: Any, name: str, where: str) -> None:
    """Enter a class. Raises InputError if there is one of that number or color, or it has no name."""
    if not name.strip():
        raise InputError(f"{where} has no name; add it")
    if key in classes:
        raise InputError(f"{where} gives {key} to {name}, which is {classes[key]} above; give each class its own")
    classes[key] = class_name(name.strip())
