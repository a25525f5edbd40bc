"""Training: that it learns, its rates and its loss; what it refuses, and that it then leaves all as it was."""

import itertools
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from tiny import TINY
from torch import Tensor

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.config import TrainConfig
from pixelnet.data.batches import Batch
from pixelnet.points import make_sampler
from pixelnet.runs.start import read_quotas
from pixelnet.tasks import make_task
from pixelnet.training import _measure, _optimizer, rate_factor


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("task", ["segmentation", "normals", "edges", "regression"])
def test_each_task_learns_and_leaves_a_run_that_loads(task: str, tmp_path: Path) -> None:
    options = {**TINY, "task": task, "head": "mlp", "dropout": 0.0, "pixels": 400, "max_steps": 25, "val_every": 20}
    options |= {"lr": 3e-3, "backbone_lr": 1e-3, "batch_size": 8}  # as where nothing is said; a mean of less is noise
    model = pixelnet.train(**options, out=tmp_path / "run")
    found = losses(tmp_path / "run")
    assert len(found) == 25
    assert np.mean(found[-8:]) < np.mean(found[:3])
    assert not model.training
    again = pixelnet.load(tmp_path / "run")
    assert again.config == model.config
    assert again.config.task == task
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.json", "model.safetensors", "images.json", "metrics.jsonl", "checkpoint.pt", "curves.png", "panels"
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "run" / "panels").iterdir()) == ["000020.png", "000025.png"]


def test_the_best_weights_are_kept_where_there_is_a_val_split(tmp_path: Path, monkeypatch) -> None:
    scores = iter([0.3, 0.9, 0.5])
    kept = []

    def score(model, *_):
        kept.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"miou": next(scores)}

    monkeypatch.setattr(sys.modules["pixelnet.training"], "score_model", score)
    model = pixelnet.train(**TINY, out=tmp_path / "run")
    assert len(kept) == 3
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in kept[1].items())
    assert not torch.equal(model.state_dict()["head.0.weight"], kept[2]["head.0.weight"])


def test_without_a_val_split_the_last_weights_are_kept(tmp_path: Path, folder_data) -> None:
    data = folder_data("edges", splits=("train",))
    options = {**TINY, "task": "edges", "data": f"folder:{data}", "crop": None, "val_share": 0}
    model = pixelnet.train(**options, out=tmp_path / "run")
    last = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in last.items())
    assert not any("scores" in line for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())


def test_another_split_is_learnt_from_and_not_scored_on(tmp_path: Path, camvid_data: Path) -> None:
    options = {**TINY, "data": f"camvid:{camvid_data}", "crop": None, "max_steps": 1}
    scored = {}
    for split in ("train", "val", "trainval"):
        pixelnet.train(**options, split=split, out=tmp_path / split)
        scored[split] = "scores" in (tmp_path / split / "metrics.jsonl").read_text()
    assert scored == {"train": True, "val": False, "trainval": False}
    weights = [torch.load(tmp_path / split / "checkpoint.pt", weights_only=True)["model"] for split in scored]
    name = "head.0.weight"
    assert not torch.equal(weights[0][name], weights[1][name])
    with pytest.raises(InputError, match="has no split 'test'"):
        pixelnet.train(**options, split="test", out=tmp_path / "test")


def test_a_seed_repeats_a_run_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        pixelnet.train(**{**TINY, "max_steps": 3, "seed": seed}, out=tmp_path / name)
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")


def test_a_size_is_the_models_and_stays(tmp_path: Path) -> None:
    options = {**TINY, "max_steps": 2, "out": tmp_path / "run", "image_size": 90}
    model = pixelnet.train(**options)
    assert model.config.image_size == 90
    pixelnet.train(**{**options, "image_size": None, "out": tmp_path / "other"})
    assert losses(tmp_path / "run") != losses(tmp_path / "other")
    with pytest.raises(InputError, match="image_size was 90 and is 91"):
        pixelnet.train(**{**options, "image_size": 91, "resume": True})


def test_a_rate_of_nothing_freezes_the_backbone_and_its_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = pixelnet.train(**{**TINY, "freeze": True, "max_steps": 3}, out=tmp_path / "run")
    torch.manual_seed(TINY.get("seed", 0))
    fresh = PixelNet("segmentation", 7, "test_resnet", pyramid=32, head="paper", hidden=(8, 8), dropout=0.5)
    for name, tensor in fresh.backbone.network.state_dict().items():
        assert torch.equal(model.backbone.network.state_dict()[name], tensor), name
    assert not torch.equal(model.head[0].weight, fresh.head[0].weight)


def test_mixed_precision(tmp_path: Path) -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    try:
        pixelnet.train(**{**TINY, "head": "mlp", "precision": "bf16", "max_steps": 2}, out=tmp_path / "run")
    finally:
        AcceleratorState._reset_state()
    assert all(map(math.isfinite, losses(tmp_path / "run")))


