"""Freed memory stays with the process: a second large array costs no page faults."""

import subprocess
import sys

import pytest

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


def faults(before: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", COUNT.format(before=before)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's allocator that gives memory back")
def test_memory_that_was_freed_is_used_again() -> None:
    without, kept = faults(""), faults("keep_freed_memory()")
    if without < 20:
        pytest.skip("this system's allocator keeps memory by itself")
    assert kept < without / 10
