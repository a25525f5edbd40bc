"""Segmentation: losses against torch, loops and hand-worked numbers; what make_task accepts."""

import numpy as np
import pytest
import torch
from contract_task import TaskContract

from pixelnet.errors import InputError
from pixelnet.metrics.calibration import calibration_counts, calibration_scores
from pixelnet.metrics.contours import contour_counts, contour_scores
from pixelnet.tasks import TASKS, make_task
from pixelnet.tasks.segmentation import default_palette

CLASSES = 5


class TestSegmentation(TaskContract):
    name = "segmentation"
    options = {"num_classes": CLASSES}  # noqa: RUF012
    perfect = {"miou": 1, "mean_accuracy": 1, "pixel_accuracy": 1, "iou_per_class": [1] * CLASSES}  # noqa: RUF012
    unweighted = ("lovasz", "cross-entropy+lovasz")
    distribution = True

    def labels(self, rng, shape):
        return rng.integers(0, CLASSES, shape).astype(np.uint8)


def points(seed=0, number=20, classes=CLASSES):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(number, classes)))
    return logits, torch.from_numpy(rng.integers(0, classes, number)), torch.from_numpy(rng.uniform(0.5, 3, number))


def test_cross_entropy_is_the_weighted_mean_of_minus_log_p():
    logits, labels, weights = points()
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = sum(-w * np.log(row[c]) for w, row, c in zip(weights, p, labels, strict=True)) / weights.sum()
    task = make_task("segmentation", 5, loss="cross-entropy")
    assert task.loss(logits, labels, weights) == pytest.approx(expected)


def test_class_weights_are_normalized_as_torch_does():
    logits, labels, _ = points()
    class_weights = [0.0, 1, 2, 0.5, 3]
    task = make_task("segmentation", 5, loss="cross-entropy", class_weights=class_weights)
    expected = torch.nn.CrossEntropyLoss(weight=torch.tensor(class_weights).double())(logits, labels)
    torch.testing.assert_close(task.loss(logits, labels, torch.ones(20)), expected)
    of_no_weight = labels == 0
    assert task.loss(logits[of_no_weight], labels[of_no_weight], torch.ones(int(of_no_weight.sum()))) == 0


def test_dice_of_sure_predictions_is_that_of_sets():
    # Class 0: 3 predicted, 2 true, 2 both; class 1: 1, 2, 1; class 2 has no label and does not count.
    predicted, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    logits = 1000.0 * torch.nn.functional.one_hot(predicted, 3).double()
    expected = 1 - (2 * 2 / 5 + 2 * 1 / 3) / 2
    assert make_task("segmentation", 3, loss="dice").loss(logits, labels, torch.ones(4)) == pytest.approx(expected)


def test_lovasz_of_sure_predictions_is_one_minus_iou():
    predicted, labels = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    logits = 1000.0 * torch.nn.functional.one_hot(predicted, 3).double()
    expected = 1 - (2 / 3 + 1 / 2) / 2
    assert make_task("segmentation", 3, loss="lovasz").loss(logits, labels, torch.ones(4)) == pytest.approx(expected)


def test_lovasz_is_the_extension_of_the_jaccard_loss():
    """Its definition, Berman et al. 2018 equations 5 and 8, set by set: growth of 1 - IoU as errors are added."""
    logits, labels, weights = points(seed=1, number=9, classes=3)
    p, labels_ = logits.softmax(1).numpy(), labels.numpy()
    losses = []
    for c in np.unique(labels_):
        truth = set(np.flatnonzero(labels_ == c))
        errors = np.abs((labels_ == c) - p[:, c])
        wrong, before, loss = set(), 0.0, 0.0
        for i in np.argsort(-errors):
            wrong.add(i)
            jaccard_loss = len(wrong) / len(truth | wrong)
            loss, before = loss + errors[i] * (jaccard_loss - before), jaccard_loss
        losses.append(loss)
    assert make_task("segmentation", 3, loss="lovasz").loss(logits, labels, weights) == pytest.approx(np.mean(losses))


@pytest.mark.parametrize("other", ["dice", "lovasz"])
def test_combined_losses_are_plain_sums(other):
    batch = points()
    loss = {name: make_task("segmentation", 5, loss=name).loss(*batch) for name in TASKS["segmentation"].losses}
    torch.testing.assert_close(loss[f"cross-entropy+{other}"], loss["cross-entropy"] + loss[other])


