"""How many samples: in all, for each stratum, and what becomes of strata that got too few."""

from collections.abc import Sequence

import numpy as np

from pixelnet.errors import InputError

LEAST = 2  # samples of a stratum, below which its variance is unknown


def sample_size(shares: Sequence[float], accuracies: Sequence[float], error: float) -> int:
    """How many samples give overall accuracy this standard error: Olofsson et al. (2014), equation 13.

    shares: of the pixels in each stratum, sum 1. accuracies: what is guessed of each, 0..1. error: the standard error,
    a 1.96th of the half-width of the interval. The design is optimal for it; the number of pixels is taken as endless.
    """
    if not 0 < error < 1:
        raise InputError(f"the standard error aimed at is {error:g}; give a share above 0 and below 1, such as .01")
    spreads = np.sqrt(np.asarray(accuracies) * (1 - np.asarray(accuracies)))
    return int(np.round((np.dot(shares, spreads) / error) ** 2))


def allocate(budget: int, sizes: np.ndarray, weights: np.ndarray, least: int = LEAST) -> np.ndarray:
    """Samples of each stratum, (H,): in proportion to weights, at least `least` each, none above its pixels.

    With all weights 1 it is equal allocation, with the sizes proportional, with sizes times the spread within each
    stratum Neyman's (Cochran 1977, section 5.5); `least` makes it the good practice of Olofsson et al. (2014, section
    5.1). Raises InputError for a budget that does not reach.
    """
    most = np.asarray(sizes, np.int64)
    floor = np.minimum(least, most)
    if floor.sum() > budget:
        raise InputError(
            f"a budget of {budget} samples is less than {least} for each of {len(sizes)} strata; raise it to "
            f"{floor.sum()}, or take fewer strata"
        )
    weights = np.asarray(weights, np.float64)
    weights = np.maximum(weights / weights.max(), 1e-9) if weights.max() > 0 else np.ones(len(most))
    # The scale of the weights at which what is given is the budget, found by halving.
    low, high = 0.0, budget / weights.min()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(weights * middle, floor, most).sum() < budget else (low, middle)
    wanted = np.clip(weights * high, floor, most)
    counts = np.clip(np.floor(wanted), floor, most).astype(np.int64)
    spare = min(budget, int(most.sum())) - counts.sum()
    order = np.argsort(-np.where(counts < most, wanted - counts, -np.inf), kind="stable")
    counts[order[:spare]] += 1
    return counts


def merged(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which strata are taken together, (H,): each one's own number, or that of the neighbor it is merged with.

    A stratum with fewer samples than LEAST, and not all of its pixels, joins the one before it, the first that follows.
    """
    into = np.arange(len(counts))
    for h in range(len(counts)):
        own = into == into[h]
        if counts[own].sum() < min(LEAST, sizes[own].sum()):
            others = np.flatnonzero(~own)
            if not len(others):
                break
            before = others[others < h]
            into[own] = into[before[-1] if len(before) else others[0]]
    return into
