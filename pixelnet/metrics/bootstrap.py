"""Intervals for a score of a set of images: how much would it move had other images been drawn?

The bootstrap (Efron 1979), images resampled whole, since the pixels of one image are far from independent.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
BATCH = 50  # resamples summed at a time, which bounds the memory


def intervals(
    counts: np.ndarray, scores: Callable[[np.ndarray], dict[str, Any]], resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of every score that is one number.

    counts: (I, ...), those of each image, which may be summed over images. scores: summed counts (...) -> dict.
    Returns (low, high) by name; a score is left out where no resample gives it (None). With one image there is
    nothing to resample, and an interval has no width. Draws lack images, and with them rare classes: of few images a
    score that is a mean over many classes may lie beside its interval.
    """
    images = len(counts)
    flat = counts.reshape(images, -1).astype(np.float64, copy=False)
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for start in range(0, resamples, BATCH):
        times = rng.multinomial(images, np.full(images, 1 / images), size=min(BATCH, resamples - start))
        for summed in times @ flat:
            for name, value in scores(summed.reshape(counts.shape[1:])).items():
                if isinstance(value, float):
                    found.setdefault(name, []).append(value)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: tuple(np.quantile(values, tails).tolist()) for name, values in found.items()}
