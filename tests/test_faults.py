"""Faults that were found by reading, each by what was wrong once."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tiny import TINY

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.config import TrainConfig
from pixelnet.evaluation import table
from pixelnet.nn.networks import make_backbone
from pixelnet.points import SAMPLERS, Uniform, make_sampler
from pixelnet.runs import settings, sides, start
from pixelnet.tasks.edges import QUEUED, Benchmark


def test_a_score_that_no_draw_of_the_images_gives_has_no_interval() -> None:
    """Of images that each have a class of their own, every draw lacks one: KeyError, after all the scoring."""
    items = []
    for k in range(6):
        labels = np.full((40, 40), 0, np.uint8)
        labels[5:20, 5:20] = k + 1
        items.append((np.full((40, 40, 3), 30 * k, np.uint8), labels))
    model = PixelNet("segmentation", 7, "test_resnet", hidden=(4,)).eval()
    scores = pixelnet.evaluate(model, data=items)
    assert "miou" in scores["intervals"]
    del scores["intervals"]["miou"]
    line = next(line for line in table(scores).splitlines() if line.startswith("miou "))
    assert line.split() == ["miou", f"{scores['miou']:.4f}", "-"]


def test_what_a_model_brings_is_neither_ignored_nor_lost(tmp_path: Path) -> None:
    PixelNet("edges", backbone="test_resnet", head="linear-bn", image_size=96).save(tmp_path / "first")
    config = TrainConfig("edges", "scenes", tmp_path / "run", init_from=str(tmp_path / "first"))
    found = settings.with_network(config)
    assert (found.backbone, found.head, found.image_size) == ("test_resnet", "linear-bn", 96)
    for option, value in (("head", "mlp"), ("backbone", "tf_efficientnet_lite0"), ("conv7", True)):
        with pytest.raises(InputError, match=f"leave out --{option}"):  # though two of them are the defaults
            settings.with_network(TrainConfig(**{**vars(config), option: value}))
    assert settings.with_network(TrainConfig(**{**vars(config), "image_size": 64})).image_size == 64


@pytest.mark.parametrize(("own", "theirs"), [((8,), (8, 16)), ((8, 8), (8,)), ((8,), (8, 8))])
def test_nothing_is_taken_from_a_model_of_another_shape(own: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    model, other = (PixelNet("edges", backbone="test_resnet", hidden=hidden) for hidden in (own, theirs))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match="must be the same"):
        model.start_from(other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_source_that_is_named_twice_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sides, "validate", lambda member: seen.append(f"{member.source}, {member.task_name}"))
    config = TrainConfig("edges,normals", "scenes:4,scenes:4", tmp_path, split="train")
    sides.open_data(config, start.Given(), Accelerator())
    assert sorted(seen) == sorted(2 * ["scenes:4, edges", "scenes:4, normals"])  # of train, and of val


def test_all_processes_hear_of_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that looks raised, and the others waited for it."""
    told: list[Any] = []

    def fail(_: Any) -> None:
        raise InputError("labels/a.png is broken")

    monkeypatch.setattr(sides, "validate", fail)
    monkeypatch.setattr(sides, "broadcast_object_list", lambda faults: told.extend(faults) or faults)
    with pytest.raises(InputError, match=r"labels/a.png is broken"):
        sides.open_data(TrainConfig("edges", "scenes:4", tmp_path), start.Given(), Accelerator())
    assert told == ["labels/a.png is broken"]


def test_few_maps_wait_for_the_boundary_benchmark() -> None:
    scorer = Benchmark(workers=1, thresholds=3)
    for _ in range(3 * QUEUED):
        scorer.update(np.zeros((20, 20), np.float32), np.zeros((1, 20, 20), bool))
        assert len(scorer.jobs) <= QUEUED
    assert len(scorer.each()) == 3 * QUEUED


def test_timm_may_speak_after_a_backbone_was_made() -> None:
    logger = logging.getLogger("timm")
    logger.setLevel(logging.INFO)
    make_backbone("test_resnet")
    assert logger.level == logging.INFO
    logger.setLevel(logging.NOTSET)


def test_an_error_within_a_sampler_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Uniform):
        def __init__(self, pixels: int, near: float = 0.5) -> None:
            raise TypeError("a bug of its own")

    monkeypatch.setitem(SAMPLERS, "broken", Broken)
    with pytest.raises(TypeError, match="a bug of its own"):
        make_sampler("broken", 10)
    with pytest.raises(InputError, match="has no option far; it has pixels, near"):
        make_sampler("broken", 10, far=1)


def test_a_run_says_nothing_of_a_rate_of_zero_but_how_to_freeze(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="add --freeze"):
        pixelnet.train(**{**TINY, "backbone_lr": 0.0}, out=tmp_path / "run")
