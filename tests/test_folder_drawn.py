import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from contract_dataset import DatasetContract
from PIL import Image
from test_drawn_runs import naive_runs, naive_text

from pixelnet.data import Dataset, first_task, has_split, open_dataset
from pixelnet.data.check import check
from pixelnet.data.folder import Folder
from pixelnet.errors import InputError

W, H = 16, 12
SQUARE = [[2, 2], [10, 2], [10, 10], [2, 10]]
SMALL = [[4, 4], [6, 4], [6, 6], [4, 6]]


def save_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)).save(path)


def shape(label: str, points: list, kind: str = "polygon") -> dict:
    return {"label": label, "points": points, "shape_type": kind}


def labelme(root: Path, *shapes: dict, split: str = "train", name: str = "a", width: int = W) -> Path:
    save_image(root / split / "images" / f"{name}.png")
    path = root / split / "labels" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"shapes": shapes, "imageWidth": width, "imageHeight": H}))
    return root


def annotation(category: int, segmentation, **more) -> dict:
    return {"id": 7, "image_id": 1, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


def coco(root: Path, *annotations: dict, split: str = "train", file: str = "labels.json", **image) -> Path:
    save_image(root / split / "images" / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": W, "height": H, **image}],
        "annotations": annotations,
        "categories": [{"id": 9, "name": "ant"}, {"id": 3, "name": "zebra"}],
    }
    (root / split / file).write_text(json.dumps(content))
    return root


def flat(points: list) -> list:
    return [value for point in points for value in point]


def opened(root: Path, split: str = "train") -> Dataset:
    return open_dataset(f"folder:{root}", "segmentation", split)


class TestLabelMe(DatasetContract):
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Dataset:
        labelme(tmp_path, shape("b", SQUARE), name="b")
        return opened(labelme(tmp_path, shape("a", SMALL), shape("b", [[9, 6], [12, 6]], "circle")))


def placed(root: Path, place: str) -> Path:
    """A COCO file and its picture, the split train, moved from images/ to another place that it may have."""
    coco(root, annotation(3, [flat(SQUARE)]), annotation(9, [flat(SMALL)]))
    images, file = root / "train/images", root / "train/labels.json"
    if place == "beside images/":
        file.rename(file.with_name("_annotations.coco.json"))
    elif place == "roboflow":
        file.rename(file.with_name("_annotations.coco.json"))
        (images / "a.png").rename(root / "train/a.png")
        images.rmdir()
    elif place in ("coco", "coco, images/"):
        (root / "annotations").mkdir()
        if place != "coco":
            (root / "images").mkdir()
        file.rename(root / "annotations/instances_train2017.json")
        images.rename(root / ("train2017" if place == "coco" else "images/train2017"))
        (root / "train").rmdir()
    return root


class TestCoco(DatasetContract):
    @pytest.fixture(params=["beside images/, by hand", "beside images/", "roboflow", "coco", "coco, images/"])
    def dataset(self, tmp_path: Path, request: pytest.FixtureRequest) -> Dataset:
        return opened(placed(tmp_path, request.param))


@pytest.mark.parametrize(("place", "val"), [("roboflow", "valid"), ("coco", "val2017"), ("coco, images/", "val2017")])
def test_the_splits_of_coco_and_roboflow_are_train_and_val(place: str, val: str, tmp_path: Path) -> None:
    root = placed(tmp_path, place)
    for path in sorted(root.rglob("*train*")):  # the same again as the other split
        if path.is_dir():
            shutil.copytree(path, path.with_name(val))
        elif place != "roboflow":
            shutil.copy(path, path.with_name(path.name.replace("train2017", val)))
    spec = f"folder:{root}"
    assert first_task(spec) == "segmentation"
    assert has_split(spec, "segmentation", "val")
    dataset = opened(root, "val")
    assert val in dataset.files(0)[0].as_posix()
    np.testing.assert_array_equal(dataset.labels(0), opened(root).labels(0))
    with pytest.raises(InputError, match=r"has no split 'test'; it has train, val"):
        opened(root, "test")


def test_two_years_of_coco_keep_their_names(tmp_path: Path) -> None:
    root = placed(tmp_path, "coco")
    shutil.copytree(root / "train2017", root / "train2014")
    shutil.copy(root / "annotations/instances_train2017.json", root / "annotations/instances_train2014.json")
    assert Folder.splits(root, "segmentation") == ("train2014", "train2017")
    assert opened(root, "train2014").names == ["a"]


# ---------------------------------------------------------------------------------------------- label maps


def test_labelme_later_shapes_cover_earlier_ones_and_splits_agree(tmp_path: Path) -> None:
    labelme(tmp_path, shape("ape", SMALL), split="val")
    dataset = opened(labelme(tmp_path, shape("cat", SQUARE), shape("bee", SMALL)))
    assert dataset.class_names == opened(tmp_path, "val").class_names == ("background", "ape", "bee", "cat")
    expected = np.zeros((H, W), np.uint8)
    expected[2:10, 2:10] = 3
    expected[4:6, 4:6] = 2
    np.testing.assert_array_equal(dataset.labels(0), expected)
    assert not check(dataset).problems


def test_coco_small_shapes_stay_visible_and_crowds_are_unlabelled(tmp_path: Path) -> None:
    crowd = np.zeros((H, W), bool)
    crowd[:, 13:] = True
    runs = {"size": [H, W], "counts": naive_text(naive_runs(crowd))}
    small, large = annotation(3, [flat(SMALL)]), annotation(9, [flat(SQUARE)])
    dataset = opened(coco(tmp_path, small, large, annotation(3, runs, iscrowd=1)))
    assert dataset.class_names == ("background", "zebra", "ant")  # by id
    expected = np.zeros((H, W), np.uint8)
    expected[2:10, 2:10] = 2
    expected[4:6, 4:6] = 1
    expected[:, 13:] = 255
    np.testing.assert_array_equal(dataset.labels(0), expected)
    assert not check(dataset).problems
    assert Folder.has_labels(tmp_path, "segmentation")


@pytest.mark.parametrize(("names", "outside"), [(["cat", "dog"], 255), (["cat", "background"], 1)])
def test_names_decide_what_no_shape_covers(tmp_path: Path, names: list, outside: int) -> None:
    (labelme(tmp_path, shape("cat", SQUARE)) / "dataset.json").write_text(json.dumps({"classes": names}))
    dataset = opened(tmp_path)
    assert dataset.class_names == tuple(names)
    assert (dataset.labels(0)[0, 0], dataset.labels(0)[5, 5]) == (outside, 0)


# ---------------------------------------------------------------------------------------------- errors


def test_labelme_errors_name_file_and_shape(tmp_path: Path) -> None:
    for wrong, message in (
        (shape("a", SQUARE[:2]), "a.json: shape 1, a polygon, has 2 points, expected 3"),
        (shape("a", SQUARE, "spline"), "a.json: shape 1 is a 'spline', expected one of polygon"),
        (shape("a", SQUARE, "circle"), "shape 1, a circle, has 4 points, expected 2"),
        ({"label": "a"}, "a.json: shape 1 cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            opened(labelme(tmp_path, shape("b", SQUARE), wrong)).labels(0)
    (labelme(tmp_path, shape("cow", SQUARE)) / "dataset.json").write_text('{"classes": ["cat", "dog"]}')
    assert "a.json: shape 0 has the label 'cow'" in check(opened(tmp_path)).problems[0]


def test_labelme_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.json says that its image is 20x12, but it is 16x12"):
        opened(labelme(tmp_path, shape("b", SQUARE), width=20)).labels(0)


def test_coco_errors_name_file_and_annotation(tmp_path: Path) -> None:
    for wrong, message in (
        (annotation(3, [[1, 1, 5, 5]]), "labels.json: annotation 7 of a.png has 2 points"),
        (annotation(3, []), "annotation 7 of a.png has no polygon"),
        (annotation(4, [flat(SQUARE)]), "annotation 7 of a.png has the category 4"),
        (
            annotation(3, {"size": [H, W], "counts": [5]}),
            "annotation 7 of a.png: run lengths add up to 5",
        ),
        (annotation(3, {"size": [W, H], "counts": [192]}), "annotation 7 of a.png: run lengths of size"),
        (annotation(3, {"size": [H, W], "counts": "P"}), "annotation 7 of a.png cannot be read"),
        (annotation(3, [flat(SQUARE)], image_id=2), "annotation 7 is of image 2, which is not among"),
    ):
        with pytest.raises(InputError, match=message):
            opened(coco(tmp_path, wrong)).labels(0)
    with pytest.raises(InputError, match=r"labels.json says that a.png is 20x12"):
        opened(coco(tmp_path, width=20)).labels(0)


def test_coco_images_and_files_must_be_the_same(tmp_path: Path) -> None:
    save_image(coco(tmp_path) / "train/images/b.png")
    with pytest.raises(
        InputError,
        match=r"train/images/b.png is not among the images of train/labels.json; \"missing_labels\": \"skip\"",
    ):
        opened(tmp_path)
    (tmp_path / "train/images/b.png").unlink()
    content = json.loads((tmp_path / "train/labels.json").read_text())
    content["images"].append({"id": 2, "file_name": "c.png", "width": W, "height": H})
    (tmp_path / "train/labels.json").write_text(json.dumps(content))
    with pytest.raises(
        InputError,
        match=r"c.png is among the images of train/labels.json, but no such file is in .*; add it, or leave it out",
    ):
        opened(tmp_path)


def test_labelme_files_without_a_shape_have_no_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 1 classes \(background\), expected 2 to 255; name in dataset.json"):
        opened(labelme(tmp_path))


def test_labels_of_two_kinds(tmp_path: Path) -> None:
    labelme(coco(tmp_path), shape("a", SQUARE))
    with pytest.raises(InputError, match="both hold labels"):
        opened(tmp_path)
