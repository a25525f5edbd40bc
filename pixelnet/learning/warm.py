"""Logistic regression again, after a few more labels: what `logistic.Problem` comes to, from where the last fit ended.

A problem's principal axes take longer than all else, so here they are those of a few points, which are drawn where the
loss bends at the start: points that are answered surely bend nothing. They only say how far to step along what, and
where the search ends is the same. Products are torch's, as numpy's threads and torch's are in each other's way.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from pixelnet.learning.logistic import ABSENT, FLATTEST, STEPS, Linear, cross_entropy, log_chances

SAMPLE = 128  # points that axes are found from
LARGE = 2**22  # numbers of a table, from which on several threads are worth it
CLOSE = 5e-4  # of the gradient's first length: where it stops, a few hundredths of a probability from the end at most


def refit(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    classes: int,
    strength: float,
    start: Linear | None = None,
) -> Linear:
    """The predictor of least loss, as of `logistic.Problem(features, ...).fit(strength)`, but for how near the end is.

    Args:
        features: (M, D) float32.
        labels, weights, classes: as of `Problem`.
        start: where the search begins, the predictor of almost the same labels; None for 0.
    """
    count = len(features)
    means = torch.from_numpy(features).mean(dim=0)
    table = torch.from_numpy(features) - means
    mean, deviation = means.double().numpy(), table.square().mean(dim=0).sqrt().double().numpy()
    deviation = np.where(deviation > 1e-6 * (1 + abs(mean)), deviation, 1.0)
    table /= torch.from_numpy(deviation).float()
    weights = weights * (count / weights.sum())
    present = np.bincount(labels, minlength=classes) > 0
    kernel, bias = np.zeros((classes, len(mean))), np.zeros(classes)
    if start is not None:
        known = present & (start.bias > ABSENT)
        kernel, bias = start.kernel * deviation, np.where(known, start.bias + start.kernel @ mean, 0.0)
    chances = np.exp(log_chances(np.where(present, _logits(table, kernel, bias), -np.inf)))
    bends = weights * (chances * (1 - chances)).mean(axis=1)
    steps = _Steps(table, bends, strength)
    wide = 1 / np.sqrt(bends.sum() + 1e-6)

    def moved(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = given.reshape(classes, -1)
        return kernel + steps(flat[:, :-1]), bias + flat[:, -1] * wide

    def loss(given: np.ndarray) -> tuple[float, np.ndarray]:
        own, free = moved(given)
        total, slopes = cross_entropy(_logits(table, own, free), labels, weights, present)
        slope = (torch.from_numpy(slopes).float().T @ table).double().numpy() + own / strength
        return total + float((own**2).sum() / (2 * strength)), np.column_stack(
            [steps(slope), slopes.sum(axis=0) * wide]
        ).ravel()

    found = minimize(
        loss, np.zeros(classes * (len(mean) + 1)), method="L-BFGS-B", jac=True,
        options={"maxiter": STEPS, "gtol": CLOSE * np.sqrt(count)},
    )  # fmt: skip
    own, free = moved(found.x)
    own = own / deviation
    free = free - own @ mean
    return Linear(own, np.where(present, free - free[present].mean(), ABSENT))


def _logits(table: Tensor, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (table @ torch.from_numpy(kernel).float().T).double().numpy() + bias


class _Steps:
    """How far to step: long along what is flat, short along the axes of a few of the points (M, D), where it bends.

    bends: (M,), how much the loss of each point does, the mean over the classes' logits.
    """

    def __init__(self, table: Tensor, bends: np.ndarray, strength: float) -> None:
        count, width = table.shape
        drawn = np.random.default_rng(0).choice(count, min(SAMPLE, count), p=bends / bends.sum())
        rows = table[torch.from_numpy(drawn)].double() * np.sqrt(bends.sum() / len(drawn))
        squares, places = torch.linalg.eigh(rows @ rows.T)
        kept = squares > max(float(squares[-1]), 1e-30) * FLATTEST
        squares = squares[kept]
        self.axes = (rows.T @ places[:, kept] / squares.sqrt()).float()
        rest = max(float(bends.sum() * width - squares.sum()), 0.0) / max(width - len(squares), 1)
        self.flat = 1 / np.sqrt(rest + 1 / strength)
        self.more = (1 / (squares + 1 / strength).sqrt() - self.flat).float()

    def __call__(self, kernels: np.ndarray) -> np.ndarray:
        """Kernels (K, D) in units of these steps -> the kernels; symmetric."""
        bent = ((torch.from_numpy(kernels).float() @ self.axes) * self.more) @ self.axes.T
        return self.flat * kernels + bent.double().numpy()
