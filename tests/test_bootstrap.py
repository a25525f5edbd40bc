"""Bootstrap intervals: resampling whole images, against NumPy's own resampling and the theory of the mean."""

import numpy as np
import pytest
from scipy import stats

from pixelnet.metrics.bootstrap import intervals


def mean(counts):
    total, number = counts
    return {"mean": float(total / number) if number else None, "name": "of no number", "none": None}


def test_the_interval_of_a_mean_is_the_usual_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = intervals(np.stack([values, np.ones(400)], axis=1), mean)
    assert found.keys() == {"mean"}
    expected = stats.t.interval(0.95, 399, values.mean(), values.std(ddof=1) / 20)
    assert found["mean"] == pytest.approx(expected, abs=0.03)


def test_images_of_unlike_sizes_are_drawn_whole():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 50, 30)
    counts = np.stack([sizes * rng.random(30), sizes], axis=1)
    draws = rng.integers(0, 30, (4000, 30))
    totals = counts[draws].sum(axis=1)
    expected = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    assert intervals(counts, mean, resamples=4000)["mean"] == pytest.approx(expected, abs=0.01)


def test_one_image_has_an_interval_without_width_and_counts_may_have_any_shape():
    def ratio(counts):
        assert counts.shape == (2, 3)
        return {"ratio": float(counts[0].sum() / counts[1].sum())}

    assert intervals(np.arange(6).reshape(1, 2, 3), ratio) == {"ratio": (0.25, 0.25)}


def test_a_seed_gives_the_same_again():
    counts = np.random.default_rng(2).random((9, 2))
    assert intervals(counts, mean, seed=3) == intervals(counts, mean, seed=3) != intervals(counts, mean, seed=4)
