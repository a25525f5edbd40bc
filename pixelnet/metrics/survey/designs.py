"""Designs: which pixels are drawn, and what a total over all pixels is estimated to be from those that were.

Cochran, Sampling Techniques (1977), chapters 5 and 10; Saerndal, Swensson and Wretman, Model Assisted Survey Sampling
(1992), chapters 3 and 4.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pixelnet.errors import InputError

ALIKE = 1.5  # how much more images differ than models expect, as a variance
ENDLESS = 10**9  # images, where those that were drawn stand for ever so many like them


class Design(Protocol):
    """How a sample was drawn. values: (..., n, Q), what was found at each sample."""

    @property
    def freedom(self) -> int:
        """How many degrees of freedom a variance has: the clusters, here the samples or images, less the strata."""

    def total(self, values: np.ndarray) -> np.ndarray:
        """(..., Q): their sum over all N pixels, estimated without bias."""

    def variance(self, values: np.ndarray, doubts: np.ndarray | None = None) -> np.ndarray:
        """(..., Q): the variance of that estimate over draws of this design, estimated.

        doubts: (..., n, Q), the variance of each value, were a model right; see `Stratified.variance`.
        """


@dataclass(frozen=True)
class Stratified:
    """A random sample without replacement from each stratum; of one stratum, a simple random sample.

    sizes: (..., H), the pixels of each stratum. stratum: (n,), that of each sample, from 0. Raises InputError for a
    stratum of several pixels with fewer than two samples, whose variance nobody could know (see `allocation.merged`),
    and for one without pixels, or with more samples than these.
    """

    sizes: np.ndarray
    stratum: np.ndarray

    def __post_init__(self) -> None:
        few = (self.counts < np.minimum(2, self.sizes)) | (self.counts > self.sizes) | (self.sizes < 1)
        if few.any():
            h = int(few.any(axis=tuple(range(few.ndim - 1))).argmax())
            raise InputError(
                f"stratum {h} has {self.sizes[..., h].min():.0f} pixels and {self.counts[h]} samples; 2 at least, of "
                "as many pixels or more, are needed for an interval: label more of it, or merge it with another"
            )

    @cached_property
    def counts(self) -> np.ndarray:
        return np.bincount(self.stratum, minlength=self.sizes.shape[-1])

    @cached_property
    def weights(self) -> np.ndarray:
        """(..., n): how many pixels each sample stands for, the inverse of its chance to be drawn."""
        return (self.sizes / self.counts)[..., self.stratum]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(..., n, Q) -> (..., H, Q): the sum over the samples of each stratum."""
        order = np.argsort(self.stratum, kind="stable")
        starts = np.searchsorted(self.stratum[order], np.arange(self.sizes.shape[-1]))
        return np.add.reduceat(values[..., order, :], starts, axis=-2)

    @cached_property
    def factors(self) -> np.ndarray:
        """(..., H): what a stratum's variance counts for: N_h^2 (1 - n_h / N_h) / n_h."""
        return self.sizes**2 * (1 - self.counts / self.sizes) / self.counts

    def total(self, values: np.ndarray) -> np.ndarray:
        return np.einsum("...n,...nq->...q", self.weights, values)

    @property
    def freedom(self) -> int:
        return max(1, len(self.stratum) - self.sizes.shape[-1])

    def variance(self, values: np.ndarray, doubts: np.ndarray | None = None) -> np.ndarray:
        """Of what the values scatter by within each stratum, n - 1 in the denominator.

        With doubts one observation more: that a model expects such a scatter. Five samples that are all right do not
        prove that the stratum is; without it their variance would be 0, and the interval too short.
        """
        counts = self.counts[:, None]
        off = values - (self.sums(values) / counts)[..., self.stratum, :]
        squares = self.sums(off**2)
        if doubts is None:
            return self.variance_of(squares / np.maximum(counts - 1, 1))
        return self.variance_of((squares + self.sums(doubts) / counts) / counts)

    def variance_of(self, spreads: np.ndarray) -> np.ndarray:
        """(..., Q), from the variance within each stratum (..., H, Q)."""
        return np.einsum("...h,...hq->...q", self.factors, spreads)


@dataclass(frozen=True)
class TwoStage:
    """Images drawn first, each as likely as another, then pixels of them: fewer images to open.

    images: M, how many there are. sizes: (..., m), the pixels of each image that was drawn. image: (n,), which of these
    each sample is of. The variance is that of Cochran (1977), equation 11.22, of which the part between the images is
    nearly all. Raises InputError for fewer than two images.
    """

    images: int
    sizes: np.ndarray
    image: np.ndarray

    def __post_init__(self) -> None:
        if self.sizes.shape[-1] < 2:
            raise InputError(f"a survey in two stages has {self.sizes.shape[-1]} images; draw at least 2")

    @cached_property
    def within(self) -> Stratified:
        return Stratified(self.sizes, self.image)

    @cached_property
    def weights(self) -> np.ndarray:
        return self.within.weights * self.images / self.sizes.shape[-1]

    def total(self, values: np.ndarray) -> np.ndarray:
        return np.einsum("...n,...nq->...q", self.weights, values)

    @property
    def freedom(self) -> int:
        return self.sizes.shape[-1] - 1

    def variance(self, values: np.ndarray, doubts: np.ndarray | None = None) -> np.ndarray:
        drawn = self.sizes.shape[-1]
        each = self.within.sums(self.within.weights[..., None] * values)
        between = self.images**2 * (1 - drawn / self.images) / drawn * each.var(axis=-2, ddof=1)
        return between + self.images / drawn * self.within.variance(values, doubts)


def between_images(
    values: np.ndarray, design: Stratified, image: np.ndarray, each: np.ndarray | None = None
) -> np.ndarray:
    """(..., Q): what the draw of the images adds to the variance of totals, where these are images like others.

    The sum over images of the square of an image's own total (its part in a score, so that all sum to 0), from pairs of
    samples of one image: what scatters within images is not counted twice. 0 where the pairs say less than nothing.
    Pairs are few, and what they say is 0 as often as it is too much. Where a model says what it expects of each image,
    that is known without samples, and half of either is taken; the model's half as much again, as it takes images
    to be more alike than they are.

    values: (..., n, Q), influences, of what was found and not of what is left beside a model. image: (..., n), each
    sample's image, a number from 0. each: (..., M, Q), the images' own totals as the model expects them.
    """
    weighed = design.weights[..., None] * values
    pairs = np.zeros(values.shape[:-2] + values.shape[-1:])
    order = np.argsort(image, axis=-1, kind="stable")
    weighed = np.take_along_axis(weighed, order[..., None], axis=-2)
    ordered = np.take_along_axis(image, order, axis=-1)
    for lag in range(1, ordered.shape[-1]):
        same = ordered[..., lag:] == ordered[..., :-lag]
        if not same.any():
            break
        pairs += 2 * np.einsum("...n,...nq,...nq->...q", same, weighed[..., lag:, :], weighed[..., :-lag, :])
    found = np.maximum(pairs, 0)
    return found if each is None else (found + ALIKE * (each**2).sum(axis=-2)) / 2


def draw(sizes: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Of each stratum so many of its pixels, by their places in it from 0: without replacement, each as likely."""
    return [
        rng.choice(int(size), int(count), replace=False, shuffle=False)
        for size, count in zip(sizes, counts, strict=True)
    ]
