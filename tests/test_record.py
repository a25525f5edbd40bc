"""What a run writes down, and what it drops when it goes on from a checkpoint."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from accelerate import Accelerator

from pixelnet import PixelNet, load
from pixelnet.config import TrainConfig, from_dict
from pixelnet.data import open_dataset
from pixelnet.runs.record import Record

MAIN, OTHER = (cast(Accelerator, SimpleNamespace(is_main_process=main)) for main in (True, False))


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig("edges", "scenes:4", tmp_path / "run", max_steps=9, val_images=3)


@pytest.fixture
def model() -> PixelNet:
    return PixelNet("edges", None, "test_resnet", hidden=(4,))


def lines(config: TrainConfig) -> list[dict]:
    return [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]


def test_a_step_is_a_line(config: TrainConfig, model: PixelNet) -> None:
    record = Record(config, model, None, MAIN, 9, None)
    record.step(1, 0.123456789, 2)
    record.step(2, 0.5, 2)
    record.close()
    first, second = lines(config)
    assert {key: first[key] for key in ("step", "loss", "pixels")} == {"step": 1, "loss": 0.123457, "pixels": 2}
    assert first["seconds"] > 0
    assert second["step"] == 2
    assert (config.out / "curves.png").is_file()


def test_how_it_was_trained_is_in_its_config(config: TrainConfig, model: PixelNet) -> None:
    Record(config, model, None, MAIN, 9, None)
    stored = json.loads((config.out / "config.json").read_text())
    assert from_dict(TrainConfig, stored["train"], "here") == config


def test_only_steps_up_to_the_checkpoint_are_kept(config: TrainConfig, model: PixelNet) -> None:
    record = Record(config, model, None, MAIN, 9, None)
    for step in range(1, 5):
        record.step(step, 1.0, 2)
    with (config.out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "lo')
    Record(config, model, None, MAIN, 9, {"step": 3, "best": 0.5, "stale": 1})
    assert [line["step"] for line in lines(config)] == [1, 2, 3]


def test_a_line_torn_before_others_were_written_is_dropped(config: TrainConfig, model: PixelNet) -> None:
    Record(config, model, None, MAIN, 9, None)
    torn = '{"step": 1, "loss": 1.0}\n{"step": 2, "lo{"step": 2, "loss": 0.5}\n{"step": 3, "loss": 0.4}\n\xff{"step": 3'
    (config.out / "metrics.jsonl").write_bytes(torn.encode("latin-1"))
    Record(config, model, None, MAIN, 9, {"step": 3, "best": 0.5, "stale": 1})
    assert [line["step"] for line in lines(config)] == [1, 3]


def test_another_process_writes_nothing(config: TrainConfig, model: PixelNet) -> None:
    record = Record(config, model, None, OTHER, 9, None)
    record.step(1, 1.0, 2)
    record.scores(1, {"quick_f": 0.5})
    record.checkpoint({"step": 1})
    record.close()
    assert not config.out.exists()


@pytest.mark.parametrize("scores", [(0.2, 0.5, 0.4), (None, 0.5, None)])
def test_the_best_is_kept_and_none_is_no_score(config: TrainConfig, model: PixelNet, scores: tuple) -> None:
    validation = open_dataset("scenes:4", "edges", "val")
    record = Record(config, model, validation, MAIN, 9, None)
    for step, score in enumerate(scores, start=1):
        torch.nn.init.constant_(model.head[-1].bias, step)
        record.scores(step, {"quick_f": score})
        record.checkpoint({"step": step, "model": model.state_dict()})
    assert record.best == 0.5
    assert load(config.out).head[-1].bias.item() == 2
    state = torch.load(config.out / "checkpoint.pt", weights_only=True)
    assert (state["step"], state["best"], state["stale"]) == (3, 0.5, 1)
    assert state["model"]["head.2.bias"].item() == 3
    assert [line["scores"]["quick_f"] for line in lines(config)] == list(scores)


def test_less_is_better_for_angles(tmp_path: Path) -> None:
    model = PixelNet("normals", None, "test_resnet", hidden=(4,))
    config = TrainConfig("normals", "scenes:2", tmp_path)
    record = Record(config, model, open_dataset("scenes:2", "normals", "val"), MAIN, 9, None)
    for step, mean in enumerate((40.0, 20.0, 30.0), start=1):
        torch.nn.init.constant_(model.head[-1].bias, step)
        record.scores(step, {"mean": mean})
    assert load(tmp_path).head[-1].bias.tolist() == [2, 2, 2]


@pytest.mark.parametrize("images", [1, 3, 32])
def test_images_for_validation_are_spread_evenly(images: int, config: TrainConfig, model: PixelNet, tmp_path) -> None:
    validation = open_dataset("scenes:10", "edges", "val")
    wanted = TrainConfig("edges", "scenes", tmp_path, val_images=images)
    items = Record(wanted, model, validation, MAIN, 9, None).items
    assert len(items) == len(set(items)) == min(images, 10)
    assert items[0] == 0
    assert items == ([0] if images == 1 else [0, 4, 9] if images == 3 else list(range(10)))
