"""From how many images on does an interval hold what it says? python -m benchmarks.coverage [--sets N] [--out FILE]

Sets of n images are drawn from populations whose score is known, and each method's 95 % interval is asked whether it
holds that score. The populations are counts as scores are made of: each image its own mix of classes and its own
quality. Scores are ratios of sums over images, as all of ours.

    even      mean IoU over 5 classes, each image with some of all
    rare      mean IoU over 5 classes, one of them in a third of the images
    failures  mean IoU over 3 classes where one image in ten goes wrong
    errors    a mean error over pixels, such as that of normals; a few images have much larger ones
    halves    two classes that are each in half of the images

percentile is the plain bootstrap; expanded takes its quantiles further out, as Student's t and n - 1 ask (Hesterberg
2015, "What teachers should know about the bootstrap", section 5.2); BCa corrects bias and skewness (Efron 1987);
jackknife is the score plus and minus Student's t times its jackknife standard error, and logit the same on the scale
log(s / (1 - s)), which `pixelnet.metrics.intervals` takes; bootstrap-t studentizes each draw by the linearized score's
error.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from benchmarks.timing import as_command
from pixelnet.files import write_json

COUNTS = (5, 6, 8, 10, 15, 20, 30, 50, 100, 200)
POPULATION = 100_000
TAILS = np.array([0.025, 0.975])
RESULT = Path(__file__).parent.parent / "docs" / "results" / "coverage.json"

Score = Callable[[np.ndarray], np.ndarray]
Draw = Callable[[int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Arguments:
    sets: int = 1000
    """Of each size, from each population."""
    resamples: int = 1000
    out: Path = RESULT


def miou(totals: np.ndarray) -> np.ndarray:
    """(..., K, 3), pixels right, of the class and said to be of it -> mean IoU (...) over the classes there are."""
    right, there, said = np.moveaxis(totals, -1, 0)
    union = there + said - right
    iou = np.divide(right, union, out=np.zeros_like(right), where=union > 0)
    return iou.sum(-1) / np.maximum((union > 0).sum(-1), 1)


def ratio(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def confusions(
    count: int, rng: np.random.Generator, shares: np.ndarray, there: np.ndarray, quality: np.ndarray
) -> np.ndarray:
    """(count, K, 3): images of 10,000 pixels, with classes by chance, and of each class so many right."""
    mix = rng.dirichlet(2 * shares / shares.mean(), count) * (rng.random((count, len(shares))) < there)
    mix[mix.sum(1) == 0, 0] = 1
    pixels = 10_000 * mix / mix.sum(1, keepdims=True)
    right = pixels * np.clip(quality[:, None] + rng.normal(0, 0.08, pixels.shape), 0.01, 0.99)
    wrong = pixels - right
    spread = shares / shares.sum()
    taken = wrong.sum(1, keepdims=True) * spread  # what is wrong is said to be of a class by its share
    return np.stack([right, pixels, right + taken], axis=-1)


def even(count: int, rng: np.random.Generator) -> np.ndarray:
    return confusions(count, rng, np.array([4.0, 2, 2, 1, 1]), np.ones(5), rng.beta(12, 4, count))


def rare(count: int, rng: np.random.Generator) -> np.ndarray:
    return confusions(count, rng, np.array([4.0, 2, 2, 1, 0.5]), np.array([1, 1, 1, 1, 0.33]), rng.beta(12, 4, count))


def halves(count: int, rng: np.random.Generator) -> np.ndarray:
    return confusions(count, rng, np.array([4.0, 2, 1, 1]), np.array([1, 1, 0.5, 0.5]), rng.beta(8, 3, count))


def failures(count: int, rng: np.random.Generator) -> np.ndarray:
    fails = rng.random(count) < 0.1
    quality = np.where(fails, rng.beta(2, 6, count), rng.beta(30, 3, count))
    return confusions(count, rng, np.array([3.0, 2, 1]), np.ones(3), quality)


def errors(count: int, rng: np.random.Generator) -> np.ndarray:
    pixels = 10_000 * rng.beta(8, 2, count)
    return np.stack([pixels * rng.lognormal(np.log(20), 0.5, count), pixels], axis=-1)


POPULATIONS: dict[str, tuple[Draw, Score]] = {
    "even": (even, miou),
    "rare": (rare, miou),
    "halves": (halves, miou),
    "failures": (failures, miou),
    "errors": (errors, ratio),
}


class Sample:
    """n images, the draws of them, and what methods need of both."""

    def __init__(self, counts: np.ndarray, score: Score, times: np.ndarray) -> None:
        self.n, self.score, self.times = len(counts), score, times
        self.flat = counts.reshape(self.n, -1)
        self.shape = counts.shape[1:]
        total = self.flat.sum(0)
        self.value = float(self.of(total))
        self.drawn = self.of(times @ self.flat)
        self.without = self.of(total - self.flat)
        self.error = float(np.sqrt((self.n - 1) / self.n * ((self.without - self.without.mean()) ** 2).sum()))
        self.t = float(student.ppf(TAILS[1], self.n - 1))

    def of(self, totals: np.ndarray) -> np.ndarray:
        return self.score(totals.reshape(*totals.shape[:-1], *self.shape))


def percentile(sample: Sample) -> np.ndarray:
    return np.quantile(sample.drawn, TAILS)


def expanded(sample: Sample) -> np.ndarray:
    tail = ndtr(-np.sqrt(sample.n / (sample.n - 1)) * sample.t)
    return np.quantile(sample.drawn, [tail, 1 - tail])


def bca(sample: Sample, expand: bool = False) -> np.ndarray:
    below = np.clip((sample.drawn < sample.value).mean(), 1e-3, 1 - 1e-3)
    bias, off = ndtri(below), sample.without.mean() - sample.without
    spread = (off**2).sum() ** 1.5
    skew = (off**3).sum() / (6 * spread) if spread > 0 else 0.0
    ends = np.array([-1, 1]) * np.sqrt(sample.n / (sample.n - 1)) * sample.t if expand else ndtri(TAILS)
    moved = bias + (bias + ends) / np.maximum(1 - skew * (bias + ends), 1e-3)
    return np.quantile(sample.drawn, ndtr(moved))


def expanded_bca(sample: Sample) -> np.ndarray:
    return bca(sample, expand=True)


def jackknife(sample: Sample) -> np.ndarray:
    return sample.value + np.array([-1, 1]) * sample.t * sample.error


def logit(sample: Sample) -> np.ndarray:
    """On log(s / (1 - s)) for scores within 0..1, on log s for errors, which are positive."""
    if sample.value > 1:
        return sample.value * np.exp(np.array([-1, 1]) * sample.t * sample.error / sample.value)
    scale = sample.value * (1 - sample.value)
    moved = np.log(sample.value / (1 - sample.value)) + np.array([-1, 1]) * sample.t * sample.error / scale
    return 1 / (1 + np.exp(-moved))


def bootstrap_t(sample: Sample) -> np.ndarray:
    totals = sample.times @ sample.flat
    step = 1e-4 * sample.flat.sum(0).mean()
    bumped = totals[:, None] + step * np.eye(totals.shape[1])
    gradient = (sample.of(bumped) - sample.drawn[:, None]) / step
    influence = gradient @ sample.flat.T  # of each image on each draw's score
    error = np.sqrt(sample.n / (sample.n - 1) * (sample.times * influence**2).sum(1))
    known = error > 0.01 * sample.error
    studentized = (sample.drawn - sample.value)[known] / error[known]
    low, high = np.quantile(studentized, TAILS)
    return sample.value - np.array([high, low]) * sample.error


METHODS: dict[str, Callable[[Sample], np.ndarray]] = {
    "percentile": percentile,
    "expanded": expanded,
    "BCa": bca,
    "expanded BCa": expanded_bca,
    "jackknife": jackknife,
    "logit": logit,
    "bootstrap-t": bootstrap_t,
}


def coverage(arguments: Arguments) -> dict[str, dict[str, dict[int, float]]]:
    """By population, method and number of images: the share of sets whose interval holds the truth."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for population, (draw, score) in POPULATIONS.items():
        truth = float(score(draw(POPULATION, np.random.default_rng(0)).sum(0)))
        found[population] = {name: {} for name in METHODS}
        for n in COUNTS:
            rng = np.random.default_rng((1, n))
            times = rng.multinomial(n, np.full(n, 1 / n), size=arguments.resamples).astype(np.float64)
            held = dict.fromkeys(METHODS, 0)
            for _ in range(arguments.sets):
                sample = Sample(draw(n, rng), score, times)
                for name, method in METHODS.items():
                    low, high = method(sample)
                    held[name] += int(low <= truth <= high)
            for name, count in held.items():
                found[population][name][n] = round(count / arguments.sets, 3)
            print(population, n, *(f"{name} {found[population][name][n]:.3f}" for name in METHODS), flush=True)
    return found


def measure(arguments: Arguments) -> None:
    found = coverage(arguments)
    write_json(
        arguments.out, {"level": 0.95, "sets": arguments.sets, "resamples": arguments.resamples, "coverage": found}
    )


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    return as_command(lambda: measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
