"""Scenes to files: what is written is the answer for the whole image, of the kind that the image is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from test_predict import TASKS, small

from pixelnet import InputError, PixelNet, predict_files
from pixelnet.inference import answerer, bulk, parts, scene
from pixelnet.inference.budget import Cost
from pixelnet.inference.parts import Parts
from pixelnet.rasters.ground import pixel_area

rasterio = pytest.importorskip("rasterio")
CRS, ORIGIN = "EPSG:32632", (500_000.0, 10.0, 0.0, 5_000_000.0, 0.0, -10.0)
SIZE = (140, 620)


@pytest.fixture
def _in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image but the smallest is cut, into blocks of 128 x 128."""
    monkeypatch.setattr(scene, "AT_ONCE", 2**10)
    monkeypatch.setattr(scene, "LARGEST", 128)
    monkeypatch.setattr(scene, "cost_of_windows", lambda *_: Cost(0, 100))
    monkeypatch.setattr(answerer, "resident_bytes", lambda: 0)


pytestmark = pytest.mark.usefixtures("_in_windows")
MEMORY = "6MB"


def pixels(height: int = SIZE[0], width: int = SIZE[1], bands: int = 4) -> np.ndarray:
    found = np.random.default_rng(0).integers(1, 65536, (height, width, bands), dtype=np.uint16)
    found[:40, :200] = 0
    return found


def geotiff(path: Path, values: np.ndarray, nodata: float | None = 0, **options: Any) -> Path:
    height, width, bands = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": bands, "dtype": values.dtype.name}
    place = {"crs": CRS, "transform": rasterio.Affine.from_gdal(500_000, 10, 0, 5_000_000, 0, -10)}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(path, "w", **{**profile, **place, **tiles, "nodata": nodata, **options}) as file:
        file.write(values.transpose(2, 0, 1))
    return path


def four_bands(task: str = "segmentation", **options: Any) -> PixelNet:
    names = {"class_names": ("water", "wood & bog", "town", "field")} if task == "segmentation" else {}
    return small(task, in_channels=4, **names, **options)


def expected_of(model: PixelNet, values: np.ndarray, **options: Any) -> np.ndarray:
    found = model.predict(values, **options)
    found[(values == 0).all(axis=2)] = 255 if found.dtype == np.uint8 else np.nan
    return found


