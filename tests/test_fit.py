"""`pixelnet.fit`: what it learns is what its parts say, the same each time, and an ordinary model comes out."""

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from strokes import in_folder, item, items

import pixelnet
from pixelnet import InputError
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import Dataset, Window
from pixelnet.learning import fit as module
from pixelnet.learning import labels as reading
from pixelnet.learning.assemble import PRIOR, joined, toward
from pixelnet.learning.choose import Choice
from pixelnet.learning.fit import fit_noted
from pixelnet.learning.labels import labelled_points
from pixelnet.learning.logistic import Linear, Problem, balanced
from pixelnet.learning.parts import Maps

FILTERS: dict[str, Any] = {"features": "filters", "strength": 0.1}


class Wide(Dataset):
    """Four channels of twelve bits in sixteen."""

    task, names, class_names = "segmentation", ["a", "b", "c"], ("smooth", "rough")
    channels, ranges = ("red", "green", "blue", "nir"), ((0.0, 4095.0),) * 4

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return (item(i, 4)[0].astype(np.uint16) * 16)[window or ...]

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return item(i)[1][window or ...]


def weights(model: pixelnet.PixelNet) -> np.ndarray:
    last = model.head.last
    return np.column_stack([last.weight.detach().numpy(), last.bias.detach().numpy()])


def assert_near(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, atol=1e-4 * abs(other).max())


# ---------------------------------------------------------------------------------------- what it learns


def test_the_model_says_at_points_what_the_predictor_says_of_their_features() -> None:
    data, given = items(), {"features": "filters,edges+filters", "strength": [0.1, 0.01]}
    found = fit_noted(data, **given, priors="equal")
    known, _ = labelled_points(Arrays(data, "segmentation"))
    maps = Maps(lambda i: data[i][0], lambda i: (64, 48), 3)
    labels = np.concatenate(known.ids)
    members = []
    for parts, strength in [(("filters",), 0.1), (("edges", "filters"), 0.01)]:
        table = np.concatenate(
            [np.concatenate([maps.at(i, part, known.points[i]) for part in parts], axis=1) for i in range(3)]
        )
        problem = Problem(table, labels, balanced(labels, 2), 2)
        members.append((table, problem.fit(strength)))
    logits = found.choice.warmth * np.mean([linear(table) for table, linear in members], axis=0)
    model = found.model
    asked = np.concatenate([model.predict(data[i][0], known.points[i], probabilities=True) for i in range(3)])
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    assert not model.training
    np.testing.assert_allclose(asked[:, 1], expected, atol=0.01)
    assert np.ptp(expected) > 0.9


def test_what_is_rough_is_told_from_what_is_smooth() -> None:
    model = pixelnet.fit(items(), **FILTERS)
    image, _ = item(9)
    answer = model.predict(image)
    assert (answer[:, :28] == 0).mean() > 0.95
    assert (answer[:, 36:] == 1).mean() > 0.95


def test_the_mean_of_several_predictors_is_one() -> None:
    rng = np.random.default_rng(0)
    widths = {"a": 3, "b": 5, "c": 2}
    table = {part: rng.normal(size=(7, width)) for part, width in widths.items()}
    members = [
        (own, Linear(rng.normal(size=(4, sum(widths[part] for part in own))), rng.normal(size=4)))
        for own in (("a", "b"), ("b",), ("c", "a"))
    ]
    parts, linear = joined(members, widths)
    assert parts == ("a", "b", "c")
    expected = np.mean([own(np.concatenate([table[p] for p in names], axis=1)) for names, own in members], axis=0)
    np.testing.assert_allclose(linear(np.concatenate([table[part] for part in parts], axis=1)), expected, atol=1e-12)


def test_shares_move_logits_as_far_as_skill_goes() -> None:
    linear = Linear(np.ones((3, 2)), np.array([1.0, 0, -1]))
    equal, common = np.full(3, 1 / 3), np.array([0.9, 0.09, 0.01])
    moved = [toward(linear, Choice((), warmth=2.0, skill=skill), common).bias for skill in (0, 0.5, 1)]
    np.testing.assert_allclose(moved[0], 2 * linear.bias)
    np.testing.assert_allclose(toward(linear, Choice((), warmth=2.0, skill=1), equal).bias, 2 * linear.bias, atol=1e-12)
    np.testing.assert_allclose(moved[2] - moved[0], 2 * (moved[1] - moved[0]))
    np.testing.assert_allclose(np.diff(moved[2] - moved[0]), PRIOR * np.diff(np.log(common)))


def test_the_order_of_images_changes_nothing_but_rounding() -> None:
    data = items()
    options: dict[str, Any] = {**FILTERS, "priors": "labels"}
    assert_near(weights(pixelnet.fit(data[::-1], **options)), weights(pixelnet.fit(data, **options)))


