"""A fitted model teaches a network: whose labels count, what the network begins with, and which of the two is kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import save_png

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.config import BACKBONE, TrainConfig, read_json
from pixelnet.data.arrays import Arrays
from pixelnet.learning.fit import fit
from pixelnet.learning.taught import ANSWERS, Taught
from pixelnet.runs.settings import with_network

NAMES = ("dark", "light")
SHORT: dict[str, Any] = {"task": "segmentation", "max_steps": 2, "val_every": 2, "batch_size": 2, "crop": (32, 32)}
SHORT |= {"pixels": "40", "hidden": (4,), "pyramid": 4, "num_workers": 0}


def halves(count: int, labelled: int = 12) -> Arrays:
    """Images that are dark on one side, with a few labels each; the last is labelled wholly."""
    pairs = []
    for k in range(count):
        rng = np.random.default_rng(k)
        light = np.arange(48)[None] >= rng.integers(15, 30) + np.zeros((40, 1), int)
        image = np.where(light, 180, 60)[..., None] + rng.integers(-20, 20, (40, 48, 3))
        labels = light.astype(np.uint8)
        if k + 1 < count:
            hidden = rng.permutation(labels.size)[2 * labelled :]
            labels.flat[hidden] = 255
        pairs.append((image.astype(np.uint8), labels))
    return Arrays(pairs, "segmentation", NAMES)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fits") / "edges"
    fit(halves(4), out, features="edges+filters", strength=0.01)
    return out


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fits") / "filters"
    fit(halves(4), out, features="filters", strength=0.01)
    return out


def test_labels_stay_and_the_teacher_says_the_others(bare: Path, tmp_path: Path) -> None:
    data, teacher = halves(3), pixelnet.load(bare)
    taught = Taught(data, teacher, tmp_path)
    for i in (0, 1):
        own, found = data.labels(i), taught.labels(i)
        chances = teacher.predict(data.image(i), probabilities=True)
        told = own != 255
        assert (found[told] == np.stack([own, own, np.full_like(own, 255)], -1)[told]).all()
        assert (found[~told, 0] == chances[~told].argmax(-1)).all()
        assert (found[~told, 1] == chances[~told].argmin(-1)).all()
        np.testing.assert_allclose(found[~told, 2] / 255, chances[~told].max(-1), atol=0.5 / 255)
        window = (slice(3, 20), slice(40, 48))
        np.testing.assert_array_equal(taught.labels(i, window), found[window])
    whole = taught.labels(2)
    assert (whole[..., 0] == data.labels(2)).all()
    assert (whole[..., 0] == whole[..., 1]).all()


def test_answers_that_are_there_are_not_made_again_but_those_of_another_run_are(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SHORT, "backbone": "test_resnet", "init_from": str(bare), "val_share": 0, "out": tmp_path / "run"}
    dead = tmp_path / "run" / ANSWERS / "000000.npy"
    dead.parent.mkdir(parents=True)
    dead.write_bytes(b"of another run")
    pixelnet.train(data=halves(2), **options)
    made = {file: file.stat().st_mtime_ns for file in dead.parent.iterdir()}
    monkeypatch.setattr(Taught, "_answer", lambda *_: pytest.fail("it is answered again"))
    pixelnet.train(data=halves(2), **options, resume=True)
    assert {file: file.stat().st_mtime_ns for file in dead.parent.iterdir()} == made


def test_the_network_is_the_first_of_the_fitted_ones_and_begins_as_it_was(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = {**SHORT, "max_steps": 1, "val_share": 0, "lr": 1e-9, "backbone_lr": 1e-9}
    model = pixelnet.train(data=halves(4), out=out, init_from=str(fitted), **options)
    assert (model.config.backbone, model.config.head) == ("tf_efficientnet_lite2", "mlp")
    theirs = pixelnet.load("edges").backbone.state_dict()
    kernels = [name for name, tensor in theirs.items() if tensor.ndim > 1 and name not in ("mean", "std")]
    own = model.backbone.network.state_dict()
    assert all(torch.allclose(own[name], theirs[name], atol=1e-5) for name in kernels)
    assert len(list((out / ANSWERS).iterdir())) == 4


def test_a_run_that_goes_on_has_its_teacher(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**SHORT, "backbone": "test_resnet", "init_from": str(bare), "val_share": 0}
    first = pixelnet.train(data=halves(4), out=tmp_path / "run", **options)
    monkeypatch.setattr("pixelnet.learning.taught.fit", lambda *_, **__: pytest.fail("it is fitted again"))
    again = pixelnet.train(data=halves(4), out=tmp_path / "run", resume=True, **options)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(("teacher", "kept"), [(0.9, "fitted"), (0.1, "mlp")])
def test_the_better_one_on_val_is_kept(
    bare: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    teacher: float,
    kept: str,
) -> None:
    def score(model: PixelNet, *_: Any) -> dict[str, float]:
        return {"miou": teacher if model.config.head == "fitted" else 0.5}

    monkeypatch.setattr("pixelnet.training.score_model", score)
    options = {**SHORT, "backbone": "test_resnet", "init_from": str(bare), "val_share": 0.3, "pretrained": False}
    model = pixelnet.train(data=halves(4), out=tmp_path / "run", **options)
    assert model.config.head == kept
    if kept == "fitted":  # the very model that the run began from, which has seen all images
        theirs = pixelnet.load(bare).state_dict()
        assert all(torch.equal(own, theirs[name]) for name, own in model.state_dict().items())
    assert (
        f"val miou: {teacher:.3f} of the model fitted without these images, 0.500 of the network"
        in capsys.readouterr().err
    )
    assert len(read_json(tmp_path / "run/images.json")["held_out"]) == 1


def test_images_without_labels_are_taught_and_val_has_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, lines = halves(6, labelled=8), ["image,x,y,class"]
    for i in range(6):
        save_png(tmp_path / "photos" / f"p{i}.png", data.image(i))
        rows, columns = np.nonzero(data.labels(i) != 255)
        if i in (1, 4):
            lines += [f"p{i},{x},{y},{NAMES[data.labels(i)[y, x]]}" for y, x in zip(rows, columns, strict=True)]
    table = tmp_path / "points.csv"
    table.write_text("\n".join(lines))
    fit(tmp_path / "photos", tmp_path / "fitted", labels=table, features="filters", strength=0.01)
    told = {**SHORT, "backbone": "test_resnet", "init_from": str(tmp_path / "fitted"), "labels": str(table)}
    pixelnet.train(data=str(tmp_path / "photos"), out=tmp_path / "all", **told)
    images = read_json(tmp_path / "all" / "images.json")
    assert (len(images["learnt"]), len(images["held_out"])) == (6, 0)
    assert "the 2 labelled images are too few to do without some; --val-share" in capsys.readouterr().err
    pixelnet.train(data=str(tmp_path / "photos"), out=tmp_path / "run", val_share=0.2, **told)
    images = read_json(tmp_path / "run" / "images.json")
    (held,) = images["held_out"]
    assert held["name"] in ("p1", "p4")
    assert len(images["learnt"]) == 5
    assert len(list((tmp_path / "run" / ANSWERS).iterdir())) == 5
    assert "of the network it taught" in capsys.readouterr().err


def test_a_model_that_was_fitted_in_a_hurry_is_said_to_be(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**SHORT, "backbone": "test_resnet", "val_share": 0, "data": halves(2)}
    pixelnet.train(**options, init_from=str(bare), out=tmp_path / "calm")
    assert "too little time" not in capsys.readouterr().err
    hurried = tmp_path / "hurried"
    shutil.copytree(bare, hurried)
    config = read_json(hurried / "config.json")
    config["fit"]["left_out"] = ["edges@2+filters"]
    (hurried / "config.json").write_text(json.dumps(config))
    pixelnet.train(**options, init_from=str(hurried), out=tmp_path / "late")
    assert (
        "fitted in too little time to try edges@2+filters; what is fitted with more --seconds"
        in capsys.readouterr().err
    )


def test_filters_teach_a_network_of_imagenet(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelnet.runs.settings.at_hand", lambda _: True)
    config = with_network(TrainConfig("segmentation", "data", tmp_path, init_from=str(bare)))
    assert (config.backbone, config.pretrained) == (BACKBONE, True)


def test_what_cannot_teach_is_refused(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**SHORT, "data": halves(4), "out": tmp_path / "run"}
    monkeypatch.setattr("pixelnet.runs.settings.at_hand", lambda _: False)
    with pytest.raises(InputError, match="only the pixel's own filters, and one would learn from scratch"):
        pixelnet.train(**options, init_from=str(bare))
    with pytest.raises(InputError, match="no sampler or task of your own"):
        pixelnet.train(**options, init_from=str(bare), backbone="test_resnet", sampler="uniform")
    edges = Arrays([(np.zeros((40, 48, 3), np.uint8), np.zeros((40, 48), np.float32))], "edges")
    with pytest.raises(InputError, match="was fitted to classes and cannot teach edges"):
        pixelnet.train(**{**options, "task": "edges", "data": edges, "backbone": "test_resnet"}, init_from=str(bare))
    PixelNet("segmentation", 2, backbone="test_resnet", head="fitted").save(tmp_path / "made")
    with pytest.raises(InputError, match="does not say what it was fitted by"):
        pixelnet.train(**options, init_from=str(tmp_path / "made"))
