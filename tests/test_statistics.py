"""Means, intervals and paired differences against SciPy's, and Holm's p values worked by hand."""

import numpy as np
import pytest
from scipy import stats

from recipes.experiments.statistics import estimate, holm, paired


def test_an_interval_is_students() -> None:
    values = [0.31, 0.35, 0.36, 0.29, 0.4]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert estimate([0.5]) == (0.5, None)


@pytest.mark.parametrize("seed", range(5))
def test_a_paired_difference_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    control = rng.normal(0.5, 0.1, 5)
    ours = control + rng.normal(0.02, 0.03, 5)
    expected = stats.ttest_rel(ours, control)
    interval = expected.confidence_interval(0.95)
    found = paired(ours.tolist(), control.tolist())
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((interval.low, interval.high))


def test_one_seed_makes_no_difference_and_no_spread_a_sure_one() -> None:
    assert paired([1.0], [0.5]) is None
    assert paired([1.0, 2.0], [1.0, 2.0]) == (0, 0, 1)
    assert paired([1.5, 2.5], [1.0, 2.0]) == (0.5, 0, 0)


def test_holm_raises_p_by_its_rank_and_never_lowers_a_later_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
