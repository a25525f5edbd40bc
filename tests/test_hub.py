"""Models by name: folders, those that ship, those in Hugging Face's cache; what is said when there is no such model."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image

import pixelnet
from pixelnet import InputError, PixelNet, evaluate, load
from pixelnet.cli import main
from pixelnet.inference.inputs import model_and_images
from pixelnet.runs import checkpoint, hub
from pixelnet.runs.hub import card, default, describe, folder_of, shipped

CARD = {
    "summary": "Contours as people draw them.",
    "data": "BSDS500 train",
    "scores": [
        {"data": "BSDS500 val, 100 images", "score": "ODS", "value": 0.77, "low": 0.76, "high": 0.7812},
        {"data": "own photos", "score": "mean", "value": 22.13},
    ],
    "license": "Apache-2.0",
}


def write(folder: Path, task: str = "edges", text: str | None = "# Edges\n\nWhat it is bad at.\n", **settings) -> Path:
    torch.manual_seed(0)
    classes = 4 if task == "segmentation" else None
    checkpoint.save(PixelNet(task, classes, "test_resnet", hidden=(4,)), folder, half=True, **settings)
    if text is not None:
        (folder / "README.md").write_text(text)
    return folder


@pytest.fixture
def ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for the models that ship: `edges`, and `normals`, which has no card. And an empty folder to be in."""
    place = tmp_path / "installed" / "shipped"
    write(place / "normals", "normals", None)
    write(place / "edges", card=CARD)
    (place / "empty").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(hub, "SHIPPED", place)
    return place


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """make(name) -> the folder in which Hugging Face's cache keeps that model's files; the hub cannot be reached."""
    cache = tmp_path / "huggingface" / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def make(name: str) -> Path:
        kept = cache / f"models--{name.replace('/', '--')}"
        (kept / "refs").mkdir(parents=True)
        (kept / "refs" / "main").write_text("0" * 40)
        (kept / "snapshots" / ("0" * 40)).mkdir(parents=True)
        return kept / "snapshots" / ("0" * 40)

    return make


# ------------------------------------------------------------------------------------------------------- folders


def test_those_that_ship_in_the_order_of_their_names(ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(shipped().items()) == [("edges", ships / "edges"), ("normals", ships / "normals")]
    monkeypatch.setattr(hub, "SHIPPED", ships / "absent")
    assert shipped() == {}


def test_a_name_loads_as_its_folder_does(ships: Path) -> None:
    one, other = load("edges"), load(ships / "edges")
    assert one.config == other.config
    assert not one.training
    assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in one.state_dict().items())


def test_a_folder_comes_before_a_name(ships: Path) -> None:
    Path("edges").mkdir()  # of pictures, say
    assert folder_of("edges") == ships / "edges"
    write(Path("edges"), "regression")
    assert load("edges").config.task == "regression"
    assert load(ships / "edges").config.task == "edges"


def test_a_model_is_evaluated_by_its_name(ships: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("edges", data="scenes:2", json="scores.json")["ods"] >= 0
    assert json.loads(Path("scores.json").read_text())["model"] == "edges"
    by_name = json.loads(Path("scores.json").read_text())
    assert main(["evaluate", str(ships / "edges"), "--data", "scenes:2", "--json", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text()) | {"model": "edges"} == by_name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "edgse",
            r"edgse is no folder, and no model that ships \(edges, normals\); did you mean 'edges'\? Or give a f",
        ),
        ("zzz", r"zzz is no folder, and no model that ships \(edges, normals\); give a folder with config\.json"),
        ("a/b/c", "a/b/c is no folder"),
        ("./edges", r"\./edges is no folder"),
        ("nothing", r"nothing/config\.json is not there"),
        ("some/thing", r"some/thing/config\.json is not there"),
        ("some/file", "some/file is no folder"),
    ],
)
def test_a_name_of_no_model(name: str, message: str, ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)  # must not be asked
    Path("nothing").mkdir()
    Path("some/thing").mkdir(parents=True)
    Path("some/file").write_text("")
    with pytest.raises(InputError, match=f"^{message}"):
        load(name)


