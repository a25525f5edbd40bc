"""Objects and polygons of a map of classes, against masks that were drawn."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_predict import picture, small
from test_sinks import geotiff

from pixelnet import InputError, predict_files
from pixelnet.files import write_png
from pixelnet.inference import objects
from pixelnet.inference.objects import split_touching, write_objects, write_polygons
from pixelnet.inference.source import ArraySource
from pixelnet.rasters.ground import Area, pixel_area
from pixelnet.tasks import make_task

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("rasterio.features")

TASK = make_task("segmentation", class_names=("ground", "tree"), num_classes=2)


def labels() -> np.ndarray:
    """Two trees, one of two squares that touch at a corner, and a corner that nobody measured."""
    found = np.zeros((40, 60), np.uint8)
    found[5:9, 5:9] = found[9:11, 9:11] = 1
    found[20:30, 40:50] = 1
    found[:3, 57:] = 255
    return found


def test_a_table_of_connected_objects(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((40, 60, 2)).astype(np.float32)
    image[21, 41, 0] = np.nan
    area = pixel_area(geotiff(tmp_path / "a.tif", picture(40, 60), photometric="rgb"))
    assert area == (100, "square_meters")
    sure = np.random.default_rng(1).uniform(0.5, 1, (40, 60)).astype(np.float16)
    path = write_objects(tmp_path / "a.csv", labels(), sure, TASK, ArraySource(image), area)
    ground, large, small_one = csv.DictReader(path.open())
    assert (ground["class"], int(ground["pixels"])) == ("ground", 40 * 60 - 120 - 9)
    assert (large["class"], large["pixels"], large["square_meters"]) == ("tree", "100", "10000")
    assert (float(large["x"]), float(large["y"])) == (44.5, 24.5)
    assert small_one["pixels"] == "20"
    part = image[20:30, 40:50].reshape(-1, 2)
    np.testing.assert_allclose([float(large[f"mean_{k}"]) for k in (0, 1)], np.nanmean(part, axis=0), rtol=1e-5)
    assert float(large["confidence"]) == pytest.approx(sure[20:30, 40:50].astype(float).mean(), rel=1e-5)
    without = write_objects(tmp_path / "b.csv", labels(), sure, TASK, ArraySource(image), None)
    assert "square_meters" not in without.read_text()


def test_touching_objects_are_told_apart() -> None:
    """Disks of different sizes, of which some overlap a little; a square and a line are one object each."""
    y, x = np.ogrid[:120, :160]
    disks = [(30, 30, 14), (30, 56, 14), (80, 40, 20), (104, 60, 12), (30, 120, 18)]
    where = np.zeros((120, 160), bool)
    for row, column, radius in disks:
        where |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    where[70:100, 100:130] = where[110, 100:150] = True
    parts, count = split_touching(where)
    assert count == len(disks) + 2
    assert ((parts > 0) == where).all()
    assert set(np.unique(parts)) == set(range(count + 1))
    assert len({int(parts[row, column]) for row, column, _ in disks}) == len(disks)
    for row, column, radius in disks:
        assert (parts == parts[row, column]).sum() == pytest.approx(np.pi * radius**2, rel=0.1)
    assert split_touching(np.zeros((5, 5), bool))[1] == 0


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}, 0.125),
        ({"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}, 0.25),
        ({"PhysicalSizeX": 2, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 2, "PhysicalSizeYUnit": "pixel"}, None),
        ({}, None),
    ],
)
def test_the_size_of_a_pixel_under_a_microscope(metadata: dict, expected: float | None, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((8, 9), np.uint8), ome=True, metadata={"axes": "YX", **metadata})
    assert pixel_area(tmp_path / "a.ome.tif") == (expected and Area(expected, "square_micrometers"))


@pytest.mark.parametrize(("unit", "expected"), [("micron", 0.25), ("um", 0.25), ("\\u00B5m", 0.25), ("inch", None)])
def test_the_size_of_a_pixel_in_imagej(unit: str, expected: float | None, tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 9), np.uint8), imagej=True, resolution=(2, 2), metadata={"unit": unit}
    )
    assert pixel_area(tmp_path / "a.tif") == (expected and Area(expected, "square_micrometers"))


def area_of(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2


def test_polygons_hold_the_classes_pixels(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", labels())
    content = json.loads(write_polygons(tmp_path / "a.geojson", tmp_path / "a.png", TASK).read_text())
    areas: dict[str, float] = {}
    for feature in content["features"]:
        outer, *holes = feature["geometry"]["coordinates"]
        name = feature["properties"]["class"]
        areas[name] = areas.get(name, 0) + area_of(outer) - sum(map(area_of, holes))
    assert areas == {"ground": 40 * 60 - 120 - 9, "tree": 120}


def test_a_geopackage_is_in_the_images_own_crs(tmp_path: Path) -> None:
    """Read by GDAL's own reader, and burnt in again: the very map."""
    pyogrio, shapely = pytest.importorskip("pyogrio"), pytest.importorskip("shapely")
    from pyogrio.raw import read

    path = geotiff(tmp_path / "a.tif", labels()[..., None], nodata=None)
    written = write_polygons(tmp_path / "b.gpkg", path, TASK)
    with rasterio.open(path) as file:
        about, _, shapes, (names, numbers) = read(written)
        assert rasterio.crs.CRS.from_user_input(about["crs"]) == file.crs
        burnt = rasterio.features.rasterize(
            list(zip(shapely.from_wkb(shapes), numbers, strict=True)), labels().shape, 255, transform=file.transform
        )
    assert (burnt == labels()).all()
    assert {TASK.class_names.index(name) for name in names} == {*numbers} == {0, 1}
    assert pyogrio.list_layers(written).tolist() == [["b", "Polygon"]]
    with pytest.raises(InputError, match="gpkg is of polygons"):
        predict_files(small(), path, tmp_path / "out", gpkg=True)


