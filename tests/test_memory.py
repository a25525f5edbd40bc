"""Freed memory stays with the process, or comes in large pages: a large array costs few page faults."""

import subprocess
import sys
from mmap import mmap
from pathlib import Path

import pytest

from pixelnet.memory import USUAL, free_bytes, resident_bytes, usual_bytes

COUNT = """
import resource
import numpy as np
from pixelnet.memory import keep_freed_memory

{before}
def fill():
    np.empty(64 << 20, np.uint8)[:] = 1

fill()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


def faults(script: str, before: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", script.format(before=before)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's allocator that gives memory back")
def test_memory_that_was_freed_is_used_again() -> None:
    without, kept = faults(COUNT, ""), faults(COUNT, "keep_freed_memory()")
    if without < 20:
        pytest.skip("this system's allocator keeps memory by itself")
    assert kept < without / 10


PAGES = """
import resource
import torch
from pixelnet.memory import return_freed_memory

{before}
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(64 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


def test_large_tensors_are_in_huge_pages() -> None:
    known = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not known.exists() or "[never]" in known.read_text():
        pytest.skip("this system has no large pages to give")
    without, huge = faults(PAGES, ""), faults(PAGES, "return_freed_memory()")
    if without < 2000:
        pytest.skip("this system gives large pages by itself")
    assert huge < without / 10


def test_what_is_free_and_what_is_held_are_sizes_of_this_machine() -> None:
    held, usual = resident_bytes(), usual_bytes()
    assert 2**24 < held < 2**40
    assert usual <= max(USUAL, held)
    free = free_bytes()
    assert free is None or 0 <= free < 2**44
    with mmap(-1, 2**26) as kept:  # of the system, not of what the process has freed and keeps
        kept[::4096] = b"1" * len(kept[::4096])
        assert resident_bytes() - held > 2**25
