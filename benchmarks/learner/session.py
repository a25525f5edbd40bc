"""How long a stroke takes: `Session.fit` again after a few more labels, and the answer for an image that was seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import pixelnet

COUNTS = (100, 2_000, 10_000)  # labels
STROKE = 20  # of them, that are given anew before each fit
NAMES = ("dark", "light")


@dataclass(frozen=True)
class Strokes:
    """Milliseconds of a fit at 100, 2,000 and 10,000 labels and of an answer for a megapixel."""

    images: int = 4
    """That the labels are spread over, of 256x256 pixels."""
    runs: int = 5
    """Of which the quickest counts."""


def measure(arguments: Strokes) -> None:
    images = [made(k, 256, 256) for k in range(arguments.images)]
    session = pixelnet.Session([*images, made(99, 1024, 1024)], NAMES)
    for count in COUNTS:
        rng = np.random.default_rng(count)
        for k in range(arguments.images):
            stroke(session, k, images[k], count // arguments.images, rng)
        session.fit()
        found = []
        for run in range(arguments.runs):
            k = run % arguments.images
            stroke(session, k, images[k], STROKE, rng)
            found.append(milliseconds(session.fit))
        print(f"fit at {count:,} labels: {min(found):.0f} ms")
    session.predict(arguments.images)
    whole = min(milliseconds(lambda: session.predict(arguments.images)) for _ in range(arguments.runs))
    window = (slice(400, 656), slice(400, 656))
    part = min(milliseconds(lambda: session.predict(arguments.images, window)) for _ in range(arguments.runs))
    print(f"answer for a megapixel that was seen: {whole:.0f} ms; for 256x256 of it: {part:.0f} ms")


def made(seed: int, height: int, width: int) -> np.ndarray:
    """Noise that is darker on the left."""
    noise = np.random.default_rng(seed).integers(0, 160, (height, width, 3))
    return (noise + np.linspace(0, 95, width)[:, None]).astype(np.uint8)


def stroke(session: pixelnet.Session, index: int, image: np.ndarray, count: int, rng: np.random.Generator) -> None:
    """Label so many pixels of an image, each by its half."""
    height, width = image.shape[:2]
    points = np.stack([rng.integers(0, width, count), rng.integers(0, height, count)], axis=1)
    session.label(index, points, (points[:, 0] >= width // 2).astype(int))


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)
