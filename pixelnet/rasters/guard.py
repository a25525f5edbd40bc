"""What stands between a file and its decoder: which files are opened, how large they may be, and one message for all
that fails.
"""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from pixelnet.errors import InputError

MAX_PIXELS = 2**30  # numbers that are read at once: 4 GiB of float32
VARIABLE = "PIXELNET_MAX_PIXELS"  # of the environment: lifts that limit

# Decoders that Pillow may use. A name of a file says nothing of what is in it, and those that start other programs
# (EPS starts Ghostscript) are never asked.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "PPM", "TIFF")

# tifffile tells its log of each oddity of a file; what matters here is raised.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into one InputError that names it; only regular files are opened."""
    with decoding(path):
        kind = Path(path).stat().st_mode
        if not stat.S_ISREG(kind) and not is_zarr(path):
            what = "a folder" if stat.S_ISDIR(kind) else "no regular file but a device or a pipe"
            raise InputError(f"{path} is {what}; give a file")
        yield


@contextmanager
def decoding(name: str | Path) -> Iterator[None]:
    """`reading`, of what need not be a file."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name} is not there, or is a link to nothing; check the path") from error
    except MemoryError as error:
        raise InputError(f"{name} does not fit into memory; cut it into smaller images") from error
    except Exception as error:  # decoders raise everything from OSError to SyntaxError on corrupt bytes
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{name} cannot be read, it is truncated or in another format ({reason}); copy it again from its source"
        ) from error


def is_zarr(path: str | Path) -> bool:
    """Whether a path is a Zarr folder, or a level of the pyramid in one: image.zarr/1."""
    path = Path(path)
    return ".zarr" in (path.suffix.lower(), path.parent.suffix.lower()) and path.is_dir()


def number_limit() -> int:
    """How many numbers may be read at once. Raises InputError where the environment variable is none."""
    text = os.environ.get(VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal():
        raise InputError(f"the environment variable {VARIABLE} is {text!r}; give a whole number")
    return int(text)


def check_size(path: str | Path, size: tuple[int, int], channels: int = 1) -> None:
    """Raise InputError for what is too large to read at once, before anything of it is."""
    (width, height), samples, most = size, size[0] * size[1] * channels, number_limit()
    if samples > most:
        raise InputError(
            f"{path} is {width}x{height} of {channels} channels, more than the {most:,} numbers that are read at "
            f"once; cut it into smaller images, or set the environment variable {VARIABLE}={samples}"
        )


_lock, _open = threading.Lock(), {"pictures": 0, "limit": 0}


@contextmanager
def open_picture(path: str | Path) -> Iterator[Image.Image]:
    """Pillow's `Image.open`, by decoders that are named and without its own limit of size, which is its module's."""
    with _lock:
        if not _open["pictures"]:
            _open["limit"], Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # type: ignore[assignment]
        _open["pictures"] += 1
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    finally:
        with _lock:
            _open["pictures"] -= 1
            if not _open["pictures"]:
                Image.MAX_IMAGE_PIXELS = _open["limit"]
