"""Where the time beyond the backbone goes, operation by operation: python -m benchmarks.profile

The read and the head alone, on maps that stand: of a training step at 2,000 pixels of 8 views, and of a dense
prediction with one hidden layer and with two. Milliseconds are an operation's own, its calls added up, by torch's
profiler, which itself costs some of them. docs/results/profile.json keeps the largest.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks import timing
from benchmarks.dense import as_tensor, random_image, trained_long_ago
from benchmarks.networks import IMAGE, make_batch, on_fixed_maps, ours
from benchmarks.training import sampled_step
from pixelnet.files import write_json

RESULT = timing.RESULT.with_name("profile.json")
NETWORK = "tf_efficientnet_lite0"
RUNS, LARGEST = 10, 8


def works() -> Iterator[tuple[str, Callable[[], object]]]:
    batch, pixels = make_batch(), random_image(*IMAGE)
    model = on_fixed_maps(ours(NETWORK).train(), batch.images, learn=True)
    yield "training step", lambda: sampled_step(model, batch)
    for hidden in ((256,), (256, 256)):
        dense = trained_long_ago(ours(NETWORK, hidden=hidden))
        on_fixed_maps(dense, as_tensor(pixels, dense), learn=False)
        yield f"dense prediction, hidden {hidden}", lambda dense=dense: dense.predict(pixels)


def largest(what: str, work: Callable[[], object]) -> list[dict[str, Any]]:
    """The operations that take longest, in milliseconds a run, and their shares of all."""
    for _ in range(3):
        work()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(RUNS):
            work()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_cpu_time_total)
    whole = sum(event.self_cpu_time_total for event in events)
    rows = [("all", whole)] + [(event.key, event.self_cpu_time_total) for event in events[:LARGEST]]
    return [
        {"what": what, "operation": name, "ms": round(spent / RUNS / 1000, 2), "share": round(spent / whole, 3)}
        for name, spent in rows
    ]


def measure() -> None:
    rows = [row for what, work in works() for row in largest(what, work)]
    for row in rows:
        print(f"{row['what']:40}{row['operation'][:50]:52}{row['ms']:8.2f} ms{row['share']:8.1%}")
    what = "Where the time beyond the backbone goes (EfficientNet-lite0): an operation's own milliseconds a run."
    head = {"name": "profile", "what": what, "command": "python -m benchmarks.profile", "machine": timing.machine()}
    write_json(RESULT, head | {"rows": rows})


if __name__ == "__main__":
    sys.exit(timing.as_command(measure))
