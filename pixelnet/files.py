"""Files of any kind, written so that nothing is ever half-written."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from pixelnet.errors import InputError


def write_atomic(path: str | Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all: under a temporary name beside it, synced to disk, then renamed.

    `content` is the bytes, or a function that writes them to the open file it is given. The folder is made if
    it is missing. A process killed at any moment leaves the old file or the new one; what it may leave besides
    is `.NAME.tmp`, which the next write of the same file replaces. One writer a path at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name itself must reach the disk too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W) or (H, W, 3), or uint16 (H, W), whole or not at all."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    write_atomic(path, content.getvalue())


def write_npy(path: str | Path, values: np.ndarray) -> None:
    """Write an array as .npy, whole or not at all."""
    content = io.BytesIO()
    np.save(content, values)
    write_atomic(path, content.getvalue())


def require_writable(path: str | Path) -> None:
    """Raise InputError unless a file can be written there: to be asked before the work that it is to hold."""
    path = Path(path).absolute()
    folder = next(parent for parent in path.parents if parent.exists())
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{path} cannot be written: {folder} is no folder that may be written to; give another place")


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON for people, indented, whole or not at all. Raises ValueError for NaN, which JSON does not have."""
    write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
