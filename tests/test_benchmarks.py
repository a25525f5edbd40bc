"""The logic of the benchmarks: order, rows, and that both sides of a ratio answer alike. Nothing is timed here."""

from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import __main__ as main
from benchmarks import (
    accuracy,
    adaptive,
    defaults,
    dense,
    growth,
    memory,
    networks,
    reading,
    scale,
    tiling,
    timing,
    training,
)
from benchmarks import export as exporting
from pixelnet import InputError
from pixelnet.config import ModelConfig
from pixelnet.data import Dataset
from pixelnet.data.dataset import Window
from pixelnet.data.transforms import Augmentation
from pixelnet.hypercolumn import hypercolumns
from pixelnet.tasks import make_task
from recipes import results

SMALL = "tf_efficientnet_lite0"


def test_runs_alternate_after_a_round_that_is_not_counted() -> None:
    order: list[str] = []
    seconds = timing.alternate({name: lambda name=name: order.append(name) for name in "ABC"}, runs=2)
    assert order == list("ABCABCABC")
    assert [len(spent) for spent in seconds.values()] == [2, 2, 2]


def test_a_row_is_the_median_of_its_rounds_and_knows_which_way_its_bar_points() -> None:
    rounds = np.array([4.0, 1.0, 2.0])
    found = timing.row("m", "n", rounds, "at most", 2.0, floor=0.5, seconds={"a": np.array([1.0, 3.0, 2.0])})
    assert (found["value"], found["quartiles"], found["holds"], found["runs"]) == (2.0, [1.5, 3.0], True, 3)
    assert (found["floor"], found["seconds"]) == (0.5, {"a": 2.0})
    assert timing.row("m", "n", rounds, "at least", 2.0)["holds"] is True
    assert timing.row("m", "n", rounds, "at most", 1.9)["holds"] is False
    assert timing.row("m", "n", rounds, "at least", 2.1)["holds"] is False
    assert timing.row("m", "n", 3.0)["holds"] is None


def test_new_rows_take_the_place_of_old_ones() -> None:
    old = [timing.row("a", "x", 1.0), timing.row("a", "y", 2.0), timing.row("b", "x", 3.0)]
    new = [timing.row("a", "y", 4.0), timing.row("c", "x", 5.0)]
    found = timing.merged(old, new)
    assert [(row["measure"], row["network"], row["value"]) for row in found] == [
        ("a", "x", 1.0), ("a", "y", 4.0), ("b", "x", 3.0), ("c", "x", 5.0),
    ]  # fmt: skip


def test_a_file_keeps_measures_together_and_refuses_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "speed.json"
    timing.keep([timing.row("a", "x", 1.0), timing.row("b", "x", 2.0)], path)
    timing.keep([timing.row("a", "y", 3.0)], path)
    assert [(row["measure"], row["network"]) for row in timing.earlier_rows(path)] == [
        ("a", "x"), ("a", "y"), ("b", "x"),
    ]  # fmt: skip
    monkeypatch.setattr(timing, "machine", lambda: {"processor": "another"})
    with pytest.raises(InputError, match=r"speed\.json was measured on .* remove it"):
        timing.keep([], path)


def test_a_model_that_was_exported_is_one_row_of_its_rounds() -> None:
    spent = {"predict": np.array([2.0, 4.0, 8.0]), "exported": np.array([1.0, 2.0, 2.0]), "Unet": np.array([1.0, 1, 4])}
    found = exporting.row("m", spent, 2.5e-6)
    assert found["exported, s"] == "2.0000 (1.5000 .. 2.0000)"
    assert found["exported / predict"] == "0.50 (0.38 .. 0.50)"
    assert found["exported / Unet"] == "1.00 (0.75 .. 1.50)"
    assert found["difference"] == "2.5e-06"
    assert exporting.working_size(None) == (384, 480)
    assert exporting.working_size(640) == (480, 640)


