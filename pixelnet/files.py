"""Writing files so that nothing is ever half-written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


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


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON for people, indented, whole or not at all. Raises ValueError for NaN, which JSON does not have."""
    write_atomic(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
