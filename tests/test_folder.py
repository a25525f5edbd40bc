import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from contract_dataset import DatasetContract
from PIL import Image

from pixelnet.data import Dataset, has_split, open_dataset
from pixelnet.errors import InputError
from pixelnet.tasks import TASKS


class TestFolder(DatasetContract):
    @pytest.fixture(params=TASKS)
    def dataset(self, folder_data, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"folder:{folder_data(request.param)}", request.param)


class TestFolderWithoutSplits(DatasetContract):
    @pytest.fixture(params=TASKS)
    def dataset(self, folder_data, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"folder:{folder_data(request.param, splits=('.',))}", request.param, "val")


def opened(root: Path, split: str = "train") -> Dataset:
    return open_dataset(f"folder:{root}", "segmentation", split)


def save_ids(path: Path, ids: np.ndarray) -> None:
    Image.fromarray(ids).save(path)


# ---------------------------------------------------------------------------------------------- splits


def test_only_the_split_asked_for_is_needed(folder_data) -> None:
    root = folder_data("edges", splits=("val",))
    assert len(open_dataset(f"folder:{root}", "edges", "val")) == 3
    with pytest.raises(InputError, match="no split 'train'; it has val"):
        open_dataset(f"folder:{root}", "edges", "train")


def test_data_without_splits_serves_any_but_has_none(folder_data) -> None:
    spec = f"folder:{folder_data('edges', splits=('.',))}"
    assert open_dataset(spec, "edges", "train").names == open_dataset(spec, "edges", "whatever").names
    assert not has_split(spec, "edges", "val")
    assert not has_split(spec, "edges", "train")


def test_a_val_folder_beside_images_is_a_val_split(folder_data) -> None:
    root = folder_data("edges", splits=(".", "val"), items=2)
    (root / "images/extra.png").write_bytes((root / "images/0000.png").read_bytes())
    (root / "edges/extra.png").write_bytes((root / "edges/0000.png").read_bytes())
    spec = f"folder:{root}"
    assert has_split(spec, "edges", "val")
    assert open_dataset(spec, "edges", "train").names == ["0000", "0001", "extra"]
    assert open_dataset(spec, "edges", "val").names == ["0000", "0001"]


def test_links_are_followed_and_hidden_files_are_not(folder_data, tmp_path: Path) -> None:
    root = folder_data("segmentation", splits=("train",))
    linked = tmp_path / "linked"
    (linked / "images").mkdir(parents=True)
    (linked / "labels").symlink_to(root / "train" / "labels")  # a folder, and below each file
    for path in (root / "train" / "images").iterdir():
        (linked / "images" / path.name).symlink_to(path)
    (linked / "images" / "._0000.png").write_bytes(b"Mac OS leaves these")
    (linked / "images" / "notes.txt").write_text("and people these")
    dataset = opened(linked)
    assert dataset.names == ["0000", "0001", "0002"]
    np.testing.assert_array_equal(dataset.image(0), opened(root).image(0))


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "bmp", "tif", "TIFF", "webp"])
def test_image_formats(folder_data, ending: str) -> None:
    root = folder_data("segmentation", splits=("train",), items=1)
    image = Image.open(root / "train/images/0000.png")
    image.save(root / f"train/images/0000.{ending}")
    (root / "train/images/0000.png").unlink()
    assert abs(opened(root).image(0).mean() - np.asarray(image).mean()) < 8


# --------------------------------------------------------------------------------------------- classes


def test_classes_are_those_of_every_split(folder_data) -> None:
    root = folder_data("segmentation", classes=3)
    ids = np.zeros((12, 16), np.uint8)
    ids[0, 0] = 6
    save_ids(root / "val/labels/0000.png", ids)
    assert opened(root).class_names == opened(root, "val").class_names == ("0", "1", "2", "6")
    assert opened(root, "val").labels(0)[0, 0] == 3