@pytest.mark.parametrize("hidden", [(8,), (8, 6)])
def test_naive_and_exact_predictions_are_one(hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels = dense.trained_long_ago(networks.ours(SMALL, hidden=hidden)), dense.random_image(45, 70)
    dense.check(model, pixels)
    assert (dense.naive(model, pixels) == model.predict(pixels)).mean() > 0.999
    monkeypatch.setattr(dense, "naive", lambda *_, **__: np.full((45, 70, networks.CLASSES), 1 / networks.CLASSES))
    with pytest.raises(AssertionError, match="must be the same"):
        dense.check(model, pixels)


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_fused_peers_answer_as_before(network: str) -> None:
    model, images = networks.peer("Unet", network), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        model.train()(images)  # so that the norms are not the identity
        fused = networks.fused(model)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
        torch.testing.assert_close(fused(images), model.eval()(images), atol=1e-3, rtol=1e-3)


def test_fixed_maps_are_those_of_the_backbone_and_learn() -> None:
    batch = networks.make_batch((2, 64, 96), pixels=7)
    model = networks.ours(SMALL, head="paper", hidden=(8,), dropout=0.0).eval()
    whole = model(batch.images, batch.points).detach()
    fixed = networks.on_fixed_maps(model, batch.images, learn=True)
    logits = fixed(batch.images, batch.points)
    torch.testing.assert_close(logits, whole)
    logits.sum().backward()
    assert all(features.grad.abs().sum() > 0 for features in fixed.backbone.standing)
    networks.clear(fixed)
    assert all(features.grad is None for features in fixed.backbone.standing)


def test_a_batch_has_distinct_points_and_their_labels() -> None:
    batch = networks.make_batch((2, 32, 64), pixels=50)
    for points, labels, chosen in zip(batch.points.long(), batch.labels, batch.at_points, strict=True):
        assert len({tuple(point) for point in points.tolist()}) == 50
        assert [labels[y, x] for x, y in points.tolist()] == chosen.tolist()


def test_the_peak_is_the_most_that_was_held_at_once() -> None:
    def work() -> None:
        first = torch.zeros(1000)
        second = torch.zeros(500)
        del first
        third = torch.zeros(700)
        del second, third

    assert memory.peak(work) == 4 * 1500


class Noise(Dataset):
    """Two images of noise, with every class and pixels without a label."""

    task, source, split, class_names = "segmentation", "noise", "train", tuple("abcdefghijk")
    names: ClassVar = ["0", "1"]

    def image(self, index: int, window: Window | None = None) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 256, (70, 100, 3), dtype=np.uint8)[window or ...]

    def labels(self, index: int, window: Window | None = None) -> np.ndarray:
        labels = np.random.default_rng(index).integers(0, 12, (70, 100), dtype=np.uint8)
        return np.where(labels == 11, 255, labels).astype(np.uint8)[window or ...]


CROP = Augmentation(crop=(64, 96), scale=(1, 1), flip=True, color_jitter=0.3)
TASK = make_task("segmentation", num_classes=11)


def test_every_arm_sees_the_same_views_and_dense_ones_every_label() -> None:
    few, whole = (accuracy.batches(Noise(), TASK, arm, CROP)[0] for arm in ("sampled", "Unet"))
    assert torch.equal(few.images, whole.images)
    maps = accuracy.label_maps(whole)
    assert (maps == 255).float().mean() == pytest.approx(1 / 12, abs=0.01)
    for labels, at, chosen in zip(maps, few.points.long(), few.labels, strict=True):
        assert torch.equal(labels[at[:, 1], at[:, 0]], chosen)


