"""Errors of real values, by hand and against plain loops."""

import json

import numpy as np
import pytest

from pixelnet.errors import InputError
from pixelnet.metrics.depth import scores, tally
from pixelnet.metrics.intervals import add_up


def test_scores_by_hand():
    truth = np.array([[2.0, 4.0, -1.0, 0.0, np.nan, np.inf]])
    prediction = np.array([[2.4, 6.0, -2.0, 1.0, np.nan, 3.0]])
    result = scores(tally(prediction, truth))
    assert result["abs_rel"] == pytest.approx((0.2 + 0.5 + 1.0) / 3)
    assert result["rmse"] == pytest.approx(((0.16 + 4 + 1 + 1) / 4) ** 0.5)
    assert result["delta1"] == pytest.approx(1 / 2)  # 1.2 is within 1.25, 1.5 is not; -1 and 0 have no ratio


def test_scores_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    truth, prediction = rng.normal(1, 2, (2, 9, 8)), rng.normal(1, 2, (2, 9, 8))
    truth[rng.random(truth.shape) < 0.2] = np.nan
    pairs = [(p, t) for p, t in zip(prediction.ravel(), truth.ravel(), strict=True) if t == t]
    positive = [(p, t) for p, t in pairs if t > 0]
    expected = {
        "abs_rel": sum(abs(p - t) / abs(t) for p, t in pairs) / len(pairs),
        "rmse": (sum((p - t) ** 2 for p, t in pairs) / len(pairs)) ** 0.5,
        "delta1": sum(p > 0 and max(p / t, t / p) < 1.25 for p, t in positive) / len(positive),
    }
    tallies = [tally(prediction[0], truth[0]), tally(prediction[1], truth[1])]
    joint = add_up(tallies, tally(np.empty(0), np.empty(0)))
    assert scores(joint) == pytest.approx(expected)


@pytest.mark.parametrize(("prediction", "share"), [(1.25, 0), (1.2499, 1), (0.8, 0), (0.8001, 1), (0, 0), (-1, 0)])
def test_within_a_factor_of_five_quarters(prediction, share):
    assert scores(tally(np.array([prediction]), np.array([1.0])))["delta1"] == share


def test_a_score_without_pixels_is_none():
    assert scores(tally(np.zeros(2), np.zeros(2))) == {"abs_rel": None, "rmse": 0, "delta1": None}
    nothing = scores(tally(np.zeros(2), np.full(2, np.nan)))
    assert nothing == {"abs_rel": None, "rmse": None, "delta1": None}
    json.dumps(nothing, allow_nan=False)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="shape"):
        tally(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(InputError, match="not finite at 1 of the 2"):
        tally(np.array([np.nan, 1.0]), np.ones(2))
