"""Peak memory, counted: every allocation and release that torch's profiler sees, in the order of time.

    python -m benchmarks.memory NETWORK ARM    # one step in a process of its own, which prints its resident peak

The count is exact to the byte and the same on every run, but knows torch's own tensors only; the resident peak of a
process (ru_maxrss) knows all, and all else besides. One is the check of the other.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def levels(work: Callable[[], object]) -> tuple[np.ndarray, np.ndarray, float | None]:
    """When memory changed (microseconds), how many bytes were then held beyond those before, and when maps stood."""
    work()  # what is made once and kept is not of a run
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]")
    marks = [event["ts"] for event in events if event["name"] == "maps stand" and event.get("ph") == "X"]
    times, sizes = np.array(changes, np.float64).reshape(-1, 2).T
    return times, sizes.cumsum(), max(marks, default=None)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that a work held beyond those that were held before it."""
    return int(levels(work)[1].max(initial=0))


def peak_beyond_maps(work: Callable[[], object]) -> int:
    """The most bytes that a work on fixed maps held, beyond those it held when it got the maps."""
    times, held, mark = levels(work)
    before = held[times <= mark]
    return int(held[times > mark].max(initial=0) - (before[-1] if len(before) else 0))
