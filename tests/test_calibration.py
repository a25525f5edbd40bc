"""Calibration against a loop over pixels, hand-worked numbers and what is no distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet.errors import InputError
from pixelnet.metrics.calibration import calibration_counts, calibration_scores


def case(seed, classes=3, height=6, width=5, sharpness=2.0):
    rng = np.random.default_rng(seed)
    p = np.exp(sharpness * rng.normal(size=(height, width, classes)))
    return p / p.sum(axis=2, keepdims=True), rng.choice([*range(classes), 255], (height, width)).astype(np.uint8)


@given(seed=st.integers(0, 2**16), classes=st.integers(1, 6), sharpness=st.floats(0, 8))
def test_counts_and_error_are_those_of_a_loop(seed, classes, sharpness):
    probabilities, truth = case(seed, classes, sharpness=sharpness)
    bins = [[] for _ in range(15)]
    for row, t in zip(probabilities.reshape(-1, classes), truth.ravel(), strict=True):
        if t != 255:
            m = next(m for m in range(15) if max(row) * 15 <= m + 1 or m == 14)
            bins[m].append((1, max(row), int(np.argmax(row)) == t))
    expected = [np.sum(pixels, axis=0) if pixels else np.zeros(3) for pixels in bins]
    counts = calibration_counts(probabilities, truth)
    assert counts.dtype == np.float64
    np.testing.assert_allclose(counts, expected, atol=1e-12)
    number = sum(len(pixels) for pixels in bins)
    error = [
        len(pixels) / number * abs(np.mean([p[2] for p in pixels]) - np.mean([p[1] for p in pixels]))
        for pixels in bins
        if pixels
    ]
    assert calibration_scores(counts)["ece"] == (pytest.approx(sum(error), abs=1e-12) if number else None)


def test_a_hand_worked_error():
    # Four pixels predicted with 0.9, three of them right; six with 0.6, all right: .4 * .15 + .6 * .4.
    probabilities = np.array([[[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 6])
    truth = np.array([[0, 0, 0, 1] + [0] * 6])
    assert calibration_scores(calibration_counts(probabilities, truth))["ece"] == pytest.approx(0.3)


def test_the_upper_end_of_a_bin_belongs_to_it_and_rounding_above_1_to_the_last():
    probabilities = np.array([[[0.6, 0.4], [0.61, 0.39], [1.0, 0.0], [1.0001, 0.0]]])
    assert np.flatnonzero(calibration_counts(probabilities, np.zeros((1, 4), int))[:, 0]).tolist() == [8, 9, 14]


@pytest.mark.parametrize(("share", "error"), [(1.0, 0.0), (0.0, 1.0), (0.75, 0.25)])
def test_the_sure_are_as_wrong_as_they_err(share, error):
    truth = (np.arange(20).reshape(4, 5) >= 20 * share).astype(int)
    sure = np.broadcast_to([1.0, 0.0], (4, 5, 2))
    assert calibration_scores(calibration_counts(sure, truth))["ece"] == pytest.approx(error)


def test_images_add_up():
    (p, t), (q, u) = case(1), case(2)
    both = calibration_counts(np.concatenate([p, q]), np.concatenate([t, u]))
    np.testing.assert_allclose(both, calibration_counts(p, t) + calibration_counts(q, u))


def test_unlabelled_pixels_do_not_count_whatever_they_hold():
    probabilities, truth = case(3)
    counts = calibration_counts(probabilities, truth)
    probabilities[truth == 255] = np.nan
    assert np.array_equal(calibration_counts(probabilities, truth), counts)
    nothing = calibration_counts(probabilities, np.full_like(truth, 255))
    assert not nothing.any()
    assert calibration_scores(nothing) == {"ece": None}


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_precision_changes_little(kind):
    probabilities, truth = case(4, classes=150)
    truth[0, 0] = 149
    ece = [calibration_scores(calibration_counts(p, truth))["ece"] for p in (probabilities, probabilities.astype(kind))]
    assert ece[0] == pytest.approx(ece[1], abs=2e-2)


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        (np.full((2, 3), 1.0), np.zeros((2, 3), int), r"shape is \(2, 3\)"),
        (np.full((3, 2, 2), 0.5), np.zeros((2, 3), int), r"\(3, 2, 2\) but the truth's is \(2, 3\)"),
        (np.zeros((2, 3, 0)), np.zeros((2, 3), int), "one probability for each class"),
        (np.ones((2, 3, 1), int), np.zeros((2, 3), int), "type int64"),
        (np.full((2, 3, 2), 0.6), np.zeros((2, 3), int), "sum to 1"),
        (np.full((2, 3, 2), np.nan), np.zeros((2, 3), int), "sum to 1"),
        (np.broadcast_to([1.5, -0.5], (2, 3, 2)), np.zeros((2, 3), int), "0 or more"),
        (np.full((2, 3, 2), 0.5), np.full((2, 3), 2), r"0\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities, truth, message):
    with pytest.raises(InputError, match=message):
        calibration_counts(probabilities, truth)
