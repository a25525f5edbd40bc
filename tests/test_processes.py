"""Several processes are one run: the weights, the scores and the files of one process; and none waits for a dead one.

All is asked of one start of torchrun, which takes most of the time.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from conftest import random_image, save_png
from tiny import TINY, outcome

import pixelnet
from pixelnet.data import open_dataset
from pixelnet.evaluation import score_model

ROOT = Path(__file__).parents[1]
# Of a network without batch norms, whose statistics each process would take from its own images. Of three images one
# process has two.
PLAIN: dict[str, Any] = {
    **TINY, "backbone": "test_convnext", "pyramid": 0, "hidden": (8,), "dropout": 0.0, "max_steps": 2, "batch_size": 3,
    "optimizer": "sgd", "schedule": "poly", "val_share": 0.0,
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "means": {"loss": "cross-entropy", "weighted": True, "ema": 0.9},
    "sets": {"loss": "cross-entropy+lovasz", "class_weights": "balanced", "sampler": "gradient", "grad_clip": 0.1},
    "ratios, in parts": {"loss": "dice", "batch_size": 4, "grad_accum": 2, "deterministic": True},
    "several tasks": {"task": "segmentation,normals", "loss": "log*cross-entropy,log*angular"},
    "nothing labelled": {"data": "UNLABELLED", "batch_size": 2, "max_steps": 3},
}
SCORED = "scenes:5"  # which two do not share evenly
WORKER = """
import json, os, signal, sys
from pathlib import Path
from accelerate import Accelerator
import pixelnet
from pixelnet.data import open_dataset
from pixelnet.evaluation import score_model
from pixelnet.runs import record

rank, runs, folder, scored = int(os.environ["RANK"]), json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
writes = []

def note(event, given):
    changes = event == "open" and (given[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    if (changes or event in ("os.mkdir", "os.rename", "os.remove")) and str(folder) in str(given[0]):
        writes.append(f"{event} {given[0]}")

def die(self, done, *_):
    if rank == 1 and done == 2:
        (folder / "died").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(note)
for options in runs.values():
    pixelnet.train(**options)
data = open_dataset(scored, "segmentation,normals", "val")
scores = score_model(pixelnet.load(runs["several tasks"]["out"]), data, accelerator=Accelerator())
told = json.dumps({"writes": list(writes), "scores": scores})
(folder / f"{rank}.json").write_text(told)

record.Record.step = die
pixelnet.train(**runs["means"] | {"out": str(folder / "killed"), "max_steps": 100_000})
"""


class Started(NamedTuple):
    """What torchrun came to: its exit code, what its processes said, and its seconds after the death of one."""

    code: int
    said: str
    seconds: float


def settings(folder: Path, name: str) -> dict[str, Any]:
    options = {**PLAIN, **RUNS[name], "out": str(folder / name)}
    if options["data"] == "UNLABELLED":
        options["data"] = f"folder:{folder.parent / 'unlabelled'}"
    return options


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a data set of three images, of which one has no labelled pixel."""
    made = tmp_path_factory.mktemp("processes")
    rng = np.random.default_rng(0)
    for k in range(3):
        save_png(made / "unlabelled" / "train" / "images" / f"{k}.png", random_image(rng, (48, 64)))
        labels = rng.integers(0, 3, (48, 64), np.uint8) if k else np.full((48, 64), 255, np.uint8)
        save_png(made / "unlabelled" / "train" / "labels" / f"{k}.png", labels)
    return made


@pytest.fixture(scope="module")
def two(folder: Path) -> Started:
    """Two processes, which do all runs, and of a last one the second dies."""
    runs = {name: settings(folder / "two", name) for name in RUNS}
    runs["minutes"] = {**TINY, "max_steps": None, "minutes": 1e-4, "out": str(folder / "two" / "minutes")}  # one step
    (folder / "two").mkdir()
    (folder / "worker.py").write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(folder / "worker.py"), json.dumps(runs), str(folder / "two"), SCORED]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=300)
    died = folder / "two" / "died"
    assert died.exists(), done.stderr[-3000:]
    return Started(done.returncode, done.stderr, time.time() - died.stat().st_mtime)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes have: sums of several end in other bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def told(folder: Path, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "two" / f"{rank}.json").read_text())
    return found


@pytest.mark.parametrize("name", RUNS)
def test_they_end_where_one_does(name: str, two: Started, folder: Path) -> None:
    """In weights and in the losses on the way, which are of everybody's points; with a batch seen at once."""
    pixelnet.train(**{**settings(folder / "one", name), "grad_accum": 1, "deterministic": False})
    (weights, metrics), (found, lines) = outcome(folder / "one" / name), outcome(folder / "two" / name)
    assert len(metrics) == len(lines) == settings(folder, name)["max_steps"]
    for one, several in zip(metrics, lines, strict=True):
        assert several == {**one, "loss": pytest.approx(one["loss"], rel=1e-4, abs=1e-5)}
    for key, tensor in weights.items():
        torch.testing.assert_close(found[key], tensor, atol=2e-5, rtol=1e-3)


def test_scores_are_those_of_one_to_the_bit(two: Started, folder: Path, one_thread: None) -> None:
    data = open_dataset(SCORED, "segmentation,normals", "val")
    expected = score_model(pixelnet.load(folder / "two" / "several tasks"), data)
    for rank in (0, 1):
        assert told(folder, rank)["scores"] == json.loads(json.dumps(expected))


def test_one_writes_and_speaks(two: Started, folder: Path) -> None:
    ours, theirs = (told(folder, rank)["writes"] for rank in (0, 1))
    assert any("model.safetensors" in line for line in ours)
    assert theirs == []
    lines = (folder / "two" / "minutes" / "metrics.jsonl").read_text()
    assert lines.count('"loss"') == 1  # as the main one has timed
    assert two.said.count("minutes: 1 step\n") == 1


def test_one_that_dies_ends_the_others_with_the_reason(two: Started) -> None:
    assert two.code == 1
    assert two.seconds < 60
    assert "another process of this run has ended" in two.said
    assert "Signal 9 (SIGKILL)" in two.said
