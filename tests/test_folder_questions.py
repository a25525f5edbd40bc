"""What `check` asks of labels that are not classes, and that an answer ends it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelnet.data import open_dataset
from pixelnet.data.check import check
from pixelnet.errors import InputError


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def make(folder: str, labels: np.ndarray, ending: str = "npy") -> Path:
        for name in ("images", folder):
            (tmp_path / name).mkdir()
        height, width = labels.shape[:2]
        for k in range(2):
            photo = np.random.default_rng(k).integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(photo).save(tmp_path / f"images/{k}.png")
            if ending == "npy":
                np.save(tmp_path / folder / f"{k}.npy", labels)
            else:
                Image.fromarray(labels).save(tmp_path / folder / f"{k}.{ending}")
        return tmp_path

    return make


def asked(root: Path, task: str, **changes: Any) -> list[str]:
    return check(open_dataset(root, task, changes=changes)).questions


@pytest.mark.parametrize("none", [0, -1, -9999, -32768])
def test_a_number_that_is_often_the_least_is_asked_about(make, none: float) -> None:
    values = np.random.default_rng(0).uniform(1, 5, (20, 20)).astype(np.float32)
    values[:3] = none
    root = make("values", values)
    (question,) = asked(root, "regression")
    assert question.startswith(f"{none:g} is the value of 15.0% of the pixels; if it means no measurement")
    assert asked(root, "regression", nodata=[]) == asked(root, "regression", nodata=[none]) == []
    assert np.isnan(open_dataset(root, "regression", changes={"nodata": [none]}).labels(0)[:3]).all()


def test_values_that_look_like_millimeters_are_asked_about(make) -> None:
    values = np.random.default_rng(0).integers(700, 4000, (20, 20)).astype(np.uint16)
    root = make("depth", values, "png")
    (question,) = asked(root, "regression")
    assert '"scale": 0.001' in question
    assert asked(root, "regression", scale=0.001) == []
    found = open_dataset(root, "regression", changes={"scale": 0.001}).labels(0)
    np.testing.assert_allclose(found, values / 1000, rtol=1e-6)


def test_infinite_values_are_refused_until_somebody_says_what_they_are(make) -> None:
    values = np.ones((4, 5), np.float32)
    values[0] = np.inf
    values[1, 0] = -np.inf
    root = make("values", values)
    with pytest.raises(InputError, match=r'0.npy is infinite in 6 pixels; .* "nodata": \["inf", "-inf"\]'):
        open_dataset(root, "regression").labels(0)
    said = open_dataset(root, "regression", changes={"nodata": ["inf", "-inf"]})
    assert np.isnan(said.labels(0)).sum() == 6


def test_what_a_geotiff_declares_is_no_measurement(make) -> None:
    values = np.full((4, 5), 2.5, np.float32)
    values[0] = -3.4028234663852886e38
    root = make("values", np.ones((4, 5), np.float32))
    for k in range(2):
        (root / f"values/{k}.npy").unlink()
        tag = (42113, "s", 0, "-3.40282346638529e+38", True)  # as GDAL writes the number, which is not quite it
        tifffile.imwrite(root / f"values/{k}.tif", values, extratags=[tag])
    found = open_dataset(root, "regression").labels(0)
    assert np.isnan(found[0]).all()
    assert (found[1:] == 2.5).all()


def test_edges_that_cover_most_are_asked_about(make) -> None:
    edges = np.full((20, 20), 255, np.uint8)
    edges[5] = 0
    root = make("edges", edges, "png")
    (question,) = asked(root, "edges")
    assert question == '95% of the pixels are edges; if lines are dark on white, say "invert": true in dataset.json'
    assert asked(root, "edges", invert=True) == []
    np.testing.assert_array_equal(open_dataset(root, "edges", changes={"invert": True}).labels(0), edges == 0)


def test_normals_that_point_away_are_asked_about(make) -> None:
    """OpenGL's normals of what faces the camera have z above 0, ours below."""
    normals = np.zeros((10, 10, 3), np.float32)
    normals[..., 1], normals[..., 2] = 0.6, 0.8
    root = make("normals", normals)
    (question,) = asked(root, "normals")
    assert "100% of the normals point away from the camera" in question
    assert 'say "normals": "opengl"' in question
    assert asked(root, "normals", normals="opengl") == []
    found = open_dataset(root, "normals", changes={"normals": "opengl"}).labels(0)
    np.testing.assert_allclose(found[0, 0], (0, -0.6, -0.8), atol=1e-6)


def test_sound_labels_are_not_asked_about(make) -> None:
    assert asked(make("values", np.random.default_rng(0).uniform(0, 9, (20, 20))), "regression") == []


@pytest.mark.parametrize("colored", [False, True])
def test_what_nobody_labelled_may_be_written_as_zero(make, colored: bool) -> None:
    strokes = np.zeros((60, 80), np.uint8)
    strokes[10, 5:50], strokes[40, 20:70] = 1, 2
    labels = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)[strokes] if colored else strokes
    root, said = make("labels", labels, "png"), [[0, 0, 0]] if colored else [0]
    question = asked(root, "segmentation")[-1]
    assert "covers 98.0% of the pixels, and the other classes lie apart, as strokes do" in question
    assert f'if it means not labelled, say in dataset.json "unlabelled": {said}' in question
    assert not any("covers" in line for line in asked(root, "segmentation", unlabelled=said))
    known = open_dataset(root, "segmentation", changes={"unlabelled": said}).labels(0)
    np.testing.assert_array_equal(known == 255, strokes == 0)


def test_whole_maps_with_much_background_are_not_asked_about(make) -> None:
    hearts = np.zeros((60, 80), np.uint8)
    hearts[10:22, 10:18], hearts[10:22, 18:26] = 1, 2  # two chambers, wall on wall
    assert asked(make("labels", hearts, "png"), "segmentation") == []
