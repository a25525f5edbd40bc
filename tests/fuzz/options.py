"""The command line with options of any kind; nothing of it trains, since its data is not there or its steps are few."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from io import StringIO
from pathlib import Path

import numpy as np

from pixelnet import cli
from pixelnet.config import TrainConfig
from tests.fuzz.models import sound

TEXTS = [
    "nan", "inf", "-inf", "0", "-1", "1e400", "1e-400", "9" * 30, "0.5", "3", "", " ", "None", "True", "a", "\x1b[2J",
    "$x_", "é\udce9", "--", "-", "/dev/null", ".", "..", "1 2", "0,0", "2/0", "0/0", "5/2", "a=1", "sky=nan", "100%",
    "-4%", "nan%", "segmentation", "edges,edges", "scenes:0", "scenes:-1", "scenes:nan", "scenes:2", "folder:",
    "camvid:", ":", "x" * 300,
]  # fmt: skip
SMALL = ["--backbone", "test_resnet", "--hidden", "4", "--max-steps", "1", "--num-workers", "0", "--val-images", "1"]


ENDLESS = ("demo", "studio")  # which trains for minutes, which serves until it is stopped


def options(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    name = str(rng.choice([name for name in cli.COMMANDS if name not in ENDLESS]))
    kind = TrainConfig if name == "train" else cli.COMMANDS[name]
    flags = [f"--{field.name.replace('_', '-')}" for field in fields(kind)]
    given = {
        "check": ["scenes:2"],
        "train": ["--task", "edges", "--data", "scenes:2", "--out", str(folder / "run"), "--crop", "32", "32", *SMALL],
        "fit": ["--data", "scenes:2", "--out", str(folder / "fitted"), "--features", "filters"],
        "evaluate": [str(sound()), "--data", "scenes:2"],
        "measure": ["plan", str(sound()), str(folder), "--out", str(folder / "survey"), "--budget", "10"],
        "predict": [str(sound()), str(folder), "--out", str(folder / "out")],
        "models": [],
        "push": [str(sound()), str(folder / "pushed")],
        "export": [str(folder / "none"), "--out", str(folder / "model.onnx")],
    }[name]
    words = [name, *given]
    for _ in range(rng.integers(1, 4)):
        words.append(str(rng.choice(flags)) if flags and rng.random() < 0.9 else text(rng))
        words += [text(rng) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    words = [word.replace("/dev/null", str(folder / "file")) if rng.random() < 0.5 else word for word in words]

    def ask() -> object:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            try:
                return cli.main(words)
            except SystemExit as end:  # the parser's own: 2 for what it does not know, 0 for help
                return end.code

    ask.words = words  # type: ignore[attr-defined]
    return ask


def text(rng: np.random.Generator) -> str:
    return TEXTS[int(rng.integers(len(TEXTS)))]
