"""MATLAB's files of version 5 to 7: arrays of numbers, cells and structs, and nothing that is not what it should be.

SciPy's reader ends the process (a segmentation fault) where the type of an element is none of the format's, so these
bytes are read here: every length is compared with what is there, and every type with those that there are.

Source: MATLAB's MAT-File Format, chapter 1.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelnet.errors import InputError
from pixelnet.files import read_bytes

MOST = 2**28  # bytes of a file, and of what it inflates to: label maps have a thousandth of it
HEADER, DEEPEST = 128, 16  # bytes before the first element; cells within cells
AGAIN = "copy it again from its source"

# Types of elements, and classes of arrays: what their numbers are.
INT8, INT32, UINT32, MATRIX, DEFLATED = 1, 5, 6, 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
LETTERS = {**NUMBERS, 16: "u1", 17: "u2", 18: "u4"}
CELL, STRUCT, TEXT = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8", TEXT: "U1"}
COMPLEX = 0x0800


def read_mat(path: str | Path, name: str) -> np.ndarray:
    """The variable of that name in a MATLAB file: numbers; of cells, arrays; of structs, dicts of arrays (both dtype
    object); of text, its letters.

    Raises InputError for another file, or one without it.
    """
    content = read_bytes(path, MOST)
    if content.startswith(b"MATLAB 7.3"):
        raise InputError(f"{path} is a MATLAB file of version 7.3, where one of version 5 to 7 is expected; {AGAIN}")
    try:
        order = {b"IM": "<", b"MI": ">"}[content[126:128]]
        for data in _variables(content, order):
            variable = _Reader(data, order)
            head = variable.head()
            if head.name == name:
                return variable.array(head)
    except (ValueError, KeyError, struct.error, zlib.error, MemoryError) as error:
        reason = str(error) if type(error) is ValueError else "it is truncated or in another format"
        raise InputError(f"{path} cannot be read as a MATLAB file ({reason}); {AGAIN}") from error
    raise InputError(f"{path} has no variable {name!r}; {AGAIN}")


def _variables(content: bytes, order: str) -> Iterator[bytes]:
    """The bytes of each variable, inflated."""
    whole, left = _Reader(content, order, HEADER), MOST
    while whole.place < len(content):
        kind, data = whole.element()
        if kind == DEFLATED:
            inflate = zlib.decompressobj()
            data = inflate.decompress(data, left + 1)
            left -= len(data)
            if left < 0:
                raise ValueError(f"it inflates to more than {MOST:,} bytes")
            kind, data = _Reader(data, order).element()
        if kind == MATRIX:
            yield data


class _Head(NamedTuple):
    """What an array's elements say before its content."""

    kind: int
    complex: bool
    shape: tuple[int, ...]
    name: str


class _Reader:
    """Elements one after another. Raises ValueError or KeyError for what the format does not allow."""

    def __init__(self, data: bytes, order: str, place: int = 0, depth: int = 0) -> None:
        self.data, self.order, self.place, self.depth = data, order, place, depth

    def element(self) -> tuple[int, bytes]:
        """The type and the bytes of the next element."""
        (word,) = struct.unpack_from(f"{self.order}I", self.data, self.place)
        small = word >> 16  # of up to four bytes: type and size share a word
        if small:
            kind, size, start, end = word & 0xFFFF, small, self.place + 4, self.place + 8
        else:
            (size,) = struct.unpack_from(f"{self.order}I", self.data, self.place + 4)
            kind, start = word, self.place + 8
            end = start + size + (0 if kind == DEFLATED else -size % 8)
        if small > 4 or start + size > len(self.data):
            raise ValueError("an element is longer than what holds it")
        self.place = end
        return kind, self.data[start : start + size]

    def numbers(self, kinds: dict[int, str]) -> np.ndarray:
        kind, data = self.element()
        return np.frombuffer(data, np.dtype(self.order + kinds[kind]))

    def head(self) -> _Head:
        flags = int(self.numbers({UINT32: "u4"})[:1].sum())
        shape = tuple(map(int, self.numbers({INT32: "i4"})))
        if not 2 <= len(shape) <= 8 or min(shape) < 0:
            raise ValueError(f"an array has the shape {shape}")
        name = self.numbers({INT8: "u1"}).tobytes().decode("latin-1")
        return _Head(flags & 0xFF, bool(flags & COMPLEX), shape, name)

    def array(self, head: _Head) -> np.ndarray:
        count = math.prod(head.shape)
        if head.kind == CELL:
            return _shaped([self.within() for _ in self.counted(count)], head.shape)
        if head.kind == STRUCT:
            length = max(1, int(self.numbers({INT32: "i4"})[:1].sum()))
            names = self.numbers({INT8: "u1"}).tobytes()
            fields = [names[k : k + length].split(b"\0")[0].decode("latin-1") for k in range(0, len(names), length)]
            found: list[Any] = [{name: self.within() for name in fields} for _ in self.counted(count, len(fields))]
            return _shaped(found, head.shape)
        if head.kind not in CLASSES or head.complex:
            return np.empty((0, 0), object)  # sparse matrices, objects: SBD has them beside what is asked for
        stored = self.numbers(LETTERS if head.kind == TEXT else NUMBERS)
        if stored.size != count:
            raise ValueError(f"an array of shape {head.shape} has {stored.size} numbers")
        if head.kind == TEXT:
            stored = np.minimum(stored.astype("u4"), 0x10FFFF).view("U1")
        with np.errstate(invalid="ignore"):
            return stored.astype(CLASSES[head.kind]).reshape(head.shape, order="F")

    def counted(self, count: int, each: int = 1) -> range:
        """range(count), if so many arrays, of eight bytes at least, can be there."""
        if count * max(each, 1) * 8 > len(self.data):
            raise ValueError(f"an array of {count} cells or structs is longer than what holds it")
        return range(count)

    def within(self) -> np.ndarray:
        """The array that is the next element."""
        kind, data = self.element()
        if kind != MATRIX or self.depth == DEEPEST:
            raise ValueError("a cell holds no array" if kind != MATRIX else "cells are nested too deep")
        if not data:  # how an empty one may be written
            return np.zeros((0, 0))
        inner = _Reader(data, self.order, 0, self.depth + 1)
        return inner.array(inner.head())


def _shaped(items: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    found = np.empty(len(items), object)
    for k, item in enumerate(items):
        found[k] = item
    return found.reshape(shape, order="F")


def field(value: np.ndarray, name: str, where: str) -> np.ndarray:
    """A field of the first struct in an array of them. Raises InputError if there is none."""
    first = value.flat[0] if value.dtype == object and value.size else None
    if not isinstance(first, dict) or name not in first:
        raise InputError(f"{where} is no struct with a field {name!r}; {AGAIN}")
    found: np.ndarray = first[name]
    return found


def integers(value: Any, low: int, high: int, where: str, dimensions: int | None = 2) -> np.ndarray:
    """An array of whole numbers from low to high, int64, of so many dimensions. Raises InputError for anything else."""
    found = np.asarray(value)
    expected = f"expected whole numbers from {low} to {high}; {AGAIN}"
    if found.dtype.kind not in "biuf" or not found.size or dimensions not in (None, found.ndim):
        raise InputError(f"{where} is an array of {found.dtype}, shape {found.shape}; {expected}")
    if found.dtype.kind == "f" and not (np.isfinite(found) & (found == np.round(found))).all():
        raise InputError(f"{where} holds numbers that are not whole; {expected}")
    if found.min() < low or found.max() > high:
        raise InputError(f"{where} holds {found.min()} to {found.max()}; {expected}")
    return found.astype(np.int64)
