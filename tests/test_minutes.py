"""A run that is given a time: how many steps that is, and that it is the run of so many steps."""

import json
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, assert_same_outcome, outcome, train_and_stop

import pixelnet
from pixelnet import InputError

SHORT = {**TINY, "val_every": 4}
MINUTE = {**SHORT, "max_steps": None, "minutes": 1.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "adamw, averaged": {"ema": 0.9},
    "sgd, workers": {"optimizer": "sgd", "schedule": "step", "lr": 1e-3, "backbone_lr": 1e-3, "num_workers": 1},
    "two phases": {"sampler": "hard", "freeze": True, "grad_clip": 1.0},
}


def run_clock(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Have steps take these seconds, and all further ones the last of them."""
    times = accumulate(chain([0.0], seconds, repeat(seconds[-1])))
    monkeypatch.setattr("pixelnet.training.perf_counter", lambda: next(times))


def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> float:
        raise AssertionError("the time was asked for again")

    monkeypatch.setattr("pixelnet.training.perf_counter", asked)


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_run_of_minutes_is_the_run_of_so_many_steps(kind: str, tmp_path: Path, monkeypatch, capsys) -> None:
    run_clock(monkeypatch, 9)  # two steps are timed, and of the other 42 seconds 37.8 are for steps
    pixelnet.train(**{**MINUTE, **OPTIONS[kind]}, out=tmp_path / "minute")
    assert "1 minute: 4 steps\n" in capsys.readouterr().err
    pixelnet.train(**{**SHORT, "max_steps": 4, **OPTIONS[kind]}, out=tmp_path / "steps")
    (weights, metrics), (expected, lines) = outcome(tmp_path / "minute"), outcome(tmp_path / "steps")
    assert metrics == [{"step": 0, "total": 4}, *lines]
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    last, whole = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("minute", "steps"))
    assert last["total"] == whole["total"] == 4
    for name, tensor in whole["model"].items():
        assert torch.equal(last["model"][name], tensor), name


@pytest.mark.parametrize(("most", "expected"), [(3, 3), (7, 4)])
def test_a_run_of_minutes_takes_no_more_steps_than_it_may(most, expected, tmp_path, monkeypatch, capsys) -> None:
    run_clock(monkeypatch, 9)
    pixelnet.train(**{**MINUTE, "max_steps": most}, out=tmp_path / "run")
    assert f"1 minute: {expected} steps\n" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, expected + 1))


def test_a_run_that_goes_on_keeps_its_number_of_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_clock(monkeypatch, 9)
    pixelnet.train(**MINUTE, out=tmp_path / "whole")
    run_clock(monkeypatch, 9)
    train_and_stop(monkeypatch, 3, **MINUTE, out=tmp_path / "killed")
    no_clock(monkeypatch)
    for changed in ({"minutes": 2.0}, {"minutes": None, "max_steps": 4}):
        with pytest.raises(InputError, match=r"minutes was 1\.0 and is"):
            pixelnet.train(**{**MINUTE, **changed}, out=tmp_path / "killed", resume=True)
    pixelnet.train(**MINUTE, out=tmp_path / "killed", resume=True)
    assert_same_outcome(tmp_path / "killed", tmp_path / "whole")
    pixelnet.train(**MINUTE, out=tmp_path / "killed", resume=True)  # one that is done stays so


def test_killed_before_its_first_checkpoint_a_run_is_timed_anew(tmp_path: Path, monkeypatch) -> None:
    run_clock(monkeypatch, 9)
    train_and_stop(monkeypatch, 1, **MINUTE, out=tmp_path / "run")
    run_clock(monkeypatch, 7)
    pixelnet.train(**MINUTE, out=tmp_path / "run", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["total"] for line in lines if "total" in line] == [5]  # .9 * (60 - 14) / 7
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("minutes", "seconds", "expected"),
    [
        (100.0, [30, 2, 2, 2, 2, 1], "100 minutes: 5352 steps\n"),  # .9 * (6000 - 38 - 15) / 1
        (10.0, [30, 2, 2, 2, 2, 1], "10 minutes: 492 steps\n"),  # .9 * (600 - 53)
        (5.0, [30, 2, 2, 2, 2, 1], "5 minutes: 120 steps\n"),  # .9 * (300 - 32) / 2: a tenth is over after two steps
        (0.01, [5], "0.01 minutes: 1 step\n"),
    ],
)
def test_the_first_steps_do_not_count(minutes, seconds, expected, tmp_path, monkeypatch, capsys) -> None:
    class Enough(Exception):
        pass

    def record(*_: object) -> None:
        raise Enough

    run_clock(monkeypatch, *seconds)
    monkeypatch.setattr("pixelnet.training.Record", record)
    with pytest.raises(Enough):
        pixelnet.train(**{**MINUTE, "minutes": minutes}, out=tmp_path / "run")
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 2.0}, "--epochs says how long the run is, and so does --max-steps or --minutes; give one of them"),
        ({"epochs": 2.0, "minutes": None, "max_steps": 7}, "give one of them"),
        ({"minutes": 0.0}, "--minutes is 0.0; it must be above 0"),
        ({"minutes": -3}, "--minutes is -3.0; it must be above 0"),
        ({"minutes": float("inf")}, "--minutes is inf"),
        ({"minutes": "ten"}, "minutes is 'ten', not float"),
    ],
)
def test_lengths_that_will_not_do(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        pixelnet.train(**{**MINUTE, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