@pytest.mark.parametrize("arm", get_args(accuracy.Arm))
def test_an_arm_that_was_stopped_goes_on_to_the_same_weights(
    arm: accuracy.Arm, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "CHECK_EVERY", 1)
    feed = accuracy.batches(Noise(), TASK, arm, CROP)

    def go(path: Path, last: int) -> accuracy.Run:
        one = accuracy.learner(arm, weights / accuracy.WEIGHTS)
        run = accuracy.Run(one, accuracy.optimizer_of(one, 1e-3), path)
        row = run.to_goal((feed[step] for step in range(run.step, last)), Noise(), limit=float("inf"))
        assert (row["steps"], row["reached"]) == (last, False)
        assert [point[0] for point in run.curve] == list(range(1, last + 1))
        return run

    go(tmp_path / "stopped.pt", 1)
    stopped, whole = go(tmp_path / "stopped.pt", 2), go(tmp_path / "whole.pt", 2)
    start = accuracy.learner(arm, weights / accuracy.WEIGHTS).model
    for before, one, other in zip(
        start.parameters(), stopped.one.model.parameters(), whole.one.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)
        assert not torch.equal(before, other)


def test_a_goal_counts_when_all_images_confirm_it(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "CHECK_EVERY", 1)
    one = accuracy.learner("sampled", weights / accuracy.WEIGHTS)
    run = accuracy.Run(one, accuracy.optimizer_of(one, 1e-3), tmp_path / "run.pt")
    answers = iter([0.5, 0.7, 0.6, 0.7, 0.66])  # quick; quick, all; quick, all
    monkeypatch.setattr(run, "miou", lambda *_: next(answers))
    feed = accuracy.batches(Noise(), TASK, "sampled", CROP)
    row = run.to_goal((feed[step] for step in range(9)), Noise(), limit=float("inf"))
    assert (row["steps"], row["reached"], row["miou"]) == (3, True, 0.66)


def test_ratios_take_the_best_rate_and_say_when_a_peer_was_stopped() -> None:
    rows = [
        {"arm": "sampled", "seconds": 100.0, "reached": True},
        {"arm": "sampled", "seconds": 50.0, "reached": False},
        {"arm": "every pixel", "seconds": 400.0, "reached": True},
        {"arm": "every pixel", "seconds": 300.0, "reached": True},
        {"arm": "Unet", "seconds": 150.0, "reached": False},
    ]
    dense_row, unet_row = accuracy.ratios(rows)
    assert (dense_row["value"], dense_row["holds"], dense_row["note"]) == (3.0, True, None)
    assert (unet_row["value"], unet_row["holds"]) == (1.5, False)
    assert unet_row["note"].startswith("more than this")
    assert accuracy.ratios(rows[2:]) == []


def test_slopes_are_of_the_upper_half_of_the_sizes() -> None:
    sizes = [1, 10, 100, 1000, 10_000]
    seconds = [np.array([value]) for value in (5.0, 5.0, 1.0, 10.0**1.5, 1000.0)]
    assert growth.slope(sizes, seconds) == pytest.approx(1.5)


def test_grid_sample_reads_the_same_hypercolumns() -> None:
    batch, backbone = networks.make_batch((2, 64, 96), pixels=40), networks.ours(SMALL).backbone.eval()
    with torch.no_grad():
        maps = backbone(batch.images)
        found = reading.from_tables(maps, batch.points, backbone.strides)
        torch.testing.assert_close(found, hypercolumns(maps, batch.points, backbone.strides), atol=1e-4, rtol=1e-4)


class Dialled:
    """Stands in for a trained model: right everywhere, and with a dial wrong in its first row."""

    config = ModelConfig("segmentation", 11)

    def predict(self, image: np.ndarray, adaptive: float | None = None) -> np.ndarray:
        index = next(index for index in (0, 1) if np.array_equal(image, Noise().image(index)))
        answer = np.where(Noise().labels(index) == 255, 0, Noise().labels(index)).astype(np.uint8)
        if adaptive == 0.5:
            answer[0] = (answer[0] + 1) % 11
        return answer