@pytest.mark.parametrize("cog", [False, True])
def test_geotiff_comes_out_as_it_went_in(cog: bool, tmp_path: Path) -> None:
    model, values = four_bands(), pixels()
    path = geotiff(tmp_path / "a.tif", values)
    written = predict_files(model, path, tmp_path / "out", memory=MEMORY, cog=cog)
    assert [own.relative_to(tmp_path / "out").as_posix() for own in written] == ["segmentation/a.tif", "view/a.png"]
    assert not (tmp_path / "out/.parts").exists()
    with rasterio.open(path) as given, rasterio.open(written[0]) as file:
        assert (file.crs, file.transform, file.shape) == (given.crs, given.transform, given.shape)
        assert (file.nodata, file.dtypes, file.count) == (255, ("uint8",), 1)
        np.testing.assert_array_equal(file.read(1), expected_of(model, values))
        assert file.colormap(1)[2] == (*model.task.palette[2], 255)
        assert file.overviews(1) == [2, 4]
        assert (file.block_shapes, file.compression.name) == ([(512, 512)], "deflate")
        assert json.loads(file.tags(1)["classes"]) == list(model.task.class_names)
        assert (file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG") is cog
    assert "<Category>wood &amp; bog</Category>" in (tmp_path / "out/segmentation/a.tif.aux.xml").read_text()
    np.testing.assert_array_equal(tifffile.imread(written[0], key=0), expected_of(model, values))


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_and_probabilities(task: str, tmp_path: Path) -> None:
    model, values = four_bands(task), pixels()
    shares = task == "segmentation"
    outputs = ("view", "probabilities") if shares else ("view", "labels")
    path = geotiff(tmp_path / "a.tif", values)
    (written, _) = predict_files(model, path, tmp_path / "out", memory=MEMORY, outputs=outputs)
    expected, lacking = model.predict(values, probabilities=shares), (values == 0).all(axis=2)
    expected = expected[..., None] if expected.ndim == 2 else expected
    with rasterio.open(written) as file:
        found = file.read().transpose(1, 2, 0)
        if shares:
            assert file.descriptions == model.task.class_names
    np.testing.assert_allclose(found[~lacking], expected[~lacking], atol=1e-3)
    assert (found[lacking] == 0).all() if task == "normals" else np.isnan(found[lacking]).all()
    assert tifffile.imread(written, key=0).dtype == (np.float32 if task == "regression" else np.float16)


def test_a_small_scene_keeps_its_place_and_a_photo_is_written_as_ever(tmp_path: Path) -> None:
    model = four_bands()
    path = geotiff(tmp_path / "a.tif", pixels(20, 30))
    assert predict_files(model, path, tmp_path / "out")[0] == tmp_path / "out/segmentation/a.tif"
    tifffile.imwrite(tmp_path / "b.tif", pixels(20, 30), photometric="minisblack", planarconfig="contig")
    assert predict_files(model, tmp_path / "b.tif", tmp_path / "out")[0] == tmp_path / "out/segmentation/b.png"


@pytest.mark.parametrize("task", ["segmentation", "edges"])
def test_a_large_photo_comes_out_as_png(task: str, tmp_path: Path) -> None:
    from PIL import Image

    model, values = small(task), (pixels(bands=3) >> 8).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    written, view = predict_files(model, tmp_path / "a.png", tmp_path / "out", memory=MEMORY)
    assert written == tmp_path / f"out/{task}/a.png"
    expected = model.predict(values)
    if task == "segmentation":
        np.testing.assert_array_equal(np.array(Image.open(written)), expected)
        np.testing.assert_array_equal(np.array(Image.open(view)), model.task.paint(expected))
    else:
        np.testing.assert_allclose(np.array(Image.open(written)) / 65535, expected, atol=1e-3)


def test_who_is_stopped_goes_on_and_ends_with_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = four_bands(), geotiff(tmp_path / "a.tif", pixels())
    whole = predict_files(model, path, tmp_path / "whole", memory=MEMORY)
    put, done = Parts.put, []

    def stop_after_three(self: Parts, number: int, answers: Any) -> None:
        if len(done) % 4 == 3:
            done.append(-1)
            raise KeyboardInterrupt
        put(self, number, answers)
        done.append(number)

    monkeypatch.setattr(Parts, "put", stop_after_three)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            predict_files(model, path, tmp_path / "out", memory=MEMORY)
        assert not (tmp_path / "out/segmentation").exists()
    monkeypatch.setattr(Parts, "put", put)
    stopped = predict_files(model, path, tmp_path / "out", memory=MEMORY)
    numbers = [number for number in done if number >= 0]
    assert len(numbers) == len(set(numbers)) >= 9  # none twice
    for one, other in zip(whole, stopped, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_parts_of_another_model_or_of_other_options_are_not_gone_on_with(tmp_path: Path, monkeypatch: Any) -> None:
    path, put = geotiff(tmp_path / "a.tif", pixels()), Parts.put

    def stop(self: Parts, number: int, answers: Any) -> None:
        if number == 5:
            raise KeyboardInterrupt
        put(self, number, answers)

    monkeypatch.setattr(Parts, "put", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_files(four_bands(), path, tmp_path / "out", memory=MEMORY)
    monkeypatch.setattr(Parts, "put", put)
    other = four_bands()
    torch.nn.init.normal_(other.head.last.weight)
    found, _ = predict_files(other, path, tmp_path / "out", memory=MEMORY)
    with rasterio.open(found) as file:
        np.testing.assert_array_equal(file.read(1), expected_of(other, pixels()))


def test_points_of_a_scene(tmp_path: Path) -> None:
    model, path = four_bands(), geotiff(tmp_path / "a.tif", pixels())
    (tmp_path / "points.csv").write_text("x,y\n3,44\n600,130\n200.5,100\n")
    (table,) = predict_files(model, path, tmp_path / "out", tmp_path / "points.csv", memory=MEMORY)
    found = [int(line.split(",")[2]) for line in table.read_text().splitlines()[1:]]
    assert found == model.predict(pixels(), [(3, 44), (600, 130), (200.5, 100)]).tolist()


def test_what_is_of_one_window_alone_is_refused_for_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = geotiff(tmp_path / "a.tif", pixels()), tmp_path / "out"
    with pytest.raises(InputError, match=r"adaptive is of images in one window, and .*a\.tif is a scene; leave it out"):
        predict_files(four_bands(), path, out, adaptive=0.5, memory=MEMORY)
    with pytest.raises(InputError, match="give a size such as 2GB"):
        predict_files(four_bands(), path, out, memory="much")
    monkeypatch.setattr(scene, "SCENE", 1000)
    with pytest.raises(InputError, match=r"squeeze it .*--scale 1 for its own pixels"):
        predict_files(four_bands(image_size=64), path, out, memory=MEMORY)
    assert not list(out.rglob("*.tif"))


def test_a_truncated_scene_names_the_file_and_its_tile(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", pixels())
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(InputError, match=r"a\.tif cannot be read.*tile \d+"):
        predict_files(four_bands(), path, tmp_path / "out", memory=MEMORY)
    assert not list((tmp_path / "out").rglob("*.tif"))


def test_links_in_the_folder_of_parts_are_not_followed(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", pixels())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / parts.HOME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"\.parts is a link"):
        bulk.predict_files(four_bands(), path, tmp_path / "out", memory=MEMORY)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_two_processes_do_not_write_one_scene(tmp_path: Path) -> None:
    code = "import fcntl, sys, time; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True);"
    path, home = geotiff(tmp_path / "a.tif", pixels()), tmp_path / "out" / parts.HOME
    home.mkdir(parents=True)
    command = [sys.executable, "-c", f"{code} time.sleep(60)", home / ".a.lock"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(InputError, match="another process is at work in"):
                predict_files(four_bands(), path, tmp_path / "out", memory=MEMORY)
        finally:
            other.kill()
    predict_files(four_bands(), path, tmp_path / "out", memory=MEMORY)
    assert not home.exists()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("task", ["segmentation", "normals"])
def test_ome_zarr_comes_out_as_ome_zarr(version: int, task: str, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    values, path = pixels(300, 520), tmp_path / "a.ome.zarr"
    image = zarr.open_group(str(path), mode="w", zarr_format=version)
    axes = [{"name": "c", "type": "channel"}, *({"name": k, "type": "space", "unit": "micrometer"} for k in "yx")]
    datasets = []
    for level in range(2):
        image.create_array(str(level), data=np.ascontiguousarray(values[:: 2**level, :: 2**level].transpose(2, 0, 1)))
        scale = {"type": "scale", "scale": [1, 0.5 * 2**level, 0.25 * 2**level]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    said = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    image.attrs.update({"ome": {"version": "0.5", **said}} if version == 3 else said)
    model = four_bands(task)
    written, _ = predict_files(model, path, tmp_path / "out", memory="12MB")
    assert written == tmp_path / f"out/{task}/a.ome.zarr"
    found = zarr.open_group(str(written), mode="r")
    assert found.metadata.zarr_format == version
    about = found.attrs["ome"] if version == 3 else found.attrs
    (scales,) = about["multiscales"]
    assert (about if version == 3 else scales)["version"] == ("0.5" if version == 3 else "0.4")
    levels = [np.moveaxis(found[one["path"]][:], 0, -1) if task == "normals" else found[one["path"]][:]
              for one in scales["datasets"]]  # fmt: skip
    np.testing.assert_allclose(levels[0], model.predict(values), atol=0 if task == "segmentation" else 2e-3)
    assert [level.shape[:2] for level in levels] == [(300, 520), (150, 260), (75, 130)]
    for level, own in enumerate(levels):
        np.testing.assert_array_equal(own, levels[0][:: 2**level, :: 2**level])
    last = scales["datasets"][2]["coordinateTransformations"][0]["scale"]
    assert last[-2:] == [2, 1]
    assert [axis.get("unit") for axis in scales["axes"]][-2:] == ["micrometer"] * 2
    assert pixel_area(written) == (0.125, "square_micrometers")
    if task == "segmentation":
        assert [one["class"] for one in about["image-label"]["properties"]] == list(model.task.class_names)
        np.testing.assert_array_equal(model.task.read(written), levels[0])
    coarse, _ = predict_files(model, path / "1", tmp_path / "out", memory="12MB")
    assert coarse == tmp_path / f"out/{task}/a.ome/1.zarr"
    assert zarr.open_group(str(coarse), mode="r")["0"].shape[-2:] == (150, 260)
    assert pixel_area(coarse) == (0.5, "square_micrometers")
    (path / "7").mkdir()
    with pytest.raises(InputError, match="has the levels 0, 1, and no 7"):
        predict_files(model, path / "7", tmp_path / "out")


def test_people_see_a_scene_as_the_model_does(tmp_path: Path) -> None:
    from PIL import Image

    values = np.random.default_rng(0).integers(100, 400, (*SIZE, 4), dtype=np.uint16)
    ranges = [(100, 400), (50, 450), (0, 300), (0, 9)]
    model = PixelNet("segmentation,edges", 3, "test_resnet", hidden=(4,), in_channels=4, ranges=ranges).eval()
    geotiff(tmp_path / "a.tif", values)
    *_, view = predict_files(model, tmp_path / "a.tif", tmp_path / "out", memory=MEMORY)
    low, high = np.array(ranges[:3]).T
    expected = np.rint(((values[..., :3] - low) / (high - low)).clip(0, 1) * 255)
    np.testing.assert_array_equal(np.array(Image.open(view))[: SIZE[0], : SIZE[1]], expected)
