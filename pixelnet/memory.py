"""The memory of this process: kept or in large pages, as every step asks for the same again; and what it came to."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

USUAL = 4 * 2**30  # bytes that a process may come to where nobody says
PIECE = 2**24  # bytes of a piece that is handed back; of smaller ones little stays, and they are many
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # names of mallopt's settings, from glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell the C library to keep what this process frees, for as long as the process lives.

    Large tensors are otherwise handed back to the system and asked for again, page by page and zeroed, several times a
    step: a third of a training step on a CPU (`python -m benchmarks memory`). The process is as large as it was
    at its largest, then, and larger where what is asked for differs in size. Does nothing where the C library is not
    glibc.
    """
    _set(MMAP_MAX, 0)  # nothing is asked for apart, which goes back as soon as it is freed
    _set(TRIM_THRESHOLD, -1)  # nor is the end of the heap given back


def return_freed_memory() -> None:
    """Hand large pieces back to the system as soon as they are freed, for as long as the process lives.

    It is for what is bounded in memory. By itself the C library keeps more and more of what is freed, cut up by what it
    held last: a prediction in windows that was to come to 2 GB came to 2.5, and to 2.9 with all of it kept. In large
    pages it is quick again (`python -m benchmarks.scale --freed kept usual`).
    """
    use_huge_pages()
    _set(MMAP_THRESHOLD, PIECE)


def use_huge_pages() -> None:
    """Have torch ask for large tensors in pages of 2 MB, which come more quickly.

    Does nothing where the process has made a tensor already, or the system has no such pages.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it at its first tensor


def _set(option: int, value: int) -> None:
    """One of glibc's malloc's settings; nothing where the C library is another one."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(option, value)


def peak_gib() -> float | None:
    """The most memory that this process has held at once; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**30 if sys.platform == "darwin" else 2**20  # macOS counts bytes, Linux kibibytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


def resident_bytes() -> int:
    """What this process holds now; where the system does not say, the most that it has held."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096
    return int((peak_gib() or 0) * 2**30)


def free_bytes() -> int | None:
    """What programs may still take of this machine's memory, or of this container's; None where nobody says."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" is no number
            most, now = (int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii")) for name in (limit, used))
            found.append(max(0, most - now))
    return min(found, default=None)


def usual_bytes() -> int:
    """What this process may come to where nobody says: USUAL, or half of what is free if that is less."""
    free = free_bytes()
    return USUAL if free is None else min(USUAL, resident_bytes() + free // 2)
