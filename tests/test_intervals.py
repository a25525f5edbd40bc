"""Intervals over images: against the theory of the mean, and the bootstrap where there are many."""

import numpy as np
import pytest
from scipy import stats

from pixelnet.metrics.intervals import add_up, differences, intervals


def mean(counts):
    total, number = counts["total"], counts["number"]
    return {"mean": float(total / number) if number else None, "name": "of no number", "none": None}


def by_name(rows):
    return [{"total": total, "number": number} for total, number in rows]


@pytest.mark.parametrize("count", [5, 12, 400])
def test_the_interval_of_a_mean_is_the_usual_one(count):
    values = np.random.default_rng(0).normal(300, 2, count)
    found = intervals(by_name(np.stack([values, np.ones(count)], axis=1)), mean)
    assert found.keys() == {"mean"}
    expected = stats.t.interval(0.95, count - 1, values.mean(), values.std(ddof=1) / np.sqrt(count))
    assert found["mean"] == pytest.approx(expected)


def test_of_many_images_of_unlike_sizes_it_is_the_bootstraps():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 50, 300)
    counts = np.stack([sizes * rng.random(300), sizes], axis=1)
    draws = rng.integers(0, 300, (4000, 300))
    totals = counts[draws].sum(axis=1)
    expected = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    assert intervals(by_name(counts), mean)["mean"] == pytest.approx(expected, abs=0.005)


def test_below_five_images_there_is_none_and_counts_may_have_any_shape():
    def ratio(counts):
        assert counts.keys() == {"map", "row", "number"}
        assert (np.shape(counts["map"]), np.shape(counts["row"]), np.shape(counts["number"])) == ((2, 3), (4,), ())
        return {"ratio": float(counts["map"][0].sum() / counts["map"][1].sum()), "number": float(counts["number"])}

    counts = {"map": np.arange(6).reshape(2, 3), "row": np.arange(10, 14), "number": np.float64(7)}
    assert intervals([counts] * 4, ratio) == {}
    assert differences(([counts] * 4, ratio), ([counts] * 4, ratio)) == {}
    found = intervals([counts] * 5, ratio)
    assert found["ratio"] == pytest.approx((0.25, 0.25))
    assert found["number"] == pytest.approx((35, 35))


def test_an_interval_is_within_what_scores_can_be():
    good = [(1.0, 1)] * 8 + [(0.4, 1)] * 2
    low, high = intervals(by_name(good), mean)["mean"]
    assert 0 < low < 0.88 < high < 1
    of_hundred = intervals(by_name([(100 * total, number) for total, number in good]), mean)["mean"]
    assert of_hundred == pytest.approx((100 * low, 100 * high))
    values = np.array([total for total, _ in good])
    reach = stats.t.ppf(0.975, 9) * values.std(ddof=1) / np.sqrt(10)
    expected = 1 / (1 + np.exp(-(np.log(0.88 / 0.12) + np.array([-1, 1]) * reach / (0.88 * 0.12))))
    assert (low, high) == pytest.approx(expected)
    assert intervals(by_name([(1.0, 1)] * 6), mean)["mean"] == (1, 1)
    assert intervals(by_name([(0.0, 1)] * 6), mean)["mean"] == (0, 0)
    below = intervals(by_name([(-1.0, 1)] * 5 + [(1.0, 1)] * 5), mean)["mean"]
    assert below == pytest.approx(stats.t.interval(0.95, 9, 0, 1 / 3))


def test_a_score_that_one_image_alone_gives_has_none():
    assert intervals(by_name([(3.0, 1), *[(0.0, 0)] * 6]), mean) == {}


def test_the_interval_of_a_difference_is_of_pairs():
    rng = np.random.default_rng(3)
    hard = rng.normal(50, 20, 30)
    ours, theirs = hard + rng.normal(1, 0.5, 30), hard + rng.normal(0, 0.5, 30)
    found = differences(*((by_name(np.stack([own, np.ones(30)], axis=1)), mean) for own in (ours, theirs)))
    pairs = ours - theirs
    expected = stats.t.interval(0.95, 29, pairs.mean(), pairs.std(ddof=1) / np.sqrt(30))
    assert found["mean"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="no pairs"):
        differences((by_name([(1.0, 1)] * 6), mean), (by_name([(1.0, 1)] * 5), mean))


@pytest.mark.parametrize("count", [5, 8, 30])
def test_it_holds_the_truth_about_as_often_as_it_says(count):
    """Means of skewed ratios, 400 times over: between 90 and 98 of a hundred."""
    rng, held = np.random.default_rng(count), 0
    for _ in range(400):
        sizes = rng.integers(20, 100, count)
        rows = np.stack([sizes * rng.beta(12, 4, count), sizes], axis=1)
        low, high = intervals(by_name(rows), mean)["mean"]
        held += low <= 0.75 <= high
    assert 0.9 < held / 400 < 0.98


def test_counts_add_up_name_by_name():
    counts = [{"map": np.full((2, 3), k), "number": k} for k in (1, 10, 100)]
    found = add_up(counts, {"map": np.zeros((2, 3)), "number": 0})
    assert found.keys() == {"map", "number"}
    assert found["number"] == 111
    assert np.array_equal(found["map"], np.full((2, 3), 111))
    assert add_up([], {"number": 0}) == {"number": 0}
