"""Peak memory, counted: every allocation and release that torch's profiler sees, in the order of time.

    python -m benchmarks.memory NETWORK ARM    # a process of its own prints its resident peak, or its seconds a step

The count is exact to the byte and the same on every run, but knows only what torch's allocator gave; the resident
peak of a process knows all, and all else besides. Each is the check of the other.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import pixelnet
from benchmarks.networks import Batch, clear, make_batch, ours
from benchmarks.timing import Row, alternate, row
from benchmarks.training import bare_backbone_step, dense_step, map_slopes, sampled_step
from pixelnet.memory import keep_freed_memory

os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler tells of itself otherwise

PROCESSES, STEPS = 5, 5  # of each arm, and timed in each
ARMS = {"backbone": bare_backbone_step, "sampled": sampled_step, "every pixel": dense_step}


def step_of(arm: str, model: pixelnet.PixelNet, batch: Batch) -> Callable[[], None]:
    """A step that leaves no gradients behind, so that they count as its own."""
    slopes = (map_slopes(model, batch),) if arm == "backbone" else ()

    def step() -> None:
        ARMS[arm](model, batch, *slopes)
        clear(model)

    return step


def memory(network: str, runs: int) -> list[Row]:
    """A training step's peak beyond that of the backbone's own: every pixel against 2,000, counted and resident.

    `runs` is not used: the count is the same on every run.
    """
    model, batch = ours(network).train(), make_batch()
    counted = {arm: peak(step_of(arm, model, batch)) for arm in ARMS}
    resident = {arm: int(_of_process(network, arm)) for arm in ARMS}
    rows = []
    for how, bar, peaks in (("counted", 5.0, counted), ("resident", None, resident)):
        beyond = {arm: peaks[arm] - peaks["backbone"] for arm in ("every pixel", "sampled")}
        ratio = beyond["every pixel"] / max(1, beyond["sampled"])
        mebibytes = {arm: round(size / 2**20, 1) for arm, size in peaks.items()}
        measure = f"memory beyond the backbone's step, every pixel / 2,000, {how}"
        rows.append(row(measure, network, ratio, bar and "at least", bar, mebibytes=mebibytes))
    return [*rows, freed_memory(network)]


def freed_memory(network: str) -> Row:
    """A training step's seconds where freed memory goes back to the system, over those where the process keeps it."""
    works = {arm: [] for arm in ("given back", "kept")}
    for _ in range(PROCESSES):
        for arm, seconds in works.items():
            seconds.append(float(_of_process(network, arm)))
    seconds = {arm: np.array(found) for arm, found in works.items()}
    measure = "training step, freed memory given back / kept"
    return row(measure, network, seconds["given back"] / seconds["kept"], seconds=seconds)


def levels(work: Callable[[], object]) -> tuple[np.ndarray, np.ndarray, float | None]:
    """When memory changed (microseconds), how many bytes were then held beyond those before, and when maps stood."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        # The profiler knows the size only of what it has seen made, so that the second run is the one to be counted.
        work()
        with torch.profiler.record_function("counted"):
            work()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"]
    start, *_ = [event["ts"] for event in events if event["name"] == "counted"]
    marks = [event["ts"] for event in events if event["name"] == "maps stand"]
    times, sizes = np.array(sorted(changes), np.float64).reshape(-1, 2).T
    return times[times >= start], sizes[times >= start].cumsum(), max(marks, default=None)


def peak(work: Callable[[], object]) -> int:
    """The most bytes that a work held beyond those that were held before it."""
    return int(levels(work)[1].max(initial=0))


def peak_beyond_maps(work: Callable[[], object]) -> int:
    """The most bytes that a work on fixed maps held, beyond those it held when it got the maps."""
    times, held, mark = levels(work)
    before = held[times <= mark]
    return int(held[times > mark].max(initial=0) - (before[-1] if len(before) else 0))


def _of_process(network: str, arm: str) -> str:
    """What a process that does nothing but this prints."""
    command = [sys.executable, "-m", "benchmarks.memory", network, arm]
    root = Path(__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def resident_peak() -> int:
    """Bytes, of this process so far. Not ru_maxrss, which on Linux begins with that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(network: str, arm: str) -> None:
    model, batch = ours(network).train(), make_batch()
    if arm in ARMS:
        step_of(arm, model, batch)()
        print(resident_peak())
        return
    if arm == "kept":
        keep_freed_memory()
    print(np.median(alternate({arm: step_of("sampled", model, batch)}, STEPS)[arm]))


if __name__ == "__main__":
    main(*sys.argv[1:])
