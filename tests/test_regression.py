"""Regression: L1 and the scale-invariant loss, and the colors."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from contract_task import TaskContract

from pixelnet.errors import InputError
from pixelnet.tasks import make_task


class TestRegression(TaskContract):
    name = "regression"
    perfect = {"abs_rel": 0, "rmse": 0, "delta1": 1}  # noqa: RUF012
    distribution = False

    def labels(self, rng, shape):
        return rng.uniform(0.5, 10, shape)


def scale_invariant(values, labels, weights=None):
    logits = torch.tensor(values, dtype=torch.float64)[:, None].requires_grad_()
    labels = torch.tensor(labels, dtype=torch.float64)
    weights = torch.ones(len(labels)) if weights is None else torch.tensor(weights)
    return make_task("regression", loss="scale-invariant").loss(logits, labels, weights), logits


def test_l1_is_the_weighted_mean_distance_of_any_sign():
    loss = make_task("regression").loss(
        torch.tensor([[-1.0], [4.0]]), torch.tensor([-3.0, 1.0]), torch.tensor([3.0, 1])
    )
    assert loss.item() == pytest.approx((3 * 2 + 1 * 3) / 4)


def test_scale_invariant_is_eigens():
    rng = np.random.default_rng(0)
    values, labels = rng.uniform(1, 5, 8), rng.uniform(1, 5, 8)
    d = [math.log(p) - math.log(t) for p, t in zip(values, labels, strict=True)]
    expected = sum(x * x for x in d) / 8 - 0.5 * (sum(d) / 8) ** 2
    assert scale_invariant(values, labels)[0].item() == pytest.approx(expected)
    # Half of the scale is forgiven: all values doubled cost half of log(2) squared.
    assert scale_invariant(2 * labels, labels)[0].item() == pytest.approx(0.5 * math.log(2) ** 2)


def test_scale_invariant_leads_an_untrained_network_to_positive_values():
    values, labels = [0.0, -2.0, 0.05], [1.0, 5.0, 2.0]
    loss, logits = scale_invariant(values, labels)
    loss.backward()
    assert math.isfinite(loss.item())
    assert logits.grad.isfinite().all()
    assert (logits.grad < 0).all()  # a step downhill raises each value
    below, above = (scale_invariant([v], [1.0])[0].item() for v in (0.1 - 1e-9, 0.1 + 1e-9))
    assert below == pytest.approx(above, rel=1e-6)


def test_scale_invariant_refuses_labels_without_logarithm():
    with pytest.raises(InputError, match="least is -1"):
        scale_invariant([1.0, 1.0], [2.0, -1.0])


def test_not_finite_is_unlabelled():
    labels = np.array([1.0, np.nan, np.inf, -np.inf, -5, 0])
    assert make_task("regression").labelled(labels).tolist() == [True, False, False, False, True, True]


def test_decode_gives_the_values():
    assert make_task("regression").decode(torch.tensor([[-2.5], [7.0]])).tolist() == [-2.5, 7.0]


def test_paint_is_viridis_from_the_2nd_to_the_98th_percentile():
    values = np.linspace(-3, 5, 900).reshape(30, 30)
    low, high = np.percentile(values, (2, 98))
    expected = matplotlib.colormaps["viridis"](np.clip((values - low) / (high - low), 0, 1))[..., :3] * 255
    assert np.abs(make_task("regression").paint(values) - expected).max() < 20  # between its eighths


@pytest.mark.parametrize("values", [np.full((4, 5), 3.0), np.where(np.arange(400).reshape(20, 20), 0, 9e9)])
def test_paint_survives_a_flat_map(values):
    assert make_task("regression").paint(values)[-1, -1].tolist() == [68, 1, 84]


def test_paint_nothing_black():
    picture = make_task("regression").paint(np.array([[np.nan, np.inf]]))
    assert not picture.any()