def test_the_package_carries_the_models(tmp_path: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert Path(pixelnet.__file__).with_name("shipped") == hub.SHIPPED
    write(tmp_path / "shipped" / "edges")
    carried = {path for pattern in project["tool"]["setuptools"]["package-data"]["pixelnet"]
               for path in tmp_path.glob(pattern)}  # fmt: skip
    assert {path.name for path in carried if path.is_file()} == {"config.json", "model.safetensors", "README.md"}


# -------------------------------------------------------------------------------------------------- Hugging Face


def test_a_model_in_the_cache_of_hugging_face(ships: Path, cached: Callable[[str], Path]) -> None:
    kept = write(cached("user/some-edges_1.0"))
    (kept / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    (kept / "modeling.py").write_text("raise RuntimeError('was run')")
    assert folder_of("user/some-edges_1.0") == kept
    model = load("user/some-edges_1.0")
    expected = load(kept).state_dict()
    assert all(torch.equal(expected[name], tensor) for name, tensor in model.state_dict().items())
    assert not Path("was run").exists()


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("was run"),)


def test_only_three_files_are_asked_for(ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, sorted(allow_patterns)))
        return str(ships / "edges")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert folder_of("user/edges") == ships / "edges"
    assert asked == [("user/edges", None, ["README.md", "config.json", "model.safetensors"])]


def test_a_user_who_sets_hf_home(tmp_path: Path, cached: Callable[[str], Path]) -> None:
    kept = write(cached("user/edges"))
    environment = os.environ | {"HF_HOME": str(tmp_path / "huggingface"), "HF_HUB_OFFLINE": "1"}
    environment = {name: value for name, value in environment.items() if name not in ("HF_HUB_CACHE", "XDG_CACHE_HOME")}
    command = [sys.executable, "-m", "pixelnet.cli", "models", "user/edges"]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, (kept / "README.md").read_text()), run.stderr


def test_a_model_that_is_not_in_the_cache(ships: Path, cached: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"no folder user/edges here.*huggingface.hub\).*go online") as caught:
        load("user/edges")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RepositoryNotFoundError.__new__(RepositoryNotFoundError), "does not exist, or is not for everyone"),
        (OSError("no space left"), r"could not be fetched \(no space left\)"),
        (RuntimeError("proxy"), r"could not be fetched \(proxy\)"),
    ],
)
def test_a_download_that_fails(error: Exception, message: str, ships: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=f"no folder user/edges here, and Hugging Face's user/edges {message}"):
        load("user/edges")


def test_a_repository_of_another_library(ships: Path, cached: Callable[[str], Path]) -> None:
    kept = cached("user/bert")
    with pytest.raises(InputError, match=r"user/bert holds no config\.json"):
        load("user/bert")
    (kept / "config.json").write_text('{"model_type": "bert"}')
    (kept / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"user/bert holds no model\.safetensors"):
        load("user/bert")
    shutil.copy(ships / "edges" / "model.safetensors", kept)
    with pytest.raises(InputError, match=r"user/bert is of another library"):
        load("user/bert")
    assert not Path("was run").exists()


# --------------------------------------------------------------------------------------------------------- cards


def test_cards(ships: Path) -> None:
    assert card(ships / "edges") == CARD
    assert card(ships / "normals") == {}
    assert describe("edges") == "# Edges\n\nWhat it is bad at."
    with pytest.raises(InputError, match=r"normals.README\.md is not there"):
        describe("normals")


