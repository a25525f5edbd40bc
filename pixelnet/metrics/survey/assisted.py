"""Totals with a model's help: the model's own expectation over all pixels, mended by what a sample shows of its errors.

Consistent over draws however wrong the model is; the better it is, the less is left to be sampled. With factor 1 it is
the difference estimator (Saerndal et al. 1992, section 6.3); with the factor that makes the variance least it is the
regression estimator, which prediction-powered inference calls power tuning (PPI++; Angelopoulos, Duchi and Zrnic 2023,
section 6).
"""

import numpy as np

from pixelnet.metrics.survey.designs import Stratified


def residuals(
    values: np.ndarray, foreseen: np.ndarray, over_all: np.ndarray, design: Stratified, tuned: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The totals (..., Q) of values, and what is left of them at each sample (..., n, Q), to take the variance of.

    values: (..., n, Q), found at the samples. foreseen: (..., n, Q), what the model expected there. over_all: (Q,), the
    sum of that over all pixels, the samples included. tuned: weigh the model by what it is worth, from 0 to 1 for each
    quantity, in place of 1.
    """
    factor = _factor(values, foreseen, design) if tuned else np.ones(values.shape[:-2] + values.shape[-1:])
    left = values - factor[..., None, :] * foreseen
    return factor * over_all + design.total(left), left


def _factor(values: np.ndarray, foreseen: np.ndarray, design: Stratified) -> np.ndarray:
    """cov(values, foreseen) / var(foreseen) under the design, within 0..1; 1 where the model's word is constant."""
    together, apart = design.variance(values + foreseen), design.variance(values - foreseen)
    own = design.variance(foreseen)
    factor = np.divide((together - apart) / 4, own, out=np.ones_like(own), where=own > 0)
    return factor.clip(0, 1)