def test_dataset_json_names_colors_and_unlabelled(folder_data) -> None:
    root = folder_data("segmentation", classes=4)
    classes = [{"name": name, "color": [k, 2, 3]} for k, name in enumerate("abc")]
    (root / "dataset.json").write_text(json.dumps({"classes": classes, "unlabelled": [3, 255]}))
    dataset = opened(root)
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.class_colors == ((0, 2, 3), (1, 2, 3), (2, 2, 3))
    stored = np.asarray(Image.open(root / "train/labels/0002.png"))
    np.testing.assert_array_equal(dataset.labels(2), np.where(stored == 3, 255, stored))
    changed = open_dataset(root, "segmentation", changes={"classes": list("xyzw"), "unlabelled": [255]})
    assert changed.class_names == tuple("xyzw")


@pytest.mark.parametrize(("ignore", "kind"), [(0, np.uint8), (65535, np.uint16), (-1, np.int64), (1000, np.int32)])
def test_any_number_may_be_the_unlabelled_one(folder_data, ignore: int, kind) -> None:
    root = folder_data("segmentation", splits=(".",), items=1)
    (root / "labels/0000.png").unlink()
    ids = (np.arange(12 * 16).reshape(12, 16) % 3).astype(kind)
    ids[5] = ignore
    np.save(root / "labels/0000.npy", ids)
    dataset = open_dataset(root, "segmentation", changes={"unlabelled": [ignore]})
    known = [value for value in (0, 1, 2) if value != ignore]
    assert dataset.class_names == tuple(map(str, known))
    expected = np.full(ids.shape, 255)
    for k, value in enumerate(known):
        expected[ids == value] = k
    np.testing.assert_array_equal(dataset.labels(0), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"colours": [[0, 0, 0]]}', r"dataset.json: unknown key 'colours'"),
        ('{"nodata": [[0]]}', r"dataset.json: nodata"),
        ('{"class": ["a", "b"]}', r"dataset.json: unknown key 'class'; did you mean 'classes'"),
        ('{"classes": "wall"}', r"dataset.json: classes is 'wall', expected a list such as"),
        ('{"classes": ["a", "b"', r"dataset.json cannot be read as JSON"),
        ('["a", "b"]', r"dataset.json holds a list, not an object"),
        ('{"classes": ["a"]}', r"dataset.json names 1 classes \(a\) and the label maps hold 4 values \(0, 1, 2, 3\)"),
        ('{"classes": ["a", "b", "a", "d"]}', r"dataset.json: classes names 'a' twice"),
        ('{"classes": [{"name": "a", "color": [0, 0, 256]}, "b"]}', r"classes\[0\]: color is .* of 0 to 255 each"),
        (
            '{"classes": [{"name": "a", "value": 0}, {"name": "b", "value": 0}]}',
            "the value 0 is given to more than one",
        ),
        ('{"task": "normals"}', "has labels for normals, as its dataset.json says, not for segmentation"),
        ('{"images": "pictures/*"}', r"images 'pictures/\*' names no file"),
        ('{"root": "elsewhere"}', r"root is 'elsewhere', but .* is no folder"),
    ],
)
def test_a_wrong_dataset_json_is_refused(folder_data, content: str, message: str) -> None:
    root = folder_data("segmentation")
    (root / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=message):
        opened(root)


def test_numbers_beyond_a_byte_are_classes_like_any_other(folder_data) -> None:
    root = folder_data("segmentation", items=1, classes=2)
    save_ids(root / "val/labels/0000.png", np.full((12, 16), 300, np.uint16))
    assert opened(root).class_names == ("0", "1", "255", "300")  # 255 beside 300 is asked about
    assert any('say "unlabelled": [255]' in question for question in opened(root).questions)
    assert (opened(root, "val").labels(0) == 3).all()


def test_a_value_outside_the_classes_is_counted(folder_data) -> None:
    root = folder_data("segmentation", items=2, classes=2)
    (root / "dataset.json").write_text('{"classes": [{"name": "a", "value": 0}, {"name": "b", "value": 1}]}')
    ids = np.zeros((12, 16), np.uint8)
    ids[2, 3:6], ids[4, 4] = 7, 9
    save_ids(root / "train/labels/0000.png", ids)
    message = (
        r"train/labels/0000.png holds the value 7 in 3 pixels \(first at x 3, y 2\) and 1 other values, outside the "
        r"classes a \(0\), b \(1\); correct the label map, or name it in dataset.json"
    )
    with pytest.raises(InputError, match=message):
        opened(root).labels(0)


