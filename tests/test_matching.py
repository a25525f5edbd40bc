"""One-to-one matching against an assignment over all pairs of pixels, and on maps small enough to do by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_gradient_magnitude
from scipy.optimize import linear_sum_assignment

from pixelnet.data import open_dataset
from pixelnet.errors import InputError
from pixelnet.metrics.boundaries import thin
from pixelnet.metrics.matching import METHODS, Matcher, match
from pixelnet.metrics.morphology import thin_mask

SHAPE = (12, 16)  # with a diagonal of 20 pixels
shares = st.sampled_from([0.03, 0.1, 0.2, 0.4, 0.7])
reaches = st.sampled_from([0.0, 0.05, 0.08, 0.12, 0.16, 0.25])


def cheapest(predicted, truth, max_dist):
    """PairedFiles and total distance of the benchmark's assignment: leaving a pixel out costs 100 times the limit."""
    ours, theirs = np.argwhere(predicted), np.argwhere(truth)
    reach = max_dist * np.hypot(*predicted.shape)
    distance = np.hypot(*(ours[:, None] - theirs[None]).reshape(-1, 2).T).reshape(len(ours), len(theirs))
    cost = np.full((len(ours), len(theirs) + len(ours)), 1e6)
    cost[:, : len(theirs)][distance <= reach] = distance[distance <= reach]
    cost[range(len(ours)), range(len(theirs), len(theirs) + len(ours))] = 100 * max(reach, 1)
    rows, cols = linear_sum_assignment(cost)
    paired = cols < len(theirs)
    return paired.sum(), distance[rows[paired], cols[paired]].sum()


def check_least(predicted, truth, max_dist):
    """Exact's pairs are as many, and their least total distance is as small, as in that assignment."""
    pairs, total = cheapest(predicted, truth, max_dist)
    found, others = match(predicted, truth, max_dist, "exact")
    assert not (found & ~predicted).any()
    assert not (others & ~truth).any()
    assert found.sum() == others.sum() == pairs
    assert cheapest(found, others, max_dist) == (pairs, pytest.approx(total))


def draw(*points, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    for point in points:
        mask[point] = True
    return mask


@settings(max_examples=150)
@given(seed=st.integers(0, 2**16), share=shares, drawn=shares, max_dist=reaches)
def test_matching_is_that_of_an_assignment(seed, share, drawn, max_dist):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random(SHAPE) < share, rng.random(SHAPE) < drawn
    pairs, total = cheapest(predicted, truth, max_dist)
    for method in METHODS:
        found, others = match(predicted, truth, max_dist, method)
        assert not (found & ~predicted).any()
        assert not (others & ~truth).any()
        assert found.sum() == others.sum() == pairs
        among, distance = cheapest(found, others, max_dist)
        assert among == pairs  # those said to be matched can be, one to one
        assert method == "fast" or distance == pytest.approx(total)


@pytest.mark.parametrize("level", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("corner", [(60, 60), (150, 200)])
def test_exact_is_least_on_real_maps(real_data, corner, level):
    dataset = open_dataset(f"bsds500:{real_data / 'bsds500'}", "edges", "val")
    window = tuple(slice(start, start + size) for start, size in zip(corner, (90, 120), strict=True))
    strength = gaussian_gradient_magnitude(dataset.image(33).mean(axis=2), 2) / 40
    for drawing in dataset.truth(33)[:3, *window]:
        check_least(thin_mask(thin(strength)[window] >= level), drawing, 0.03)  # as far as in the whole image


def test_exact_ends_where_a_plain_solver_takes_minutes(real_data):
    # A faint gradient and a drawing, and two drawings that all but coincide.
    dataset = open_dataset(f"bsds500:{real_data / 'bsds500'}", "edges", "val")
    strength, drawings = gaussian_gradient_magnitude(dataset.image(33).mean(axis=2), 2) / 40, dataset.truth(33)
    predicted = thin_mask(thin(strength) >= 0.03)
    for ours, theirs in ((predicted, drawings[2]), (drawings[0], drawings[1])):
        pairs = [match(ours, theirs, 0.0075, method)[0].sum() for method in METHODS]
        assert pairs[0] == pairs[1]


@given(seed=st.integers(0, 2**16), share=shares, drawn=shares, max_dist=reaches, method=st.sampled_from(METHODS))
def test_a_selection_of_candidates_matches_as_it_does_alone(seed, share, drawn, max_dist, method):
    rng = np.random.default_rng(seed)
    candidates, truth = rng.random(SHAPE) < 0.7, rng.random(SHAPE) < drawn
    matcher = Matcher(candidates, truth, max_dist)
    for _ in range(2):  # what one selection did must not change the next
        predicted = candidates & (rng.random(SHAPE) < share)
        matched, found = matcher(predicted, method)
        ours, theirs = match(predicted, truth, max_dist, method)
        assert matched.shape == (candidates.sum(),)
        assert found.shape == (truth.sum(),)
        assert matched.sum() == found.sum() == ours.sum() == theirs.sum()
        assert not matched[~predicted[candidates]].any()


@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_serves_one_only(method):
    middle, around = draw((5, 8)), draw((5, 7), (5, 9), (4, 8))
    for predicted, truth in ((middle, around), (around, middle)):
        found, others = match(predicted, truth, 0.05, method)
        assert (found.sum(), others.sum()) == (1, 1)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_as_can_be_even_where_the_nearest_would_leave_one_out(method):
    # In reach are 2 pixels: 8 and 9 could take each other, but then 7 and 11 stay alone.
    found, others = match(draw((5, 7), (5, 9)), draw((5, 8), (5, 11)), 0.1, method)
    assert (found.sum(), others.sum()) == (2, 2)


def test_exact_takes_the_nearest_of_those_that_would_do():
    found, _ = match(draw((5, 5), (5, 7), (5, 10)), draw((5, 8)), 0.2, "exact")
    assert np.argwhere(found).tolist() == [[5, 7]]
    _, others = match(draw((5, 8)), draw((5, 5), (5, 7), (5, 10)), 0.2, "exact")
    assert np.argwhere(others).tolist() == [[5, 7]]


@pytest.mark.parametrize("method", METHODS)
def test_the_limit_itself_is_within_reach(method):
    ours = draw((5, 5))
    assert match(ours, draw((5, 9)), 4 / 20, method)[0].sum() == 1
    assert match(ours, draw((5, 9)), 3.99 / 20, method)[0].sum() == 0
    assert match(ours, draw((8, 9)), 5 / 20, method)[0].sum() == 1
    assert match(ours, draw((8, 9)), 4.99 / 20, method)[0].sum() == 0
    assert match(ours, ours, 0, method)[0].sum() == 1


@pytest.mark.parametrize("method", METHODS)
def test_nothing_matches_nothing(method):
    empty, full = np.zeros(SHAPE, dtype=bool), np.ones(SHAPE, dtype=bool)
    for predicted, truth in ((empty, full), (full, empty), (empty, empty)):
        found, others = match(predicted, truth, 0.1, method)
        assert not found.any()
        assert not others.any()
    found, others = match(full, full, 0.1, method)
    assert found.all()
    assert others.all()


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="fast, exact"):
        match(draw((1, 1)), draw((1, 1)), 0.1, "csa")