def test_the_order_of_classes_changes_nothing_but_their_rows() -> None:
    data = items()
    swapped = [(image, np.where(labels == 255, 255, 1 - labels).astype(np.uint8)) for image, labels in data]
    options: dict[str, Any] = {**FILTERS, "priors": "labels"}
    assert_near(weights(pixelnet.fit(swapped, **options))[::-1], weights(pixelnet.fit(data, **options)))


def test_what_is_unlabelled_is_never_learnt_from() -> None:
    data = items()
    known, dense = labelled_points(Arrays(data, "segmentation"))
    assert not dense
    for (_, labels), points, ids in zip(data, known.points, known.ids, strict=True):
        assert len(points) == (labels != 255).sum()
        np.testing.assert_array_equal(labels[points[:, 1], points[:, 0]], ids)
    more = [*data, (data[0][0], np.full((48, 64), 255, np.uint8))]
    found = fit_noted(more, **FILTERS, priors="equal")
    assert found.images == (0, 1, 2)
    np.testing.assert_array_equal(weights(found.model), weights(pixelnet.fit(data, **FILTERS, priors="equal")))


def test_of_many_labels_some_are_taken_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (module, reading):
        monkeypatch.setattr(part, "MOST_POINTS", 120)
    labels = np.zeros((48, 64), np.uint8)
    labels[:2, :10] = 1
    data = Arrays([(item(k)[0], labels) for k in range(3)], "segmentation")
    known, dense = labelled_points(data)
    assert dense
    assert [list(np.bincount(ids)) for ids in known.ids] == [[20, 20]] * 3
    assert all(len(set(map(tuple, own))) == 40 for own in known.points)
    # Classes are as common as among all labels, not as among those that were taken.
    assert fit_noted(data, **FILTERS).shares[1] == pytest.approx(20 / (48 * 64), rel=0.05)


@pytest.mark.parametrize(("priors", "first"), [("labels", 0.75), ("equal", 0.5)])
def test_priors_are_what_was_asked_for(priors: Any, first: float) -> None:
    data = [(image, labels) for image, labels in items()]
    for _, labels in data:
        labels[labels == 0] = 255
        labels[::4, 0:31] = 0
        labels[labels == 1] = 255
        labels[::4, 34:44] = 1
    found = fit_noted(data, **FILTERS, priors=priors)
    expected = 31 / 41 if priors == "labels" else first
    assert found.shares[0] == pytest.approx(expected, abs=0.01)


def test_how_common_classes_are_is_seen_in_the_images() -> None:
    """A tenth of the labels are of what is half of each image."""
    data = items()
    for _, labels in data:
        labels[labels == 0] = 255
        labels[10, 4:12] = 0
    found = fit_noted(data, **FILTERS)
    assert found.priors == "estimated"
    assert abs(found.shares[0] - 0.5) < 0.12


def test_whole_maps_are_a_sample_of_their_own() -> None:
    image, _ = item(0)
    labels = np.zeros((48, 64), np.uint8)
    labels[:, 32:] = 1
    assert fit_noted([(image, labels)], **FILTERS).priors == "labels"


def test_a_class_that_nobody_labelled_is_never_answered() -> None:
    data = Arrays(items(), "segmentation", ("smooth", "rough", "other"))
    model = pixelnet.fit(data, **FILTERS)
    assert model.config.class_names == ("smooth", "rough", "other")
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert set(np.unique(model.predict(noise))) <= {0, 1}


def test_a_single_image_is_judged_by_blocks() -> None:
    found = fit_noted(items(1), **FILTERS)
    assert found.images == (0,)
    assert found.choice.trials
    assert (found.model.predict(item(9)[0])[:, 36:] == 1).mean() > 0.9


def test_few_labels_take_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default", lambda: [(("filters",), 0.03)])
    labels = np.full((48, 64), 255, np.uint8)
    labels[3, 3], labels[40, 60] = 0, 1
    found = fit_noted([(item(0)[0], labels)])
    assert found.choice == Choice(((("filters",), 0.03),))


