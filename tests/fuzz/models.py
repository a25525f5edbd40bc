"""A stranger's model: its config.json, its card and its weights."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from pixelnet import PixelNet, load
from pixelnet.runs.hub import card, describe
from tests.fuzz.mutate import broken, changed, json_text


@cache
def sound() -> Path:
    folder = Path(mkdtemp())
    PixelNet("segmentation", 3, "test_resnet", hidden=(4,), class_names=("sky", "road", "car")).save(folder)
    (folder / "README.md").write_text("# A model\n\n\x1b[2J")
    return folder


def config(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    shutil.copytree(sound(), folder, dirs_exist_ok=True)
    tree = json.loads((folder / "config.json").read_text())
    tree["card"] = {"summary": "s", "scores": [{"data": "d", "score": "ODS", "value": 0.7, "low": 0.6, "high": 0.8}]}
    (folder / "config.json").write_bytes(json_text(rng, tree))

    def ask() -> object:
        return describe(folder), card(folder), load(folder)

    return ask


def weights(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    shutil.copytree(sound(), folder, dirs_exist_ok=True)
    path = folder / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.5:  # a header that is JSON still
        header = json.dumps(changed(rng, json.loads(data[8 : 8 + size]))).encode()
        data = len(header).to_bytes(8, "little") + header + data[8 + size :]
    else:
        data = broken(rng, data)
    path.write_bytes(data)
    return lambda: load(folder)
