"""The memory of this process: what it frees is kept, as every step asks for the same again; and what it came to."""

import ctypes
import sys

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
