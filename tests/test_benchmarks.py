"""The logic of the benchmarks: order, rows, and that both sides of a ratio answer alike. Nothing is timed here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import dense, memory, networks, timing
from pixelnet import InputError

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
