"""Tiny runs for the tests of training, and what is compared of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import pixelnet
from pixelnet.runs import record

# A dropout head, augmentation and batch norms: whatever draws or keeps chance or state takes part.
TINY: dict[str, Any] = {
    "task": "segmentation",
    "data": "scenes:6",
    "backbone": "test_resnet",
    "head": "paper",
    "hidden": (8, 8),
    "dropout": 0.5,
    "pixels": 40,
    "batch_size": 2,
    "crop": (48, 64),
    "max_steps": 7,
    "lr": 1e-2,
    "backbone_lr": 1e-2,
    "val_every": 3,
    "val_images": 1,
    "checkpoint_every": 2,
    "num_workers": 0,
}


def train_and_stop(monkeypatch: pytest.MonkeyPatch, last: int, **settings: Any) -> None:
    """Train until step `last` is noted, and stop there as by Ctrl-C."""
    step = record.Record.step

    def stop(self: Any, done: int, *rest: Any) -> None:
        step(self, done, *rest)
        if done == last:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(record.Record, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            pixelnet.train(**settings)


def outcome(run: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """A run's weights and its metrics, apart from the seconds and the memory."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return load_file(run / "model.safetensors"), [
        {key: value for key, value in line.items() if key not in ("seconds", "peak_memory_gib")} for line in lines
    ]


def assert_same_outcome(one: Path, other: Path) -> None:
    """Bit for bit."""
    (weights, metrics), (expected, expected_metrics) = outcome(one), outcome(other)
    assert metrics == expected_metrics
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(weights[name], tensor), name
    last, expected_last = (torch.load(run / "checkpoint.pt", weights_only=True) for run in (one, other))
    for name, tensor in expected_last["model"].items():
        assert torch.equal(last["model"][name], tensor), name
    assert last["best"] == expected_last["best"]
