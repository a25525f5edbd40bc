"""Many photos: images a second of `predict_files`, beside the model on ready tensors, and where the rest goes.

    python -m benchmarks.bulk --images 64 --batch-size 1 --out bulk.json

Photos are JPEG files of 481 x 321, smooth blobs with noise; labels and views are written. On ready tensors means: views
that are in memory already, seen and answered for in the same batches by the same threads. Beside the clock's seconds
stand the processor's, all threads', which other programs on the machine do not change as much.
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


@dataclass(frozen=True)
class Arguments:
    """Measure so many photos."""

    images: int = 64
    network: str = "tf_efficientnet_lite0"
    batch_size: int = 8
    threads: int = 1
    out: Path | None = None
    """Write the row to this file as well."""


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


def measure(folder: Path, arguments: Arguments) -> dict[str, Any]:
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    model = ours(arguments.network).eval()
    (folder / "photos").mkdir()
    items, size = write_photos(folder / "photos", arguments.images), arguments.batch_size
    answerer = Answerer(model, folder / "parts", None, Asked())
    photos = [photo for photo in map(answerer.read, items) if photo is not None]
    batches = [photos[first : first + size] for first in range(0, len(photos), size)]
    answers = answerer.see(batches[0])
    ready = timed(lambda: [answerer.see(batch) for batch in batches])
    files = timed(
        lambda: pixelnet.predict_files(model, folder / "photos", folder / "out", batch_size=arguments.batch_size)
    )
    reading = timed(lambda: [answerer.read(item) for item in items[:size]])
    writing = timed(lambda: [answerer.write(*one) for one in zip(batches[0], answers, strict=True)])
    row: dict[str, Any] = {"images": len(photos), "network": arguments.network, "batch": size}
    for kind, place in (("clock", 0), ("processor", 1)):
        row[kind] = {
            "ready, images/s": round(len(photos) / ready[place], 2),
            "files, images/s": round(len(photos) / files[place], 2),
            "share": round(ready[place] / files[place], 3),
            "reading, ms": round(1000 * reading[place] / len(batches[0]), 1),
            "writing, ms": round(1000 * writing[place] / len(batches[0]), 1),
        }
    return row


def main(arguments: Arguments) -> None:
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), arguments)
    print(row)
    keep_in(arguments.out, "bulk", [row])


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
