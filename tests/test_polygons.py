"""Label maps as outlines: drawn again, they are the label map."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pixelnet.data.drawn.coco import Coco
from pixelnet.data.drawn.rasterize import fill
from pixelnet.data.drawn.shapes import paint
from pixelnet.inference import polygons

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
@settings(max_examples=60, deadline=None)
def test_regions_are_the_label_map(labels: np.ndarray) -> None:
    found, count = np.full(labels.shape, 255, np.uint8), 0
    for own in polygons.regions(labels):
        height, width = own.mask.shape
        part = found[own.top : own.top + height, own.left : own.left + width]
        assert (part[own.mask] == 255).all()
        part[own.mask] = own.label
        count += 1
    np.testing.assert_array_equal(found, labels)
    assert count == sum(ndimage.label(labels == k)[1] for k in range(3))


@given(MAPS)
@settings(max_examples=40, deadline=None)
@pytest.mark.skipif(find_spec("rasterio") is None, reason="needs rasterio")
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
