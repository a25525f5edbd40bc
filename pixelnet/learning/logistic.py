"""Logistic regression with a strong prior, quick enough to be fitted some hundred times while somebody waits.

The features of a few labelled pixels are many and alike; what makes the fit hold is its prior (an L2 penalty on
standardized features), and what makes it quick is the basis in which it is sought: that of the features' principal
axes, each scaled by what the loss can bend along it, where a few steps of L-BFGS lead to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

STEPS = 200  # of L-BFGS at most; some ten are usual
CLOSE = 1e-5  # of the gradient's first length: where it stops
FLATTEST = 1e-6  # of the steepest axis; those below are rounding


@dataclass(frozen=True)
class Linear:
    """A linear predictor of K classes: kernel (K, D) and bias (K,), of features (..., D) as they are.

    scale: that of the features it was fitted to, None where nobody knows.
    """

    kernel: np.ndarray
    bias: np.ndarray
    scale: "Scale | None" = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits (..., K)."""
        return features @ self.kernel.T + self.bias


@dataclass(frozen=True)
class Scale:
    """The mean and the deviation of each of D features."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Scale":
        """That of features (M, D). A feature that does not vary is left as wide as it is."""
        mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        return cls(mean, np.where(deviation > 1e-6 * (1 + abs(mean)), deviation, 1.0))

    @classmethod
    def unit(cls, width: int) -> "Scale":
        """That which leaves so many features as they are."""
        return cls(np.zeros(width), np.ones(width))

    def standardized(self, features: np.ndarray) -> np.ndarray:
        """(M, D) float64, of mean 0 and deviation 1 where they are those that the scale is of."""
        return (features - self.mean) / self.deviation


class Problem:
    """Labelled features, ready to be fitted with any strength of the prior.

    Args:
        features: (M, D), real.
        labels: (M,) class ids below `classes`.
        weights: (M,), each above 0.
        classes: K. A class without a label gets a bias of its own, far below the others'.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, classes: int) -> None:
        self.scale = Scale.of(features)
        table = self.scale.standardized(features)
        self.classes, self.weights = classes, weights * (len(weights) / weights.sum())
        self.labels, self.present = labels, np.bincount(labels, minlength=classes) > 0
        tall = len(table) > table.shape[1]
        squares, axes = np.linalg.eigh(table.T @ table if tall else table @ table.T)
        kept = squares > max(squares[-1], 1e-30) * FLATTEST
        self.squares = squares[kept]
        # The principal axes (D, R), and the points' places along them (M, R).
        self.axes = axes[:, kept] if tall else table.T @ axes[:, kept] / np.sqrt(self.squares)
        self.places = table @ self.axes

    def fit(self, strength: float, close: float = CLOSE) -> Linear:
        """The predictor of least loss: the weighted sum of -log p, and |kernel|^2 / (2 strength).

        The kernel is that of standardized features; biases are free. Each search begins at 0, so that what is found
        hangs on nothing that was asked before. close: to the end, as `CLOSE` is.
        """
        bend = (1 - 1 / self.classes) / self.classes
        widths = 1 / np.sqrt(np.append(bend * self.squares + 1 / strength, bend * len(self.places) + 1e-6))
        found = minimize(
            self._loss, np.zeros(self.classes * len(widths)), (widths, strength), "L-BFGS-B", jac=True,
            options={"maxiter": STEPS, "gtol": close * np.sqrt(len(self.places))},
        )  # fmt: skip
        flat = found.x.reshape(self.classes, -1) * widths
        kernel = (flat[:, :-1] @ self.axes.T) / self.scale.deviation
        bias = flat[:, -1] - kernel @ self.scale.mean
        return Linear(kernel, np.where(self.present, bias - bias[self.present].mean(), ABSENT), self.scale)

    def _loss(self, given: np.ndarray, widths: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        flat = given.reshape(self.classes, -1) * widths
        logits = self.places @ flat[:, :-1].T + flat[:, -1]
        loss, slopes = cross_entropy(logits, self.labels, self.weights, self.present)
        slope = np.column_stack([slopes.T @ self.places + flat[:, :-1] / strength, slopes.sum(axis=0)])
        return loss + float((flat[:, :-1] ** 2).sum()) / (2 * strength), (slope * widths).ravel()


ABSENT = -30.0  # the bias of a class that nothing was labelled as


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, present: np.ndarray
) -> tuple[float, np.ndarray]:
    """The weighted sum of -log p over points, and its gradient by their logits (M, K); only classes present take part.

    labels, weights: (M,). present: bool (K,).
    """
    logs = log_chances(np.where(present, logits, -np.inf))
    every = np.arange(len(labels))
    slopes = np.exp(logs)
    slopes[every, labels] -= 1
    return float(-(weights @ logs[every, labels])), weights[:, None] * slopes


def balanced(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights (M,) by which all classes that occur weigh the same, 1 on the mean."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.maximum(counts, 1) * (counts > 0).sum()))[labels]


def log_chances(logits: np.ndarray) -> np.ndarray:
    """Logits (..., K) -> the logarithms of what the classes' probabilities are, which add up to 1."""
    return torch.from_numpy(logits).log_softmax(dim=-1).numpy()


def mean(members: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several logits of the same points: the normalized geometric mean of their probabilities."""
    return np.mean(members, axis=0)
