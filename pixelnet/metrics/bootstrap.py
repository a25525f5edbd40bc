"""Intervals for a score of a set of images: how much would it move had other images been drawn?

The bootstrap (Efron 1979), images resampled whole, since the pixels of one image are far from independent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Counts = Mapping[str, np.ndarray]  # what a score is computed from, by name; those of several images are added up

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
BATCH = 50  # resamples summed at a time, which bounds the memory


def add_up(counts: Sequence[Counts], nothing: Counts) -> Counts:
    """The counts of several images together; `nothing` are those of none."""
    return {name: sum((own[name] for own in counts), start=zero) for name, zero in nothing.items()}


def intervals(
    counts: Sequence[Counts], scores: Callable[[Counts], dict[str, Any]], resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of every score that is one number.

    counts: those of each image, which may be summed over images. scores: summed counts -> dict of scores.
    Returns (low, high) by name; a score is left out where no resample gives it (None). With one image there is
    nothing to resample, and an interval has no width. Draws lack images, and with them rare classes: of few images a
    score that is a mean over many classes may lie beside its interval.
    """
    images = len(counts)
    shapes = {name: np.shape(values) for name, values in counts[0].items()}
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    flat = np.stack([np.concatenate([np.ravel(own[name]) for name in shapes]) for own in counts]).astype(np.float64)
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for start in range(0, resamples, BATCH):
        times = rng.multinomial(images, np.full(images, 1 / images), size=min(BATCH, resamples - start))
        for summed in times @ flat:
            named = zip(shapes.items(), np.split(summed, ends[:-1]), strict=True)
            for name, value in scores({key: values.reshape(shape) for (key, shape), values in named}).items():
                if isinstance(value, float):
                    found.setdefault(name, []).append(value)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: tuple(np.quantile(values, tails).tolist()) for name, values in found.items()}
