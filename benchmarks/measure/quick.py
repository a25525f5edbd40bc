"""The difference estimator of a thousand surveys in seconds: the package's scores, in closed form.

A score's variance needs sums of what the model was off by, and of its square, by stratum and class: a sample's part in
the IoU of k is e_k / U_k where it is called k and -IoU_k e_k / U_k elsewhere, with e = truth - probability; in the area
of k it is e_k / N. So no array of samples by scores is made. A test holds it to the package's own functions.
"""

import numpy as np

from benchmarks.measure.simulate import Estimates, Frame, Strata
from pixelnet.metrics.survey.designs import Stratified
from pixelnet.metrics.survey.strata import UNSURE, mistrusted, softened


class Quick:
    """Surveys of one design. told: (K,) bool, the classes that scores are of; common: those that mean IoU is of."""

    def __init__(self, frame: Frame, strata: Strata, told: np.ndarray, common: np.ndarray) -> None:
        self.frame, self.strata, self.told, self.common = frame, strata, np.flatnonzero(told), common
        self.design = Stratified(strata.sizes.astype(np.float64), strata.stratum)
        self.starts = np.cumsum(strata.counts) - strata.counts
        self.foreseen = frame.foreseen.sum(axis=0)
        self.pixels = self.foreseen[-1]

    def of(self, pixels: np.ndarray) -> Estimates:
        """Of the surveys' pixels (S, n); columns as of coverage.quantities, NaN for the classes put together."""
        found, classes = self.frame.population, self.frame.classes
        mapped, truth = found.mapped[pixels].astype(np.int64), found.truth[pixels].astype(np.int64)
        probabilities = found.probabilities[pixels].astype(np.float64)
        chances = mistrusted(softened(probabilities), self.foreseen, UNSURE)
        off = (truth[..., None] == np.arange(classes)) - probabilities
        own = np.take_along_axis(off, mapped[..., None], axis=-1)[..., 0]
        sums = [self._split(off**power, mapped) for power in (1, 2)]
        unsure = chances * (1 - chances)
        doubts = self._split(unsure, mapped)

        weights = self.strata.sizes / self.strata.counts
        hits, true = (
            self.foreseen[at * classes : (at + 1) * classes] + np.einsum("h,shk->sk", weights, one)
            for at, one in enumerate((sums[0][0], sums[0][0] + sums[0][1]))
        )
        union = true + self.foreseen[2 * classes : -1] - hits
        inside = np.where(union > 0, 1 / np.where(union > 0, union, 1), 0)
        iou = np.where(union > 0, hits * inside, np.nan)
        outside = -np.nan_to_num(iou) * inside

        taken = self.common & (union > 0)
        share = taken / np.maximum(taken.sum(axis=1, keepdims=True), 1)
        mean = np.where(taken.any(axis=1), (np.nan_to_num(iou) * share).sum(axis=1), np.nan)
        move = np.repeat((outside * share)[:, None], pixels.shape[1], axis=1)
        np.put_along_axis(move, mapped[..., None], np.take_along_axis(inside * share, mapped, 1)[..., None], axis=-1)
        away = move - (chances * move).sum(axis=-1, keepdims=True)
        doubt = np.take_along_axis(unsure, mapped[..., None], axis=-1)[..., 0]

        flat = np.full((1, classes), 1 / self.pixels)
        parts = [
            self._of_samples(own / self.pixels, doubt / self.pixels**2),
            self._of_samples((off * move).sum(axis=-1), (chances * away**2).sum(axis=-1)),
            self._of_classes(sums, doubts, inside, outside),
            self._of_classes(sums, doubts, flat, flat),
        ]
        other = np.full((len(pixels), 1), np.nan)
        values = [
            hits.sum(axis=1, keepdims=True) / self.pixels, mean[:, None],
            iou[:, self.told], other, true[:, self.told] / self.pixels, other,
        ]  # fmt: skip
        variance = self.design.variance_of(np.concatenate(parts, axis=-1))
        return np.concatenate(values, axis=1), variance, float(self.design.freedom)

    def _split(self, values: np.ndarray, mapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(S, n, K) -> twice (S, H, K), sums over each stratum: of the class that a sample is called, and of others."""
        number, classes = len(self.strata.counts), self.frame.classes
        whole = np.add.reduceat(values, self.starts, axis=1)
        places = (np.arange(len(values))[:, None] * number + self.strata.stratum) * classes + mapped
        said = np.take_along_axis(values, mapped[..., None], axis=-1)
        own = np.bincount(places.ravel(), said.ravel(), whole.size).reshape(whole.shape)
        return own, whole - own

    def _of_classes(
        self,
        sums: list[tuple[np.ndarray, np.ndarray]],
        doubts: tuple[np.ndarray, np.ndarray],
        inside: np.ndarray,
        outside: np.ndarray,
    ) -> np.ndarray:
        """(S, H, J + 1). inside, outside: (S, K), a sample's part over e where it is called the class, where not."""

        def weighed(parts: tuple[np.ndarray, np.ndarray], power: int) -> np.ndarray:
            own, others = (part[..., self.told] for part in parts)
            return inside[:, None, self.told] ** power * own + outside[:, None, self.told] ** power * others

        spreads = self._spreads(weighed(sums[0], 1), weighed(sums[1], 2), weighed(doubts, 2))
        return np.concatenate([spreads, np.zeros((*spreads.shape[:-1], 1))], axis=-1)

    def _of_samples(self, parts: np.ndarray, doubts: np.ndarray) -> np.ndarray:
        """(S, H, 1), of (S, n) parts in one score, and their doubts."""
        first, second, foreseen = (
            np.add.reduceat(one, self.starts, axis=1)[..., None] for one in (parts, parts**2, doubts)
        )
        return self._spreads(first, second, foreseen)

    def _spreads(self, first: np.ndarray, second: np.ndarray, foreseen: np.ndarray) -> np.ndarray:
        """The variances of Stratified.variance, of sums (S, H, Q)."""
        counts = self.strata.counts[:, None]
        return np.asarray((second - first**2 / counts + foreseen / counts) / counts)
