"""Angular errors against rotations of known angle, and their scores against plain NumPy."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pixelnet.errors import InputError
from pixelnet.metrics.angles import angular_errors, tally, tally_scores
from pixelnet.metrics.intervals import add_up


@pytest.mark.parametrize("degrees", [0, 1e-5, 0.01, 11.25, 90, 179.99, 180])
def test_errors_are_the_angles_turned_by(degrees):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 4, 3))
    axis = np.cross(truth, rng.normal(size=truth.shape)).reshape(-1, 3)
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis, axis=1, keepdims=True))
    prediction = turn.apply(truth.reshape(-1, 3)).reshape(truth.shape)
    assert angular_errors(2.5 * prediction, truth) == pytest.approx(np.full(12, degrees), abs=1e-7)


def test_small_angles_survive_float32():
    truth = np.array([[0, 0, -1]], dtype=np.float32)
    prediction = np.array([[np.float32(math.radians(0.001)), 0, -1]], dtype=np.float32)
    assert angular_errors(prediction, truth)[0] == pytest.approx(0.001, rel=1e-4)


@given(st.lists(st.floats(0, 180), min_size=1, max_size=60))
def test_scores_are_numpys(errors):
    errors = np.array(errors)
    result = tally_scores(tally(errors))
    assert result["mean"] == pytest.approx(errors.mean())
    assert result["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert result["median"] == pytest.approx(np.median(errors), abs=1 / 128)
    for threshold in (11.25, 22.5, 30):
        assert result[f"{threshold:g}"] == pytest.approx(100 * (errors < threshold).mean())


@pytest.mark.parametrize("threshold", [11.25, 22.5, 30])
def test_strictly_below(threshold):
    key = f"{threshold:g}"
    assert tally_scores(tally(np.array([threshold])))[key] == 0
    assert tally_scores(tally(np.array([np.nextafter(threshold, 0)])))[key] == 100


def test_tallies_add_up():
    errors = np.random.default_rng(0).uniform(0, 180, 1000)
    split = tally_scores(add_up([tally(errors[:300]), tally(errors[300:])], tally(np.empty(0))))
    assert split == pytest.approx(tally_scores(tally(errors)))


def test_no_errors_no_scores():
    result = tally_scores(tally(np.empty(0)))
    assert set(result) == {"mean", "median", "rmse", "11.25", "22.5", "30"}
    assert set(result.values()) == {None}
    json.dumps(result, allow_nan=False)


def test_unlabelled_is_left_out_whatever_was_predicted():
    truth = np.array([[0, 0, 0], [0, 0, -1.0]])
    assert angular_errors(np.array([[np.nan, 0, 0], [0, -1.0, 0]]), truth).tolist() == [90]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([[0, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 0, 1]], "prediction has no direction at 1 of the 2"),
        ([[np.nan, 0, 1]], [[0, 0, 1]], "prediction has no direction"),
        ([[0, 0, 1]], [[0, np.nan, 1]], "truth has no direction"),
        ([[0, 0, 1]], [[0, 0, 1], [0, 0, 1]], r"\(1, 3\)"),
        ([[0, 1]], [[0, 1]], r"\(1, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(prediction, truth, message):
    with pytest.raises(InputError, match=message):
        angular_errors(np.array(prediction, dtype=float), np.array(truth, dtype=float))