def test_the_table_of_models(ships: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    megabytes = sum(path.stat().st_size for path in (ships / "edges").iterdir()) / 1e6
    assert 0.1 < megabytes < 10
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["model", "tasks", "MB", "scores,"]
    edges = f"edges    edges    {megabytes:4.1f}  ODS 0.770 (0.760 .. 0.781), BSDS500 val, 100 images"
    assert [re.sub(" {2,}", "  ", line) for line in lines[1:4]] == [
        re.sub(" {2,}", "  ", edges), "  mean 22.1, own photos", "  Contours as people draw them."
    ]  # fmt: skip
    assert lines[1].index("ODS") == lines[2].index("mean") == lines[3].index("Contours")
    assert lines[4].split()[:2] == ["normals", "normals"]
    assert main(["models", "edges"]) == 0
    assert capsys.readouterr().out == "# Edges\n\nWhat it is bad at.\n"
    assert main(["models", "edgse"]) == 2
    assert "did you mean 'edges'" in capsys.readouterr().err
    monkeypatch.setattr(hub, "SHIPPED", ships / "absent")
    assert main(["models"]) == 0
    assert capsys.readouterr().out == "no model ships with this installation\n"


# ------------------------------------------------------------------------------------------------------- predict


def image(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return str(path)


def test_which_argument_is_the_model(ships: Path) -> None:
    picture, folder = image(Path("a.png")), str(ships / "edges")
    Path("photos").mkdir()
    for model in ("edges", "user/edges", "v1.0", "holidays", folder):
        assert model_and_images([model, picture]) == (model, [picture])
    for first in (picture, "photos", "absent.JPG", "user/absent.png"):
        assert model_and_images([first, picture]) == (None, [first, picture])
    assert model_and_images(["edges"]) == ("edges", [])
    (ships / "edges" / "config.json").rename("config.json")
    assert model_and_images([]) == (None, [])  # the folder one is in is not meant, even where it is a model's
    Path("edges").mkdir()  # of images now: what is on disk is meant
    assert model_and_images(["edges"]) == (None, ["edges"])
    Path("config.json").rename(ships / "edges" / "config.json")
    assert model_and_images(["edges", picture]) == ("edges", [picture])  # `--out edges` a second time
    assert model_and_images(["./edges", picture]) == (None, ["./edges", picture])


def test_predict_by_name_and_by_no_name(ships: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = image(Path("a.png"))
    assert main(["predict", "edges", picture, "--out", "named"]) == 0
    capsys.readouterr()
    assert main(["predict", picture, "--out", "default"]) == 2
    error = capsys.readouterr().err
    assert re.search(r"no model was named, and 'pixelnet'.* does not ship.*name one.*\(edges, normals\)", error)
    assert not Path("default").exists()
    (ships / "edges").rename(ships / "pixelnet")
    assert default() == ships / "pixelnet"
    assert main(["predict", picture, "--out", "default"]) == 0
    assert Path("default/edges/a.png").read_bytes() == Path("named/edges/a.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b.jpg"], r"b\.jpg is not there"),
        (["edges", "b.jpg"], r"b\.jpg is not there"),
        (["edges", "here/b.jpg"], r"here/b\.jpg is not there"),
        (["here/b.jpg"], r"here/b\.jpg is not there"),
        (["edges"], "no image was given"),
        ([], "no image was given"),
        (["edgse", "b.jpg"], "edgse is no folder.*did you mean 'edges'"),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], message: str, ships: Path, capsys) -> None:
    assert main(["predict", *arguments, "--out", "o"]) == 2
    captured = capsys.readouterr()
    assert re.match(f"pixelnet: {message}", captured.err)
    assert not Path("o").exists()


def test_progress_is_in_images_a_second(ships: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    clock = SimpleNamespace(perf_counter=iter((10, 14, 20, 20.25)).__next__)
    monkeypatch.setattr(sys.modules["pixelnet.inference.command"], "time", clock)
    image(Path("photos/a.png"))
    image(Path("photos/b.png"))
    assert main(["predict", "edges", "photos", "--out", "two"]) == 0
    captured = capsys.readouterr()
    assert re.search(r"2/2 \[.*[\d.]+ image/s\]", captured.err)
    assert captured.out == "2 images in 4.00 s, 0.50 images a second: 4 files in two\n"
    assert main(["predict", "edges", "photos/a.png", "--out", "one"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "1 image in 0.25 s, 4.00 images a second: 2 files in one\n"
    assert not captured.err
