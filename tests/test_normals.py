"""Normals: the paper's loss, the angular one at its awkward places, and the colors."""

import math

import numpy as np
import pytest
import torch
from contract_task import TaskContract

from pixelnet.tasks import make_task


class TestNormals(TaskContract):
    name = "normals"
    perfect = {"mean": 0, "median": 0, "rmse": 0, "11.25": 100, "22.5": 100, "30": 100}  # noqa: RUF012
    distribution = False

    def labels(self, rng, shape):
        vectors = rng.normal(size=(*shape, 3))
        vectors[..., 2] = -np.abs(vectors[..., 2])
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def loss(name, logits, labels, weights=None):
    logits, labels = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels, dtype=torch.float64)
    logits.requires_grad_()
    weights = torch.ones(len(labels)) if weights is None else torch.tensor(weights)
    value = make_task("normals", loss=name).loss(logits, labels, weights)
    value.backward()
    return value.item(), logits.grad.numpy()


def test_euclidean_is_the_papers_by_hand():
    # Right angles: half of the squared diagonal of the unit square is 1. Opposite: half of 2 squared is 2.
    value, _ = loss("euclidean", [[5.0, 0, 0], [0, 0, 3]], [[0, 1.0, 0], [0, 0, -1]])
    assert value == pytest.approx((1 + 2) / 2)
    value, _ = loss("euclidean", [[5.0, 0, 0], [0, 0, 3]], [[0, 1.0, 0], [0, 0, -1]], [3.0, 1.0])
    assert value == pytest.approx((3 * 1 + 1 * 2) / 4)


def test_euclidean_is_one_minus_the_cosine():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(9, 3)), rng.normal(size=(9, 3))
    labels /= np.linalg.norm(labels, axis=1, keepdims=True)
    cosine = [(a / np.linalg.norm(a)) @ b for a, b in zip(logits, labels, strict=True)]
    assert loss("euclidean", logits, labels)[0] == pytest.approx(np.mean(1 - np.array(cosine)))


@pytest.mark.parametrize("degrees", [1e-4, 30.0, 90.0, 179.9999])
def test_angular_is_the_angle_in_radians(degrees):
    angle = math.radians(degrees)
    value, gradient = loss("angular", [[0, 4 * math.sin(angle), -4 * math.cos(angle)]], [[0, 0, -1.0]])
    assert value == pytest.approx(angle)
    assert np.linalg.norm(gradient) == pytest.approx(1 / 4)  # turning a vector of length 4


@pytest.mark.parametrize("name", ["euclidean", "angular"])
@pytest.mark.parametrize("output", [[0.0, 0, -2], [0.0, 0, 2], [0.0, 0, 0]])
def test_gradients_are_finite_at_0_and_180_degrees_and_without_direction(name, output):
    value, gradient = loss(name, [output], [[0, 0, -1.0]])
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()


def test_decode_gives_unit_vectors():
    decoded = make_task("normals").decode(torch.tensor([[3.0, 0, -4], [0, 0, 0], [1e-9, 0, 0]]))
    torch.testing.assert_close(decoded, torch.tensor([[0.6, 0, -0.8], [0, 0, -1], [1, 0, 0]]))


def test_mirror_negates_x_only():
    assert make_task("normals").mirror(np.array([[0.6, 0.0, -0.8]])).tolist() == [[-0.6, 0, -0.8]]


def test_paint_a_floor_green_a_wall_light_blue_and_nothing_black():
    floor, wall, right, nothing = (0, -1, 0), (0, 0, -1), (1, 0, 0), (0, 0, 0)
    picture = make_task("normals").paint(np.array([[floor, wall, right, nothing]], dtype=np.float32))
    assert picture.tolist() == [[[128, 255, 128], [128, 128, 255], [255, 128, 128], [0, 0, 0]]]


def test_score_by_hand():
    scorer = make_task("normals").scorer()
    truth = np.zeros((1, 4, 3))
    truth[0, :3] = (0, 0, -1)
    prediction = np.array([[[0, 0, -1], [0, 1, -1], [1, 0, 0], [0, 9, 9]]], dtype=float)
    scorer.update(prediction, truth)  # 0, 45 and 90 degrees; the fourth is unlabelled
    expected = {"mean": 45, "median": 45, "rmse": math.sqrt((45**2 + 90**2) / 3)}
    expected |= {"11.25": 100 / 3, "22.5": 100 / 3, "30": 100 / 3}
    assert scorer.result() == pytest.approx(expected, abs=1e-6)
