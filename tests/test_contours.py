"""The boundary F against a loop over pairs of pixels, hand-worked numbers and degenerate maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet.errors import InputError
from pixelnet.metrics import parts
from pixelnet.metrics.contours import contour_counts, contour_scores


def boundary(ids, truth, c):
    """By the definition, pixel by pixel."""
    height, width = ids.shape
    found = []
    for y, x in np.argwhere((ids == c) & (truth != 255)):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [(j, i) for j, i in around if 0 <= j < height and 0 <= i < width and truth[j, i] != 255]
        if any(ids[pixel] != c for pixel in inside):
            found.append((y, x))
    return found


def near(pixels, others, reach):
    return sum(any(np.hypot(y - j, x - i) <= reach for j, i in others) for y, x in pixels)


@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    max_dist=st.sampled_from([0.0075, 0.15, 0.4]),
)
def test_counts_and_score_are_those_of_a_loop(seed, classes, height, width, max_dist):
    rng = np.random.default_rng(seed)
    truth = rng.choice([*range(classes), 255], (height, width)).astype(np.uint8)
    truth = np.where(rng.random(truth.shape) < 0.6, truth[0, 0], truth)
    prediction = np.where((rng.random(truth.shape) < 0.7) & (truth != 255), truth, rng.integers(0, classes))
    reach = max_dist * np.hypot(height, width)
    counts = contour_counts(prediction, truth, classes, max_dist)
    assert counts.dtype == np.int64
    f = []
    for c in range(classes):
        drawn, true = boundary(prediction, truth, c), boundary(truth, truth, c)
        expected = [near(drawn, true, reach), len(drawn), near(true, drawn, reach), len(true)]
        assert counts[c].tolist() == expected
        if not drawn and not true:
            f.append(None)
        elif expected[0] == 0 or expected[2] == 0:
            f.append(0)
        else:
            precision, recall = expected[0] / len(drawn), expected[2] / len(true)
            f.append(2 * precision * recall / (precision + recall))
    known = [value for value in f if value is not None]
    result = contour_scores(counts)
    assert result["boundary_f_per_class"] == [None if value is None else pytest.approx(value) for value in f]
    assert result["boundary_f"] == (pytest.approx(np.mean(known)) if known else None)


def halves(column, height=60, width=80):
    """Class 1 from a column on; the diagonal is 100, so the reach .75 pixels unless told otherwise."""
    return np.broadcast_to(np.arange(width) >= column, (height, width)).astype(np.uint8)


def test_a_line_out_of_place_matches_within_reach_only():
    truth = halves(40)
    assert contour_counts(truth, truth, 2).tolist() == [[60] * 4] * 2
    assert contour_scores(contour_counts(halves(41), truth, 2))["boundary_f"] == 0
    assert contour_scores(contour_counts(halves(42), truth, 2, max_dist=0.02))["boundary_f"] == 1  # 2 of 2 pixels
    assert contour_scores(contour_counts(halves(43), truth, 2, max_dist=0.02))["boundary_f"] == 0


def test_a_map_of_one_class_has_no_boundary():
    flat, truth = np.zeros((60, 80), np.uint8), halves(40)
    nothing = contour_counts(flat, flat, 3)
    assert not nothing.any()
    assert contour_scores(nothing) == {"boundary_f": None, "boundary_f_per_class": [None] * 3}
    assert contour_scores(contour_counts(flat, truth, 3))["boundary_f_per_class"] == [0, 0, None]
    assert contour_scores(contour_counts(truth, flat, 3))["boundary_f_per_class"] == [0, 0, None]


def test_an_unlabelled_area_has_no_boundary_and_hides_what_is_predicted_in_it():
    truth = np.zeros((60, 80), np.uint8)
    truth[20:40, 20:40] = 255
    prediction = np.zeros_like(truth)
    prediction[20:40, 20:40] = 1
    assert not contour_counts(prediction, truth, 2).any()
    assert not contour_counts(halves(40), np.full((60, 80), 255, np.uint8), 2).any()


def test_a_match_may_serve_several_pixels_so_both_sides_are_counted():
    truth = halves(40)
    prediction = truth.copy()
    prediction[:, 42] = 0  # a stripe beside the line: class 0 has boundary in columns 39 and 42
    assert contour_counts(prediction, truth, 2)[0].tolist() == [60, 120, 60, 60]


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\).*\(3, 2\)"),
        (np.zeros(6, int), np.zeros(6, int), r"\(H, W\)"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), "float64"),
        (np.full((2, 3), 2), np.zeros((2, 3), int), r"0\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(prediction, truth, message):
    with pytest.raises(InputError, match=message):
        contour_counts(prediction, truth, 2)


@given(seed=st.integers(0, 2**32), height=st.integers(1, 60), side=st.integers(1, 30), max_dist=st.floats(0, 0.3))
def test_parts_are_counted_as_the_whole_at_once(seed, height, side, max_dist):
    rng = np.random.default_rng(seed)
    blocks = (rng.integers(0, 3, (height // 5 + 1, 8)).repeat(5, axis=0)[:height].repeat(5, axis=1) for _ in range(2))
    truth, drawn = blocks
    truth[rng.random(truth.shape) < 0.05] = 255
    whole = contour_counts(drawn, truth, 3, max_dist)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "SIDE", side)
        assert (contour_counts(drawn, truth, 3, max_dist) == whole).all()