def test_images_are_seen_while_the_time_lasts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "SEEN_FOR_CHOICE", 2)
    clock = count()
    monkeypatch.setattr("pixelnet.learning.described.time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = fit_noted(items(12), tmp_path / "m", **FILTERS, seconds=5)
    assert 2 < len(found.images) < 12
    assert {0, 11} <= set(found.images)  # the choice is made on some from all over
    assert found.enough > 0
    assert len(found.images) + found.left == 12
    kept = json.loads((tmp_path / "m" / "images.json").read_text())["learnt"]
    assert [own["name"] for own in kept] == [f"{i:06d}" for i in found.images]


# ------------------------------------------------------------------------------------------ what comes out


def test_of_more_points_than_are_learnt_from_some_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_POINTS", 60)
    found = fit_noted(items(3), **FILTERS)
    assert found.labels == 60


def test_four_channels_of_sixteen_bits(tmp_path: Path) -> None:
    pixelnet.fit(Wide(), tmp_path / "m", features="edges+filters", strength=0.03)
    model = pixelnet.load(tmp_path / "m")
    assert model.config.in_channels == 4
    assert model.config.ranges == Wide.ranges
    assert model.channels == Wide.channels
    answer = model.predict(Wide().image(1))
    assert (answer[:, :28] == 0).mean() > 0.9
    assert (answer[:, 36:] == 1).mean() > 0.9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return in_folder(tmp_path / "data")


def test_a_model_is_saved_as_any_other(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    fitted = pixelnet.fit(folder, out, **FILTERS)
    loaded = pixelnet.load(out)
    image, _ = item(1)
    np.testing.assert_array_equal(loaded.predict(image), fitted.predict(image))
    assert loaded.config.backbone == "filters"
    assert loaded.config.head == "fitted"
    scores = pixelnet.evaluate(out, data=str(folder), split="train")
    assert scores["miou"] > 0.9
    note = json.loads((out / "config.json").read_text())["fit"]
    assert set(note) == {
        "data", "features", "strength", "priors", "warmth", "skill", "shares", "labels", "images",
        "left_out", "accuracy",
    }  # fmt: skip
    assert note["features"] == ["filters"]
    assert note["images"] == 3
    assert len(note["accuracy"]) == 3
    assert sum(note["shares"]) == pytest.approx(1)
    learnt = json.loads((out / "images.json").read_text())
    assert [own["name"] for own in learnt["learnt"]] == ["a", "b", "c"]
    assert learnt["held_out"] == []


def test_the_same_call_and_the_choice_given_back_give_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [("filters",), ("edges@0.5",)]
    monkeypatch.setattr(module, "candidates", lambda: own)
    monkeypatch.setattr(module, "STRENGTHS", (0.003, 0.1))
    for name in ("one", "two"):
        pixelnet.fit(folder, tmp_path / name, seconds=1000)
    note = json.loads((tmp_path / "one" / "config.json").read_text())["fit"]
    assert note["features"] == ["filters", "edges@0.5"]
    given = {"features": ",".join(note["features"]), "strength": note["strength"]}
    pixelnet.fit(folder, tmp_path / "back", **given)
    bytes_of = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "back")]
    assert bytes_of[0] == bytes_of[1]
    assert bytes_of[0] == bytes_of[2]


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "resnet"}, "'resnet' is nothing to learn from"),
        ({"features": ""}, "is nothing to learn from"),
        ({"features": []}, "--features has nothing"),
        ({"features": "filters,filters"}, "each once"),
        ({"strength": 0.1}, "--strength is of --features"),
        ({"features": "filters", "strength": 0}, "a number above 0"),
        ({"features": "filters", "strength": float("nan")}, "a number above 0"),
        ({"features": "filters,edges", "strength": [1, 2, 3]}, "each of the 2 features"),
        ({"seconds": 0}, "--seconds is 0"),
        ({"seconds": -1.5}, "--seconds is -1.5"),
        ({"seconds": float("nan")}, "--seconds is nan"),
        ({"priors": "uniform"}, "--priors is 'uniform'; give one of estimated, labels, equal"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pixelnet.fit(items(), **options)


@pytest.mark.parametrize(("kept", "message"), [((), "0 classes"), ((1,), r"1 classes \(1\); label pixels of at least")])
def test_one_class_is_nothing_to_tell_apart(kept: tuple[int, ...], message: str) -> None:
    data = [(image, np.where(np.isin(labels, kept), labels, 255).astype(np.uint8)) for image, labels in items()]
    with pytest.raises(InputError, match=message):
        pixelnet.fit(data)


def test_a_model_is_not_written_over(tmp_path: Path) -> None:
    pixelnet.fit(items(), tmp_path / "m", **FILTERS)
    before = (tmp_path / "m" / "config.json").read_bytes()
    with pytest.raises(InputError, match="holds a model already; choose another --out"):
        pixelnet.fit(items(), tmp_path / "m", **FILTERS)
    assert (tmp_path / "m" / "config.json").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        pixelnet.fit(items(), tmp_path / "file", **FILTERS)


def test_data_of_another_task_are_refused() -> None:
    data = Arrays([(item(0)[0], np.zeros((48, 64), np.float32))], "edges")
    with pytest.raises(InputError, match="has labels for edges, not for segmentation"):
        pixelnet.fit(data)
