"""Label maps as outlines: drawn again, they are the label map."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pixelnet.data.drawn.coco import Coco
from pixelnet.data.drawn.rasterize import fill
from pixelnet.data.drawn.shapes import paint
from pixelnet.studio import polygons

MAPS = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.sampled_from([0, 1, 2, 255])
)
NAMES = ("sky", "road", "tree")


def drawn(ring: Any, shape: tuple[int, int]) -> np.ndarray:
    patch, mask = fill(np.array(ring, np.float64), shape[1], shape[0]), np.zeros(shape, bool)
    height, width = patch.mask.shape
    mask[patch.top : patch.top + height, patch.left : patch.left + width] = patch.mask
    return mask


@given(MAPS)
@settings(max_examples=80, deadline=None)
def test_geojson_is_the_label_map(labels: np.ndarray) -> None:
    found = np.full(labels.shape, 255, np.uint8)
    collection = polygons.geojson([("a.png", labels)], NAMES)
    for feature in collection["features"]:
        rings = feature["geometry"]["coordinates"]
        assert all(ring[0] == ring[-1] for ring in rings)
        mask = np.logical_xor.reduce([drawn(ring[:-1], labels.shape) for ring in rings])
        assert mask.sum() == feature["properties"]["pixels"]
        assert (found[mask] == 255).all()
        found[mask] = NAMES.index(feature["properties"]["class"])
    np.testing.assert_array_equal(found, labels)
    known = sum(ndimage.label(labels == k)[1] for k in range(3))
    assert len(collection["features"]) == known


@given(MAPS)
@settings(max_examples=60, deadline=None)
def test_an_outline_turns_at_each_corner_and_goes_clockwise(labels: np.ndarray) -> None:
    for region in polygons.regions(labels):
        assert polygons.signed_area(region.outer) > 0
        assert all(polygons.signed_area(hole) < 0 for hole in region.holes)
        area = polygons.signed_area(region.outer) + sum(map(polygons.signed_area, region.holes))
        assert area == region.area
        for ring in (region.outer, *region.holes):
            sides = np.diff(ring, axis=0, append=ring[:1])
            assert ((sides != 0).sum(axis=1) == 1).all()
            assert (sides[:, 0] * np.roll(sides[:, 0], 1) == 0).all()


@given(MAPS)
@settings(max_examples=40, deadline=None)
def test_labelme_is_the_label_map_where_all_is_labelled(labels: np.ndarray) -> None:
    labels = labels % 3
    found = np.full(labels.shape, 255, np.uint8)
    for shape in polygons.labelme("a.png", labels, NAMES)["shapes"]:
        found[drawn(shape["points"], labels.shape)] = NAMES.index(shape["label"])
    np.testing.assert_array_equal(found, labels)


def test_coco_is_read_as_the_label_map(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (7, 11)).astype(np.uint8)
    labels[2:5, 3:8] = 1
    labels[3, 4] = 255
    content = polygons.coco([("a.png", labels)], NAMES)
    (tmp_path / "coco.json").write_text(json.dumps(content))
    file = Coco(tmp_path / "coco.json")
    np.testing.assert_array_equal(paint(file.drawing("a.png"), NAMES, 255), labels)
    assert [own["area"] for own in content["annotations"]] == [
        int((np.array(own["segmentation"]["counts"])[1::2]).sum()) for own in content["annotations"]
    ]