def test_both_are_written_beside_a_scene_in_its_place(tmp_path: Path) -> None:
    values = picture(40, 60)
    path = geotiff(tmp_path / "a.tif", values, nodata=None, photometric="rgb")
    written = predict_files(small(), path, tmp_path / "out", polygons=True, objects=True)
    names = [own.relative_to(tmp_path / "out").as_posix() for own in written]
    assert names == ["segmentation/a.tif", "view/a.png", "polygons/a.geojson", "objects/a.csv"]
    (first, *_) = json.loads(written[2].read_text())["features"]
    longitude, latitude = np.array(first["geometry"]["coordinates"][0])[0]
    assert abs(longitude - 9) < 0.1  # of UTM zone 32 N, 500 km, 5,000 km
    assert abs(latitude - 45.15) < 0.1
    with pytest.raises(InputError, match="are of maps of classes"):
        predict_files(small("edges"), path, tmp_path / "out", objects=True)
    with pytest.raises(InputError, match="are of maps of classes"):
        predict_files(small(), path, tmp_path / "out", polygons=True, outputs=("probabilities",))


@pytest.mark.parametrize("kind", ["photo", "scene", "stack"])
def test_objects_say_how_sure_the_model_is_of_them(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the class's probability, and the map of classes is what it is without."""
    model, values = small(), picture(40, 60)
    if kind == "photo":
        path = tmp_path / "a.png"
        write_png(path, values)
    elif kind == "scene":
        path = geotiff(tmp_path / "a.tif", values, nodata=None, photometric="rgb")
    else:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.stack([values, values]), photometric="rgb")
    axes = "ZYXS" if kind == "stack" else None
    written = predict_files(model, path, tmp_path / "out", axes=axes, objects=True)
    plain = predict_files(model, path, tmp_path / "plain", axes=axes)
    maps = [own for own in written if own.parent.name == "segmentation"]
    assert [own.read_bytes() for own in maps] == [
        own.read_bytes() for own in plain if own.parent.name == "segmentation"
    ]
    tables = [own for own in written if own.suffix == ".csv"]
    assert len(tables) == (2 if kind == "stack" else 1)
    sure = model.predict(values, probabilities=True).max(axis=2)
    for table in tables:
        rows = list(csv.DictReader(table.open()))
        total = sum(int(row["pixels"]) * float(row["confidence"]) for row in rows)
        assert total / sum(int(row["pixels"]) for row in rows) == pytest.approx(float(sure.mean()), abs=1e-3)
    monkeypatch.setattr(objects, "MOST", 40 * 60 - 1)
    with pytest.raises(
        InputError, match=r"in images of up to 2,399 pixels, and .*a\.\w+ has 2,400: cut it, or leave out"
    ):
        predict_files(model, path, tmp_path / "again", axes=axes, objects=True)
