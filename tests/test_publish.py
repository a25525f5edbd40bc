"""What goes to Hugging Face's hub: files that load from there, and a card whose head its library reads."""

import json
import shutil
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import save_png
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError

import pixelnet
from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.runs import checkpoint
from pixelnet.runs.publish import Published, push

SCORES = {
    "data": "folder:/far/somebody/my-cells", "split": "val", "images": 40, "miou": 0.75, "pixel_accuracy": 0.9,
    "intervals": {"miou": [0.7, 0.8], "pixel_accuracy": [0.88, 0.92]}, "iou_per_class": [0.6, 0.9],
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = pixelnet.PixelNet("segmentation", 2, "test_resnet", hidden=(4,), class_names=("cell", "membrane"))
    told = {"data": "/far/somebody/my-cells", "lr": 0.003, "out": "/far/somebody/runs/x", "resume": False}
    checkpoint.save(made, tmp_path / "run", train=told)
    return tmp_path / "run"


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    return tmp_path / "scores.json"


def test_what_is_pushed_loads_and_says_how_good_it_is(model: Path, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "pushed"
    assert main(["push", str(model), str(out), "--scores", str(scores), "--license", "mit"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    expected = pixelnet.load(model).predict(image)
    for again in (pixelnet.load(out), Published.from_pretrained(out)):
        np.testing.assert_array_equal(again.predict(image), expected)

    card = ModelCard.load(out / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "pixelnet")
    found = {own.metric_type: own.metric_value for own in card.data.eval_results}
    assert found == {"miou": 0.75, "pixel_accuracy": 0.9}
    assert "| my-cells val, 40 images | miou | 0.7500 | 0.7000 .. 0.8000 |" in card.text
    assert "Classes: cell, membrane." in card.text
    assert "lr: 0.003" in card.text
    for path in out.iterdir():
        assert b"somebody" not in path.read_bytes(), path.name
    with pytest.raises(InputError, match="is there already"):
        push(model, out)


def test_a_card_that_there_is_keeps_its_words(model: Path, tmp_path: Path) -> None:
    (model / "README.md").write_text("# mine\n\nOf cells in March.\n")
    push(model, tmp_path / "pushed")
    card = ModelCard.load(tmp_path / "pushed" / "README.md")
    assert "Of cells in March." in card.text
    assert card.data.eval_results is None


def test_it_goes_to_the_hub_and_comes_back_as_it_was_at_a_revision(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    place = tmp_path / "hub"

    def upload(self: HfApi, *, repo_id: str, folder_path: Path, revision: str | None, **_: Any) -> str:
        asked["revision"] = revision
        shutil.copytree(folder_path, place)
        return f"https://huggingface.co/{repo_id}/commit/1"

    def fetch(name: str, revision: str | None = None, **_: Any) -> str:
        asked.update(name=name, fetched=revision)
        return str(place)

    class Repository:
        repo_id = "somebody/cells"

    monkeypatch.setattr(HfApi, "create_repo", lambda self, **given: asked.update(given) or Repository)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert (
        push(model, "somebody/cells", private=True, revision="v1") == "https://huggingface.co/somebody/cells/commit/1"
    )
    assert (asked["repo_id"], asked["private"], asked["revision"]) == ("somebody/cells", True, "v1")
    loaded = pixelnet.load("somebody/cells@0a1b2c3")
    assert (asked["name"], asked["fetched"]) == ("somebody/cells", "0a1b2c3")
    assert loaded.config == pixelnet.load(model).config


def test_what_cannot_be_pushed_is_said(model: Path, scores: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(self: HfApi, **_: Any) -> None:
        raise HfHubHTTPError("401 Unauthorized", response=_Response())

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    assert main(["push", str(model), "somebody/cells"]) == 2
    assert "hf auth login" in capsys.readouterr().err
    scores.write_text('{"miou": 1}')
    assert main(["push", str(model), "./x", "--scores", str(scores)]) == 2
    assert "holds no scores" in capsys.readouterr().err


class _Response:
    headers = types.MappingProxyType({})
    request = None
    status_code = 401


def test_scores_are_those_that_evaluate_writes(model: Path, tmp_path: Path) -> None:
    for k in range(12):
        save_png(tmp_path / "data" / "images" / f"{k}.png", np.full((20, 30, 3), 20 * k, np.uint8))
        save_png(tmp_path / "data" / "labels" / f"{k}.png", (np.arange(600).reshape(20, 30) % 2).astype(np.uint8))
    pixelnet.evaluate(model, data=str(tmp_path / "data"), split="train", json=tmp_path / "own.json")
    push(model, tmp_path / "pushed", scores=[tmp_path / "own.json"])
    card = ModelCard.load(tmp_path / "pushed" / "README.md")
    found = {own.metric_type: own.metric_value for own in card.data.eval_results}
    assert found["miou"] == json.loads((tmp_path / "own.json").read_text())["miou"]
    assert "| data train, 12 images | miou |" in card.text
