"""MATLAB's files of version 5: what is in them is looked at before it is taken for what it should be.

Source: MATLAB's MAT-File Format, chapter 1 (a header of 128 bytes, then elements of a type and a length; type 15 is
deflated).
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from pixelnet.errors import InputError
from pixelnet.files import read_bytes

MOST = 2**28  # bytes of a file, and of what it inflates to: label maps have a thousandth of it
HEADER, DEFLATED = 128, 15


def read_mat(path: str | Path, name: str) -> Any:
    """The variable of that name in a MATLAB file. Raises InputError for another file, or one without it."""
    content = read_bytes(path, MOST)
    again = "copy it again from its source"
    if content[:HEADER].startswith(b"MATLAB 7.3") or content[512:516] == b"\x89HDF":
        raise InputError(f"{path} is a MATLAB file of version 7.3, where one of version 5 to 7 is expected; {again}")
    try:
        _require_size(content)
        found = loadmat(io.BytesIO(content), variable_names=[name], chars_as_strings=False)
    except Exception as error:  # SciPy raises everything from KeyError to MemoryError on corrupt bytes
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as a MATLAB file ({reason}); {again}") from error
    if name not in found:
        raise InputError(f"{path} has no variable {name!r}; {again}")
    return found[name]


def _require_size(content: bytes) -> None:
    """Raise ValueError if a file's deflated elements come to more than MOST."""
    order = ">" if content[126:128] == b"MI" else "<"
    left, place = MOST, HEADER
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind == DEFLATED:
            inflate = zlib.decompressobj()
            rest = content[place + 8 : place + 8 + size]
            while rest and not inflate.eof:
                left -= len(inflate.decompress(rest, 2**20))
                rest = inflate.unconsumed_tail
                if left < 0:
                    raise ValueError(f"it inflates to more than {MOST:,} bytes")
        place += 8 + size


def field(value: Any, name: str, where: str) -> Any:
    """A field of the one struct in a MATLAB array of structs. Raises InputError if there is none."""
    if (
        not isinstance(value, np.ndarray)
        or value.dtype.names is None
        or name not in value.dtype.names
        or not value.size
    ):
        raise InputError(f"{where} is no struct with a field {name!r}; copy it again from its source")
    return value[name].flat[0]


def integers(value: Any, low: int, high: int, where: str, dimensions: int | None = 2) -> np.ndarray:
    """An array of whole numbers from low to high, int64, of so many dimensions. Raises InputError for anything else."""
    found = np.asarray(value)
    expected = f"expected whole numbers from {low} to {high}; copy it again from its source"
    if found.dtype.kind not in "biuf" or not found.size or dimensions not in (None, found.ndim):
        raise InputError(f"{where} is an array of {found.dtype}, shape {found.shape}; {expected}")
    if found.dtype.kind == "f" and not (np.isfinite(found) & (found == np.round(found))).all():
        raise InputError(f"{where} holds numbers that are not whole; {expected}")
    if found.min() < low or found.max() > high:
        raise InputError(f"{where} holds {found.min()} to {found.max()}; {expected}")
    return found.astype(np.int64)
