"""Suppression, the protocol on maps counted by hand, and the quick counts against a search of all pairs."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import loadmat
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, map_coordinates

from pixelnet.errors import InputError
from pixelnet.metrics.boundaries import (
    _bilinear,
    binarize,
    boundary_counts,
    boundary_scores,
    quick_counts,
    quick_scores,
    thin,
)
from pixelnet.metrics.matching import METHODS, match
from pixelnet.metrics.morphology import thin_mask


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 110, 135, 160])
def test_thinning_leaves_the_crest_of_a_ridge(degrees):
    angle = np.radians(degrees)
    y, x = np.mgrid[:61, :61] - 30
    distance = x * np.cos(angle) + y * np.sin(angle)  # from a line through the middle
    thinned = thin(np.exp(-(distance**2) / 8))
    inside = np.hypot(x, y) < 24
    kept = (thinned > 0.01) & inside  # where the map is flat to 1e-5 the toolbox's direction is arbitrary
    assert np.abs(distance[kept]).max() < 0.8
    assert kept.sum() >= 0.7 * 47  # no gaps: a line of 47 pixels, in whole steps of the longer axis
    assert kept.sum() < 1.6 * 47


def test_thinning_keeps_strengths_and_fades_at_the_border():
    strength = np.zeros((30, 30), dtype=np.float32)
    strength[:, 15] = 0.8
    thinned = thin(strength)
    assert thinned[5:25, 15] == pytest.approx(0.8)
    assert thinned[:6, 15] == pytest.approx(0.8 * np.arange(6) / 5)
    assert not np.delete(thinned, 15, axis=1).any()


def test_equal_strengths_survive_together():
    """The multiplier: a plateau, or noise below one percent, is not a reason to break a boundary."""
    assert (thin(np.full((20, 20), 0.5))[5:15, 5:15] == 0.5).all()


@given(seed=st.integers(0, 2**16))
def test_bilinear_is_scipys(seed):
    rng = np.random.default_rng(seed)
    values, y, x = rng.random((6, 9)), rng.uniform(-2, 8, 30), rng.uniform(-2, 11, 30)
    assert _bilinear(values, y, x) == pytest.approx(map_coordinates(values, [y, x], order=1, mode="nearest"))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), max_dist=st.sampled_from([0.0, 0.03, 0.08]))
def test_counts_are_those_of_a_search_of_all_pairs(seed, max_dist):
    rng = np.random.default_rng(seed)
    strength, annotators = rng.random((20, 26)), rng.random((3, 20, 26)) < 0.02
    strength = gaussian_filter(strength, 1)
    thresholds = np.array([0.3, 0.5, 0.55])
    reach = max_dist * np.hypot(20, 26)
    thinned, union = thin(strength), np.argwhere(annotators.any(axis=0))
    expected = []
    for threshold in thresholds:
        predicted = np.argwhere(thinned >= threshold)
        near = sum(any(np.hypot(*(p - q)) <= reach for q in union) for p in predicted)
        found = sum(any(np.hypot(*(q[1:] - p)) <= reach for p in predicted) for q in np.argwhere(annotators))
        expected.append([near, len(predicted), found, annotators.sum()])
    counts = quick_counts(strength, annotators, thresholds, max_dist)
    assert counts.dtype == np.int64
    assert counts.tolist() == expected


def test_a_boundary_four_pixels_off_matches_in_a_photo_and_five_off_does_not():
    annotators = np.zeros((1, 321, 481), dtype=bool)  # 0.0075 of the diagonal is 4.3 pixels
    annotators[0, 100:200, 240] = True
    for shift, f in ((0, 1.0), (4, 1.0), (5, 0.0)):
        strength = np.roll(annotators[0], shift, axis=1) * 0.9
        assert quick_scores(quick_counts(strength, annotators))["quick_f"] == pytest.approx(f)


def test_the_best_f_on_pooled_counts():
    # At the first threshold P = 1/2, R = 1; at the second P = 1, R = 3/4: F = 2/3 and 6/7.
    counts = np.array([[8, 16, 8, 8], [6, 6, 6, 8], [0, 0, 0, 8]])
    result = quick_scores(counts, np.array([0.25, 0.5, 0.75]))
    assert result == {"quick_f": pytest.approx(6 / 7), "threshold": 0.5}


def test_nothing_drawn_has_no_score_and_nothing_found_has_zero():
    nothing, square = np.zeros((1, 20, 20), dtype=bool), np.ones((1, 20, 20), dtype=bool)
    assert quick_scores(quick_counts(np.ones((20, 20)), nothing)) == {"quick_f": None, "threshold": None}
    assert quick_scores(quick_counts(np.zeros((20, 20)), square))["quick_f"] == 0


def test_tiny_images_have_no_boundaries():
    assert not thin(np.ones((2, 9))).any()
    assert quick_counts(np.ones((1, 1)), np.ones((1, 1, 1), dtype=bool))[0].tolist() == [0, 0, 0, 1]


# On a map of 30x40, whose diagonal is 50 pixels, 0.05 of it are 2.5 pixels: lines two columns apart match.
LINE = (slice(5, 25), 10)  # 20 pixels


def drawing(*places):
    mask = np.zeros((30, 40), dtype=bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{}, {"thinned": True}, {"crisp": True}])
def test_counts_by_hand(method, options):
    """Two annotators drew 20 and 30 pixels; the first line is found two pixels off, half of the second at once."""
    annotators = np.stack([drawing(LINE), drawing(LINE, (slice(8, 18), 30))])
    strength = np.zeros((30, 40), dtype=np.float32)
    strength[5:25, 12] = 0.8
    strength[8:13, 30] = 0.6
    strength[5:15, 20] = 0.4  # nobody drew that
    counts = boundary_counts(strength, annotators, 4, 0.05, method, **options)  # at .2, .4, .6, .8
    assert counts.dtype == np.int64
    best = [25, 25, 45, 50]  # P 1, R .9
    # The second annotator's line is 10 long, of which 5 at most find a pixel of their own.
    assert counts.tolist() == [[25, 35, 45, 50], [25, 35, 45, 50], [25, 25, 45, 50], [20, 20, 40, 50], best]


def test_binary_edges_are_the_pixels_that_the_protocol_matches():
    """A truth of the binary edges finds, at their threshold, every predicted pixel at no distance."""
    strength = gaussian_filter(np.random.default_rng(0).random((40, 50)), 1.5)
    strength = (strength - strength.min()) / np.ptp(strength)
    for index in (0, 3, 6):
        edges = binarize(strength, (index + 1) / 10)
        assert edges.dtype == bool
        counts = boundary_counts(strength, edges[None], 9, 0)[index]
        assert counts.tolist() == [edges.sum()] * 4
        assert edges.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_line_drawn_twice_is_matched_once(method):
    """Two lines of 20 either side of one: quick_counts takes all 40 for right, the protocol 20."""
    strength = drawing((slice(5, 25), 9), (slice(5, 25), 11)) * 0.5
    truth = drawing(LINE)[None]
    assert quick_counts(strength, truth, max_dist=0.05)[0].tolist() == [40, 40, 20, 20]
    assert boundary_counts(strength, truth, 1, 0.05, method).tolist() == [[20, 40, 20, 20]] * 2


@pytest.mark.parametrize("method", METHODS)
def test_precision_is_over_the_union_of_annotators(method):
    """Each line is one annotator's: all 40 pixels are right, and each annotator has his 20 found."""
    first, second = drawing(LINE), drawing((slice(5, 25), 30))
    counts = boundary_counts((first | second) * 1.0, np.stack([first, second]), 1, 0.05, method)
    assert counts.tolist() == [[40, 40, 40, 40]] * 2


