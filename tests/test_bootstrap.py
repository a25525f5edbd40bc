"""Bootstrap intervals: resampling whole images, against NumPy's own resampling and the theory of the mean."""

import numpy as np
import pytest
from scipy import stats

from pixelnet.metrics.bootstrap import add_up, intervals


def mean(counts):
    total, number = counts["total"], counts["number"]
    return {"mean": float(total / number) if number else None, "name": "of no number", "none": None}


def by_name(rows):
    return [{"total": total, "number": number} for total, number in rows]


def test_the_interval_of_a_mean_is_the_usual_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = intervals(by_name(np.stack([values, np.ones(400)], axis=1)), mean)
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
    assert intervals(by_name(counts), mean, resamples=4000)["mean"] == pytest.approx(expected, abs=0.01)


def test_one_image_has_an_interval_without_width_and_counts_may_have_any_shape():
    def ratio(counts):
        assert counts.keys() == {"map", "row", "number"}
        assert (counts["map"].shape, counts["row"].shape, counts["number"].shape) == ((2, 3), (4,), ())
        assert counts["row"].tolist() == [10, 11, 12, 13]
        return {"ratio": float(counts["map"][0].sum() / counts["map"][1].sum()), "number": float(counts["number"])}

    counts = {"map": np.arange(6).reshape(2, 3), "row": np.arange(10, 14), "number": np.float64(7)}
    assert intervals([counts], ratio) == {"ratio": (0.25, 0.25), "number": (7, 7)}


def test_counts_add_up_name_by_name():
    counts = [{"map": np.full((2, 3), k), "number": k} for k in (1, 10, 100)]
    found = add_up(counts, {"map": np.zeros((2, 3)), "number": 0})
    assert found.keys() == {"map", "number"}
    assert found["number"] == 111
    assert np.array_equal(found["map"], np.full((2, 3), 111))
    assert add_up([], {"number": 0}) == {"number": 0}


def test_a_seed_gives_the_same_again():
    counts = by_name(np.random.default_rng(2).random((9, 2)))
    assert intervals(counts, mean, seed=3) == intervals(counts, mean, seed=3) != intervals(counts, mean, seed=4)
