"""Edges: how likely a boundary runs through a pixel, learnt from several annotators who do not quite agree."""

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.metrics import boundaries
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

    def scorer(self) -> Scorer:
        """Its truth is bool (A, H, W), a map for each annotator, or a share of them (H, W), taken as one."""
        counts = np.zeros((len(boundaries.THRESHOLDS), 4), dtype=np.int64)
        return Scorer(_count, boundaries.quick_scores, counts)

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Strength (H, W) -> dark strokes on white; unlabelled light blue, which no strength is."""
        strength = np.asarray(prediction, dtype=np.float32)
        unlabelled = np.isnan(strength)
        grey = (255 * (1 - np.where(unlabelled, 0, strength).clip(0, 1))).round().astype(np.uint8)
        colours = np.repeat(grey[..., None], 3, axis=-1)
        colours[unlabelled] = (190, 215, 245)
        return colours


def _count(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    truth = np.asarray(truth)
    if truth.dtype != bool:
        if np.shape(prediction) != truth.shape:
            raise InputError(f"the edge strength is {np.shape(prediction)} but the truth is {truth.shape}")
        # A strength at an unlabelled pixel must neither count nor thin out a neighbour's.
        prediction = np.where(np.isnan(truth), 0, prediction)
        truth = (truth >= CONSENSUS)[None]
    return boundaries.quick_counts(prediction, truth)