def test_dataset_json_names_the_axes_of_normals(folder_data) -> None:
    root = folder_data("normals")
    plain = open_dataset(f"folder:{root}", "normals").labels(0)
    (root / "dataset.json").write_text('{"normals": "opengl"}')
    np.testing.assert_array_equal(open_dataset(f"folder:{root}", "normals").labels(0), plain * (1, -1, -1))
    (root / "dataset.json").write_text('{"normals": "up"}')
    with pytest.raises(InputError, match=r"dataset.json: normals is 'up', expected one of pixelnet, "):
        open_dataset(f"folder:{root}", "normals")


def test_dataset_json_may_lie_elsewhere(folder_data, tmp_path: Path) -> None:
    root = folder_data("segmentation")
    (tmp_path / "said.json").write_text(json.dumps({"root": root.name, "classes": list("abcd")}))
    for spec in (f"folder:{tmp_path / 'said.json'}", str(tmp_path / "said.json")):
        dataset = open_dataset(spec, "segmentation", "val")
        assert dataset.class_names == tuple("abcd")
        assert dataset.names == opened(root, "val").names
        assert has_split(spec, "segmentation", "val")


# --------------------------------------------------------------------------------------------- pairing


def test_a_missing_pair_is_named_either_way(folder_data) -> None:
    root = folder_data("edges")
    (root / "train/edges/0001.png").rename(root / "train/edges/0009.png")
    with pytest.raises(InputError, match=r"1 of 6 images has no labels: train/images/0001.png; \"missing_labels\""):
        open_dataset(f"folder:{root}", "edges")
    shutil.copy(root / "train/edges/0009.png", root / "train/edges/0001.png")
    with pytest.raises(InputError, match=r"1 file of labels has no image: train/edges/0009.png; add it, move it away"):
        open_dataset(f"folder:{root}", "edges")
    skipping = open_dataset(f"folder:{root}", "edges", changes={"missing_labels": "skip"})
    assert skipping.names == ["0000", "0001", "0002"]
    (root / "train/edges/0000.png").unlink()
    (root / "train/edges/0001.png").unlink()
    with pytest.raises(InputError, match=r"2 of 6 images have no labels: train/images/0000.png, train/images/0001.png"):
        open_dataset(f"folder:{root}", "edges")


def test_images_without_labels_may_be_all_background(folder_data) -> None:
    root = folder_data("segmentation", splits=(".",))
    (root / "labels/0001.png").unlink()
    dataset = open_dataset(root, "segmentation", changes={"missing_labels": "background"})
    assert dataset.names == ["0000", "0001", "0002"]
    assert dataset.labels(1).shape == (13, 16)
    assert not dataset.labels(1).any()


def test_two_files_of_one_name_are_refused(folder_data) -> None:
    root = folder_data("edges")
    Image.new("RGB", (16, 12)).save(root / "train/images/0001.jpg")
    with pytest.raises(InputError, match=r"train/images/0001.jpg and 0001.png share a name; keep one"):
        open_dataset(f"folder:{root}", "edges")