def test_another_precision_needs_another_process(tmp_path: Path) -> None:
    pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path / "a")
    with pytest.raises(InputError, match="--precision bf16"):
        pixelnet.train(**{**TINY, "max_steps": 1, "precision": "bf16"}, out=tmp_path / "b")
    assert not (tmp_path / "b").exists()


# ------------------------------------------------------------------------------------------- rates and groups


def test_one_cycle_rises_and_falls() -> None:
    factors = [rate_factor("one-cycle", k / 1000) for k in range(1001)]
    assert factors[0] == pytest.approx(0.04)
    assert factors[50] == pytest.approx(0.52)
    assert factors[100] == pytest.approx(1)
    assert factors[550] == pytest.approx(0.5)
    assert factors[1000] == pytest.approx(0, abs=1e-12)
    assert all(b > a for a, b in itertools.pairwise(factors[:101]))
    assert all(b < a for a, b in itertools.pairwise(factors[100:]))


def test_poly_and_the_papers_steps() -> None:
    assert rate_factor("poly", 0.0) == 1
    assert rate_factor("poly", 0.5) == pytest.approx(0.5358867)
    factors = [rate_factor("step", epoch / 96) for epoch in range(96)]
    assert factors == [1.0] * 80 + [0.1] * 8 + [0.01] * 8


def test_groups_have_their_rates_and_decay_spares_biases_and_norms() -> None:
    model = PixelNet("edges", None, "test_resnet", hidden=(4,))
    for optimizer, factor in (("adamw", 1), ("sgd", 2)):
        config = TrainConfig(
            "edges", "scenes", Path("r"), optimizer=optimizer, lr=0.1, backbone_lr=0.01, weight_decay=0.5
        )  # type: ignore[arg-type]
        groups = _optimizer(config, model).param_groups
        by_id = {id(p): (group["full_rate"], group["weight_decay"]) for group in groups for p in group["params"]}
        assert len(by_id) == sum(1 for _ in model.parameters())
        for name, parameter in model.named_parameters():
            rate, kernel = 0.01 if name.startswith("backbone") else 0.1, parameter.ndim > 1
            assert by_id[id(parameter)] == (rate * (1 if kernel else factor), 0.5 if kernel else 0.0), name


def test_quotas_are_read_by_name() -> None:
    assert read_quotas("Sky=10, road = 5", ("road", "sky")) == {1: 10, 0: 5}
    assert read_quotas("equal", ("road", "sky")) == "equal"
    with pytest.raises(InputError, match=r"no class 'see'; it has road, sky"):
        read_quotas("see=3", ("road", "sky"))
    with pytest.raises(InputError, match="no number of points"):
        read_quotas("sky=few", ("road", "sky"))
    with pytest.raises(InputError, match="it has none"):
        read_quotas("sky=3", ())


# ---------------------------------------------------------------------------------------------------- two phases


ALONE = cast(Accelerator, SimpleNamespace(num_processes=1))


def batch_of(labels: Tensor, weights: Tensor) -> Batch:
    return Batch(torch.zeros(1, 3, 4, 4), torch.zeros(*labels.shape[:2], 2), labels, weights)


def test_hard_asks_how_far_the_likeliest_class_leads() -> None:
    task, sampler = make_task("segmentation", 3), make_sampler("hard", 2)
    logits = torch.tensor([[[1.0, 4, 2], [0, 0, -1], [9, 9, 9]], [[-5, -7, -1], [2, 1, 0], [9, 9, 9]]])
    batch = batch_of(torch.zeros(2, 3).long(), torch.tensor([[2.0, 2, 0], [2, 2, 0]]))
    assert _measure(sampler, task, logits, batch, ALONE).tolist() == [[2, 0, 0], [4, 1, 0]]
    edges = torch.tensor([[[-3.0], [0.5], [9]]])
    batch = batch_of(torch.zeros(1, 3), torch.tensor([[2.0, 2, 0]]))
    assert _measure(sampler, make_task("edges"), edges, batch, ALONE).tolist() == [[3, 0.5, 0]]


def test_gradient_asks_for_the_length_of_the_loss_gradient_at_the_logits() -> None:
    """Of the cross-entropy: p less the label, over the number of points."""
    task, sampler = make_task("segmentation", 3, loss="cross-entropy"), make_sampler("gradient", 2)
    logits, labels = torch.randn(2, 5, 3, generator=torch.manual_seed(0)), torch.tensor([[0, 1, 2, 1, 255]] * 2)
    weights = torch.tensor([[3.0, 3, 3, 3, 0]] * 2)
    found = _measure(sampler, task, logits, batch_of(labels, weights), ALONE)
    p = logits[:, :4].softmax(-1)
    expected = (p - torch.eye(3)[labels[:, :4]]).norm(dim=-1) / 8
    torch.testing.assert_close(found[:, :4], expected)
    assert (found[:, 4] == 0).all()


