"""What is written, as others read it: GDAL's own tools, tifffile, and what validates the specification of OME-Zarr."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from test_predict import small
from test_sinks import CRS, ORIGIN, expected_of, four_bands, geotiff, pixels

from pixelnet import predict_files

GDALINFO, OGRINFO = shutil.which("gdalinfo"), shutil.which("ogrinfo")
pytest.importorskip("rasterio")


def told(*command: str) -> dict[str, Any]:
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(GDALINFO is None, reason="gdalinfo is not installed")
@pytest.mark.parametrize("cog", [False, True])
def test_gdalinfo_finds_place_classes_and_colors(cog: bool, tmp_path: Path) -> None:
    model, values = four_bands(), pixels()
    path = geotiff(tmp_path / "a.tif", values)
    (written, *_) = predict_files(model, path, tmp_path / "out", cog=cog)
    assert GDALINFO is not None
    about, given = (told(GDALINFO, "-json", "-hist", str(one)) for one in (written, path))
    assert about["size"] == given["size"]
    assert about["geoTransform"] == given["geoTransform"] == list(ORIGIN)
    assert about["coordinateSystem"]["wkt"] == given["coordinateSystem"]["wkt"]
    assert f'ID["EPSG",{CRS.removeprefix("EPSG:")}]' in about["coordinateSystem"]["wkt"].splitlines()[-1]
    (band,) = about["bands"]
    assert (band["type"], band["noDataValue"], band["colorInterpretation"]) == ("Byte", 255, "Palette")
    assert [tuple(entry[:3]) for entry in band["colorTable"]["entries"][:4]] == list(model.task.palette)
    assert [own["size"] for own in band["overviews"]] == [[310, 70], [155, 35]]
    assert about["metadata"]["IMAGE_STRUCTURE"].get("LAYOUT") == ("COG" if cog else None)
    assert about["metadata"]["IMAGE_STRUCTURE"]["COMPRESSION"] == "DEFLATE"
    expected = expected_of(model, values)
    buckets = np.bincount(expected[expected != 255], minlength=256)
    np.testing.assert_array_equal(band["histogram"]["buckets"][:4], buckets[:4])
    # GDAL's reader of names in words has no JSON.
    words = subprocess.run([GDALINFO, str(written)], capture_output=True, text=True, check=True).stdout
    categories = words.split("Categories:\n")[1].splitlines()[: len(model.task.class_names)]
    assert [line.split(": ")[1] for line in categories] == list(model.task.class_names)


@pytest.mark.skipif(OGRINFO is None, reason="ogrinfo is not installed")
@pytest.mark.parametrize("ending", ["geojson", "gpkg"])
def test_ogrinfo_finds_polygons_of_the_classes(ending: str, tmp_path: Path) -> None:
    if ending == "gpkg":
        pytest.importorskip("pyogrio")
    model, values = four_bands(), pixels()
    path = geotiff(tmp_path / "a.tif", values)
    predict_files(model, path, tmp_path / "out", polygons=True, gpkg=ending == "gpkg")
    assert OGRINFO is not None
    command = [OGRINFO, "-ro", "-al", "-geom=NO", str(tmp_path / f"out/polygons/a.{ending}")]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = expected_of(model, values)
    classes = {model.task.class_names[k] for k in np.unique(expected[expected != 255])}
    assert {line.split(" = ")[1] for line in words.splitlines() if line.startswith("  class (String")} == classes
    assert "Geometry: Polygon" in words
    assert ("WGS 84 / UTM zone 32N" in words) is (ending == "gpkg")
    (count,) = (int(line.split(": ")[1]) for line in words.splitlines() if line.startswith("Feature Count"))
    assert count == words.count("OGRFeature(") > 0


def test_tifffile_finds_a_stack_as_it_was(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 40, 60), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata={"axes": "ZYX"})
    model = small()
    predict_files(model, tmp_path / "a.tif", tmp_path / "out")
    with tifffile.TiffFile(tmp_path / "out/segmentation/a.tif") as file:
        (series,) = file.series
        assert (series.axes, series.shape, series.dtype) == ("ZYX", (5, 40, 60), np.uint8)
        np.testing.assert_array_equal(file.asarray(), np.stack([model.predict(page) for page in values]))


@pytest.mark.parametrize("version", [2, 3])
def test_labels_in_ome_zarr_are_valid_by_the_specification(version: int, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    path, values = tmp_path / "a.ome.zarr", pixels(300, 520)
    image = zarr.open_group(str(path), mode="w", zarr_format=version)
    image.create_array("0", data=np.ascontiguousarray(values.transpose(2, 0, 1)))
    axes = [{"name": "c", "type": "channel"}, *({"name": k, "type": "space", "unit": "micrometer"} for k in "yx")]
    scale = {"type": "scale", "scale": [1, 0.5, 0.25]}
    said = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}]}
    if version == 2:
        said["multiscales"][0]["version"] = "0.4"  # type: ignore[assignment]
    image.attrs.update({"ome": {"version": "0.5", **said}} if version == 3 else said)
    model = four_bands()
    written, _ = predict_files(model, path, tmp_path / "out")
    kind = models.v05 if version == 3 else models.v04
    found = kind.ImageLabel.from_zarr(zarr.open_group(str(written), mode="r"))
    about = found.ome_attributes if version == 3 else found.attributes
    (scales,) = about.multiscales
    assert [axis.name for axis in scales.axes] == ["y", "x"]
    assert [one.path for one in scales.datasets] == ["0", "1", "2"]
    assert scales.datasets[1].coordinateTransformations[0].scale == [1.0, 0.5]
    label = about.image_label
    assert [tuple(color.rgba)[:3] for color in label.colors] == list(model.task.palette)
    assert isinstance(models.open_ome_zarr(zarr.open_group(str(written), mode="r")), kind.ImageLabel)
