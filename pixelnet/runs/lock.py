"""One run, one writer: while a process writes a run's folder, no other may."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pixelnet.errors import InputError
from pixelnet.files import inside, require_writable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextmanager
def only_writer(folder: Path, kept: tuple[str, ...], passing: tuple[str, ...]) -> Iterator[None]:
    """Hold a run's folder, made if it is not there, against every other process until the block ends.

    The lock is the system's, on a file in the folder: it goes with the process, however that ends. A folder that was
    made here is taken away again if the block fails before there was anything worth keeping.

    Args:
        folder: of the run.
        kept: names of files that are worth keeping.
        passing: names of those that are not without them.

    Raises:
        InputError: another process is at work there; the folder cannot be made or written to.
    """
    require_writable(folder, folder=True)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with held(inside(folder, LOCK)):
        try:
            yield
        except BaseException:
            if made and not any((folder / name).exists() for name in kept):
                _remove(folder, (*passing, LOCK))
            raise


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file, in a folder that is there, against every other process until the block ends; then it is gone.

    Raises InputError if another process has it, or it cannot be written.
    """
    file = _locked(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True) if fcntl else None
        file.close()


def _locked(path: Path) -> IO[bytes]:
    """The open and locked file. One that was removed by who held it before is another's by now, hence the loop."""
    while True:
        try:
            file = path.open("ab")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
        try:
            _lock(file)
            if not fcntl or os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:
            pass
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"another process is at work in {path.parent}; wait for it to end, or choose another folder"
            ) from error
        file.close()


def _lock(file: IO[bytes]) -> None:
    """Raises BlockingIOError if another process has it. A file system that knows no locks is taken as it is."""
    if fcntl is None:
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, it is not shared with forked workers
    except (BlockingIOError, PermissionError) as error:
        raise BlockingIOError from error
    except OSError:
        pass


def _remove(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # there is something else in it
        folder.rmdir()
