"""What every tool's drawings become: labelled shapes of one image, and the label map they paint.

Coordinates are pixel corners: the image spans 0..W and 0..H, and the center of pixel (column x, row y) is
(x + 0.5, y + 0.5). A drawing holds outlines, run lengths or packed masks as they were read; pixels are made of them
only while they are painted, one part of a shape at a time, each in its own box.
"""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.errors import InputError

IGNORED = ("__ignore__",)  # LabelMe's label of what takes no part
BACKGROUND = ("_background_", "background", "__background__")  # all mean the class "background"

LARGEST = 1e9  # of coordinates and sizes, in pixels: what is larger is a mistake, and products of two fit 64 bits


class Patch(NamedTuple):
    """Pixels of a part of an image. mask: bool (h, w), whose first row and column are the image's `top` and `left`."""

    top: int
    left: int
    mask: np.ndarray


class Shape(NamedTuple):
    """One drawn object.

    parts: functions that, given the image's width and height, make the pixels of one part; the shape is their union.
    where: file and shape, for messages. crowd: left unlabelled.
    """

    label: str
    parts: Sequence[Callable[[int, int], Patch]]
    where: str
    crowd: bool = False


class Drawing(NamedTuple):
    """The shapes of one image of width x height pixels, in the order they are painted."""

    width: int
    height: int
    shapes: list[Shape]


class DrawnFile(ABC):
    """A file that holds the drawings of many images.

    categories: the names of its classes in the file's order, "background" only if it is one of them. used: those
    that a shape has. images: the path of each image as the file gives it, perhaps with folders. unannotated: images
    that nobody has worked on, which are not among `images`.
    """

    path: Path
    categories: tuple[str, ...]
    used: tuple[str, ...]
    images: Mapping[str, Any]
    unannotated: tuple[str, ...] = ()

    @abstractmethod
    def drawing(self, image: str, size: tuple[int, int] | None = None) -> Drawing:
        """The drawing of one of `images`, as long as the file takes it for as large as it is.

        size: the image's width and height; None takes the file's word for it.

        Raises:
            InputError: a shape that cannot be read, or another size than the image's. It names file and shape.
        """


def paint(drawing: Drawing, classes: tuple[str, ...], background: int) -> np.ndarray:
    """uint8 (H, W): each shape's class painted over what came before it, `background` where there is none.

    Shapes called "background" paint `background` unless it is one of the classes; those of IGNORED are unlabelled.

    Raises:
        InputError: a label that is not among the classes, or a shape that cannot be painted. It names the shape.
    """
    ids = np.full((drawing.height, drawing.width), background, np.uint8)
    for shape in drawing.shapes:
        value = class_id(shape, classes, background)
        for part in shape.parts:
            with understood(shape.where, "a shape that can be painted"):
                top, left, mask = part(drawing.width, drawing.height)
            ids[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = value
    return ids


def class_id(shape: Shape, classes: tuple[str, ...], background: int) -> int:
    """What a shape paints."""
    if shape.crowd:
        return UNLABELLED
    if shape.label in classes:
        return classes.index(shape.label)
    if shape.label in IGNORED:
        return UNLABELLED
    if shape.label == "background":
        return background
    raise InputError(
        f"{shape.where} has the label {shape.label!r}, not among the classes {', '.join(classes)}; correct it, or add "
        "it to the classes"
    )


def class_name(label: Any) -> str:
    """A label as the name of a class: numbers as text, "background" for all that mean it. Raises ValueError."""
    if type(label) not in (str, int, float) or label == "":
        raise ValueError(f"the label {text_of(label)}")
    return "background" if label in BACKGROUND else str(label)


def size_of(declared: tuple[Any, Any], size: tuple[int, int] | None, where: str, image: str) -> tuple[int, int]:
    """The (width, height) of an image, which a file calls `image`.

    declared: the size it has in the file, None for what is left out. size: its own, None if it is not known.

    Raises InputError if they are not the same, or if neither is known.
    """
    for own, number in zip(declared, size or (None, None), strict=True):
        if own is None and number is None:
            raise InputError(f"{where} does not say how wide and how high {image} is; add it")
        if own is not None and not (type(own) in (int, float) and 1 <= own <= LARGEST and own == int(own)):
            raise InputError(f"{where} has the size {text_of(own)} for {image}, expected a whole number of pixels")
    width, height = (
        int(number if own is None else own) for own, number in zip(declared, size or declared, strict=True)
    )
    if size not in (None, (width, height)):
        raise InputError(
            f"{where} says that {image} is {width}x{height}, but it is {size[0]}x{size[1]}; draw on the image as it "
            "is, or put back the one that was drawn on"
        )
    return width, height


def points_of(numbers: Sequence[Any], where: str) -> np.ndarray:
    """float64 (P, 2) of the numbers x, y, x, y ... as JSON holds them. Raises InputError for what is no coordinate."""
    if not set(map(type, numbers)) <= {int, float} or not all(-LARGEST <= number <= LARGEST for number in numbers):
        wrong = next(n for n in numbers if type(n) not in (int, float) or not -LARGEST <= n <= LARGEST)
        raise InputError(f"{where} has the coordinate {text_of(wrong)}, expected finite numbers; draw it again")
    if len(numbers) % 2:
        raise InputError(f"{where} has {len(numbers)} coordinates, expected an x and a y for each point; draw it again")
    return np.array(numbers, np.float64).reshape(-1, 2)


def outline_of(numbers: Sequence[Any], where: str) -> np.ndarray:
    """`points_of` for a polygon, which has 3 points or more."""
    points = points_of(numbers, where)
    if len(points) < 3:
        raise InputError(f"{where} has {len(points)} points, expected 3 or more; draw it, or delete it")
    return points


def text_of(value: Any) -> str:
    """Something out of a file, short enough for a message."""
    return reprlib.repr(value)


@contextmanager
def understood(where: str, expected: str) -> Iterator[None]:
    """Say what was expected of a record that is not of the format's form."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise InputError(f"{where} cannot be read ({reason}); expected {expected}") from error
