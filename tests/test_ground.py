"""The size of pixels on the ground: what a model learnt from, it is shown again."""

import json
from pathlib import Path

import numpy as np
import pytest
import test_sinks
import torch
from PIL import Image
from test_predict import small
from tiny import TINY

from pixelnet import InputError, evaluate, fit, load, open_dataset, predict_files, train
from pixelnet.data.ground import seen_pixel_size
from pixelnet.inference.scene import Planner
from pixelnet.inference.source import ArraySource
from pixelnet.rasters.ground import OnGround, on_ground

rasterio = pytest.importorskip("rasterio")


def geotiff(path: Path, side: float, crs: str | None = "EPSG:32632", size: tuple[int, int] = (48, 64)) -> Path:
    """Noise of three bands, with square pixels of a side."""
    values = np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), np.uint8)
    transform = None if crs is None else rasterio.Affine(side, 0, 500_000, 0, -side, 5_000_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    return test_sinks.geotiff(path, values, None, crs=crs, transform=transform, photometric="rgb")


def folder(root: Path, sides: dict[str, float]) -> Path:
    for name, side in sides.items():
        geotiff(root / f"images/{name}.tif", side)
        labels = np.zeros((48, 64), np.uint8)
        labels[:, 32:] = 1
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(labels).save(root / f"labels/{name}.png")
    (root / "dataset.json").write_text(json.dumps({"task": "segmentation", "classes": ["water", "wood"]}))
    return root


@pytest.mark.parametrize(
    ("crs", "side", "expected"),
    [
        ("EPSG:32632", 0.25, OnGround(0.25)),
        ("EPSG:2263", 2.0, OnGround(2 * 1200 / 3937)),  # feet of the US survey
        ("EPSG:4326", 0.001, OnGround(None)),  # degrees are no length
        (None, 1.0, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_what_a_file_says_of_its_pixels(
    crs: str | None, side: float, expected: OnGround | None, tmp_path: Path
) -> None:
    found = on_ground(geotiff(tmp_path / "a.tif", side, crs))
    assert found == (expected and OnGround(expected.pixel_size and pytest.approx(expected.pixel_size)))


def test_a_data_set_has_one_size_of_pixels_or_none(tmp_path: Path) -> None:
    alike = open_dataset(f"folder:{folder(tmp_path / 'alike', {'a': 10, 'b': 10.4, 'c': 10})}", "segmentation")
    assert seen_pixel_size(alike) == 10
    assert seen_pixel_size(alike, image_size=128) == 5  # seen at twice their size
    mixed = open_dataset(f"folder:{folder(tmp_path / 'mixed', {'a': 10, 'b': 20})}", "segmentation")
    assert seen_pixel_size(mixed) is None
    assert seen_pixel_size(open_dataset("scenes", "segmentation")) is None


@pytest.mark.parametrize("way", ["train", "fit"])
def test_a_model_sees_the_ground_at_the_scale_that_it_learnt_from(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = folder(tmp_path / "data", {"a": 10, "b": 10}), tmp_path / "model"
    if way == "train":
        settings = {key: value for key, value in TINY.items() if key not in ("data", "val_every", "val_images")}
        train(**{**settings, "data": f"folder:{data}", "out": out, "max_steps": 1, "val_share": 0})
    else:
        fit(f"folder:{data}", out, seconds=1)
    assert load(out).config.pixel_size == 10
    fine = geotiff(tmp_path / "fine.tif", 5)
    capsys.readouterr()
    own = predict_files(load(out), fine, tmp_path / "own")
    told = (
        "fine.tif has pixels of 5 m, and the model learnt from those of 10 m: it is seen made smaller by 2 (--scale 1 "
    )
    assert told in capsys.readouterr().err
    half = predict_files(load(out), fine, tmp_path / "half", scale=0.5)
    assert "it is seen" not in capsys.readouterr().err
    assert [path.read_bytes() for path in own] == [path.read_bytes() for path in half]
    finer = folder(tmp_path / "finer", {"a": 5})
    with pytest.raises(InputError, match=r"has pixels of 5 m on the ground, .* of 10 m, .*--predictions DIR"):
        evaluate(out, data=f"folder:{finer}", split="train")
    assert evaluate(out, data=f"folder:{data}", split="train")


def planner(scale: float | None = None, **options: float) -> Planner:
    torch.manual_seed(0)
    return Planner(small("segmentation", **options), scale, 2**40, False, resident=0)


def test_the_scale_of_the_ground_goes_before_a_working_size() -> None:
    source, asked = ArraySource(np.zeros((100, 200, 3), np.uint8)), (np.dtype(np.uint8), False, False)
    for size in (None, 64):
        known = planner(image_size=size, pixel_size=0.5)
        assert known.plan(source, *asked, OnGround(0.75), "a.tif").scale == 1.5
        assert known.plan(source, *asked, OnGround(0.51), "a.tif").scale == 1
        assert planner(2, image_size=size, pixel_size=0.5).plan(source, *asked, OnGround(0.75), "a.tif").scale == 2
        for ground in (OnGround(None), None):
            assert known.plan(source, *asked, ground, "a.tif").scale == (None if size else 1)
    told = r"a.tif has pixels of 100 m, and the model learnt from those of 0.5 m; .*--scale 1"
    with pytest.raises(InputError, match=told):
        known.plan(source, *asked, OnGround(100), "a.tif")


@pytest.mark.parametrize("size", [0.0, -1.0, float("inf"), float("nan")])
def test_a_size_that_is_none_is_refused(size: float) -> None:
    with pytest.raises(InputError, match="the pixel size is"):
        small("segmentation", pixel_size=size)