def test_a_thick_line_is_thinned_unless_it_is_judged_as_it_is():
    thick, truth = np.zeros((30, 40)), drawing(LINE)[None]
    thick[5:25, 9:12] = 0.5
    assert boundary_counts(thick, truth, 1, 0.02, crisp=True).tolist() == [[20, 60, 20, 20]] * 2
    matched, predicted, *found = boundary_counts(thick, truth, 1, 0.02, thinned=True)[0].tolist()
    assert matched == predicted == found[0] == thin_mask(thick > 0).sum() < 21


@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), method=st.sampled_from(METHODS), crisp=st.booleans())
def test_counts_are_those_of_each_map_and_annotator_alone(seed, method, crisp):
    rng = np.random.default_rng(seed)
    strength, annotators = gaussian_filter(rng.random((20, 26)), 1), rng.random((3, 20, 26)) < 0.08
    strength = (strength * 30).round() / 30  # so that some thresholds change nothing
    expected = []
    for threshold in np.arange(1, 20) / 20:
        mask = strength >= threshold if crisp else thin_mask(thin(strength) >= threshold)
        pairs = [match(mask, truth, 0.08, method) for truth in annotators]
        found = sum(theirs.sum() for _, theirs in pairs)
        expected.append([sum(ours for ours, _ in pairs).astype(bool).sum(), mask.sum(), found, annotators.sum()])
    *counts, _ = boundary_counts(strength, annotators, 19, 0.08, method, crisp=crisp)
    counts = np.array(counts)
    assert counts[:, 1:].tolist() == [row[1:] for row in expected]
    # Which of several equals is matched is not said, so the union may differ by a few.
    assert np.abs(counts[:, 0] - [row[0] for row in expected]).max() <= 3
    quick = quick_counts(strength, annotators, np.arange(1, 20) / 20, 0.08)
    assert crisp or (counts[:, 2] <= quick[:, 2]).all()


