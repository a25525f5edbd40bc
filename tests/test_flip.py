"""Predictions with the mirror image's: the mean of the two, each computed by itself."""

import numpy as np
import pytest
import torch
from test_predict import TASKS, picture, small

from pixelnet import InputError, PixelNet, evaluate
from pixelnet.data import open_dataset


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [None, 80])
def test_flip_is_the_mean_of_an_image_and_its_mirror_image(task: str, size: int | None) -> None:
    model, image = small(task, image_size=size), picture()
    found = model.predict(image, flip=True)

    def logits(pixels: np.ndarray) -> np.ndarray:
        one = PixelNet("regression", backbone="test_resnet", hidden=(8,), image_size=size).eval()
        values = []
        for k in range(model.task.outputs):  # each output by itself, as the values of a model of values
            one.load_state_dict(model.state_dict() | own(k))
            values.append(one.predict(pixels))
        return np.stack(values, axis=-1)

    def own(k: int) -> dict[str, torch.Tensor]:
        state = model.state_dict()
        return {key: state[key][k : k + 1] for key in ("head.2.weight", "head.2.bias")}

    straight, mirrored = logits(image), logits(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]
    if task == "normals":
        straight, mirrored = (v / np.linalg.norm(v, axis=2, keepdims=True) for v in (straight, mirrored))
        mirrored = mirrored * (-1, 1, 1)
    mean = (straight + mirrored) / 2
    expected = {
        "segmentation": lambda: mean.argmax(2),
        "normals": lambda: mean / np.linalg.norm(mean, axis=2, keepdims=True),
        "edges": lambda: 1 / (1 + np.exp(-mean[..., 0])),
        "regression": lambda: mean[..., 0],
    }[task]()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    points = [(0, 0), (52, 36), (7, 20)]
    at = model.predict(image, points=points, flip=True)
    np.testing.assert_allclose(at, [found[y, x] for x, y in points], atol=2e-5)
    assert not np.allclose(found, model.predict(image), atol=1e-3) or task == "segmentation"


def test_what_the_mirror_image_says_mirrored_is_what_the_image_says() -> None:
    model, image = small("normals"), picture()
    across = model.predict(np.ascontiguousarray(image[:, ::-1]), flip=True)[:, ::-1] * (-1, 1, 1)
    np.testing.assert_allclose(across, model.predict(image, flip=True), atol=1e-5)


def test_flip_does_not_go_with_adaptive() -> None:
    with pytest.raises(InputError, match="do not go together"):
        small().predict(picture(), adaptive=0.5, flip=True)


def test_evaluation_scores_what_flip_predicts(folder_data) -> None:
    spec, model = f"folder:{folder_data('segmentation')}", small(image_size=20)
    dataset = open_dataset(spec, "segmentation", "val")
    hits = known = 0
    for i in range(len(dataset)):
        truth = dataset.labels(i)
        hits += (model.predict(dataset.image(i), flip=True) == truth)[truth != 255].sum()
        known += (truth != 255).sum()
    assert evaluate(model, data=spec, flip=True)["pixel_accuracy"] == pytest.approx(hits / known)
    with pytest.raises(InputError, match="--flip is of a model"):
        evaluate(predictions="there", task="segmentation", data=spec, flip=True)
