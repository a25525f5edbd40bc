"""Images of three stripes, and sessions that are told of them."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import pixelnet

NAMES = ["cell", "membrane", "void"]
WIDTH, HEIGHT = 73, 64  # of which one is no multiple of any stride


def image(seed: int) -> np.ndarray:
    """Three stripes of unlike brightness, in noise that hides some of it."""
    noise = np.random.default_rng(seed).integers(0, 90, (HEIGHT, WIDTH, 3))
    return (noise + 70 * stripes()[..., None]).astype(np.uint8)


def stripes() -> np.ndarray:
    return np.broadcast_to(np.arange(WIDTH) * 3 // WIDTH, (HEIGHT, WIDTH))


def drawn(seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Points (3 count, 2), as many of each stripe, and their classes."""
    rng = np.random.default_rng((7, seed))
    columns = np.concatenate([rng.integers(5, 20, count) + start for start in (0, 24, 48)])
    points = np.stack([columns, rng.integers(0, HEIGHT, 3 * count)], axis=1)
    return points, stripes()[points[:, 1], points[:, 0]]


def made(images: int = 3, labelled: int | None = None, **options: Any) -> pixelnet.Session:
    session = pixelnet.Session([image(k) for k in range(images)], NAMES, **options)
    for k in range(images if labelled is None else labelled):
        session.label(k, *drawn(k))
    return session


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def saved(session: pixelnet.Session) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        session.save(Path(folder) / "model")
        return content(Path(folder) / "model")
