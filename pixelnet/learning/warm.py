"""Logistic regression again, after a few more labels: what `logistic.Problem` comes to, from where the last fit ended.

A problem's principal axes take longer than all else, so here they are those of a few points, which are drawn where the
loss bends at the start: points that are answered surely bend nothing. They only say how far to step along what, and
where the search ends is the same.
"""

import numpy as np
from scipy.optimize import minimize

from pixelnet.learning.logistic import ABSENT, FLATTEST, STEPS, Linear, cross_entropy, log_chances

SAMPLE = 256  # points that axes are found from
CLOSE = 2e-5  # of the gradient's first length: where it stops, about a thousandth of a probability from the end


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
    mean = features.mean(axis=0, dtype=np.float64)
    table = features - mean.astype(np.float32)
    deviation = np.sqrt(np.einsum("ij,ij->j", table, table).astype(np.float64) / count)
    deviation = np.where(deviation > 1e-6 * (1 + abs(mean)), deviation, 1.0)
    table /= deviation.astype(np.float32)
    weights = weights * (count / weights.sum())
    present = np.bincount(labels, minlength=classes) > 0
    kernel, bias = np.zeros((classes, table.shape[1])), np.zeros(classes)
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
        slope = slopes.T.astype(np.float32) @ table + own / strength
        return total + float((own**2).sum() / (2 * strength)), np.column_stack(
            [steps(slope), slopes.sum(axis=0) * wide]
        ).ravel()

    found = minimize(
        loss, np.zeros(classes * (table.shape[1] + 1)), method="L-BFGS-B", jac=True,
        options={"maxiter": STEPS, "gtol": CLOSE * np.sqrt(count)},
    )  # fmt: skip
    own, free = moved(found.x)
    own = own / deviation
    free = free - own @ mean
    return Linear(own, np.where(present, free - free[present].mean(), ABSENT))


def _logits(table: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (table @ kernel.T.astype(np.float32)).astype(np.float64) + bias


class _Steps:
    """How far to step: long along what is flat, short along the axes of a few of the points (M, D), where it bends.

    bends: (M,), how much the loss of each point does, the mean over the classes' logits.
    """

    def __init__(self, table: np.ndarray, bends: np.ndarray, strength: float) -> None:
        count, width = table.shape
        drawn = np.random.default_rng(0).choice(count, min(SAMPLE, count), p=bends / bends.sum())
        rows = table[drawn].astype(np.float64) * np.sqrt(bends.sum() / len(drawn))
        squares, places = np.linalg.eigh(rows @ rows.T)
        kept = squares > max(squares[-1], 1e-30) * FLATTEST
        squares = squares[kept]
        self.axes = (rows.T @ places[:, kept] / np.sqrt(squares)).astype(np.float32)
        rest = max(bends.sum() * width - squares.sum(), 0.0) / max(width - len(squares), 1)
        self.flat = 1 / np.sqrt(rest + 1 / strength)
        self.more = (1 / np.sqrt(squares + 1 / strength) - self.flat).astype(np.float32)

    def __call__(self, kernels: np.ndarray) -> np.ndarray:
        """Kernels (K, D) in units of these steps -> the kernels; symmetric."""
        return self.flat * kernels + ((kernels.astype(np.float32) @ self.axes) * self.more) @ self.axes.T
