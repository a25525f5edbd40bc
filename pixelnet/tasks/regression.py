"""Regression: any real value a pixel, such as depth or height."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.metrics import depth
from pixelnet.metrics.parts import Part, Window
from pixelnet.metrics.sparse import Counts
from pixelnet.rasters import one_channel, read_stored
from pixelnet.tasks.scorer import ByPart, Scorer
from pixelnet.tasks.task import Labels, Loss, Plot, Scored, Task, pooled, weighted_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLED_PIXELS = 5000  # of an image, in the plot


def l1(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Absolute difference of logits (M, 1) and labels (M,), its mean weighted by (M,)."""
    return weighted_mean((logits[:, 0] - labels).abs(), weights)


def scale_invariant(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """mean(d^2) - mean(d)^2 / 2 with d = log(prediction / label) (Eigen et al. 2014, equation 4, lambda = 1/2).

    logits (M, 1) are the values themselves, not their logarithms, so that every loss decodes alike. The logarithm
    goes on as its tangent where the prediction is below a tenth of the label: a value of 0 or less, as an untrained
    network gives, has a finite loss and a gradient that leads out of there. The means run over the whole batch, so
    one scale is left free for it, not one for each image; being squared, the second is consistent, not unbiased.
    Raises InputError for a label of 0 or less, which has no logarithm.
    """
    if not (labels > 0).all():
        raise InputError(
            f"the loss 'scale-invariant' takes logarithms of the labels, and the least is {labels.min():g}; "
            "mark such pixels as unlabelled (NaN), or choose the loss 'l1'"
        )
    ratio, floor = logits[:, 0] / labels, 0.1
    d = ratio.clamp_min(floor).log() + (ratio.clamp_max(floor) / floor - 1)
    return weighted_mean(d.square(), weights) - weighted_mean(d, weights).square() / 2


class Regression(Task):
    """Labels are real values, NaN (or infinite) unlabelled.

    The headline is the relative error, which says nothing at a true value of 0 and little near it: for values that
    come close to 0 or change sign, choose by "rmse" instead. It is None where every true value is 0.
    """

    name = "regression"
    losses: ClassVar[dict[str, Loss]] = {"l1": l1, "scale-invariant": scale_invariant}
    unlabelled = float("nan")
    headline = ("abs_rel", False)
    outputs = 1

    def labelled(self, labels: Labels) -> Labels:
        return abs(labels) < math.inf  # finite, for NumPy and torch alike

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., 1) -> values (...), in the labels' unit."""
        self._no_distribution(probabilities)
        return logits[..., 0]

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """How far apart two values are, as a share of the larger, for they may be of any unit."""
        larger = torch.maximum(one.abs(), other.abs()).clamp_min(torch.finfo(one.dtype).tiny)
        return super().disagreement(one / larger, other / larger)

    def scorer(self) -> Scorer:
        nothing = depth.tally(np.empty(0), np.empty(0))
        return Scorer(depth.tally, depth.scores, nothing, self.headline, ByPart(_count_part))

    def plots(self, scored: Scored) -> list[Plot]:
        """Predicted against true values, of sampled pixels."""
        rng, sampled = np.random.default_rng(0), []
        for prediction, labels in scored.pairs():
            chosen = rng.permutation(np.flatnonzero(np.isfinite(labels.ravel())))[:SAMPLED_PIXELS]
            sampled.append(np.stack([labels.ravel()[chosen], prediction.ravel()[chosen]]))
        truth, predicted = np.concatenate(sampled, axis=1)

        def draw(axes: Axes) -> None:
            if len(truth):
                image = axes.hexbin(truth, predicted, gridsize=60, bins="log", cmap="Blues", mincnt=1)
                axes.figure.colorbar(image, label="sampled pixels")
                axes.axline((truth.mean(), truth.mean()), slope=1, color="C3", linewidth=1)
            axes.set(xlabel="true value", ylabel="predicted value")

        return [Plot("Predicted against true values; on the line they agree", draw, (6.4, 5.4))]

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Values (H, W) -> from dark blue over green to yellow, 2nd to 98th percentile; not finite black."""
        values = np.asarray(prediction, dtype=np.float64)
        known = np.isfinite(values)
        colors = np.zeros((*values.shape, 3), dtype=np.uint8)
        if known.any():
            low, high = np.percentile(values[known], (2, 98))
            place = (values[known] - low) / ((high - low) or 1)
            stops = np.linspace(0, 1, len(VIRIDIS))
            channels = [np.interp(place, stops, channel) for channel in np.array(VIRIDIS).T]
            colors[known] = np.stack(channels, axis=-1).round().astype(np.uint8)
        return colors

    @staticmethod
    def read(path: str | Path) -> np.ndarray:
        """Values float32 (H, W); see `read_values`."""
        return read_values(path)

    def read_prediction(self, path: Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
        return read_values(path, page, window)

    def count_labels(self, labels: np.ndarray) -> Counts:
        sums = {"sum": labels.sum(dtype=np.float64)}
        return sums | {"smallest": labels.min(initial=np.inf), "largest": labels.max(initial=-np.inf)}

    def pool(self, counts: Counts) -> Counts:
        ends = {"smallest": counts["smallest"].min(keepdims=True), "largest": counts["largest"].max(keepdims=True)}
        return {**pooled(counts), **ends}

    def summarize(self, counts: Counts) -> dict[str, float]:
        labelled = float(counts["labelled"].sum())
        extremes = {"smallest": float(counts["smallest"].min()), "largest": float(counts["largest"].max())}
        mean = {"mean": float(counts["sum"].sum()) / max(labelled, 1)}
        return (extremes if labelled else {}) | mean | super().summarize(counts)


def _count_part(prediction: np.ndarray, truth: np.ndarray, part: Part) -> Counts:
    return depth.tally(prediction[part.inner], truth[part.inner])


def read_values(path: str | Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
    """Real values (depth, height), float32 (H, W): the numbers of a gray PNG, a TIFF or a .npy; NaN is unlabelled."""
    stored, _, mode, *_ = read_stored(path, page, window=window)
    one_channel(stored, mode, path, "a map of values")
    values = stored.astype(np.float32)
    if np.isinf(values).any():
        raise InputError(
            f"{path} is infinite in {int(np.isinf(values).sum())} pixels; write NaN where there is no value"
        )
    return values


# Viridis at every eighth: it grows evenly in lightness, so it reads in print and to the color-blind.
VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
    (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
)  # fmt: skip