def test_scores_by_hand():
    """Two images, three thresholds. P, R pooled: 1/2, 1; 2/3, 3/4; 1, 1/4."""
    counts = np.array(
        [
            [[6, 10, 6, 6], [5, 8, 5, 6], [1, 1, 1, 6]],  # F 3/4, 5/7, 2/7: its best threshold is the first
            [[2, 6, 2, 2], [1, 1, 1, 2], [1, 1, 1, 2]],  # F 1/2, 2/3, 2/3: the second, the first of equals
        ]
    )
    scores = boundary_scores(with_own_best(counts, [0, 1]))
    pooled = counts.sum(axis=0)
    assert pooled.tolist() == [[8, 16, 8, 8], [6, 9, 6, 8], [2, 2, 2, 8]]
    precision, recall = np.array([1 / 2, 2 / 3, 1]), np.array([1, 3 / 4, 1 / 4])
    # The best F between neighbors, by brute force.
    best, where = 0.0, 0.0
    for k in (0, 1):
        for share in np.linspace(0, 1, 100):
            p, r = (rate[k] + share * (rate[k + 1] - rate[k]) for rate in (precision, recall))
            if 2 * p * r / (p + r) > best:
                best, where = 2 * p * r / (p + r), (k + 1 + share) / 4
    assert scores["ods"] == pytest.approx(best)
    assert scores["ods"] >= 2 * (2 / 3) * (3 / 4) / (2 / 3 + 3 / 4)
    assert scores["threshold"] == pytest.approx(where)
    # Own best: the first of image one and the second of image two: 7 of 11 right, 7 of 8 found.
    assert scores["ois"] == pytest.approx(2 * (7 / 11) * (7 / 8) / (7 / 11 + 7 / 8))
    # Recall .25 to .75: P falls from 1 to 2/3; to 1: to 1/2. None below .25.
    first = sum(1 - (r - 0.25) / 0.5 / 3 for r in np.arange(25, 76) / 100)
    second = sum(2 / 3 - (r - 0.75) / 0.25 / 6 for r in np.arange(76, 101) / 100)
    assert scores["ap"] == pytest.approx((first + second) / 100)
    assert scores["r50"] == 1
    assert scores["curve"] == {
        "threshold": [0.25, 0.5, 0.75],
        "recall": recall.tolist(),
        "precision": pytest.approx(precision.tolist()),
    }


def with_own_best(counts, best):
    """Counts (I, T, 4) summed, and below them the sum of each image's own best row."""
    own = counts[np.arange(len(counts)), best].sum(axis=0)
    return np.concatenate([counts.sum(axis=0), own[None]])


def test_recall_at_half_precision():
    counts = np.array([[[4, 16, 4, 8], [3, 4, 3, 8]]])  # P 1/4, 3/4 and R 1/2, 3/8: half of the way
    assert boundary_scores(with_own_best(counts, [1]))["r50"] == pytest.approx(7 / 16)
    assert boundary_scores(with_own_best(counts[:, :1], [0]))["r50"] is None
    assert boundary_scores(with_own_best(counts[:, 1:], [0])) | {"curve": None} == {
        "ods": pytest.approx(0.5),
        "ois": pytest.approx(0.5),
        "ap": 0,
        "r50": 3 / 8,
        "threshold": 0.5,
        "curve": None,
    }


