"""Tiny images of which few pixels are labelled, for the tests of learning."""

from pathlib import Path

import numpy as np
from conftest import save_png


def item(seed: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An image whose right half is rough, and strokes of labels on it: 0 on the left, 1 on the right."""
    rng = np.random.default_rng(seed)
    image = rng.integers(100, 110, (48, 64, channels), dtype=np.uint8)
    image[:, 32:] = rng.integers(60, 160, (48, 32, channels))
    labels = np.full((48, 64), 255, np.uint8)
    labels[5 + seed : 12 + seed, 8:12] = labels[30:34, 14:18] = 0
    labels[8:12, 40 + seed : 46 + seed] = labels[36:40, 50:55] = 1
    return image, labels


def items(count: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    return [item(seed) for seed in range(count)]


def in_folder(folder: Path) -> Path:
    """Three images and their strokes, as a folder of images and one of labels."""
    for name, (image, labels) in zip("abc", items(), strict=True):
        save_png(folder / "images" / f"{name}.png", image)
        save_png(folder / "labels" / f"{name}.png", labels)
    return folder
