"""A run killed at any moment and resumed ends as one that was not: weights and metrics, bit for bit."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, assert_same_outcome, outcome

import pixelnet
import pixelnet.files
from pixelnet.runs import record

OPTIONS = {
    "adamw": {},
    "sgd": {"optimizer": "sgd", "schedule": "step", "lr": 1e-3, "backbone_lr": 1e-3, "num_workers": 1},
    "hard, weighted": {"sampler": "hard", "weighted": True},
    "gradient": {"sampler": "gradient", "num_workers": 1},
    "no val split": {"task": "edges", "head": "mlp", "hidden": (8,), "schedule": "poly", "dropout": 0.2},
}


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing catches it."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(kind: str, request: pytest.FixtureRequest) -> dict:
    if kind != "no val split":
        return {**TINY, **OPTIONS[kind]}
    data = request.getfixturevalue("folder_data")("edges", splits=("train",))
    return {**TINY, **OPTIONS[kind], "data": f"folder:{data}", "crop": None, "val_share": 0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    pixelnet.train(**TINY, out=out)
    return out


def killing(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int, before: bool) -> None:
    """Kill at the call-th call of a function, before or after it did its work."""
    whole, calls = getattr(owner, name), []

    def function(*arguments: object, **options: object) -> object:
        calls.append(name)
        if len(calls) == call and before:
            raise Killed
        result = whole(*arguments, **options)
        if len(calls) == call:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, function)


@pytest.mark.parametrize("kind", OPTIONS)
def test_killed_at_random_steps(kind: str, tmp_path: Path, request, monkeypatch: pytest.MonkeyPatch) -> None:
    options = settings(kind, request)
    pixelnet.train(**options, out=tmp_path / "whole")
    for step in np.random.default_rng(len(kind)).integers(1, 4, 3):  # at 2, 3 steps or so at a time
        with monkeypatch.context() as patch:
            killing(patch, record.Record, "step", int(step) + 1, before=False)
            with pytest.raises(Killed):
                pixelnet.train(**options, out=tmp_path / "killed", resume=True)
    pixelnet.train(**options, out=tmp_path / "killed", resume=True)
    assert_same_outcome(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (pixelnet.files.os, "fsync", 2),
        (pixelnet.files.os, "fsync", 5),
        (pixelnet.files.os, "fsync", 8),
        (pixelnet.files.Path, "replace", 3),
        (pixelnet.files.Path, "replace", 5),
        (record, "draw_panel", 1),
        (record, "draw_curves", 2),
    ],
)
def test_killed_while_writing(owner, name, call, before, undisturbed, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pixelnet.files.Path, "unlink", lambda *_, **__: None)  # the dead tidy nothing away
        killing(patch, owner, name, call, before)
        with pytest.raises(Killed):
            pixelnet.train(**TINY, out=tmp_path / "killed")
    pixelnet.train(**TINY, out=tmp_path / "killed", resume=True)
    assert_same_outcome(tmp_path / "killed", undisturbed)


def test_half_a_line_of_metrics_is_written_again(undisturbed: Path, tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        killing(patch, record.Record, "step", 4, before=False)
        with pytest.raises(Killed):
            pixelnet.train(**TINY, out=tmp_path / "killed")
    metrics = tmp_path / "killed" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-7])
    pixelnet.train(**TINY, out=tmp_path / "killed", resume=True)
    assert_same_outcome(tmp_path / "killed", undisturbed)


def test_a_finished_run_stays_as_it_is(undisturbed: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in undisturbed.iterdir() if path.is_file()}
    model = pixelnet.train(**TINY, out=undisturbed, resume=True)
    weights, _ = outcome(undisturbed)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in weights.items())
    for name in ("metrics.jsonl", "model.safetensors", "checkpoint.pt"):
        assert (undisturbed / name).read_bytes() == before[name], name


def test_how_a_run_is_fed_may_change(undisturbed: Path, tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        killing(patch, record.Record, "step", 4, before=False)
        with pytest.raises(Killed):
            pixelnet.train(**TINY, out=tmp_path / "killed")
    pixelnet.train(**{**TINY, "num_workers": 1, "checkpoint_every": 1}, out=tmp_path / "killed", resume=True)
    assert_same_outcome(tmp_path / "killed", undisturbed)


CHILD = """
import json, os, signal, sys
import torch
torch.set_num_threads(1)
import pixelnet, pixelnet.files
options = json.loads(sys.argv[1])
call = int(sys.argv[2])
calls = []
def dies(whole):
    def function(*arguments, **more):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **more)
    return function
if call:
    pixelnet.files.os.fsync = dies(os.fsync)
pixelnet.train(**options, resume=True)
"""


def child(options: dict, call: int = 0) -> subprocess.Popen:
    import json

    command = [sys.executable, "-c", CHILD, json.dumps(options), str(call)]
    environment = {**os.environ, "PYTHONPATH": str(Path(pixelnet.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    import time

    while process.poll() is None and not condition():
        time.sleep(0.005)


@pytest.mark.slow
def test_kill_minus_nine(undisturbed: Path, tmp_path: Path) -> None:
    """Once in the middle of writing a checkpoint, once at a random moment after some step, then to the end."""
    out, rng = tmp_path / "killed", np.random.default_rng(5)
    options = {**TINY, "out": str(out)}
    assert child(options, call=int(rng.integers(9, 12))).wait(120) == -signal.SIGKILL
    assert (out / "checkpoint.pt").exists()
    process = child(options)
    metrics = out / "metrics.jsonl"
    lines = len(metrics.read_text().splitlines())
    wait_for(lambda: len(metrics.read_text().splitlines()) > lines - 1 + int(rng.integers(1, 3)), process)
    process.kill()
    process.wait(30)
    assert child(options).wait(120) == 0
    assert_same_outcome(out, undisturbed)
