"""Many photos: images a second of `predict_files`, beside the model on ready tensors, and where the rest goes.

    python -m benchmarks.bulk --threads 1 2 --out docs/results/bulk.json

Photos are JPEG files of 481 x 321, smooth blobs with noise; labels and views are written. On ready tensors means:
views that are in memory already, seen and answered for in the same batches by the same threads. Both are timed in turn,
so that other work on the machine falls on both alike. Beside the clock's seconds stand the processor's, all threads'.
The model is untrained, and its maps are full of specks: PNG of a trained model's take less time and room.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
import tyro
from PIL import Image

import pixelnet
from benchmarks.networks import ours
from benchmarks.timing import keep_in
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.inputs import Item
from pixelnet.memory import keep_freed_memory

SIZE = (481, 321)  # of BSDS500's photos
BLOB = 24  # pixels
BAR = 0.85
WHAT = (
    "Photos of 481 x 321 from their files to the files of labels and views, beside the model on ready tensors in the "
    "same batches, by as many threads. `share`: of the rate of the ready tensors, by the clock and by all threads' "
    "processor time, medians over rounds in which both ran once; quartiles are of the clock's. Reading and writing are "
    "one image's, alone, in processor time. The bar is .85."
)


@dataclass(frozen=True)
class Arguments:
    """Measure so many photos."""

    images: int = 64
    network: str = "tf_efficientnet_lite0"
    batch_size: int = 8
    threads: tuple[int, ...] = (1,)
    """Of the model; reading and writing have threads of their own."""
    rounds: int = 5
    out: Path | None = None
    """Write the rows to this file as well."""


def write_photos(folder: Path, count: int) -> list[Item]:
    rng, items = np.random.default_rng(0), []
    for k in range(count):
        small = rng.integers(0, 256, (SIZE[1] // BLOB, SIZE[0] // BLOB, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC))
        noisy = np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{k}.jpg", quality=90)
        items.append(Item(PurePath(str(k)), folder / f"{k}.jpg", 0))
    return items


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """The clock's seconds and the processor's."""
    start, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - spent


def measure(folder: Path, arguments: Arguments, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    model, size = ours(arguments.network).eval(), arguments.batch_size
    (folder / "photos").mkdir()
    items = write_photos(folder / "photos", arguments.images)
    answerer = Answerer(model, folder / "parts", None, Asked())
    photos = [photo for photo in map(answerer.read, items) if photo is not None]
    batches = [photos[first : first + size] for first in range(0, len(photos), size)]
    answers = answerer.see(batches[0])
    found = []
    for k in range(arguments.rounds):
        ready = timed(lambda: [answerer.see(batch) for batch in batches])
        out = folder / f"out{k}"
        files = timed(lambda out=out: pixelnet.predict_files(model, folder / "photos", out, batch_size=size))
        found.append((ready, files))
    reading = timed(lambda: [answerer.read(item) for item in items])
    writing = timed(lambda: [answerer.write(*one) for one in zip(batches[0], answers, strict=True)])
    spent = np.array(found)  # rounds, ready or files, clock or processor
    shares, rates = spent[:, 0] / spent[:, 1], len(photos) / np.median(spent, axis=0)
    share, low, high = np.quantile(shares[:, 0], (0.5, 0.25, 0.75)).round(3).tolist()
    return {
        "threads": threads, "images": len(photos), "network": arguments.network, "batch": size, "rounds": len(found),
        "ready, images/s": round(float(rates[0, 0]), 2), "files, images/s": round(float(rates[1, 0]), 2),
        "share": share, "quartiles": [low, high], "share of processor": round(float(np.median(shares[:, 1])), 3),
        "holds": share >= BAR, "reading, ms": round(1000 * reading[1] / len(items), 1),
        "writing, ms": round(1000 * writing[1] / len(batches[0]), 1),
    }  # fmt: skip


def main(arguments: Arguments) -> None:
    keep_freed_memory()
    rows = []
    for threads in arguments.threads:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), arguments, threads))
        print(rows[-1], flush=True)
    if arguments.out is not None:
        torch.set_num_threads(max(arguments.threads))
        keep_in(arguments.out, "bulk", rows, WHAT, "python -m benchmarks.bulk", ("threads", "batch"))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
