"""The examples of docs/images.md, small: channels and stacks learnt from, scored, and larger files answered for."""

import importlib.util
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile

from pixelnet import load
from pixelnet.cli import main

rasterio = pytest.importorskip("rasterio")


@pytest.fixture(scope="module")
def examples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("large_images", Path(__file__).parents[1] / "docs/large_images.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_examples_of_the_guide(examples: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples.write_fields(Path("fields"), chips=3, side=64, scene=(48, 80))
    examples.write_cells(Path("cells"), pages=30, size=(40, 48), larger=(5, 64, 72))
    quick = examples.COMMANDS.replace("--pretrained --minutes {minutes}", "--backbone test_resnet --max-steps 2")
    for line in filter(None, quick.split("\n")):
        assert main(shlex.split(line)[1:]) == 0, line
    fields, cells = load("runs/fields"), load("runs/cells")
    assert fields.config.channels == ("red", "green", "blue", "band 4")
    assert fields.config.pixel_size == 1
    assert cells.config.channels == ("gray[z-1]", "gray", "gray[z+1]")
    with rasterio.open("fields-scene.tif") as scene, rasterio.open("answers/segmentation/fields-scene.tif") as answer:
        assert (answer.shape, answer.crs, answer.transform) == (scene.shape, scene.crs, scene.transform) == (
            (96, 160), scene.crs, scene.transform,
        )  # fmt: skip
    assert tifffile.imread("answers/segmentation/cells-larger.tif").shape == (5, 64, 72)
    examples.pictures(tmp_path)
    assert (tmp_path / "fields.jpg").is_file()
    truth = tifffile.imread("cells-truth.tif")
    assert set(np.unique(truth)) == {0, 1}
