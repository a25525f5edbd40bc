"""Simulated surveys (benchmarks/measure): the closed form is what the package's own functions find."""

import numpy as np
import pytest

from benchmarks.measure.populations import Population
from benchmarks.measure.quick import Quick
from benchmarks.measure.simulate import Frame, estimate


def some_frame(rng):
    probabilities = rng.dirichlet([0.25] * 4, 6000)
    truth = (probabilities.cumsum(1) > rng.random((6000, 1))).argmax(1)
    image = np.sort(rng.integers(0, 20, 6000))
    return Frame(Population("some", tuple("abcd"), probabilities.argmax(1), truth, probabilities, image))


def test_the_closed_form_is_what_the_package_finds():
    rng = np.random.default_rng(0)
    frame = some_frame(rng)
    strata = frame.stratified("confidence", 90)
    every, common = np.ones(4, bool), np.array([True, True, False, True])
    quick = Quick(frame, strata, every, common)
    for sample in strata.samples(7, rng):
        expected = estimate(frame, sample, "difference", every, common)
        found = quick.of(sample.pixels)
        known = ~np.isnan(found[0][0])  # all but the classes put together, of which there are none
        assert known.sum() == 10
        for own, one in zip(found[:2], expected[:2], strict=True):
            assert own[:, known] == pytest.approx(one[:, known], rel=1e-9)
        assert found[2] == expected[2] == 90 - len(strata.counts)


def test_overall_accuracy_has_its_variance_where_no_class_is_told():
    rng, every, none = np.random.default_rng(1), np.ones(4, bool), np.zeros(4, bool)
    frame = some_frame(rng)
    strata = frame.stratified("uniform", 40)
    sample = next(strata.samples(3, rng))
    found = Quick(frame, strata, none, none).of(sample.pixels)
    assert found[0].shape == found[1].shape
    expected = estimate(frame, sample, "difference", every, none)
    for own, one in zip(found[:2], expected[:2], strict=True):
        assert own[:, 0] == pytest.approx(one[:, 0])
