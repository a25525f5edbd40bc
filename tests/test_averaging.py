"""The mean of two runs' weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY

import pixelnet
from recipes import averaging

HERE = {**TINY, "hidden": (8,), "head": "mlp", "dropout": 0.0, "data": "scenes:8", "max_steps": 3}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of two tasks, and one of the first of them that started from it."""
    folder = tmp_path_factory.mktemp("runs")
    pixelnet.train(**{**HERE, "task": "segmentation,normals"}, out=folder / "before")
    after = {name: value for name, value in HERE.items() if name not in ("backbone", "head", "hidden", "dropout")}
    # Without a val split, by which so short a run may end as it began.
    pixelnet.train(**after, val_share=0, out=folder / "run", init_from=str(folder / "before"))
    return folder / "run", folder / "before"


def test_each_weight_is_the_mean_by_share(runs: tuple[Path, Path]) -> None:
    mean = dict(averaging.averaged({runs[1]: 1, runs[0]: 3}).named_parameters())
    start = dict(pixelnet.load(runs[1]).only("segmentation").named_parameters())
    for name, own in pixelnet.load(runs[0]).named_parameters():
        assert torch.allclose(mean[name], 0.75 * own + 0.25 * start[name], atol=1e-6), name
        assert name.startswith("norms") or own.ndim < 2 or not torch.equal(own, start[name]), name


def test_its_norms_know_its_own_maps(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(averaging, "BATCHES", 3)
    model = averaging.averaged({runs[1]: 0.5, runs[0]: 0.5})
    norm = next(module for module in model.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen: list[np.ndarray] = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().double().numpy()))
    views = averaging._views(runs[0])
    for step in range(3):
        model.maps(views[step].images)
    handle.remove()
    means = np.mean([maps.mean((0, 2, 3)) for maps in seen], axis=0)
    spreads = np.mean([maps.var((0, 2, 3), ddof=1) for maps in seen], axis=0)
    assert np.allclose(norm.running_mean.numpy(), means, rtol=1e-4, atol=1e-6)
    assert np.allclose(norm.running_var.numpy(), spreads, rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1
    assert not model.training
