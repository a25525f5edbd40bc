"""What a run can be asked for beside the method: its length, early stopping, averages, clipping, folds, trackers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TINY, assert_same_outcome, outcome, train_and_stop
from torch import Tensor

import pixelnet
from pixelnet import InputError
from pixelnet.config import TrainConfig, read_json
from pixelnet.data.joint import JointData
from pixelnet.data.scenes import Scenes
from pixelnet.data.subset import hold_out
from pixelnet.inference.budget import Counted
from pixelnet.model import PixelNet
from pixelnet.runs.start import balanced_weights, total_steps
from pixelnet.training import in_parts, moving_average, rate_factor

SHORT = {**TINY, "max_steps": 4, "val_every": 2}


def steps_of(run: Path) -> list[int]:
    return [line["step"] for line in outcome(run)[1] if "loss" in line]


def config(**options: Any) -> TrainConfig:
    return TrainConfig("edges", "scenes", Path("r"), **options)


# ----------------------------------------------------------------------------------------------------- length


def test_a_run_is_as_long_as_its_data_needs_or_as_it_is_told() -> None:
    assert [total_steps(config(), images) for images in (4, 100, 800, 10**5)] == [600, 1250, 10_000, 10_000]
    assert total_steps(config(max_steps=7), 10) == 7
    assert total_steps(config(epochs=3, batch_size=8), 20) == 8  # 60 images
    assert total_steps(config(epochs=0.01), 10) == 1
    assert total_steps(config(minutes=1), 10) is None  # as many as there is time for
    with pytest.raises(InputError, match="give one of them"):
        total_steps(config(max_steps=7, epochs=2), 10)


def test_epochs_are_passes_over_the_data(tmp_path: Path) -> None:
    pixelnet.train(**{**TINY, "max_steps": None, "epochs": 1.5}, out=tmp_path / "run")  # 6 scenes, 2 a step
    assert steps_of(tmp_path / "run") == [1, 2, 3, 4, 5]


def score_as(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Have the validations of the next run find these mean IoUs, one after the other."""
    left = iter(scores)
    monkeypatch.setattr("pixelnet.training.score_model", lambda *_: {"miou": next(left)})


def test_a_run_stops_when_it_no_longer_gets_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**TINY, "max_steps": 12, "val_every": 2, "patience": 2}
    score_as(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.9])
    pixelnet.train(**options, out=tmp_path / "run")
    assert steps_of(tmp_path / "run") == list(range(1, 9))
    score_as(monkeypatch, [])  # one that goes on is done
    pixelnet.train(**options, out=tmp_path / "run", resume=True)
    assert steps_of(tmp_path / "run") == list(range(1, 9))


# ------------------------------------------------------------------------------------------------------ rates


@pytest.mark.parametrize("schedule", ["one-cycle", "poly", "step"])
def test_rates_rise_over_the_warmup(schedule: str) -> None:
    plain = rate_factor(schedule, 0.3, 0.0)
    assert rate_factor(schedule, 0.0, 0.5) == pytest.approx(0.04)
    assert rate_factor(schedule, 0.25, 0.5) < rate_factor(schedule, 0.4, 0.5)
    assert plain == pytest.approx(rate_factor(schedule, 0.3, None), abs=0.1)
    if schedule != "one-cycle":
        assert rate_factor(schedule, 0.6, 0.5) == rate_factor(schedule, 0.6)
    assert rate_factor("one-cycle", 0.05) == rate_factor("one-cycle", 0.05, 0.1)


def test_gradients_are_clipped(tmp_path: Path) -> None:
    still = {
        **SHORT,
        "pyramid": 0,
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "max_steps": 1,
        "head": "linear",
        "hidden": None,
    }
    moved = {}
    for name, clip in (("free", None), ("clipped", 1e-6)):
        before = {}
        out = tmp_path / name
        model = pixelnet.train(**{**still, "grad_clip": clip, "dropout": None}, out=out)
        torch.manual_seed(still.get("seed", 0))
        before = PixelNet("segmentation", 7, "test_resnet", head="linear").state_dict()
        moved[name] = sum(
            float((tensor - before[key]).abs().sum())
            for key, tensor in model.state_dict().items()
            if tensor.is_floating_point() and "running" not in key
        )
    assert 0 < moved["clipped"] < 1e-3 * moved["free"]


