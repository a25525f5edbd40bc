"""A fit from where the last one ended comes to what one from nothing does, whatever it begins with."""

import numpy as np
import pytest

from pixelnet.learning.logistic import ABSENT, Linear, Problem, balanced, log_chances
from pixelnet.learning.warm import SAMPLE, refit


def made(count: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike scale and place, many of them alike, and labels that hang on a few."""
    rng = np.random.default_rng(count)
    few = rng.normal(size=(count, 5))
    features = few @ rng.normal(size=(5, width)) + rng.normal(size=(count, width))
    labels = (few[:, :classes] + rng.normal(size=(count, classes))).argmax(axis=1)
    scale, shift = rng.uniform(0.01, 10, width), rng.normal(0, 5, width)
    return (features * scale + shift).astype(np.float32), labels


def chances(linear: Linear, features: np.ndarray) -> np.ndarray:
    return np.exp(log_chances(linear(features.astype(np.float64))))


@pytest.mark.parametrize(("count", "width", "classes"), [(30, 60, 2), (SAMPLE + 200, 40, 3)])
def test_it_ends_where_a_cold_one_does(count: int, width: int, classes: int) -> None:
    features, labels = made(count, width, classes)
    weights = balanced(labels, classes)
    expected = chances(Problem(features, labels, weights, classes).fit(0.03), features)
    less = slice(count - 10)
    before = Problem(features[less], labels[less], balanced(labels[less], classes), classes).fit(0.03)
    assert abs(chances(before, features) - expected).max() > 0.01
    far = Linear(np.random.default_rng(0).normal(size=(classes, width)), np.arange(float(classes)))
    for start in (None, before, far):
        found = refit(features, labels, weights, classes, 0.03, start)
        np.testing.assert_allclose(chances(found, features), expected, atol=5e-3)


def test_a_class_may_come_and_go() -> None:
    features, labels = made(80, 20, 3)
    two = labels < 2
    before = refit(features[two], labels[two], balanced(labels[two], 3), 3, 0.03)
    assert before.bias[2] == ABSENT
    assert chances(before, features)[:, 2].max() < 1e-6
    weights = balanced(labels, 3)
    found = refit(features, labels, weights, 3, 0.03, before)
    expected = chances(Problem(features, labels, weights, 3).fit(0.03), features)
    np.testing.assert_allclose(chances(found, features), expected, atol=5e-3)
    again = refit(features[two], labels[two], balanced(labels[two], 3), 3, 0.03, found)
    np.testing.assert_allclose(chances(again, features), chances(before, features), atol=5e-3)


def test_a_feature_that_does_not_vary_says_nothing() -> None:
    features, labels = made(40, 10, 2)
    features[:, 3] = 7
    found = refit(features, labels, balanced(labels, 2), 2, 0.03)
    np.testing.assert_allclose(found.kernel[:, 3], 0, atol=1e-6)
