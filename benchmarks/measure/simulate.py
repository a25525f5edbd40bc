"""Simulated surveys of a population: what each design draws, what each estimator makes of it, and what is so.

A survey draws from strata, with the package's own functions for cells, strata, allocation, totals, scores and
intervals; a thousand of them are one array. Where the images are drawn anew, too, each survey is of as many images as
there are, with replacement, and the truth is that of all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from benchmarks.measure.populations import Population
from pixelnet.metrics.survey.accuracy import counted, doubts, expected, scores
from pixelnet.metrics.survey.allocation import allocate
from pixelnet.metrics.survey.assisted import residuals
from pixelnet.metrics.survey.designs import ENDLESS, Design, Stratified, TwoStage, between_images, draw
from pixelnet.metrics.survey.strata import UNSURE, Cells, cell_of, cells, mistrusted, planned, softened

QUANTITIES = ("overall", "miou", "iou", "area")
BATCH = 3_000_000  # numbers of an array
PER_IMAGE = 10  # samples, in two stages
DESIGNS = ("uniform", "proportional", "equal", "good practice", "confidence", "two-stage")
ASSISTED = {"direct": None, "difference": False, "ppi++": True}
Estimates = tuple[np.ndarray, np.ndarray, float | np.ndarray]  # (S, Q): scores, variances, degrees of freedom


class Frame:
    """A population with all that designs need of it, worked out once. truth: (3 K + 1,), its totals."""

    def __init__(self, population: Population) -> None:
        self.population, self.classes = population, population.classes
        self.images = int(population.image.max()) + 1
        number, own = self.classes, []
        parts = np.array_split(np.arange(len(population.truth)), max(1, len(population.truth) // 200_000))
        self.cells = Cells(np.zeros(1), np.zeros(1))
        for part in parts:
            own.append(cell_of(population.mapped[part], population.probabilities[part]))
            found = cells(population.mapped[part], population.probabilities[part], own[-1])
            self.cells = found if part[0] == 0 else self.cells + found
        self.cell = np.concatenate(own).astype(np.int32)
        table = np.bincount(population.truth.astype(np.int64) * number + population.mapped, minlength=number**2)
        self.confusion = table.reshape(number, number)
        hits, true, called = np.diag(self.confusion), self.confusion.sum(1), self.confusion.sum(0)
        self.truth = np.concatenate([hits, true, called, [len(population.truth)]]).astype(np.float64)
        self.union = true + called - hits
        self.foreseen = np.stack([self._foreseen(image) for image in range(self.images)])

    def _foreseen(self, image: int) -> np.ndarray:
        """(3 K + 1,): what the model expects of an image."""
        own = slice(*np.searchsorted(self.population.image, [image, image + 1]))
        return expected(self.population.mapped[own], self.population.probabilities[own].astype(np.float64)).sum(axis=0)

    def stratified(self, design: str, budget: int) -> "Strata":
        """The strata of a design, and how many samples each gets."""
        if design == "uniform":
            return Strata(self, np.zeros(len(self.cell), np.int32), np.array([budget]))
        if design == "confidence":
            of_cell, counts, _ = planned(self.cells, budget)
            return Strata(self, of_cell.ravel()[self.cell].astype(np.int32), counts)
        there, of_pixel = np.unique(self.population.mapped, return_inverse=True)
        sizes = np.bincount(of_pixel)
        weights = np.ones(len(there)) if design == "equal" else sizes
        least = max(2, budget // (2 * len(there))) if design == "good practice" else 2
        return Strata(self, of_pixel.astype(np.int32), allocate(budget, sizes, weights, least))


@dataclass(frozen=True)
class Sample:
    """Surveys at once: pixels (S, n), the design they are of, what the model foresees of all, and images (S, n).

    times: (S, M), how often each image is among those that were drawn anew.
    """

    pixels: np.ndarray
    design: Design
    foreseen: np.ndarray
    image: np.ndarray | None = None
    times: np.ndarray | None = None


class Strata:
    """Pixels by stratum, ready to be drawn from. counts: (H,), the samples of each."""

    def __init__(self, frame: Frame, of_pixel: np.ndarray, counts: np.ndarray) -> None:
        self.frame, self.counts = frame, counts
        self.order = np.argsort(of_pixel, kind="stable")  # within a stratum by image, as the population is
        self.sizes = np.bincount(of_pixel, minlength=len(counts))
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.stratum = np.repeat(np.arange(len(counts)), counts)
        places = of_pixel.astype(np.int64) * frame.images + frame.population.image
        self.by_image = np.bincount(places, minlength=len(counts) * frame.images).reshape(-1, frame.images)
        chances = (counts / self.sizes)[of_pixel]
        found = frame.population
        self.expected = np.array(
            [chances[(found.mapped == k) | (found.truth == k)].sum() for k in range(frame.classes)]
        )

    def survey(self, rng: np.random.Generator) -> np.ndarray:
        """(n,): the pixels of one survey."""
        places = draw(self.sizes, self.counts, rng)
        return self.order[np.concatenate([start + own for start, own in zip(self.starts, places, strict=True)])]

    def samples(self, surveys: int, rng: np.random.Generator) -> Iterator[Sample]:
        """So many surveys of these maps, some at a time."""
        design = Stratified(self.sizes.astype(np.float64), self.stratum)
        for number in batches(surveys, len(self.stratum), self.frame.classes):
            pixels = np.stack([self.survey(rng) for _ in range(number)])
            yield Sample(pixels, design, self.frame.foreseen.sum(axis=0))

    def samples_of_images(self, surveys: int, rng: np.random.Generator) -> Iterator[Sample]:
        """So many surveys, each of images drawn anew, with replacement."""
        images = self.frame.images
        firsts = self.starts[:, None] + np.cumsum(self.by_image, axis=1) - self.by_image
        for number in batches(surveys, len(self.stratum), self.frame.classes):
            found = []
            while len(found) < number:
                times = rng.multinomial(images, np.full(images, 1 / images))
                sizes = (times * self.by_image).sum(axis=1)
                if (sizes >= self.counts).all():  # else the stratum would be merged; so rare that it is drawn again
                    found.append((times, sizes, *self._drawn(times, sizes, firsts, rng)))
            times, sizes, pixels, image = (np.stack(one) for one in zip(*found, strict=True))
            design = Stratified(sizes.astype(np.float64), self.stratum)
            yield Sample(pixels, design, times @ self.frame.foreseen, image, times)

    def _drawn(
        self, times: np.ndarray, sizes: np.ndarray, firsts: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of one survey of images that are there so many times, and which image each is of."""
        ends = np.cumsum(times * self.by_image, axis=1)
        pixels, images = [], []
        for h, places in enumerate(draw(sizes, self.counts, rng)):
            image = np.searchsorted(ends[h], places, side="right")
            copy, within = np.divmod(places - (ends[h] - times * self.by_image[h])[image], self.by_image[h, image])
            pixels.append(self.order[firsts[h, image] + within])
            images.append(copy * len(times) + image)
        return np.concatenate(pixels), np.concatenate(images)


