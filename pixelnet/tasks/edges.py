"""Edges: how likely a boundary runs through a pixel, learnt from several annotators who do not quite agree."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from pixelnet.errors import InputError
from pixelnet.files import write_png
from pixelnet.metrics import boundaries
from pixelnet.metrics.matching import Method
from pixelnet.metrics.parts import Window
from pixelnet.metrics.sparse import Counts
from pixelnet.rasters import one_channel, read_stored
from pixelnet.signals import ignore_interrupts
from pixelnet.tasks.scorer import Scorer
from pixelnet.tasks.task import Labels, Loss, Plot, Scored, Task, pooled, weighted_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUMMARY = ("mean share of annotators", "pixels any annotator drew", "pixels half of them drew")
QUEUED = 4  # images for each process of the benchmark that may wait for it
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
    folder = "edges"
    suffix = ".png"

    def labelled(self, labels: Labels) -> Labels:
        if self.loss_name == "soft":
            return labels >= 0  # not NaN, for NumPy and torch alike
        return (labels >= CONSENSUS) | (labels == 0)

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., 1) -> edge strength (...) in 0..1, which is the probability of a boundary too."""
        return torch.sigmoid(logits[..., 0])

    def confidence(self, logits: Tensor) -> Tensor:
        """How far the logit is from 0, an even chance."""
        return logits[..., 0].abs()

    def scorer(self) -> Scorer:
        """Its truth is bool (A, H, W), a map for each annotator, or a share of them (H, W), taken as one."""
        counts = {"thresholds": np.zeros((len(boundaries.THRESHOLDS), 4), dtype=np.int64)}
        return Scorer(_quick_counts, _quick_scores, counts, self.headline)

    def benchmark(self, **options: Any) -> Benchmark:
        """The BSDS protocol; `options` are those of `boundary_counts`, and `workers`."""
        return Benchmark(**options)

    def plots(self, scored: Scored) -> list[Plot]:
        """The curve over lines of equal F, and the human point where one is published."""
        scores = scored.scores

        def draw(axes: Axes) -> None:
            for f in np.arange(1, 10) / 10:
                reach = np.linspace(f / (2 - f), 1, 200)  # from a precision of 1 to a recall of 1
                axes.plot(reach, f * reach / (2 * reach - f), color="0.8", linewidth=0.8)
                axes.text(1.01, f / (2 - f), f"F {f:.1f}", color="0.4", fontsize=8, va="center")
            if scores["curve"] is not None:
                curve = scores["curve"]["recall"], scores["curve"]["precision"]
                axes.plot(*curve, color="C0", label=f"ODS {scores['ods']:.3f}")
            if scored.reference is not None:
                recall, precision = scored.reference
                f = 2 * precision * recall / (precision + recall)
                axes.plot(recall, precision, "o", color="C2", label=f"human, F {f:.2f} (published)")
            axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), aspect="equal")
            axes.legend(loc="lower left", framealpha=1, edgecolor="none")

        return [Plot("Precision against recall, with lines of equal F", draw, (6.4, 6.2))]

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Strength (H, W) -> dark strokes on white; unlabelled light blue, which no strength is."""
        strength = np.asarray(prediction, dtype=np.float32)
        unlabelled = np.isnan(strength)
        gray = (255 * (1 - np.where(unlabelled, 0, strength).clip(0, 1))).round().astype(np.uint8)
        colors = np.repeat(gray[..., None], 3, axis=-1)
        colors[unlabelled] = (190, 215, 245)
        return colors

    @staticmethod
    def read(path: str | Path) -> np.ndarray:
        """The share of annotators, or a strength, float32 (H, W) in 0..1; see `read_share`."""
        return read_share(path)

    def read_prediction(self, path: Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
        return read_share(path, page)[window or ...]

    def write(self, path: Path, prediction: np.ndarray) -> None:
        """A strength (H, W) as a gray PNG of 16 bits; lines, bool, as 0 and 255."""
        lines = prediction.dtype == bool
        write_png(path, (prediction * (255 if lines else 65535)).round().astype(np.uint8 if lines else np.uint16))

    def known(self, labels: np.ndarray) -> np.ndarray:
        """Shares that the loss leaves out are known, too."""
        return ~np.isnan(labels)

    def count_labels(self, labels: np.ndarray) -> Counts:
        return {"sums": np.array([labels.sum(dtype=np.float64), (labels > 0).sum(), (labels >= CONSENSUS).sum()])}

    def pool(self, counts: Counts) -> Counts:
        return pooled(counts)

    def summarize(self, counts: Counts) -> dict[str, float]:
        labelled = max(float(counts["labelled"].sum()), 1)
        found = zip(SUMMARY, counts["sums"].sum(axis=0), strict=True)
        return {name: float(value) / labelled for name, value in found} | super().summarize(counts)


def read_share(path: str | Path, page: int | None = None) -> np.ndarray:
    """Edge maps: the share of annotators who drew a boundary, float32 (H, W) in 0..1, NaN (.npy only) unlabelled.

    Gray PNG of any depth holds share x max (a 1-bit one just draws the edges); .npy holds the share itself.
    """
    stored, top, mode, *_ = read_stored(path, page)
    one_channel(stored, mode, path, "an edge map")
    if top > 1 and stored.max() == 1:
        raise InputError(f"{path} holds only 0 and 1 where {top} means an edge; multiply it by {top}")
    share = stored.astype(np.float32) / (top or 1)
    if (share < 0).any() or (share > 1).any():
        raise InputError(
            f"{path} holds {np.nanmin(share):g}..{np.nanmax(share):g}, but an edge map is the share of annotators, "
            "0..1 (NaN unlabelled); divide it by its maximum"
        )
    return share


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
            _boundary_counts,
            thresholds=thresholds,
            max_dist=max_dist,
            method=matching,
            thinned=thinned,
            crisp=crisp,
        )
        nothing = {"thresholds": np.zeros((thresholds + 1, 4), dtype=np.int64)}
        super().__init__(count, _boundary_scores, nothing, headline=("ods", True))
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
        self.jobs: deque[tuple[Future[Counts], tuple[np.ndarray, np.ndarray]]] = deque()

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        pair = boundaries.checked(*_against_annotators(prediction, truth))
        if self.workers == 0:
            self.counts.append(self.count(*pair))
            return
        self.pool = self.pool or ProcessPoolExecutor(self.workers, initializer=ignore_interrupts)
        try:
            self.jobs.append((self.pool.submit(self.count, *pair), pair))
        except BrokenProcessPool:
            self.finish()
            self.counts.append(self.count(*pair))
        while len(self.jobs) > QUEUED * self.workers:  # maps that wait are held in memory
            self.take()

    def take(self) -> None:
        """The counts of the job that has waited longest; of one whose process is gone they are made here."""
        job, pair = self.jobs.popleft()
        try:
            self.counts.append(job.result())
        except BrokenProcessPool:  # killed for its memory, or a script that cannot be started anew
            self.workers = 0
            self.counts.append(self.count(*pair))

    def merge(self, other: Scorer) -> None:
        assert isinstance(other, Benchmark)
        self.finish()
        other.finish()
        super().merge(other)

    def result(self) -> dict[str, Any]:
        self.finish()
        return super().result() | {"settings": self.settings}

    def one_by_one(self) -> Iterator[dict[str, Any]]:
        self.finish()
        return super().one_by_one()

    def intervals(self) -> dict[str, tuple[float, float]]:
        self.finish()
        return super().intervals()

    def differences(self, other: Scorer) -> dict[str, tuple[float, float]]:
        assert isinstance(other, Benchmark)
        self.finish()
        other.finish()
        return super().differences(other)

    def finish(self) -> None:
        """Wait for the images still being counted."""
        if self.pool is not None:
            for _ in tqdm(range(len(self.jobs)), "match", unit="image", leave=False):
                self.take()
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
    # A strength at an unlabelled pixel must neither count nor thin out a neighbor's.
    return np.where(np.isnan(truth), 0, prediction), (truth >= CONSENSUS)[None]


def _quick_counts(prediction: np.ndarray, truth: np.ndarray) -> Counts:
    return {"thresholds": boundaries.quick_counts(*_against_annotators(prediction, truth))}


def _quick_scores(counts: Counts) -> dict[str, Any]:
    return dict(boundaries.quick_scores(counts["thresholds"]))


def _boundary_counts(prediction: np.ndarray, truth: np.ndarray, **protocol: Any) -> Counts:
    return {"thresholds": boundaries.boundary_counts(prediction, truth, **protocol)}


def _boundary_scores(counts: Counts) -> dict[str, Any]:
    return boundaries.boundary_scores(counts["thresholds"])
