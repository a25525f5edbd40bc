"""The confusion matrix and its scores against scikit-learn and hand-worked numbers."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, jaccard_score

from pixelnet.errors import InputError
from pixelnet.metrics import confusion as confusion_module
from pixelnet.metrics.confusion import NUMBERS, confusion, scores


@given(seed=st.integers(0, 2**16), classes=st.integers(2, 7), height=st.integers(1, 9), width=st.integers(1, 9))
def test_matrix_is_scikit_learns(seed, classes, height, width):
    rng = np.random.default_rng(seed)
    truth = rng.choice([*range(classes), 255], (height, width)).astype(np.uint8)
    prediction = rng.integers(0, classes, (height, width))
    known = truth != 255
    expected = np.zeros((classes, classes))
    if known.any():
        expected = confusion_matrix(truth[known], prediction[known], labels=range(classes))
    matrix = confusion(prediction, truth, classes)
    assert matrix.dtype == np.int64
    assert np.array_equal(matrix, expected)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("present", [(0, 1, 2, 3), (0, 2), (3,)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_scikit_learns(present, seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.choice(present, 200), rng.choice([0, 1, 2], 200)
    result = scores(confusion(prediction, truth, 6))
    found = sorted({*truth, *prediction})
    iou = dict(zip(found, jaccard_score(truth, prediction, average=None, labels=found, zero_division=0), strict=True))
    assert result["miou"] == pytest.approx(np.mean(list(iou.values())))
    assert result["mean_accuracy"] == pytest.approx(balanced_accuracy_score(truth, prediction))
    assert result["pixel_accuracy"] == pytest.approx(accuracy_score(truth, prediction))
    assert result["iou_per_class"] == [pytest.approx(iou[c]) if c in iou else None for c in range(6)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(seed=st.integers(0, 2**16), classes=st.integers(2, 7), size=st.integers(1, 40))
def test_the_named_means_are_those_of_a_loop_over_classes(seed, classes, size):
    rng = np.random.default_rng(seed)
    truth, prediction = (rng.choice(rng.integers(0, classes, rng.integers(1, 6)), size) for _ in range(2))
    result = scores(confusion(prediction, truth, classes))
    labels = range(classes)
    iou = jaccard_score(truth, prediction, average=None, labels=labels, zero_division=0)
    dice = f1_score(truth, prediction, average=None, labels=labels, zero_division=0)
    share = [np.mean(truth == c) for c in labels]
    recall = [np.mean(prediction[truth == c] == c) if share[c] else 0 for c in labels]
    found = [c for c in labels if share[c] or (prediction == c).any()]
    assert result["fwiou"] == pytest.approx(np.dot(share, iou))
    assert result["dice"] == pytest.approx(dice[found].mean())
    assert result["dice_per_class"] == [pytest.approx(dice[c]) if c in found else None for c in labels]
    assert result["miou_voc"] == (pytest.approx(iou.mean()) if len(found) == classes else None)
    assert result["mean_accuracy_camvid"] == pytest.approx(np.mean(recall))
    assert result["miou_camvid"] == pytest.approx(sum(iou[c] for c in labels if share[c]) / classes)


def test_scores_by_hand():
    # truth 0 0 0 1, prediction 0 0 1 1: IoU 2/3 and 1/2, accuracies 2/3 and 1, pixels 3/4; class 2 is nowhere.
    result = scores(confusion(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), 3))
    expected = {"miou": 7 / 12, "mean_accuracy": 5 / 6, "pixel_accuracy": 3 / 4}
    assert {key: result[key] for key in expected} == pytest.approx(expected)
    assert result["iou_per_class"][2] is None


def test_nothing_labelled_has_no_score():
    result = scores(confusion(np.zeros((2, 2), dtype=int), np.full((2, 2), 255), 2))
    assert result == {**dict.fromkeys(NUMBERS), "iou_per_class": [None, None], "dice_per_class": [None, None]}
    json.dumps(result, allow_nan=False)


def test_anything_may_be_predicted_where_unlabelled():
    assert confusion(np.array([[255, 1]]), np.array([[255, 1]]), 2).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([[0, 3]], [[0, 1]], "prediction has class ids from 0 to 3, but there are 3"),
        ([[0, 255]], [[0, 1]], "prediction has class ids"),
        ([[-1, 0]], [[0, 1]], "prediction has class ids from -1"),
        ([[0, 1]], [[0, 3]], "truth has class ids from 0 to 3"),
        ([[0, 1]], [[-1, 0]], "truth has class ids from -1"),
        ([[0, 1]], [[0], [1]], r"\(1, 2\) but the truth's is \(2, 1\)"),
        ([[0.0, 1.0]], [[0, 1]], "float64"),
    ],
)
def test_what_does_not_fit_is_refused(prediction, truth, message):
    with pytest.raises(InputError, match=message):
        confusion(np.array(prediction), np.array(truth), 3)


def test_some_pixels_at_a_time_are_counted_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 5, (2, 37, 23)).astype(np.uint8)
    truth[:20, 3:] = 255
    whole = confusion(prediction, truth, 5)
    monkeypatch.setattr(confusion_module, "AT_ONCE", 7)
    assert (confusion(prediction, truth, 5) == whole).all()
    prediction[30, 4] = 9
    with pytest.raises(InputError, match="the prediction has class ids from 0 to 9, but there are 5 classes"):
        confusion(prediction, truth, 5)


def test_counting_a_scene_takes_little_memory_beyond_it():
    truth = np.zeros((4096, 4096), np.uint8)
    tracemalloc.start()
    try:
        confusion(truth, truth, 2)
        assert tracemalloc.get_traced_memory()[1] < 40 * confusion_module.AT_ONCE  # and not that many for all pixels
    finally:
        tracemalloc.stop()
