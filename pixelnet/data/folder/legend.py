"""Classes as tools write them beside label maps: labelmap.txt and class_dict.csv (colors), _classes.csv (numbers)."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pixelnet.data.drawn import read_class_table, read_labelmap, roboflow_classes
from pixelnet.data.folder.form import ClassForm
from pixelnet.errors import InputError


def classes_beside(root: Path, files: Sequence[PurePosixPath]) -> tuple[ClassForm, ...]:
    """The classes that such files name, which must agree; () without any. Raises InputError."""
    known: dict[PurePosixPath, tuple[ClassForm, ...]] = {}
    for path in files:
        if path.name == "labelmap.txt":
            colors = read_labelmap(root / path)
            known[path] = tuple(ClassForm(name, None, color) for color, name in colors.items())
        elif path.name == "_classes.csv":
            numbers = roboflow_classes(root / path)
            known[path] = tuple(ClassForm(name, (number,)) for number, name in numbers.items())
        elif path.suffix.lower() == ".csv" and "class" in path.name.lower():
            table = read_class_table(root / path) or {}
            known |= {path: tuple(ClassForm(name, None, color) for color, name in table.items())} if table else {}
    for path, classes in known.items():
        first = next(iter(known))
        if classes != known[first]:
            raise InputError(f"{path} and {first} name other classes; keep one of them")
    return next(iter(known.values()), ())
