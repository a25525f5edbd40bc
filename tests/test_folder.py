import json
import shutil
from pathlib import Path

import numpy as np
import pytest
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


def test_classes_are_counted_over_every_split(folder_data) -> None:
    root = folder_data("segmentation", classes=3)
    ids = np.zeros((12, 16), np.uint8)
    ids[0, 0] = 6
    save_ids(root / "val/labels/0000.png", ids)
    assert opened(root).class_names == opened(root, "val").class_names == tuple("0123456")


def test_classes_json_names_colors_and_ignores(folder_data) -> None:
    root = folder_data("segmentation", classes=4)
    settings = {"names": ["a", "b", "c"], "ignore": 3, "colors": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}
    (root / "classes.json").write_text(json.dumps(settings))
    for name in ("0000", "0001", "0002"):
        ids = np.asarray(Image.open(root / f"train/labels/{name}.png")).copy()
        ids[ids == 255] = 3
        save_ids(root / f"train/labels/{name}.png", ids)
    dataset = opened(root)
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.class_colors == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    for before, after in zip(ids.flat, dataset.labels(2).flat, strict=True):
        assert after == (255 if before == 3 else before)
    (root / "train/classes.json").write_text(json.dumps({**settings, "names": ["x", "y", "z"]}))
    assert opened(root).class_names == ("x", "y", "z")  # the split's own comes first


@pytest.mark.parametrize(("ignore", "kind"), [(0, np.uint8), (65535, np.uint16), (-1, np.int64), (1000, np.int32)])
def test_any_id_may_be_the_ignored_one(folder_data, ignore: int, kind) -> None:
    root = folder_data("segmentation", splits=(".",), items=1)
    (root / "labels/0000.png").unlink()
    ids = (np.arange(12 * 16).reshape(12, 16) % 3).astype(kind)
    ids[5] = ignore
    np.save(root / "labels/0000.npy", ids)
    (root / "classes.json").write_text(json.dumps({"ignore": ignore}))
    dataset = opened(root)
    assert dataset.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(dataset.labels(0), np.where(ids == ignore, 255, ids))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"colours": [[0, 0, 0]]}', r"classes.json: unknown key 'colours'; did you mean 'colors'"),
        ('{"name": ["a", "b"]}', r"classes.json: unknown key 'name'; did you mean 'names'"),
        ('{"names": "wall"}', r"classes.json: names is 'wall', not "),
        ('{"names": ["a", "b"', r"classes.json cannot be read as JSON"),
        ('["a", "b"]', r"classes.json holds a list, not an object"),
        ('{"names": ["a"]}', r"has 1 classes, expected 2 to 255"),
        ('{"names": ["a", "b", "a", "d"]}', r"classes.json names a class twice"),
        ('{"names": ["a", "b", "c", "d"], "colors": [[0, 0, 0]]}', r"classes.json has 1 colors for 4 classes"),
        ('{"names": ["a", "b"], "colors": [[0, 0, 0], [0, 0, 256]]}', r"a color outside 0..255"),
    ],
)
def test_a_wrong_classes_json_is_refused(folder_data, content: str, message: str) -> None:
    root = folder_data("segmentation")
    (root / "classes.json").write_text(content)
    with pytest.raises(InputError, match=message):
        opened(root)


def test_a_black_and_white_mask_is_not_taken_for_unlabelled(folder_data) -> None:
    root = folder_data("segmentation", items=1)
    for split in ("train", "val"):
        save_ids(root / split / "labels/0000.png", np.repeat(np.array([[0, 255]], np.uint8), 8, axis=1).repeat(12, 0))
    with pytest.raises(InputError, match=r"has 1 classes, .* black and white mask holds 0 and 255"):
        opened(root)


def test_ids_beyond_a_byte_are_refused(folder_data) -> None:
    root = folder_data("segmentation", items=1)
    save_ids(root / "val/labels/0000.png", np.full((12, 16), 300, np.uint16))
    with pytest.raises(InputError, match=r"val/labels/0000.png holds the id 300, expected class ids up to 254"):
        opened(root)