def test_decode():
    task = make_task("segmentation", 3)
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert task.decode(logits).tolist() == [1, 0]
    probabilities = task.decode(logits, probabilities=True)
    assert probabilities[0].tolist() == pytest.approx([0.0900, 0.6652, 0.2447], abs=1e-4)


def test_the_benchmark_adds_contours_and_for_probabilities_calibration():
    rng, task = np.random.default_rng(0), make_task("segmentation", 3)
    truth = rng.choice([0, 1, 2, 255], (9, 7)).astype(np.uint8)
    probabilities = rng.dirichlet(np.ones(3), truth.shape)
    by_ids, by_probabilities, quick = task.benchmark(), task.benchmark(), task.scorer()
    for scorer in (by_ids, quick):
        scorer.update(probabilities.argmax(axis=2), truth)
    by_probabilities.update(probabilities, truth)
    contours = contour_scores(contour_counts(probabilities.argmax(axis=2), truth, 3))
    assert by_ids.result() == quick.result() | contours
    calibration = calibration_scores(calibration_counts(probabilities, truth))
    assert by_probabilities.result() == by_ids.result() | calibration
    assert "ece" not in task.benchmark().result()
    assert task.benchmark().result()["boundary_f"] is None
    with pytest.raises(InputError, match="2 classes; expected 3"):
        by_ids.update(np.full((9, 7, 2), 0.5), truth)


def test_paint_uses_the_classes_own_colors():
    task = make_task("segmentation", 2, class_names=["sky", "road"], class_colors=[[1, 2, 3], [4, 5, 6]])
    picture = task.paint(np.array([[0, 1, 255]], dtype=np.uint8))
    assert picture.tolist() == [[[1, 2, 3], [4, 5, 6], [0, 0, 0]]]
    assert (task.class_names, task.class_colors) == (("sky", "road"), ((1, 2, 3), (4, 5, 6)))
    assert task.palette == task.class_colors


def test_the_default_palette_tells_255_classes_apart():
    palette = np.array(default_palette(), dtype=float)
    assert palette.shape == (255, 3)
    apart = np.linalg.norm(palette[:, None] - palette, axis=2) + 1e9 * np.eye(255)
    assert apart.min() > 10
    assert apart[:20, :20].min() > 30
    assert np.linalg.norm(palette, axis=1).min() > 80  # none looks like black, which is unlabelled
    task = make_task("segmentation", 255)
    assert (task.palette, task.class_colors) == (default_palette(), ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "flow"}, "segmentation, normals, edges, regression"),
        ({"task": "segmentation"}, "number of classes"),
        ({"task": "segmentation", "num_classes": 1}, "2 to 255"),
        ({"task": "segmentation", "num_classes": 256}, "2 to 255"),
        ({"task": "segmentation", "num_classes": 3, "class_names": ["a"]}, "1 class names given for 3"),
        ({"task": "segmentation", "num_classes": 2, "class_colors": [(0, 0, 0)]}, "1 class colors given for 2"),
        ({"task": "segmentation", "num_classes": 2, "class_colors": [(0, 0, 0), (0, 300, 0)]}, "300"),
        ({"task": "segmentation", "num_classes": 2, "class_weights": [1]}, "1 class weights given for 2"),
        ({"task": "segmentation", "num_classes": 2, "class_weights": []}, "0 class weights given for 2"),
        ({"task": "segmentation", "num_classes": 2, "class_weights": [1, -1]}, "0 or more"),
        ({"task": "segmentation", "num_classes": 2, "class_weights": [0, 0]}, "not all 0"),
        ({"task": "segmentation", "num_classes": 2, "class_weights": [1, 2], "loss": "dice"}, "not of 'dice'"),
        ({"task": "normals", "num_classes": 3}, "normals has no num_classes, found 3"),
        ({"task": "edges", "num_classes": 0}, "edges has no num_classes, found 0"),
        ({"task": "regression", "class_names": ["a"]}, r"regression has no class_names, found \['a'\]"),
        ({"task": "edges", "class_weights": [1]}, r"edges has no class_weights, found \[1\]"),
    ],
)
def test_make_task_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        make_task(**arguments)


@pytest.mark.parametrize("name", ["normals", "edges", "regression"])
def test_make_task_takes_the_empty_names_of_a_data_set_without_classes(name):
    task = make_task(name, class_names=(), class_colors=[])
    assert isinstance(task, TASKS[name])
    assert task.loss_name == next(iter(task.losses))
