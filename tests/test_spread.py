"""Labels that spread: what is learnt from around strokes, when, and that people's own labels stay."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pixelnet
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import UNLABELLED
from pixelnet.learning.spread import TOLD, WALKS, OfSpread, Told, Walked
from pixelnet.runs.record import Record
from pixelnet.tasks import make_task
from pixelnet.tasks.segmentation import Segmentation

NAMES = ("dark", "light")
SHORT: dict[str, Any] = {"task": "segmentation", "max_steps": 2, "val_share": 0.0, "batch_size": 2, "crop": (32, 32)}
SHORT |= {"pixels": "40", "hidden": (4,), "pyramid": 4, "num_workers": 0}


def stroked(count: int, strokes: int = 2, whole: bool = False) -> Arrays:
    """Images that are light on the right, with strokes on both sides; the last has none. whole: with all labels."""
    pairs = []
    for k in range(count):
        rng = np.random.default_rng(k)
        light = np.arange(48)[None] >= rng.integers(18, 30) + np.zeros((40, 1), int)
        image = np.where(light, 180, 60)[..., None] + rng.integers(-20, 20, (40, 48, 3))
        labels = np.full(light.shape, UNLABELLED, np.uint8)
        for row in rng.permutation(40)[: strokes * (k + 1 < count)]:
            labels[row, 4:12], labels[row, 34:42] = 0, 1
        pairs.append((image.astype(np.uint8), light.astype(np.uint8) if whole else labels))
    return Arrays(pairs, "segmentation", NAMES)


def dotted(count: int) -> Arrays:
    """The same with single pixels of both sides."""
    own = stroked(count, strokes=16)
    pairs = []
    for k in range(count):
        thin = np.full((40, 48), UNLABELLED, np.uint8)
        thin[::2, ::4] = own.labels(k)[::2, ::4]
        pairs.append((own.image(k), thin))
    return Arrays(pairs, "segmentation", NAMES)


def test_own_labels_stay_and_all_around_them_has_some(tmp_path: Path) -> None:
    data = stroked(3)
    spread = Walked(data, tmp_path, 0.5)
    labels, own = spread.labels(0), data.labels(0)
    told = own != UNLABELLED
    np.testing.assert_array_equal(labels[told], np.stack([own, own, np.full_like(own, 255)], -1)[told])
    assert (labels[~told][:, 0] != labels[~told][:, 1]).all()
    assert (labels[~told][:, 2] >= 127).all()
    window = (slice(3, 17), slice(5, 40))
    np.testing.assert_array_equal(spread.labels(0, window), labels[window])
    task = OfSpread(Segmentation(2))
    assert task.labelled(labels).all()
    assert not task.labelled(spread.labels(2)).any()
    (tmp_path / "000000.npy").unlink()
    np.testing.assert_array_equal(spread.labels(0), labels)


def test_unlabelled_pixels_are_of_the_class_that_network_and_walk_hold_likeliest() -> None:
    own = Segmentation(3, loss="cross-entropy")
    logits = torch.tensor([[5.0, 0, 0], [0, 3.0, 0], [0, 2.0, 0], [2.0, 0, 0], [1.0, 2.0, 0]], requires_grad=True)
    labels = torch.tensor([[1, 1, 255], [0, 1, 140], [0, 1, 250], [1, 0, 250], [2, 0, 128]])
    found = OfSpread(own).loss(logits, labels, torch.ones(5))
    wanted = [1]
    exponents = np.exp(logits.detach().numpy()[1:])
    network = exponents / exponents.sum(1, keepdims=True)
    for row, (first, second, chance) in zip(network, labels.tolist()[1:], strict=True):
        walked = np.full(3, 0.01)
        walked[[first, second]] += chance / 255, 1 - chance / 255
        wanted.append(int((row * np.array([3, 2, 2]) / (network.sum(0) + 1) * walked).argmax()))
    assert wanted == [1, 1, 0, 1, 0]  # told; the network's; the walk's, twice; what both allow
    torch.testing.assert_close(found, own.loss(logits, torch.tensor(wanted), torch.ones(5)))
    found.backward()
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]


def test_a_share_of_the_points_is_where_people_labelled(tmp_path: Path) -> None:
    spread = Walked(stroked(2), tmp_path, 1.0)
    labels = spread.labels(0)
    draw = Told(20)(labels[..., 0] != UNLABELLED, np.random.default_rng(0), labels, spread.image(0))
    columns, rows = draw.points.astype(int).T
    told = labels[rows, columns, 0] == labels[rows, columns, 1]
    assert told.sum() == round(TOLD * 20)
    assert draw.weights.sum() == pytest.approx(40 * 48)


@pytest.mark.parametrize(
    ("data", "options", "spreads"),
    [
        (stroked(6), {}, True),
        (stroked(6), {"spread": False}, False),
        (stroked(6), {"sampler": "uniform"}, False),
        (stroked(6, whole=True), {}, False),
        (stroked(2, strokes=1), {}, False),  # too little to say
        (dotted(12), {}, False),  # which may be a sample
    ],
)
def test_labels_spread_where_strokes_that_are_held_out_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: Arrays, options: dict[str, Any], spreads: bool
) -> None:
    (tmp_path / "run" / WALKS).mkdir(parents=True)
    (tmp_path / "run" / WALKS / "000000.npy").write_bytes(b"of another run")
    model = pixelnet.train(data=data, out=tmp_path / "run", **SHORT, **options)
    said = capsys.readouterr().err
    assert ("--no-spread" in said) == spreads
    assert model.task.labelled(np.array([0, UNLABELLED], np.uint8)).tolist() == [True, False]
    assert type(model.task) is type(make_task("segmentation", 2))


def test_a_run_that_goes_on_keeps_its_walks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pixelnet.train(data=stroked(6), out=tmp_path / "whole", **SHORT)
    half = {**SHORT, "checkpoint_every": 1}

    kept = Record.checkpoint

    def stops(record: Record, state: dict[str, Any]) -> None:
        kept(record, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Record, "checkpoint", stops)
        with pytest.raises(KeyboardInterrupt):
            pixelnet.train(data=stroked(6), out=tmp_path / "half", **half)
    walks = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "half" / WALKS).iterdir()}
    assert walks
    again = pixelnet.train(data=stroked(6), out=tmp_path / "half", **half, resume=True)
    assert (
        walks.items() <= {file.name: file.stat().st_mtime_ns for file in (tmp_path / "half" / WALKS).iterdir()}.items()
    )
    for one, other in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_single_pixels_are_said_to_teach_more_by_a_fitted_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k, (data, said) in enumerate(((dotted(12), True), (stroked(6), False), (stroked(6, whole=True), False))):
        pixelnet.train(data=data, out=tmp_path / f"run{k}", **SHORT)
        assert ("single pixels are labelled" in capsys.readouterr().err) == said