def test_a_step_in_parts_is_the_step_with_the_memory_of_one() -> None:
    """Of the same chance, too: a part that is seen again drops the units that it has dropped before."""
    model = PixelNet("segmentation", 5, "test_convnext", hidden=(8,), dropout=0.5).train()
    images, points = torch.rand(4, 3, 96, 128), 90 * torch.rand(4, 50, 2)

    def learnt(seen: Callable[..., Tensor]) -> tuple[int, list[Tensor]]:
        model.zero_grad()
        torch.manual_seed(0)
        with Counted() as counted:
            seen(images, points).square().sum().sqrt().backward()
        return counted.peak, [own.grad for own in model.parameters() if own.grad is not None]

    def by_hand(*given: Tensor) -> Tensor:
        return torch.cat([model(*one) for one in zip(*(own.chunk(4) for own in given), strict=True)])

    whole, expected = learnt(by_hand)
    peak, found = learnt(in_parts(model, 4))
    assert peak < 0.5 * whole
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_frozen_backbone_stays_as_it_is(tmp_path: Path) -> None:
    model = pixelnet.train(**{**SHORT, "pyramid": 0, "freeze": True}, out=tmp_path / "run")
    torch.manual_seed(0)
    before = PixelNet("segmentation", 7, "test_resnet", head="paper", hidden=(8, 8)).backbone.state_dict()
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, before[name]), name


# --------------------------------------------------------------------------------------------------- averages


def test_the_average_is_that_of_the_weights_with_a_decay_that_grows() -> None:
    model = torch.nn.BatchNorm1d(2)
    average = moving_average(model, 0.5)  # type: ignore[arg-type]
    assert average is not None
    expected, values = None, [3.0, 7.0, -1.0, 5.0]
    for count, value in enumerate(values):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(-value)
            model.num_batches_tracked.fill_(count)
        average.update_parameters(model)
        decay = min(0.5, (1 + count) / (10 + count))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        torch.testing.assert_close(average.module.weight, torch.full((2,), expected))
        torch.testing.assert_close(average.module.running_mean, torch.full((2,), -expected))
        assert average.module.num_batches_tracked == count
    assert moving_average(model, None) is None  # type: ignore[arg-type]


def test_a_run_of_averages_goes_on_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**TINY, "ema": 0.6, "patience": 3}
    pixelnet.train(**options, out=tmp_path / "whole")
    plain = pixelnet.train(**TINY, out=tmp_path / "plain")
    assert not torch.equal(pixelnet.load(tmp_path / "whole").head.last.weight, plain.head.last.weight)
    train_and_stop(monkeypatch, 5, **options, out=tmp_path / "parts")
    pixelnet.train(**options, out=tmp_path / "parts", resume=True)
    assert_same_outcome(tmp_path / "parts", tmp_path / "whole")


# -------------------------------------------------------------------------------------------- classes and data


def test_balanced_weights_are_the_inverse_of_the_shares(folder_data: Any, tmp_path: Path) -> None:
    data = pixelnet.open_dataset(f"folder:{folder_data('segmentation')}", "segmentation")
    labels = np.concatenate([data.labels(i).ravel() for i in range(len(data))])
    counts = np.bincount(labels[labels != 255], minlength=4)
    task = pixelnet.data.task_of(data)  # type: ignore[attr-defined]
    assert balanced_weights(data, task) == pytest.approx(counts.sum() / (4 * counts))
    options = {**SHORT, "data": data.source, "crop": None}
    pixelnet.train(**{**options, "class_weights": "balanced"}, out=tmp_path / "run")
    pixelnet.train(**{**options, "class_weights": balanced_weights(data, task)}, out=tmp_path / "same")
    weights, same = (outcome(tmp_path / name)[0] for name in ("run", "same"))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    with pytest.raises(InputError, match="balanced is of classes, and edges has none"):
        pixelnet.train(**{**SHORT, "task": "edges", "class_weights": "balanced"}, out=tmp_path / "edges")


@pytest.mark.parametrize("option", [{"val_share": 0.4}, {"fold": "2/3"}])
def test_what_is_held_out_is_not_learnt(option: dict[str, Any], tmp_path: Path, folder_data: Any) -> None:
    spec = str(folder_data("segmentation", splits=(".",), items=5))
    options = {**SHORT, "data": spec, "crop": None, **option}
    pixelnet.train(**options, out=tmp_path / "run")
    assert [line["step"] for line in outcome(tmp_path / "run")[1] if "scores" in line] == [2, 4]
    assert read_json(tmp_path / "run/config.json")["train"] | option == read_json(tmp_path / "run/config.json")["train"]
    with pytest.raises(InputError, match="each say what val is"):
        pixelnet.train(**{**options, "val_data": spec}, out=tmp_path / "both")