def test_agreement_is_with_the_exact_prediction() -> None:
    found = adaptive.agreements(Dialled(), Noise(), (0.5, 0.9))
    assert found[0.9] == {"agreement": 1.0, "miou_change": 0.0}
    assert found[0.5]["agreement"] == pytest.approx(69 / 70, abs=1e-5)
    assert -0.05 < found[0.5]["miou_change"] < -0.01


def test_a_peer_is_padded_and_cut_as_we_are() -> None:
    model, pixels = networks.ours(SMALL).eval(), dense.random_image(45, 70)
    labels = adaptive.predict(lambda images: model(images * model.backbone.std + model.backbone.mean), pixels, model)
    with torch.inference_mode():
        assert (labels == model.predict(pixels)).mean() > 0.999


def test_the_table_says_the_bar_in_words() -> None:
    cells = results._measure(timing.row("m", "n", np.array([4.0, 1.0, 2.0]), "at most", 1.5, seconds={"a": np.ones(3)}))
    assert (cells["bar"], cells["holds"], cells["medians"], cells["note"]) == ("at most 1.5", "no", "a: 1 s", "")
    stated = results._measure(timing.row("m", "n", 3.0, mebibytes={"a": 2.5}))
    assert (stated["bar"], stated["holds"], stated["quartiles"], stated["medians"]) == ("", "", "", "a: 2.5 MiB")


@pytest.mark.parametrize("measure", sorted(main.BY_NETWORK))
def test_every_measure_gives_rows_of_its_own(measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = networks.make_batch((2, 64, 96), pixels=20)
    for module in (training, memory, reading, defaults):
        monkeypatch.setattr(module, "make_batch", lambda *_: small)
    for module in (dense, defaults):
        monkeypatch.setattr(module, "IMAGE", (60, 90))
    monkeypatch.setattr(memory, "_of_process", lambda _, arm: str(len(arm)))
    rows = main.BY_NETWORK[measure](SMALL, 1)
    assert len({row["measure"] for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["network"] == SMALL
        assert np.isfinite(row["value"])
        assert (row["bar"] is None) == (row["must_be"] is None) == (row["holds"] is None)


def test_a_step_on_every_pixel_holds_more_than_one_on_few() -> None:
    batch, model = networks.make_batch((2, 64, 96), pixels=20), networks.ours(SMALL).train()
    peaks = {arm: memory.peak(memory.step_of(arm, model, batch)) for arm in memory.ARMS}
    assert peaks["backbone"] < peaks["sampled"] < peaks["every pixel"]


def test_rows_of_their_own_form_stay_beside_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    timing.keep_in(
        path, "scale", [{"side": 2, "way": "a", "s": 1}, {"side": 1, "way": "a", "s": 2}], "w", "c", ("side",)
    )
    found = timing.keep_in(path, "scale", [{"side": 2, "way": "a", "s": 3}], "what", "command", ("side", "way"), "plot")
    assert [(row["side"], row["s"]) for row in found] == [(1, 2), (2, 3)]
    assert timing.earlier_rows(path) == found
    assert "| 2 | a | 3 |" in results._body(results.read_json(path))


@pytest.mark.parametrize("length", [64, 100, 131])
def test_windows_of_a_grid_answer_for_each_pixel_of_an_axis(length: int) -> None:
    """As torchgeo lays them: from the far end on, so that the first one may hang over the near end."""
    window, step = 64, 32
    count = -(-(length - window) // step) + 1
    times = np.zeros(length, int)
    for k in range(count):
        first = length - k * step - window
        there, here = tiling._middle(first, window, step, length)
        assert there.stop - there.start == here.stop - here.start
        assert 0 <= here.start < here.stop <= window
        times[there] += 1
    assert times.min() == 1


def test_the_picture_of_scenes_has_every_way() -> None:
    rows = [
        {"side": side, "way": way, "seconds": side, "resident MB": 9, "alone": 1} for side in (1, 2) for way in "ab"
    ]
    assert scale.draw([row | {"way": "pixelnet"} for row in rows[:2]] + rows)[:4] == b"\x89PNG"