def test_empty_and_missing_folders_are_named(folder_data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no images; expected files ending in \.jpg"):
        opened(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; give the folder of the data"):
        opened(tmp_path / "nowhere")
    root = folder_data("edges")
    with pytest.raises(
        InputError, match="no labels for regression that go with them; expected a folder such as values/"
    ):
        open_dataset(f"folder:{root}", "regression")
    shutil.rmtree(root / "train/edges")
    shutil.rmtree(root / "val")
    with pytest.raises(InputError, match=r"holds 3 images .* and no labels for edges .*: expected|such as edges/"):
        open_dataset(f"folder:{root}", "edges")


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_lossy_labels_are_refused_whatever_they_are_called(folder_data, ending: str) -> None:
    root = folder_data("segmentation")
    ids = Image.open(root / "train/labels/0001.png")
    (root / "train/labels/0001.png").unlink()
    if ending == "tif":
        tifffile.imwrite(root / "train/labels/0001.tif", np.asarray(ids), compression="jpeg")
    else:
        ids.save(root / f"train/labels/0001.{ending}", "JPEG")
    with pytest.raises(InputError, match=rf"train/labels/0001.{ending} is stored as .*lossy.*, which changes labels"):
        opened(root).labels(1)


def test_sizes_are_compared_when_an_item_is_read(folder_data) -> None:
    root = folder_data("edges")
    Image.new("L", (16, 11)).save(root / "train/edges/0000.png")
    expected = (
        "train/edges/0000.png is 16x11 but train/images/0000.png is 16x12; resize the label with nearest neighbor"
    )
    with pytest.raises(InputError) as caught:
        open_dataset(f"folder:{root}", "edges").labels(0)
    assert str(caught.value) == expected


def test_a_turned_photo_fits_upright_labels(folder_data) -> None:
    root = folder_data("edges", splits=("train",), items=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "train/images/0000.png").unlink()
    Image.new("RGB", (12, 16)).save(root / "train/images/0000.jpg", exif=exif)
    dataset = open_dataset(f"folder:{root}", "edges")
    assert dataset.image(0).shape[:2] == dataset.labels(0).shape == (12, 16)
    assert any("the photos upright" in note for note in dataset.notes)  # type: ignore[attr-defined]


def test_255_and_negative_numbers_are_values_like_any_other(folder_data) -> None:
    root = folder_data("segmentation", splits=(".",), items=1)
    (root / "dataset.json").write_text(
        '{"classes": [{"name": "a", "values": [0, 1]}, {"name": "b", "values": [2, 3]}], "unlabelled": [9]}'
    )
    with pytest.raises(
        InputError, match=r"holds the value 255 in \d+ pixels .*outside the classes a \(0, 1\), b \(2, 3\)"
    ):
        opened(root).labels(0)
    (root / "labels/0000.png").unlink()
    np.save(root / "labels/0000.npy", np.full((12, 16), -2))
    with pytest.raises(InputError, match="holds the value -2 in 192 pixels"):
        opened(root).labels(0)


# ----------------------------------------------------------------------------------------- several people


def of_two_people(root: Path, task: str = "segmentation") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    maps = rng.integers(0, 2, (2, 12, 16), np.uint8)
    (root / "images").mkdir(parents=True)
    Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).save(root / "images/a.png")
    for k, own in enumerate(maps, start=1):
        path = root / ("labels" if task == "segmentation" else "edges") / f"annotator{k}" / "a.png"
        path.parent.mkdir(parents=True)
        save_ids(path, own if task == "segmentation" else 255 * own)
    return maps[0], maps[1]


def test_the_first_of_several_people_unless_asked(tmp_path: Path) -> None:
    first, _ = of_two_people(tmp_path)
    dataset = opened(tmp_path)
    np.testing.assert_array_equal(dataset.labels(0), first)
    assert any("2 people labelled an image" in note for note in dataset.notes)  # type: ignore[attr-defined]
    vote = open_dataset(tmp_path, "segmentation", changes={"annotators": "vote"})
    np.testing.assert_array_equal(vote.labels(0), first)  # of two, the first decides
    with pytest.raises(InputError, match='"annotators": "all" is not for segmentation; give one of first, vote'):
        open_dataset(tmp_path, "segmentation", changes={"annotators": "all"})


def test_edges_of_several_people_are_their_share(tmp_path: Path) -> None:
    first, second = of_two_people(tmp_path, "edges")
    dataset = open_dataset(tmp_path, "edges")
    np.testing.assert_allclose(dataset.labels(0), (first + second) / 2)
    np.testing.assert_array_equal(dataset.truth(0), np.stack([first, second]).astype(bool))