def test_trackers_get_the_loss_and_the_scores(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pixelnet.train(**{**SHORT, "log": "tensorboard"}, out=tmp_path / "run")
    events = EventAccumulator(str(next((tmp_path / "run").rglob("events.*")).parent))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("miou")] == [2, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log": "wandb,notes"}, "--log (wandb|notes): this tracker is not installed"),
        ({"epochs": -1.0, "max_steps": None}, "--epochs is -1.0; it must be above 0"),
        ({"ema": 1.0}, "--ema is 1.0; it must be above 0 and below 1"),
        ({"grad_clip": 0.0}, "--grad-clip is 0.0; it must be above 0"),
        ({"grad_accum": 0}, "--grad-accum is 0; it must be at least 1"),
        ({"warmup": 1.0}, "--warmup is 1.0; it must be above 0 and below 1"),
        ({"patience": 0}, "--patience is 0; it must be at least 1"),
        ({"lr": 0.0, "freeze": True}, "so nothing would learn"),
        ({"fold": "7"}, "give which of how many"),
        ({"lr": float("nan")}, "--lr is nan; give numbers that are finite"),
        ({"scale": (0.5, float("inf"))}, r"--scale is \(0.5, inf\); give numbers that are finite"),
        ({"color_jitter": float("nan")}, "--color-jitter is nan; give numbers that are finite"),
        ({"val_share": float("nan")}, "--val-share is nan; give numbers that are finite"),
        ({"hidden": (8, 10**9)}, "hidden widths are .*, and at most 65536"),
        ({"image_size": 10**8}, "the image size is 100000000; .* up to 16384"),
        ({"class_weights": "even"}, "class_weights is 'even'"),
    ],
)
def test_what_will_not_do_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        pixelnet.train(**{**SHORT, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_norm_that_sees_one_number_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 views of 1x1 leave a batch norm .*\(--batch-size\) or larger views"):
        pixelnet.train(**{**SHORT, "crop": (1, 1), "batch_size": 1}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------------------------- kinds of pictures


class Above(Scenes):
    augment = "top-down"


def augment_of(run: Path) -> str:
    return read_json(run / "config.json")["train"]["augment"]


def test_the_kind_of_pictures_is_what_was_asked_for_or_what_the_data_says(tmp_path: Path) -> None:
    above = Above("segmentation", "train", 6)
    pixelnet.train(**SHORT, out=tmp_path / "photo")
    pixelnet.train(**{**SHORT, "data": above}, out=tmp_path / "said")
    pixelnet.train(**SHORT, out=tmp_path / "asked", augment="top-down")
    pixelnet.train(**{**SHORT, "data": above}, out=tmp_path / "otherwise", augment="photo")
    found = [augment_of(tmp_path / name) for name in ("photo", "said", "asked", "otherwise")]
    assert found == ["photo", "top-down", "top-down", "photo"]
    one, other = (
        [line["loss"] for line in outcome(tmp_path / name)[1] if "loss" in line] for name in ("said", "asked")
    )
    assert one == other
    assert one != [line["loss"] for line in outcome(tmp_path / "photo")[1] if "loss" in line]


def test_a_run_goes_on_with_the_kind_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**SHORT, "data": Above("segmentation", "train", 6), "checkpoint_every": 2}
    pixelnet.train(**options, out=tmp_path / "whole")
    train_and_stop(monkeypatch, 3, **options, out=tmp_path / "stopped")
    with pytest.raises(InputError, match="augment was top-down and is photo"):
        pixelnet.train(**options, augment="photo", out=tmp_path / "stopped", resume=True)
    monkeypatch.setattr(Above, "augment", "photo")  # the data says otherwise by now
    pixelnet.train(**options, out=tmp_path / "stopped", resume=True)
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")
    assert augment_of(tmp_path / "stopped") == "top-down"


def test_kinds_that_there_are_not_and_normals_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="augment is 'aerial'"):
        pixelnet.train(**SHORT, augment="aerial", out=tmp_path / "run")
    with pytest.raises(InputError, match="normals have an up"):
        pixelnet.train(**{**SHORT, "task": "normals"}, augment="top-down", out=tmp_path / "run")
    monkeypatch.setattr(Above, "augment", "aerial")
    with pytest.raises(InputError, match="augment is 'aerial'"):
        pixelnet.train(**{**SHORT, "data": Above("segmentation", "train", 6)}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_and_joins_of_data_say_what_their_data_say() -> None:
    above = Above("segmentation", "train", 6)
    assert [side.augment for side in hold_out(above, 0.3)] == ["top-down"] * 2
    edges = Above("edges", "train", 6)
    for other, expected in ((edges, "top-down"), (Scenes("edges", "train", 6), "photo")):
        joint = JointData([("a", {"segmentation": above}), ("b", {"edges": other})], ["segmentation", "edges"], "train")
        assert joint.augment == expected