def test_the_protocol_where_there_is_nothing_or_everything():
    nothing, all_of_it = np.zeros((1, 20, 20), dtype=bool), np.ones((1, 20, 20), dtype=bool)
    assert set(boundary_scores(boundary_counts(np.ones((20, 20)), nothing)).values()) == {None}
    scores = boundary_scores(boundary_counts(np.zeros((20, 20)), all_of_it))
    assert (scores["ods"], scores["ois"], scores["ap"], scores["r50"]) == (0, 0, 0, None)
    assert boundary_counts(np.ones((20, 20)), all_of_it, crisp=True)[50].tolist() == [400] * 4
    assert boundary_counts(np.ones((1, 1)), np.ones((1, 1, 1), dtype=bool), 1).tolist() == [[0, 0, 0, 1]] * 2
    assert set(boundary_scores(np.zeros((100, 4))).values()) == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": 0}, "at least 1"),
        ({"max_dist": -0.1}, "max-dist"),
        ({"max_dist": 4.3}, "share of the image's diagonal"),
        ({"max_dist": np.nan}, "max-dist"),
        ({"method": "csa"}, "fast, exact"),
        ({"thinned": True, "crisp": True}, "one of the two"),
    ],
)
def test_settings_that_will_not_do_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        boundary_counts(np.ones((20, 20)), np.ones((1, 20, 20), dtype=bool), **options)


@pytest.mark.parametrize("count", [quick_counts, boundary_counts])
@pytest.mark.parametrize(
    ("strength", "annotators", "message"),
    [
        (np.zeros((5, 6)), np.zeros((1, 6, 5), dtype=bool), r"\(5, 6\) but"),
        (np.zeros((5, 6)), np.zeros((5, 6), dtype=bool), r"expected bool \(A, H, W\)"),
        (np.zeros((5, 6)), np.zeros((0, 5, 6), dtype=bool), r"expected bool \(A, H, W\)"),
        (np.zeros((5, 6)), np.zeros((1, 5, 6)), "float64"),
        (np.full((5, 6), 255), np.zeros((1, 5, 6), dtype=bool), r"0\.\.1"),
        (np.full((5, 6), np.nan), np.zeros((1, 5, 6), dtype=bool), r"0\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(count, strength, annotators, message):
    with pytest.raises(InputError, match=message):
        count(strength, annotators)


def test_on_photos_a_person_beats_the_gradient_and_the_gradient_beats_noise():
    data = Path(os.environ.get("PIXELNET_DATA", Path(__file__).parents[1] / "../shared/data")) / "bsds500"
    if not data.is_dir():
        pytest.skip(f"no BSDS500 at {data}; set PIXELNET_DATA to the folder that holds bsds500/")
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(("person", "gradient", "noise"), np.zeros((33, 4), dtype=np.int64))
    for path in sorted((data / "groundTruth/val").glob("*.mat"))[:5]:
        drawings = np.stack([one["Boundaries"][0, 0] > 0 for one in loadmat(path)["groundTruth"].flat])
        gray = np.asarray(Image.open(data / "images/val" / f"{path.stem}.jpg").convert("L"), dtype=float)
        counts["person"] = counts["person"] + quick_counts(drawings[0], drawings[1:])
        gradient = (gaussian_gradient_magnitude(gray, 2) / 40).clip(0, 1)
        counts["gradient"] = counts["gradient"] + quick_counts(gradient, drawings)
        counts["noise"] = counts["noise"] + quick_counts(rng.random(gray.shape), drawings)
    f = {name: quick_scores(count)["quick_f"] for name, count in counts.items()}
    assert 0.7 < f["person"] < 0.95  # the full protocol has .80 for people
    assert 0.5 < f["gradient"] < 0.7
    assert f["noise"] < 0.5


def test_people_agree_as_published(real_data):
    """Each annotator against the others. Over the whole split P .898 and R .701: the benchmark's own human point."""
    counts = []
    for path in sorted((real_data / "bsds500/groundTruth/val").glob("*.mat"))[::20]:
        drawings = np.stack([one["Boundaries"][0, 0] > 0 for one in loadmat(path)["groundTruth"].flat])
        others = [np.delete(drawings, k, axis=0) for k in range(len(drawings))]
        rounds = zip(drawings, others, strict=True)
        counts.append(sum(boundary_counts(one, rest, 1, crisp=True) for one, rest in rounds))
    assert 0.75 < boundary_scores(sum(counts))["ods"] < 0.85
