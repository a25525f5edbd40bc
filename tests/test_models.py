"""The recipe of models that ship, on made-up data: what it writes loads by name, and its card says the scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pixelnet
from pixelnet.config import read_json
from pixelnet.data import NAMES
from pixelnet.runs import checkpoint, hub
from recipes import models, results


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Dark and light halves: classes, and an edge between them."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for folder in ("images", "labels", "edges"):
            (tmp_path / "data/folder" / split / folder).mkdir(parents=True)
        for name in ("a", "b"):
            ids = np.zeros((64, 80), np.uint8)
            ids[:, int(rng.integers(30, 50)) :] = 1
            pixels = 60 + 100 * ids[..., None] + rng.integers(0, 40, (64, 80, 3))
            edge = np.zeros_like(ids)
            edge[:, 1:] = 255 * (ids[:, 1:] != ids[:, :-1])
            for folder, values in (("images", pixels.astype(np.uint8)), ("labels", ids), ("edges", edge)):
                Image.fromarray(values).save(tmp_path / "data/folder" / split / folder / f"{name}.png")
    return tmp_path / "data"


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> models.Model:
    """A small model in place of those that ship, which leaves what it writes in a folder of the test's."""
    model = models.Model(
        "segmentation,edges",
        ("folder",),
        (("segmentation", "folder", "val"), ("edges", "folder", "val")),
        "Halves.",
        "It knows halves only.",
        {
            "backbone": "test_resnet", "backbone_weights": None, "max_steps": 3, "batch_size": 2, "pixels": "50",
            "crop": (48, 64), "val_every": 3, "num_workers": 0, "image_size": 64,
        },
    )  # fmt: skip
    monkeypatch.setattr(models, "MODELS", {"halves": model})
    monkeypatch.setitem(models.LICENSES, "folder", "Made up, and free.")
    for module in (models, hub):
        monkeypatch.setattr(module, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return model


def test_a_model_that_ships_may_learn_from_val_too_and_its_scores_do_not(
    halves: models.Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MODELS", {"halves": replace(halves, split="val", size=72)})
    models.train_model("halves", data, tmp_path, tmp_path / "runs/halves")
    card = hub.card(tmp_path / "shipped/halves")
    assert pixelnet.load("halves").config.image_size == 72
    assert "sees images at 72 pixels, after training at 64" in hub.describe("halves")
    half = tmp_path / "half"
    alone = pixelnet.load(tmp_path / "runs/halves")
    alone.config = replace(alone.config, image_size=72)
    alone.save(half, half=True)
    before = alone.state_dict()
    spec = f"folder:{data / 'folder'}"
    assert card["scores"][0]["value"] == pixelnet.evaluate(half, data=spec, task="segmentation")["miou"]
    assert "trained the same way on val" in hub.describe("halves")
    shipped, both = (pixelnet.load(name).state_dict() for name in ("halves", tmp_path / "runs/halves-val"))
    for name, values in shipped.items():
        assert torch.allclose(values.float(), both[name].float(), rtol=1e-3, atol=1e-6)
    assert any(not torch.allclose(values.float(), before[name].float(), rtol=1e-2) for name, values in shipped.items())


def test_a_model_is_trained_scored_as_it_ships_and_described(halves: models.Model, data: Path, tmp_path: Path) -> None:
    models.train_model("halves", data, tmp_path, tmp_path / "runs/halves")

    shipped = pixelnet.load("halves")
    assert shipped.config.image_size == 64
    scores = {
        task: pixelnet.evaluate("halves", data=f"folder:{data / 'folder'}", task=task) for task in shipped.task.parts
    }
    assert shipped.config.threshold == scores["edges"]["threshold"]
    card = hub.card(tmp_path / "shipped/halves")
    assert [(score["score"], score["value"]) for score in card["scores"]] == [
        ("mean IoU", scores["segmentation"]["miou"]),
        ("ODS", scores["edges"]["ods"]),
    ]
    assert "low" not in card["scores"][1]  # of two images there is no interval
    assert "too few images to say" in hub.describe("halves")
    text = hub.describe("halves")
    for words in (
        "# halves",
        "Halves.",
        "It knows halves only.",
        "Made up, and free.",
        "python -m recipes halves",
        "3 steps",
    ):
        assert words in text
    assert f"{scores['segmentation']['miou']:.4g}" in text
    assert (tmp_path / "halves.json").exists()
    half = (tmp_path / "shipped/halves" / checkpoint.WEIGHTS).stat().st_size
    assert half < 0.7 * (tmp_path / "runs/halves" / checkpoint.WEIGHTS).stat().st_size


def test_a_model_may_have_legs_and_its_card_counts_all(
    halves: models.Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        models, "MODELS", {"halves": replace(halves, legs=({"max_steps": 2, "loss": "lovasz,soft"}, {}))}
    )
    models.train_model("halves", data, tmp_path, tmp_path / "runs/halves")
    text = hub.describe("halves")
    assert "5 steps in 2 legs" in text
    row = read_json(tmp_path / "halves.json")
    assert row["steps"] == 5
    assert row["peak_memory_gib"] > 0.05
    assert (row["before"][0]["loss"], row["settings"]["loss"]) == ("lovasz,soft", None)
    assert row["settings"]["init_from"] == "halves-1"
    assert read_json(tmp_path / "runs/halves-1/config.json")["train"]["max_steps"] == 2


def test_a_model_may_start_from_another_model(
    halves: models.Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = replace(
        halves, task="edges", tests=halves.tests[1:], start="halves", shares=(1, 3), summary="Edges of halves."
    )
    monkeypatch.setattr(models, "MODELS", {"halves": halves, "edges": edges})
    models.train_model("edges", data, tmp_path, tmp_path / "runs/edges")
    assert "test_resnet from the model halves" in hub.describe("edges")
    assert read_json(tmp_path / "edges.json")["settings"]["init_from"] == "halves"
    assert pixelnet.load(tmp_path / "runs/halves").config.task == "segmentation,edges"
    shipped = pixelnet.load("edges")
    assert shipped.config.task == "edges"
    assert "weights of halves and of the legs, 1 : 3, which val chose" in hub.describe("edges")
    start, last = (dict(pixelnet.load(tmp_path / "runs" / name).named_parameters()) for name in ("halves", "edges"))
    for name, values in shipped.backbone.named_parameters():
        mean = start[f"backbone.{name}"] / 4 + 3 / 4 * last[f"backbone.{name}"]
        assert torch.allclose(values, mean, rtol=1e-3, atol=1e-5), name


def test_each_recipe_is_scored_on_every_task_by_data_it_is_licensed_for() -> None:
    for model in models.MODELS.values():
        assert {task for task, _, _ in model.tests} == set(model.task.split(","))
        assert set(model.sources) <= models.LICENSES.keys() & NAMES.keys()


@pytest.mark.parametrize("name", sorted(hub.shipped()))
def test_a_model_that_ships_is_small_and_says_what_it_is(name: str) -> None:
    folder = hub.shipped()[name]
    assert (folder / checkpoint.WEIGHTS).stat().st_size <= 16e6
    card = hub.card(folder)
    assert card["summary"]
    assert card["license"]
    assert all(score["low"] <= score["value"] <= score["high"] for score in card["scores"])
    model = pixelnet.load(name)
    found = model.predict(np.zeros((40, 60, 3), np.uint8))
    assert set(found if isinstance(found, dict) else [model.config.task]) == set(model.config.task.split(","))
    assert ("edges" in model.config.task) == (model.config.threshold is not None)
