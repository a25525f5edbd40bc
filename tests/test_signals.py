"""Ctrl-C and SIGTERM: a checkpoint of the last whole step, a line that says how to go on, the signal's exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, assert_same_outcome

import pixelnet
from pixelnet import cli
from pixelnet.runs import record
from pixelnet.signals import Stopped, heeded, noted

STEPS = ["--backbone", "test_resnet", "--hidden", "4", "--pixels", "40", "--batch-size", "2", "--crop", "48", "64"]


def test_a_run_that_is_stopped_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    pixelnet.train(**TINY, out=tmp_path / "whole")
    step = record.Record.step

    def stop(self: Any, done: int, *rest: Any) -> None:
        step(self, done, *rest)
        if done == 3:  # at a validation, and not at a checkpoint
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(record.Record, "step", stop)
        with pytest.raises(Stopped, match=r"stopped after step 3 of 7, .* with --resume") as stopped:
            pixelnet.train(**TINY, out=tmp_path / "stopped")
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    pixelnet.train(**TINY, out=tmp_path / "stopped", resume=True)
    assert_same_outcome(tmp_path / "whole", tmp_path / "stopped")


def test_the_command_ends_with_the_signals_code_and_leaves_nobody(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "pixelnet", "train", "--task", "edges", "--data", "scenes:4", "--out", str(run)]
    process = subprocess.Popen(
        [*command, *STEPS, "--max-steps", "100000", "--val-every", "90000"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    metrics, until = run / "metrics.jsonl", time.monotonic() + 300
    while not (metrics.exists() and metrics.read_bytes()) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("pixelnet: stopped after step ")
    assert last.endswith("to go on, give the same command with --resume")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert (run / "checkpoint.pt").is_file()
    assert not (run / ".lock").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_any_command_ends_without_a_traceback(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.Models, "__call__", lambda _: os.kill(os.getpid(), number))
    assert cli.main(["models"]) == code
    assert capsys.readouterr().err == "pixelnet: stopped\n"


def test_a_second_signal_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with noted() as numbers:
        for moment in (0.0, 0.5):  # the second passed on by a launcher
            clock[0] = moment
            os.kill(os.getpid(), signal.SIGINT)
        assert numbers == [signal.SIGINT]
        clock[0] = 5.0
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
    with heeded(), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "pixelnet", "train", "--help"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
