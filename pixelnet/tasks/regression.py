"""Regression: any real value a pixel, such as depth or height."""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.metrics import depth
from pixelnet.tasks.task import Labels, Loss, Scorer, Task, weighted_mean


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

    def doubt(self, one: Tensor, other: Tensor) -> Tensor:
        """How far apart two values are, as a share of the larger, for they may be of any unit."""
        larger = torch.maximum(one.abs(), other.abs()).clamp_min(torch.finfo(one.dtype).tiny)
        return super().doubt(one / larger, other / larger)

    def scorer(self) -> Scorer:
        return Scorer(depth.tally, depth.scores, np.zeros(6), self.headline)

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Values (H, W) -> from dark blue over green to yellow, 2nd to 98th percentile; not finite black."""
        values = np.asarray(prediction, dtype=np.float64)
        known = np.isfinite(values)
        colours = np.zeros((*values.shape, 3), dtype=np.uint8)
        if known.any():
            low, high = np.percentile(values[known], (2, 98))
            place = (values[known] - low) / ((high - low) or 1)
            stops = np.linspace(0, 1, len(VIRIDIS))
            channels = [np.interp(place, stops, channel) for channel in np.array(VIRIDIS).T]
            colours[known] = np.stack(channels, axis=-1).round().astype(np.uint8)
        return colours


# Viridis at every eighth: it grows evenly in lightness, so it reads in print and to the colour-blind.
VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
    (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
)  # fmt: skip
