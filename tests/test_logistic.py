"""Logistic regression against scikit-learn's, its gradient against differences, and what it promises of order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from pixelnet.learning.logistic import ABSENT, Problem, balanced, log_chances, mean


def problem(points: int, width: int, classes: int, seed: int = 0, present: int | None = None) -> dict[str, Any]:
    """Points of Gaussian classes, some features of other scales and one that does not vary."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(present or classes), rng.integers(0, present or classes, points)])[:points]
    features = rng.normal(size=(points, width)) + 0.8 * rng.normal(size=(classes, width))[labels]
    features = (features * np.geomspace(0.01, 100, width) + np.linspace(-5, 5, width)).astype(np.float32)
    features[:, -1] = 3
    weights = rng.uniform(0.2, 5, points)
    return {"features": features, "labels": labels, "weights": weights, "classes": classes}


def by_sklearn(table: dict[str, Any], strength: float) -> np.ndarray:
    """Logits (M, K), of mean 0 over the classes.

    Of two classes scikit-learn has one kernel v, with v^2 / 2 C; here there are v / 2 and -v / 2, whose squares add up
    to v^2 / 2, so that C is twice the strength.
    """
    features = table["features"].astype(np.float64)
    deviation = features.std(axis=0)
    standardized = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    two = len(np.unique(table["labels"])) == 2
    found = LogisticRegression(C=strength * (2 if two else 1), tol=1e-10, max_iter=10_000)
    found.fit(standardized, table["labels"], sample_weight=table["weights"] / table["weights"].mean())
    logits = found.decision_function(standardized)
    logits = np.stack([-logits / 2, logits / 2], axis=1) if two else logits
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize(("points", "width"), [(30, 200), (300, 12)], ids=["D > M", "M > D"])
@pytest.mark.parametrize(("strength", "apart"), [(0.001, 1e-4), (0.1, 1e-3), (10.0, 1e-2)])
def test_it_is_logistic_regression(points: int, width: int, classes: int, strength: float, apart: float) -> None:
    table = problem(points, width, classes)
    logits = Problem(**table).fit(strength)(table["features"])
    expected = by_sklearn(table, strength)
    centered = logits - logits.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centered, expected, atol=apart * abs(expected).max())


def test_a_class_without_labels_is_never_answered_and_changes_nothing() -> None:
    table = problem(60, 20, 4, present=3)
    with_it, without = Problem(**table).fit(0.1), Problem(**table | {"classes": 3}).fit(0.1)
    logits = with_it(table["features"])
    np.testing.assert_allclose(logits[:, :3], without(table["features"]), atol=2e-3)
    np.testing.assert_array_equal(logits[:, 3], ABSENT)
    assert logits[:, :3].max(axis=1).min() > 0.2 * ABSENT


@settings(max_examples=15)
@given(st.permutations(range(24)), st.booleans())
def test_order_changes_nothing(order: list[int], wide: bool) -> None:
    table = problem(24, 40 if wide else 6, 3)
    other = {name: value if name == "classes" else value[order] for name, value in table.items()}
    one, two = Problem(**table).fit(0.1), Problem(**other).fit(0.1)
    np.testing.assert_allclose(one(table["features"]), two(table["features"]), atol=1e-6)


@pytest.mark.parametrize("present", [2, 4])
def test_the_gradient_is_that_of_the_loss(present: int) -> None:
    own = Problem(**problem(30, 6, 4, present=present))
    rng = np.random.default_rng(1)
    widths = rng.uniform(0.5, 2, own.places.shape[1] + 1)

    def loss(x: np.ndarray) -> float:
        return own._loss(x, widths, 0.3)[0]

    def gradient(x: np.ndarray) -> np.ndarray:
        return own._loss(x, widths, 0.3)[1]

    start = rng.normal(size=4 * len(widths))
    assert check_grad(loss, gradient, start) < 1e-5 * np.linalg.norm(gradient(start))


def test_what_was_asked_before_changes_no_bit() -> None:
    table = problem(50, 80, 3)
    asked = Problem(**table)
    for strength in (0.001, 0.1, 0.01):
        found, alone = asked.fit(strength), Problem(**table).fit(strength)
        np.testing.assert_array_equal(found.kernel, alone.kernel)
        np.testing.assert_array_equal(found.bias, alone.bias)


def test_balanced_weights_make_classes_alike() -> None:
    labels = np.array([0, 0, 0, 2, 4, 4])
    weights = balanced(labels, 6)
    assert weights.mean() == pytest.approx(1)
    sums = np.bincount(labels, weights, minlength=6)
    np.testing.assert_allclose(sums, [2, 0, 2, 0, 2, 0])


def test_log_chances_add_up_to_one_and_the_mean_is_geometric() -> None:
    logits = np.random.default_rng(0).normal(0, 50, (3, 5, 4))
    chances = np.exp(log_chances(logits))
    np.testing.assert_allclose(chances.sum(axis=-1), 1)
    np.testing.assert_allclose(log_chances(logits), log_chances(logits + 1000), atol=1e-9)
    product = np.exp(log_chances(logits).mean(axis=0))
    np.testing.assert_allclose(
        np.exp(log_chances(mean(list(logits)))), product / product.sum(axis=-1, keepdims=True), atol=1e-12
    )
