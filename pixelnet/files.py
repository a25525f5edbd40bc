"""Files of any kind: written so that nothing is ever half-written, and read so that nothing is ever without an end."""

import errno
import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pixelnet.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LONGEST = 250  # bytes of a name: file systems end at 255, and a temporary name is 5 longer
AT_FDCWD, SWAP = -100, 2  # of Linux: paths from here on; RENAME_EXCHANGE, which is RENAME_SWAP of macOS
REMEDIES = {
    errno.ENOSPC: "free some space and run it again, or give another place",
    errno.EDQUOT: "free some space and run it again, or give another place",
    errno.ENAMETOOLONG: f"give a name of up to {LONGEST} bytes",
    errno.ENOTDIR: "a file lies where a folder should be; move it, or give another place",
    errno.EEXIST: "a file lies where a folder should be; move it, or give another place",
    errno.ELOOP: "it is a link that leads to itself; remove it, or give another place",
}


def write_atomic(path: str | Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all: under a temporary name beside it, synced to disk, then renamed.

    `content` is the bytes, or a function that writes them to the open file it is given. The folder is made if
    it is missing; of a link, what it leads to is written, and the link stays. A process killed at any moment leaves
    the old file or the new one; what it may leave besides is `.NAME.tmp`, which the next write of the same file
    replaces. One writer a path at a time.

    Raises:
        InputError: what is there is no regular file (a folder, a device, a pipe), or it cannot be written: no space,
            no permission, no such name.
    """
    try:
        target = _regular(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _replace(target: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as file:  # which never follows a link that somebody has put there
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name itself must reach the disk too
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _regular(path: str | Path) -> Path:
    """Where a path leads. Raises InputError if something is there that is no regular file, OSError for a bad name."""
    target = _real(path)
    try:
        kind = target.lstat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(kind):
        raise InputError(f"{path} is a folder; give the name of a file")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path} is a device, a pipe or a socket, not a file; give the name of a file")
    return target


def _real(path: str | Path) -> Path:
    """Where a path leads. Raises OSError for links in a circle, and for a name that there cannot be."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "there is a zero byte in its name")
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _unwritable(path: str | Path, error: OSError) -> InputError:
    remedy = REMEDIES.get(error.errno or 0, "give a place that may be written to")
    return InputError(f"{path} cannot be written: {error.strerror or error}; {remedy}")


def exchanged(one: str | Path, other: str | Path) -> bool:
    """Let two files or folders of one file system change places, in one step; False where the system has none for it.

    Whoever looks, and a process that is killed, finds both as they were or both changed. Linux has renameat2, macOS
    renamex_np; Windows and some file systems on a network have nothing of the kind.
    """
    import ctypes  # not for `--help`, as below

    if os.name != "posix":
        return False
    library, names = ctypes.CDLL(None), (os.fsencode(one), os.fsencode(other))
    if hasattr(library, "renameat2"):
        return bool(library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], SWAP) == 0)
    if hasattr(library, "renamex_np"):
        return bool(library.renamex_np(*names, SWAP) == 0)
    return False


def require_writable(path: str | Path, folder: bool = False) -> None:
    """Raise InputError unless a file, or a folder, can be written there: to be asked before the work for it.

    What only writing itself can tell, such as a disk that is full by then, `write_atomic` says in the same way.
    """
    try:
        place = _real(path) if folder else _regular(path)
        if any(len(os.fsencode(part)) > LONGEST for part in place.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        places = place.parents if not folder else (place, *place.parents)
        there = next(parent for parent in places if os.path.lexists(parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "a file" if there.is_file() else "no folder that may be written to"
        raise InputError(f"{path} cannot be written: {there} is {what}; give another place")


def require_apart(outputs: Mapping[str, str | Path | None], inputs: Iterable[Path] = ()) -> None:
    """Raise InputError for two outputs that are one file, and for one that is an input, or a folder that holds one.

    outputs: by the option that names them, None where there is none. inputs: the files that the command reads. A link
    counts as what it leads to.
    """
    places = {option: _real(path) for option, path in outputs.items() if path is not None}
    for option, place in places.items():
        twin = next((other for other in places if other != option and places[other] == place), None)
        if twin:
            raise InputError(f"{option} and {twin} are both {outputs[option]}; give each a file of its own")
    there = {option: place for option, place in places.items() if place.exists()}  # what is not there is no input
    for read in map(_real, inputs) if there else ():
        replaced = next((option for option, place in there.items() if place in (read, read.parent)), None)
        if replaced:
            raise InputError(
                f"{replaced} {outputs[replaced]} would replace what this command reads; give another place"
            )


def inside(folder: str | Path, *parts: str | Path) -> Path:
    """A path in a folder of outputs. Raises InputError if a link lies on the way, which might lead out of it."""
    path = Path(folder)
    for part in Path(*parts).parts:
        path /= part
        if path.is_symlink():
            raise InputError(f"{path} is a link, and outputs do not follow links within {folder}; remove it")
    return path


def read_bytes(path: str | Path, most: int = 2**31) -> bytes:
    """A file's content. Raises InputError unless it is a regular file of at most so many bytes that can be read."""
    require_regular(path)
    try:
        with Path(path).open("rb") as file:
            # No buffer of `most` bytes for a small file; one that says it is empty may still hold some (/proc).
            content = file.read(min(most, max(os.fstat(file.fileno()).st_size, 2**20)) + 1)
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
        raise InputError(f"{path} cannot be read: {reason}; check the path and its permissions") from error
    if len(content) > most:
        raise InputError(f"{path} is larger than {most:,} bytes; is it the right file?")
    return content


def require_regular(path: str | Path) -> None:
    """Raise InputError unless a path leads to a regular file: a pipe would be waited for, a device read without end."""
    try:
        kind = Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there, or is a link to nothing; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', error)}; check the path") from error
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a device, a pipe or a socket"
        raise InputError(f"{path} is {what}, not a file; give the name of a file")


def read_text(path: str | Path, most: int = 2**28) -> str:
    """A text file of UTF-8, with or without its mark. Raises InputError as `read_bytes`, and for other bytes."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error


def append(path: str | Path, text: str) -> None:
    """Add to a file's end. Raises InputError if it cannot be written."""
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_png(path: str | Path, pixels: "np.ndarray") -> None:
    """Write uint8 (H, W) or (H, W, 3), or uint16 (H, W), whole or not at all."""
    from PIL import Image  # not for `--help`, which reads the configuration's file

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    write_atomic(path, content.getvalue())


def write_npy(path: str | Path, values: "np.ndarray") -> None:
    """Write an array as .npy, whole or not at all."""
    import numpy as np

    content = io.BytesIO()
    np.save(content, values)
    write_atomic(path, content.getvalue())


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON for people, indented, whole or not at all. Raises ValueError for NaN, which JSON does not have."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, text.encode(errors="backslashreplace"))  # names that are no UTF-8 are \udcxx to JSON