def two_stage(frame: Frame, budget: int, surveys: int, rng: np.random.Generator, of_images: bool) -> Iterator[Sample]:
    """Images first, PER_IMAGE pixels of each then. of_images: from ever so many images like these."""
    drawn, sizes = min(max(2, budget // PER_IMAGE), frame.images), np.bincount(frame.population.image)
    image = np.repeat(np.arange(drawn), budget // drawn)
    for number in batches(surveys, len(image), frame.classes):
        chosen = np.stack([rng.choice(frame.images, drawn, replace=of_images) for _ in range(number)])
        starts, own = (np.cumsum(sizes) - sizes)[chosen], sizes[chosen]
        pixels = starts[:, image] + (rng.random((number, len(image))) * own[:, image]).astype(np.int64)
        design = TwoStage(ENDLESS if of_images else frame.images, own.astype(np.float64), image)
        yield Sample(pixels, design, frame.foreseen.sum(axis=0))


def batches(surveys: int, samples: int, classes: int) -> Iterator[int]:
    """So many surveys in parts that fit into memory."""
    most = max(1, BATCH // (samples * (3 * classes + 1)))
    for start in range(0, surveys, most):
        yield min(most, surveys - start)


def estimate(
    frame: Frame, sample: Sample, how: str, told: np.ndarray, common: np.ndarray, drawn_anew: bool = False
) -> Estimates:
    """Scores by an estimator, their variance and its degrees of freedom.

    told: (K,) bool, the classes that scores are of; the others are added up into one more, which saves most of the time
    where they are many. common: (K,) bool, those of them that mean IoU is of.
    """
    values, foreseen, over_all = answers(frame, sample, told)
    totals, left = sample.design.total(values), values
    tuned = ASSISTED[how]
    if tuned is not None:
        assert isinstance(sample.design, Stratified)
        totals, left = residuals(values, foreseen, over_all, sample.design, tuned)
    averaged = np.append(common[told], False)
    own = scores(totals, left, QUANTITIES, averaged)
    unsure = None
    if isinstance(sample.design, Stratified):
        one = together(told)[: frame.classes, : told.sum() + 1]
        said = one.argmax(axis=1)[frame.population.mapped[sample.pixels]]
        chances = softened(frame.population.probabilities[sample.pixels].astype(np.float64)) @ one
        unsure = doubts(totals, said, mistrusted(chances, over_all[..., None, :], UNSURE), QUANTITIES, averaged)
    variance, freedom = sample.design.variance(own.influences, unsure), float(sample.design.freedom)
    if drawn_anew and isinstance(sample.design, Stratified):
        assert sample.image is not None
        assert sample.times is not None
        whole = scores(totals, values, QUANTITIES, averaged).influences
        of_images = np.broadcast_to(frame.foreseen @ together(told), (len(values), frame.images, values.shape[-1]))
        each = scores(totals, of_images, QUANTITIES, averaged).influences * np.sqrt(sample.times)[..., None]
        between = between_images(whole, sample.design, sample.image, each)
        both = variance + between
        parts = variance**2 / freedom + between**2 / (frame.images - 1)
        of_both = np.divide(both**2, parts, out=np.full(parts.shape, freedom), where=parts > 0)
        return own.values, both, of_both
    return own.values, variance, freedom


def answers(frame: Frame, sample: Sample, told: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was found at the samples, what the model foresaw there, and of all: (S, n, 3 J + 1) and (..., 3 J + 1)."""
    found, into = frame.population, together(told)
    values = counted(found.mapped[sample.pixels], found.truth[sample.pixels], frame.classes)
    foreseen = expected(found.mapped[sample.pixels], found.probabilities[sample.pixels].astype(np.float64))
    return values @ into, foreseen @ into, sample.foreseen @ into


def together(told: np.ndarray) -> np.ndarray:
    """(3 K + 1, 3 J + 1): classes (K,) that are told each for itself, all others as one more, the last of J."""
    places = np.where(told, np.cumsum(told) - 1, told.sum())
    one = (places[:, None] == np.arange(told.sum() + 1)).astype(np.float64)
    return block_diag(one, one, one, 1)
