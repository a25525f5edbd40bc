"""The command line: exit codes and messages, and that nothing is done that Python could not do."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY

from pixelnet import PixelNet
from pixelnet.cli import main
from pixelnet.geometry import CONVENTIONS
from pixelnet.inference.command import Convention

TRAIN = ["train", "--task", "edges", "--data", "scenes", "--out", "o"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    PixelNet("segmentation", 4, "test_resnet", hidden=(4,)).save(tmp_path / "model")
    return tmp_path / "model"


def image(path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def flags(options: dict) -> list[str]:
    found = []
    for key, value in options.items():
        found += [f"--{key.replace('_', '-')}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return found


def test_train_evaluate_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    assert main(["train", *flags({**TINY, "max_steps": 2, "out": run})]) == 0
    assert main(["evaluate", str(run), "--data", "scenes:2", "--json", str(scores)]) == 0
    assert json.loads(scores.read_text())["miou"] >= 0
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", "scenes:2", "--split", "train"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"2 of these 2 images are among those that {run} learnt from")
    assert printed[1].split()[:2] == ["score", "value"]
    assert printed[2].split()[0] == "miou"
    picture = image(tmp_path / "a.png")
    assert main(["predict", str(run), str(picture), "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == {"segmentation/a.png", "view/a.png"}
    (tmp_path / "points.csv").write_text("1,2\n")
    command = ["predict", str(run), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main([*command, "--points", str(tmp_path / "points.csv")]) == 0
    assert (out / "points" / "a.csv").read_text().startswith("x,y,segmentation\n1,2,")
    assert main(["evaluate", "--predictions", str(tmp_path / "out"), "--task", "edges", "--data", "scenes:2"]) == 2
    assert main(["train", *flags({**TINY, "max_steps": 2, "out": run})]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["train", *flags({**TINY, "max_steps": 2, "out": run}), "--resume"]) == 0


def test_a_broken_image_of_several_is_exit_code_3(model: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "images").mkdir()
    for name in "abc":
        image(tmp_path / f"images/{name}.png")
    (tmp_path / "images/b.png").write_bytes(b"no picture")
    command = ["predict", str(model), str(tmp_path / "images"), "--out", str(tmp_path / "out")]
    assert main(command) == 3
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("pixelnet: 1 of 3 images could not be answered, and ")
    assert captured.out.startswith("2 images in ")
    assert (tmp_path / "out/failures.csv").read_text().startswith("name,file,reason\nb,")
    assert main(["predict", str(model), str(tmp_path / "images/b.png"), "--out", str(tmp_path / "one")]) == 2


def test_binary_edges(tmp_path: Path) -> None:
    torch.manual_seed(0)
    PixelNet("edges", None, "test_resnet", hidden=(4,), threshold=0.2).save(tmp_path / "model")
    picture = image(tmp_path / "a.png")
    assert main(["predict", str(tmp_path / "model"), str(picture), "--binary", "--out", str(tmp_path / "out")]) == 0
    assert set(np.unique(Image.open(tmp_path / "out" / "edges" / "a.png"))) == {0, 255}


def test_check(tmp_path: Path, folder_data, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    data, overlay = folder_data("segmentation"), tmp_path / "check.png"
    assert main(["check", f"folder:{data}", "--task", "segmentation", "--overlay", str(overlay)]) == 0
    assert "no problems found" in capsys.readouterr().out
    assert overlay.is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["check", str(data)]) == 0  # there are labels for one task only
    assert "--overlay" in capsys.readouterr().out
    assert not list((tmp_path / "here").iterdir())  # without it no picture is drawn
    assert main(["check", f"folder:{data}", "--overlay", str(overlay)]) == 0
    labels = np.zeros((12, 15), np.uint8)
    Image.fromarray(labels).save(data / "train" / "labels" / "0000.png")
    assert main(["check", f"folder:{data}", "--overlay", str(overlay)]) == 2
    assert "0000.png is 15x12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nosuch", "--data", "scenes"], "nosuch is no folder"),
        (["evaluate", "--data", "scenes"], "--predictions"),
        (["evaluate", "MODEL", "--data", "scenes"], "the model has 4 classes, .* has 7"),
        (["evaluate", "MODEL", "--data", "nosuch:x"], "nosuch"),
        (["evaluate", "MODEL", "--data", "scenes", "--split", "test"], "no split 'test'"),
        (["predict", "nosuch", "--out", "o"], "nosuch is no folder, and no model that ships"),
        (["predict", "MODEL", "--out", "o"], "no image was given"),
        (["predict", "MODEL", "none.png", "--out", "o"], "none.png is not there"),
        (["train", "--task", "edges", "--data", "folder:/no/where", "--out", "o"], "/no/where"),
        ([*TRAIN, "--max-steps", "0"], "--max-steps is 0"),
        ([*TRAIN, "--stepps", "3"], "train has no option --stepps; did you mean --max-steps\\?"),
        ([*TRAIN, "--learning-rate=1"], "train has no option --learning-rate; did you mean --lr\\?"),
        ([*TRAIN, "--no-flipp"], "train has no option --no-flipp; did you mean --flip\\?"),
        ([*TRAIN, "--zzz"], "train has no option --zzz; `pixelnet train --help` lists those that there are"),
        (["predict", "a.png", "--out", "o", "--tta"], "predict has no option --tta; did you mean --flip\\?"),
        (["check", "scenes", "--overlayy", "o"], "check has no option --overlayy; did you mean --overlay\\?"),
        (["check", "nosuch:x"], "nosuch"),
        (["check", "folder:/no/where"], "/no/where"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments, message, model, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(model) if argument == "MODEL" else argument for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pixelnet: ")
    assert "Traceback" not in captured.err
    assert not captured.out
    assert re.search(message, captured.err)
    assert not (tmp_path / "o").exists()


def test_a_misspelt_config_is_exit_code_2(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (model / "config.json").read_text().replace('"backbone"', '"backbnoe"')
    (model / "config.json").write_text(config)
    assert main(["evaluate", str(model), "--data", "scenes"]) == 2
    assert "unknown key 'backbnoe'; did you mean 'backbone'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train", "--task", "edges"],
        [*TRAIN, "--max-steps", "many"],
        ["evaluate", "model"],
        ["predict", "model", "image.png"],
    ],
)
def test_arguments_that_make_no_command_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "command", ["demo", "check", "fit", "train", "evaluate", "predict", "studio", "models", "measure", "export"]
)
def test_help_names_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    options = {
        "demo": "--out",
        "check": "--split",
        "fit": "--features",
        "train": "--checkpoint-every",
        "evaluate": "--json",
        "studio": "--port",
        "models": "card",
        "measure": "--target-class",
    }
    assert options.get(command, "--points") in capsys.readouterr().out


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(import_module("pixelnet.evaluation"), "evaluate", broken)
    with pytest.raises(KeyError, match="ours"):
        main(["evaluate", "x", "--data", "scenes"])


def test_the_conventions_of_normals_are_those_of_geometry() -> None:
    assert get_args(Convention) == tuple(CONVENTIONS)


def test_a_task_that_is_not_there_is_one_message(capsys: pytest.CaptureFixture) -> None:
    assert main(["check", "scenes", "--task", "colors"]) == 2
    assert capsys.readouterr().err.startswith("pixelnet: there is no task 'colors'; choose one of segmentation")


def test_a_name_that_no_file_can_have_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = 300 * "x"
    for command in (["models", name], ["evaluate", name, "--data", "scenes:2"], ["predict", name, "--out", "o"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith("pixelnet: xxx")
        assert said.count("\n") == 1
