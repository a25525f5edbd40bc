import json
from pathlib import Path

import numpy as np
import pytest
from test_drawn_runs import naive_runs, naive_text

from pixelnet.data.drawn import Coco, paint
from pixelnet.errors import InputError

W, H = 32, 24
SQUARE = [2, 3, 10, 3, 10, 9, 2, 9]
SMALL = [4, 4, 6, 4, 6, 6, 4, 6]
CATEGORIES = ({"id": 9, "name": "ant"}, {"id": 3, "name": "zebra"})


def annotation(segmentation: object = (SQUARE,), category: object = 3, **more) -> dict:
    return {"id": 7, "image_id": 1, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


def image(**more) -> dict:
    return {"id": 1, "file_name": "a.png", "width": W, "height": H, **more}


def coco(folder: Path, *annotations, images=None, categories=CATEGORIES, name: str = "labels.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"images": images or [image()], "annotations": annotations, "categories": categories}))
    return path


def painted(file: Coco, name: str = "a.png") -> np.ndarray:
    return paint(file.drawing(name, (W, H)), ("background", *file.categories), 0)


def box(ids: np.ndarray, value: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    ids[y0:y1, x0:x1] = value
    return ids


def test_small_shapes_stay_visible_and_crowds_are_unlabelled(tmp_path: Path) -> None:
    crowd = box(np.zeros((H, W), bool), True, 13, 0, W, H)
    for counts in (naive_runs(crowd), naive_text(naive_runs(crowd))):
        runs = annotation({"size": [H, W], "counts": counts}, iscrowd=1)
        file = Coco(coco(tmp_path, annotation([SMALL]), annotation(category=9), runs))
        assert file.categories == file.used == ("zebra", "ant")  # by id
        expected = box(np.zeros((H, W), np.uint8), 2, 2, 3, 10, 9)
        np.testing.assert_array_equal(painted(file), box(box(expected, 1, 4, 4, 6, 6), 255, 13, 0, W, H))


def test_a_shape_of_several_polygons_is_all_of_them(tmp_path: Path) -> None:
    far = [28, 20, 50, 20, 50, 50, 28, 50]  # beyond the image
    ids = painted(Coco(coco(tmp_path, annotation([SQUARE, SMALL, far]))))
    np.testing.assert_array_equal(ids, box(box(np.zeros((H, W)), 1, 2, 3, 10, 9), 1, 28, 20, W, H))


def test_images_of_one_stem_in_folders(tmp_path: Path) -> None:
    images = (image(file_name="one/a.png"), image(id="two", file_name=".\\two\\a.png"), image(id=3, file_name="b.png"))
    file = Coco(coco(tmp_path, annotation(), annotation([SMALL], 9, image_id="two"), images=images))
    assert [*file.images] == ["one/a.png", "two/a.png", "b.png"]
    np.testing.assert_array_equal(painted(file, "one/a.png"), box(np.zeros((H, W)), 1, 2, 3, 10, 9))
    np.testing.assert_array_equal(painted(file, "two/a.png"), box(np.zeros((H, W)), 2, 4, 4, 6, 6))
    assert not painted(file, "b.png").any()


@pytest.mark.parametrize(
    ("name", "categories", "expected"),
    [
        ("_annotations.coco.json", [(0, "cells-x1y2", None), (1, "car", None)], ("car",)),
        ("_annotations.coco.json", [(0, "cells", "none"), (1, "car", "cells"), (2, "bus", "cells")], ("car", "bus")),
        ("labels.json", [(0, "cells", "none"), (1, "car", "cells"), (2, "bus", "cells")], ("car", "bus")),
        ("labels.json", [(0, "cells", None), (1, "car", None)], ("cells", "car")),  # a class that this split lacks
        ("labels.json", [(1, "car", "vehicle"), (2, "bus", "vehicle")], ("car", "bus")),
        ("_annotations.coco.json", [(1, "car", "none"), (2, "bus", "none")], ("car", "bus")),
    ],
)
def test_a_category_that_only_heads_the_others(name: str, categories: list, expected: tuple, tmp_path: Path) -> None:
    records = [{"id": key, "name": name, "supercategory": above} for key, name, above in categories]
    file = Coco(coco(tmp_path, annotation(category=1), categories=records, name=name))
    assert (file.categories, file.used) == (expected, ("car",))


def test_a_head_that_is_used_is_a_class(tmp_path: Path) -> None:
    records = [{"id": 0, "name": "cells"}, {"id": 1, "name": "car"}]
    file = Coco(coco(tmp_path, annotation(category=0), categories=records, name="_annotations.coco.json"))
    assert (file.categories, file.used) == (("cells", "car"), ("cells",))


def test_categories_that_are_background_or_ignored(tmp_path: Path) -> None:
    records = [{"id": 1, "name": "_background_"}, {"id": 2, "name": "__ignore__"}, {"id": 3, "name": 5}]
    shapes = annotation([SMALL], 1), annotation(category=3), annotation([[12, 3, 20, 3, 20, 9, 12, 9]], 2)
    file = Coco(coco(tmp_path, *shapes, categories=records))
    assert file.categories == ("background", "5")
    expected = box(box(box(np.zeros((H, W)), 1, 2, 3, 10, 9), 0, 4, 4, 6, 6), 255, 12, 3, 20, 9)
    np.testing.assert_array_equal(paint(file.drawing("a.png"), ("background", "5"), 0), expected)


def test_a_size_is_compared_before_anything_is_made(tmp_path: Path) -> None:
    runs = {"size": [40000, 40000], "counts": [1_600_000_000]}
    path = coco(tmp_path, annotation(), annotation(runs), images=(image(width=40000, height=40000),))
    with pytest.raises(InputError, match=r"labels.json says that a.png is 40000x40000, but it is 32x24"):
        Coco(path).drawing("a.png", (W, H))
    assert Coco(path).drawing("a.png")[:2] == (40000, 40000)  # and nothing is, until it is painted


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (annotation([[1, 1, 5, 5]]), "7 of a.png has 2 points, expected 3 or more"),
        (annotation([[1, 1, 5, 5, 9, 0, 2]]), "7 of a.png has 7 coordinates, expected an x and a y"),
        (annotation([]), "7 of a.png has no polygon, .*a bbox says too little"),
        (annotation(None, bbox=[1, 2, 3, 4]), "7 of a.png has no polygon"),
        (annotation(SQUARE), "7 of a.png cannot be read .*; expected a segmentation, polygons"),
        (annotation([["1", 1, 5, 5, 9, 0]]), "7 of a.png has the coordinate '1'"),
        (annotation([[1e300, 1, 5, 5, 9, 0]]), r"7 of a.png has the coordinate 1e\+300"),
        (annotation({"size": [H, W], "counts": [5]}), "7 of a.png: run lengths add up to 5, expected 768"),
        (annotation({"size": [W, H], "counts": [768]}), r"7 of a.png: run lengths of size \[32, 24\], expected"),
        (annotation({"size": [H, W], "counts": "P"}), "7 of a.png cannot be read"),
        (annotation({"size": [H, W], "counts": [2**63 - 1, 2**63 - 1, 770]}), "7 of a.png: run lengths add up to 1844"),
        (annotation({"size": [H, W]}), "7 of a.png cannot be read .*'counts'"),
        (annotation(category=4), "7 of a.png has the category 4, not among categories; add it"),
        (annotation(image_id=2), "7 is of image 2, which is not among its images"),
        (annotation(image_id=[1]), r"7 cannot be read .*the id \[1\]"),
        (annotation(image_id=True), "7 cannot be read .*the id True"),
        (annotation(id="x" * 999, image_id=2), "'xxxx.*xxx' is of image 2"),
    ],
)  # fmt: skip
def test_errors_name_file_and_annotation(wrong: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"labels.json: annotation {message}"):
        painted(Coco(coco(tmp_path, wrong)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"categories": [*CATEGORIES, {"id": 3, "name": "cow"}]}, "has the category 3 twice, zebra and cow"),
        ({"categories": [{"id": 1}]}, "cannot be read .*'name'.*; expected COCO's images"),
        ({"categories": [{"id": 1, "name": None}]}, "cannot be read .*the label None"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": "2", "name": "b"}]}, "cannot be read"),
        ({"categories": {}}, r"annotation 7 of a.png has the category 3, not among"),
        ({"images": (image(), image(id=2))}, "has two images called a.png"),
        ({"images": (image(), image(file_name="b.png"))}, "has two images called b.png, or of the id 1"),
        ({"images": (image(file_name=None),)}, "cannot be read .*the file_name None"),
        ({"images": (image(width="32"),)}, "has the size '32' for a.png"),
        ({"images": 7}, "cannot be read"),
    ],
)
def test_errors_of_the_whole_file(change: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"labels.json:? {message}"):
        painted(Coco(coco(tmp_path, annotation(), **change)))
