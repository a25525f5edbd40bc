"""Edges: how likely a boundary runs through a pixel, learnt from several annotators who do not quite agree."""

import os
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from pixelnet.errors import InputError
from pixelnet.metrics import boundaries
from pixelnet.metrics.matching import Method
from pixelnet.tasks.task import Labels, Loss, Scorer, Task, weighted_mean

CONSENSUS = 0.5  # the share of annotators from which on a pixel is a boundary


def soft(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sigmoid cross-entropy of logits (M, 1) against the share (M,) of annotators who drew a boundary."""
    losses = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits), reduction="none")
    return weighted_mean(losses, weights)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sigmoid cross-entropy of logits (M, 1) against the consensus: a boundary if half the annotators drew one."""
    return soft(logits, labels >= CONSENSUS, weights)


class Edges(Task):
    """Labels are the share of annotators who drew a boundary, 0..1, NaN unlabelled.

    With the loss "cross-entropy" a pixel that some but fewer than half of them drew is neither an edge nor none, and
    takes no part; with "soft" it does.
    """

    name = "edges"
    losses: ClassVar[dict[str, Loss]] = {"cross-entropy": cross_entropy, "soft": soft}
    unlabelled = float("nan")
    headline = ("quick_f", True)
    sampler = "balanced"
    outputs = 1

    def labelled(self, labels: Labels) -> Labels:
        if self.loss_name == "soft":
            return labels >= 0  # not NaN, for NumPy and torch alike
        return (labels >= CONSENSUS) | (labels == 0)

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., 1) -> edge strength (...) in 0..1, which is the probability of a boundary too."""
        return torch.sigmoid(logits[..., 0])

    def certainty(self, logits: Tensor) -> Tensor:
        """How far the logit is from 0, an even chance."""
        return logits[..., 0].abs()

    def scorer(self) -> Scorer:
        """Its truth is bool (A, H, W), a map for each annotator, or a share of them (H, W), taken as one."""
        counts = np.zeros((len(boundaries.THRESHOLDS), 4), dtype=np.int64)
        return Scorer(_count, boundaries.quick_scores, counts, self.headline)

    def benchmark(self, **options: Any) -> "Benchmark":
        """The BSDS protocol; `options` are those of `boundary_counts`, and `workers`."""
        return Benchmark(**options)

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Strength (H, W) -> dark strokes on white; unlabelled light blue, which no strength is."""
        strength = np.asarray(prediction, dtype=np.float32)
        unlabelled = np.isnan(strength)
        grey = (255 * (1 - np.where(unlabelled, 0, strength).clip(0, 1))).round().astype(np.uint8)
        colours = np.repeat(grey[..., None], 3, axis=-1)
        colours[unlabelled] = (190, 215, 245)
        return colours


class Benchmark(Scorer):
    """The score of the BSDS protocol.

    Images are counted by other processes, one a core, while the next are predicted or read.
    """

    def __init__(
        self,
        thresholds: int = 99,
        max_dist: float = boundaries.MAX_DIST,
        matching: Method = "fast",
        thinned: bool = False,
        crisp: bool = False,
        workers: int | None = None,
    ) -> None:
        """As `boundary_counts`, `matching` being its method. workers: processes; 0 counts in this one."""
        boundaries.check_protocol(thresholds, max_dist, matching, thinned, crisp)
        count = partial(
            boundaries.boundary_counts,
            thresholds=thresholds,
            max_dist=max_dist,
            method=matching,
            thinned=thinned,
            crisp=crisp,
        )
        nothing = np.zeros((thresholds + 1, 4), dtype=np.int64)
        super().__init__(count, boundaries.boundary_scores, nothing, headline=("ods", True))
        suppression = {"border": boundaries.BORDER, "multiplier": boundaries.MULTIPLIER, "smoothing": "triangle 4"}
        self.settings = {
            "thresholds": thresholds,
            "max_dist": max_dist,
            "matching": matching,
            "suppression": "none" if crisp else "before" if thinned else suppression,
            "thinning": not crisp,
        }
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.pool: ProcessPoolExecutor | None = None
        self.jobs: list[Future[np.ndarray]] = []

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        pair = boundaries.checked(*_against_annotators(prediction, truth))
        if self.workers == 0:
            self.counts.append(self.count(*pair))
            return
        self.pool = self.pool or ProcessPoolExecutor(self.workers)
        self.jobs.append(self.pool.submit(self.count, *pair))

    def merge(self, other: Scorer) -> None:
        assert isinstance(other, Benchmark)
        self.finish()
        other.finish()
        super().merge(other)

    def result(self) -> dict[str, Any]:
        self.finish()
        return super().result() | {"settings": self.settings}

    def each(self) -> list[dict[str, Any]]:
        self.finish()
        return super().each()

    def intervals(self) -> dict[str, tuple[float, float]]:
        self.finish()
        return super().intervals()

    def finish(self) -> None:
        """Wait for the images still being counted."""
        if self.pool is not None:
            self.counts += [job.result() for job in tqdm(self.jobs, "match", unit="image", leave=False)]
            self.jobs = []
            self.pool.shutdown()
            self.pool = None

    def __getstate__(self) -> dict[str, Any]:
        self.finish()  # no process takes another's pool
        return self.__dict__

    def __del__(self) -> None:
        if (pool := getattr(self, "pool", None)) is not None:  # given up: nobody waits for the rest
            pool.shutdown(wait=False, cancel_futures=True)


def _against_annotators(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strength (H, W) and bool (A, H, W), whichever of its two kinds the truth is."""
    truth = np.asarray(truth)
    if truth.dtype == bool:
        return prediction, truth
    if np.shape(prediction) != truth.shape:
        raise InputError(f"the edge strength is {np.shape(prediction)} but the truth is {truth.shape}")
    # A strength at an unlabelled pixel must neither count nor thin out a neighbour's.
    return np.where(np.isnan(truth), 0, prediction), (truth >= CONSENSUS)[None]


def _count(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return boundaries.quick_counts(*_against_annotators(prediction, truth))
