"""The memory of this process: what it frees is kept, as every step asks for the same again; and what it came to."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

USUAL = 4 * 2**30  # bytes that a process may come to where nobody says
TRIM_THRESHOLD, MMAP_MAX = -1, -4  # names of mallopt's settings, from glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell the C library to keep what this process frees, for as long as the process lives.

    Large tensors are otherwise handed back to the system and asked for again, page by page and zeroed, several times a
    step: a third of a training step on a CPU (`python -m benchmarks memory`). The process is as large as it was
    at its largest, then. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)  # nothing is asked for apart, which goes back as soon as it is freed
        mallopt(TRIM_THRESHOLD, -1)  # nor is the end of the heap given back


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