@pytest.mark.parametrize("sampler", ["hard", "gradient"])
def test_samplers_of_two_phases_learn_from_as_many_points_as_asked_for(sampler: str, tmp_path: Path) -> None:
    pixelnet.train(**{**TINY, "max_steps": 2, "sampler": sampler, "weighted": True}, out=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["pixels"] for line in lines if "pixels" in line] == [TINY["batch_size"] * TINY["pixels"]] * 2


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "sgd"}, "unknown key 'optimiser'; did you mean 'optimizer'"),
        ({"task": "depth"}, "there is no task 'depth'"),
        ({"data": "nosuch:x"}, "nosuch"),
        ({"data": "folder:/no/where"}, "/no/where"),
        ({"backbone": "nosuchnet"}, "nosuchnet"),
        ({"backbone_weights": "/no/file.pt"}, "file.pt is not there"),
        ({"head": "deep"}, "no head 'deep'"),
        ({"loss": "hinge"}, "hinge"),
        ({"sampler": "random"}, "random"),
        ({"sampler": "hard", "task": "normals"}, "normals predicts values without a doubt; choose another"),
        ({"pixels": "many"}, "many"),
        ({"sampler": "stratified", "quotas": "fish=3"}, "fish"),
        ({"quotas": "sky=3"}, "quotas"),
        ({"max_steps": 0}, "--max-steps is 0"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"lr": -1.0}, "negative"),
        ({"lr": 0.0, "freeze": True}, "--lr is 0 and the backbone is frozen"),
        ({"backbone_lr": 0.0}, "--backbone-lr is 0; leave it out and add --freeze"),
        ({"seed": -1}, "seed"),
        ({"crop": (0, 3)}, "crop"),
        ({"class_weights": (1.0, 2.0)}, "class weights"),
        ({"schedule": "cosine"}, "schedule"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        pixelnet.train(**{**TINY, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_data_is_refused_before_anything_is_written(tmp_path: Path, folder_data) -> None:
    data = folder_data("segmentation")
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(data / "train" / "labels" / "0001.png")
    with pytest.raises(InputError, match=r"0001\.png is 6x5"):
        pixelnet.train(**{**TINY, "data": f"folder:{data}"}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "run"
    pixelnet.train(**{**TINY, "max_steps": 2}, out=out)
    before = files(out)
    with pytest.raises(InputError, match=r"run holds a run already; add --resume"):
        pixelnet.train(**{**TINY, "max_steps": 2}, out=out)
    with pytest.raises(InputError, match=r"max_steps was 2 and is 4.*another --out"):
        pixelnet.train(**{**TINY, "max_steps": 4}, out=out, resume=True)
    with pytest.raises(InputError, match="task was segmentation and is edges"):
        pixelnet.train(**{**TINY, "max_steps": 2, "task": "edges"}, out=out, resume=True)
    (out / "checkpoint.pt").write_bytes(before["checkpoint.pt"][:500])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged"):
        pixelnet.train(**{**TINY, "max_steps": 2}, out=out, resume=True)
    (out / "checkpoint.pt").write_bytes(before["checkpoint.pt"])
    assert files(out) == before


@pytest.mark.parametrize("content", ["another model", "no checkpoint"])
def test_a_checkpoint_of_something_else_is_refused(content: str, tmp_path: Path) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    pixelnet.train(**{**TINY, "max_steps": 3}, out=out)
    if content == "another model":
        pixelnet.train(**{**TINY, "max_steps": 2, "task": "edges", "hidden": (5, 5)}, out=other)
        (out / "checkpoint.pt").write_bytes((other / "checkpoint.pt").read_bytes())
    else:
        torch.save({"weights": torch.zeros(2)}, out / "checkpoint.pt")
    before = files(out)
    with pytest.raises(InputError, match=r"checkpoint\.pt"):
        pixelnet.train(**{**TINY, "max_steps": 3}, out=out, resume=True)
    assert files(out)["metrics.jsonl"] == before["metrics.jsonl"]


def test_a_misspelt_key_of_the_run_is_named(tmp_path: Path) -> None:
    pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["train"]["max_stepps"] = config["train"].pop("max_steps")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json, train: unknown key 'max_stepps'; did you mean 'max_steps'"):
        pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path, resume=True)


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file"):
        pixelnet.train(**TINY, out=tmp_path / "file")


def test_metrics_of_something_else_are_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 3, "mine": true}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl|holds"):
        pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 3, "mine": true}\n'


def test_a_diverged_run_says_so_and_keeps_its_checkpoint(tmp_path: Path, monkeypatch) -> None:
    loss = pixelnet.tasks.segmentation.Segmentation.loss
    calls = []

    def nan_at_last(self, *arguments):
        calls.append(1)
        return loss(self, *arguments) * (math.nan if len(calls) == 5 else 1)

    monkeypatch.setattr(pixelnet.tasks.segmentation.Segmentation, "loss", nan_at_last)
    with pytest.raises(InputError, match=r"the loss is nan.*lower --lr.*checkpoint is kept"):
        pixelnet.train(**TINY, out=tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in state["model"].values() if tensor.is_floating_point())
    monkeypatch.undo()
    pixelnet.train(**TINY, out=tmp_path, resume=True)
