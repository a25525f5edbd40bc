import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from contract_dataset import DatasetContract
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from PIL import Image

from pixelnet.data import Dataset, first_task, has_split, open_dataset
from pixelnet.data.check import check
from pixelnet.data.folder import Folder
from pixelnet.data.polygons import coco_splits, decode_runs, fill, outline_of
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
    assert coco_splits(root).keys() == {"train2014", "train2017"}
    assert opened(root, "train2014").names == ["a"]


# ---------------------------------------------------------------------------------------------- rasterizing


@given(st.lists(st.tuples(*[st.floats(-8, 24)] * 2), min_size=3, max_size=9))
def test_a_pixel_is_inside_if_its_center_is(points: list) -> None:
    outline = np.array(points)
    y, x = np.mgrid[:H, :W] + 0.5
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    expected = Outline(np.vstack([outline, outline[:1]])).contains_points(centers)
    # A center within rounding of an edge may fall on either side.
    start, along = outline, np.roll(outline, -1, axis=0) - outline
    length = np.maximum((along**2).sum(axis=1), 1e-30)
    share = np.clip(((centers[:, None] - start) * along).sum(axis=2) / length, 0, 1)
    distance = np.linalg.norm(centers[:, None] - start - share[..., None] * along, axis=2).min(axis=1)
    clear = distance > 1e-6
    np.testing.assert_array_equal(fill(outline, W, H, "").ravel()[clear], expected[clear])


def test_shapes_that_share_an_edge_neither_overlap_nor_leave_a_gap() -> None:
    left = fill(np.array([(0, 0), (7.5, 0), (4.5, H), (0, H)]), W, H, "")
    right = fill(np.array([(7.5, 0), (W, 0), (W, H), (4.5, H)]), W, H, "")
    assert (left ^ right).all()


def test_rectangle_and_circle() -> None:
    y, x = np.mgrid[:H, :W] + 0.5
    rectangle = fill(outline_of("rectangle", np.array([(10.0, 9), (2, 3)]), ""), W, H, "")
    np.testing.assert_array_equal(rectangle, (x > 2) & (x < 10) & (y > 3) & (y < 9))
    circle = fill(outline_of("circle", np.array([(8.0, 6), (8, 10.2)]), ""), W, H, "")
    np.testing.assert_array_equal(circle, np.hypot(x - 8, y - 6) < 4.2)


# ---------------------------------------------------------------------------------------------- run lengths


def naive_runs(mask: np.ndarray) -> list[int]:
    runs, value = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if mask[y, x] != value:
                runs.append(0)
                value = not value
            runs[-1] += 1
    return runs


def naive_text(runs: list[int]) -> str:
    text = ""
    for k, run in enumerate(runs):
        value = run - runs[k - 2] if k > 2 else run
        while True:
            group, value = value & 31, value >> 5
            last = value == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if last else 32))
            if last:
                break
    return text


@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 60), st.integers(1, 60))
def test_run_lengths_in_both_forms(seed: int, share: float, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    runs = naive_runs(mask)
    np.testing.assert_array_equal(decode_runs(runs, width, height, ""), mask)
    np.testing.assert_array_equal(decode_runs(naive_text(runs), width, height, ""), mask)


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
    (labelme(tmp_path, shape("cat", SQUARE)) / "classes.json").write_text(json.dumps({"names": names}))
    dataset = opened(tmp_path)
    assert dataset.class_names == tuple(names)
    assert (dataset.labels(0)[0, 0], dataset.labels(0)[5, 5]) == (outside, 0)


# ---------------------------------------------------------------------------------------------- errors


def test_labelme_errors_name_file_and_shape(tmp_path: Path) -> None:
    for wrong, message in (
        (shape("a", SQUARE[:2]), "a.json: shape 1 has 2 points, expected 3"),
        (shape("a", SQUARE, "line"), "a.json: shape 1 is a line"),
        (shape("a", SQUARE, "circle"), "shape 1, a circle, has 4 points, expected 2"),
        ({"label": "a"}, "a.json: shape 1 cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            opened(labelme(tmp_path, shape("b", SQUARE), wrong)).labels(0)
    (labelme(tmp_path, shape("cow", SQUARE)) / "classes.json").write_text('{"names": ["cat", "dog"]}')
    assert "a.json: shape 0 has the label 'cow'" in check(opened(tmp_path)).problems[0]


def test_labelme_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.json says that train/images/a.png is 20x12, but it is 16x12"):
        opened(labelme(tmp_path, shape("b", SQUARE), width=20)).labels(0)


def test_coco_errors_name_file_and_annotation(tmp_path: Path) -> None:
    for wrong, message in (
        (annotation(3, [[1, 1, 5, 5]]), "labels.json: annotation 7 of a has 2 points"),
        (annotation(3, []), "annotation 7 of a has no polygon"),
        (annotation(4, [flat(SQUARE)]), "annotation 7 of a has the category 4"),
        (annotation(3, {"size": [H, W], "counts": [5]}), "annotation 7 of a: run lengths add up to 5, expected 192"),
        (annotation(3, {"size": [W, H], "counts": [192]}), "annotation 7 of a: run lengths of size"),
        (annotation(3, {"size": [H, W], "counts": "P"}), "annotation 7 of a cannot be read"),
        (annotation(3, [flat(SQUARE)], image_id=2), "annotation 7 is of image 2, which is not among"),
    ):
        with pytest.raises(InputError, match=message):
            opened(coco(tmp_path, wrong)).labels(0)
    with pytest.raises(InputError, match=r"labels.json says that train/images/a.png is 20x12"):
        opened(coco(tmp_path, width=20)).labels(0)


def test_coco_images_and_files_must_be_the_same(tmp_path: Path) -> None:
    save_image(coco(tmp_path) / "train/images/b.png")
    with pytest.raises(InputError, match=r"b is in train/images/ but not among the images of train/labels.json"):
        opened(tmp_path)
    (tmp_path / "train/images/b.png").unlink()
    content = json.loads((tmp_path / "train/labels.json").read_text())
    content["images"].append({"id": 2, "file_name": "c.png", "width": W, "height": H})
    (tmp_path / "train/labels.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"c is not in train/images/ but among the images of train/labels.json"):
        opened(tmp_path)


def test_labelme_files_without_a_shape_have_no_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 1 classes, expected 2 to 255"):
        opened(labelme(tmp_path))


def test_labels_of_two_kinds(tmp_path: Path) -> None:
    labelme(coco(tmp_path), shape("a", SQUARE))
    with pytest.raises(InputError, match="both hold labels"):
        opened(tmp_path)
