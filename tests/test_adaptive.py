"""Asking few pixels and filling in between: when it is exact, what it asks, and that size does not show."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelnet import InputError, PixelNet
from pixelnet.inference import adaptive
from pixelnet.inference.adaptive import adaptive_strips, twice_as_fine, uncertainty
from pixelnet.tasks import make_task

CLASSES = {"segmentation": 4, "normals": None, "edges": None, "regression": None}


def small(task: str, size: int | None = None) -> PixelNet:
    torch.manual_seed(0)
    return PixelNet(task, CLASSES[task], "test_resnet", hidden=(8,), image_size=size).eval()


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 17), (33, 70)])
@pytest.mark.parametrize("working", [None, 50])
def test_every_pixel_asked_is_the_exact_answer(task: str, size: tuple[int, int], working: int | None) -> None:
    model, image = small(task, working), photo(*size)
    exact, found = model.predict(image), model.predict(image, adaptive=1)
    assert found.shape == exact.shape
    assert found.dtype == exact.dtype
    if task == "segmentation":
        assert (found == exact).mean() > 0.999
    else:
        np.testing.assert_allclose(found, exact, atol=1e-4)


@pytest.mark.parametrize("task", CLASSES)
def test_exactness_costs_questions(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = small(task), photo(40, 50)
    answered: list[int] = []
    rest = model.head.rest
    monkeypatch.setattr(model.head, "rest", lambda x, drop: answered.append(x.shape[-2]) or rest(x, drop))
    exact = model.predict(image, probabilities=task == "segmentation")
    questions, errors = [], []
    for exactness in (0, 0.5, 0.9, 1):
        answered.clear()
        found = model.predict(image, probabilities=task == "segmentation", adaptive=exactness)
        questions.append(sum(answered))
        errors.append(float(np.abs(found - exact).mean()))
    assert questions == sorted(questions)
    assert questions[0] < questions[-1]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-5 < errors[0]


def test_nothing_outside_the_image_is_asked_but_the_first_grid() -> None:
    model, asked = small("segmentation"), []
    maps = model.maps(torch.rand(1, 3, 20, 30))
    project = model.project

    def watched(*arguments):
        projection = project(*arguments)
        return lambda points: asked.append(points[0]) or projection(points)

    model.project = watched  # type: ignore[method-assign, assignment]
    strips = list(adaptive_strips(model, maps, 20, 30, exactness=1))
    assert [strip.shape for strip in strips] == [(20, 30, 4)]
    first, *later = asked
    assert len(first) == 4 * 5
    everything = torch.cat(later)
    assert (everything >= 0).all()
    assert (everything < torch.tensor([30, 20])).all()
    inside = first[(first < torch.tensor([30, 20])).all(dim=1)]
    assert len(torch.cat([inside, everything]).unique(dim=0)) == len(inside) + len(everything) == 20 * 30


@pytest.mark.parametrize("strip", [1, 200, 1000])
def test_strips_do_not_show_where_all_is_asked(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = small("normals"), photo(45, 21)
    whole = model.predict(image, adaptive=1)
    monkeypatch.setattr(adaptive, "STRIP", strip)
    np.testing.assert_allclose(model.predict(image, adaptive=1), whole, atol=1e-5)


@given(height=st.integers(1, 9), width=st.integers(1, 9), channels=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_a_finer_grid_is_interpolated(height: int, width: int, channels: int, seed: int) -> None:
    grid = torch.from_numpy(np.random.default_rng(seed).normal(size=(height, width, channels)))
    size = (2 * height - 1, 2 * width - 1)
    expected = F.interpolate(grid.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(twice_as_fine(grid), expected[0].permute(1, 2, 0))


def test_uncertainties_by_hand() -> None:
    sure, other, torn = [9.0, 0.0, -9.0], [0.0, 9.0, -9.0], [0.2, 0.0, -9.0]
    found = uncertainty(
        make_task("segmentation", num_classes=3), torch.tensor([[sure, sure, other], [sure, torn, torn]])
    )
    unsure, certain = 1 - np.tanh(0.1), 1 - np.tanh(4.5)
    expected = [
        [0, certain, 0, 1, 0],
        [certain, unsure, unsure, 1, 1],
        [0, unsure, 0, unsure, 0],
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("task", "one", "other", "expected"),
    [
        ("edges", [0.0], [np.log(3)], 0.25),
        ("normals", [0.0, 0.0, -2.0], [0.0, 3.0, 0.0], 1),
        ("normals", [0.0, 0.6, -0.8], [0.0, 0.8, -0.6], 0.2),
        ("regression", [4.0], [5.0], 0.2),
        ("regression", [0.0], [0.0], 0),
        ("regression", [-1.0], [1.0], 1),
    ],
)
def test_real_values_disagree_by_as_much_as_they_differ(task, one, other, expected) -> None:
    judge = make_task(task)
    digests = judge.digest(torch.tensor([one, other]))
    assert judge.disagreement(*digests).item() == pytest.approx(expected, abs=1e-6)
    assert judge.disagreement(digests[0], digests[0]).item() == 0


def test_an_exactness_that_is_none_is_refused() -> None:
    model = small("edges")
    with pytest.raises(InputError, match="from 0"):
        model.predict(photo(9, 9), adaptive=1.5)
    with pytest.raises(InputError, match="leave one"):
        model.predict(photo(9, 9), points=[(1, 2)], adaptive=0.5)