def test_a_value_outside_the_classes_is_counted(folder_data) -> None:
    root = folder_data("segmentation", items=1, classes=2)
    (root / "classes.json").write_text('{"names": ["a", "b"]}')
    ids = np.zeros((12, 16), np.uint8)
    ids[2, 3:6], ids[4, 4] = 7, 9
    save_ids(root / "train/labels/0000.png", ids)
    message = r"train/labels/0000.png holds the value 7 in 3 pixels and 1 other values, outside the classes 0..1 \(255"
    with pytest.raises(InputError, match=message):
        opened(root).labels(0)


def test_classes_json_names_the_axes_of_normals(folder_data) -> None:
    root = folder_data("normals")
    plain = open_dataset(f"folder:{root}", "normals").labels(0)
    (root / "classes.json").write_text('{"normals": "opengl"}')
    np.testing.assert_array_equal(open_dataset(f"folder:{root}", "normals").labels(0), plain * (1, -1, -1))
    (root / "classes.json").write_text('{"normals": "up"}')
    with pytest.raises(InputError, match=r"classes.json calls its normals 'up'; known conventions are pixelnet, "):
        open_dataset(f"folder:{root}", "normals")


# --------------------------------------------------------------------------------------------- pairing


def test_a_missing_pair_is_named_either_way(folder_data) -> None:
    root = folder_data("edges")
    (root / "train/edges/0001.png").rename(root / "train/edges/0009.png")
    with pytest.raises(InputError, match=r"train/images/0001.png has no label: expected train/edges/0001 as \.png"):
        open_dataset(f"folder:{root}", "edges")
    shutil.copy(root / "train/edges/0009.png", root / "train/edges/0001.png")
    with pytest.raises(InputError, match=r"train/edges/0009.png has no image: expected train/images/0009 as \.jpg"):
        open_dataset(f"folder:{root}", "edges")
    (root / "train/edges/0000.png").unlink()
    (root / "train/edges/0001.png").unlink()
    with pytest.raises(InputError, match=r"train/images/0000.png has no label \(1 more like it\)"):
        open_dataset(f"folder:{root}", "edges")


def test_two_files_of_one_name_are_refused(folder_data) -> None:
    root = folder_data("edges")
    Image.new("RGB", (16, 12)).save(root / "train/images/0001.jpg")
    with pytest.raises(InputError, match=r"train/images/0001.jpg and 0001.png share a name; keep one"):
        open_dataset(f"folder:{root}", "edges")


def test_empty_and_missing_folders_are_named(folder_data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no folder images/; expected images/ beside labels/, or train/images/"):
        opened(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.json").write_text('{"names": ["a", "b"]}')
    with pytest.raises(InputError, match=r"images holds no images; expected files ending in \.jpg"):
        opened(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder .*values; expected train/values in"):
        open_dataset(f"folder:{folder_data('edges')}", "regression")


def test_lossy_labels_are_refused(folder_data) -> None:
    root = folder_data("segmentation")
    Image.open(root / "train/labels/0001.png").save(root / "train/labels/0001.jpg")
    (root / "train/labels/0001.png").unlink()
    with pytest.raises(InputError, match=r"train/labels/0001.jpg is in a lossy format"):
        opened(root)


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


def test_255_and_negative_ids_are_values_like_any_other(folder_data) -> None:
    root = folder_data("segmentation", splits=(".",), items=1)
    (root / "classes.json").write_text('{"names": ["a", "b", "c", "d"], "ignore": 9}')
    with pytest.raises(InputError, match=r"holds the value 255 in \d+ pixels, outside the classes 0..3 \(9 is"):
        opened(root).labels(0)
    (root / "labels/0000.png").unlink()
    np.save(root / "labels/0000.npy", np.full((12, 16), -2))
    with pytest.raises(InputError, match="holds the value -2 in 192 pixels"):
        opened(root).labels(0)
