from pathlib import Path

import numpy as np
import pytest
from conftest import random_image
from contract_dataset import DatasetContract
from PIL import Image
from scipy.io import savemat

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.check import check
from pixelnet.errors import InputError

# Ids on disk are places in labels.txt; the short lists have an order, and three spellings, of their own.
LONG = ["accordion", "aeroplane", "air conditioner", "bag", "bedclothes", "cloth", "grass", "table", "wood"]
SHORT = ["aeroplane", "diningtable", "bag", "clothes", "grass", "bedcloth", "wood"]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "VOC2010/JPEGImages").mkdir(parents=True)
    (root / "trainval").mkdir()
    for k, name in enumerate(("2008_000002", "2008_000003", "2008_000007")):
        rng = np.random.default_rng(k)
        Image.fromarray(random_image(rng)).save(root / f"VOC2010/JPEGImages/{name}.jpg")
        ids = rng.integers(0, len(LONG) + 1, (12, 16)).astype(np.uint16)
        savemat(root / f"trainval/{name}.mat", {"LabelMap": ids}, do_compression=True)
    (root / "labels.txt").write_text("".join(f"{k}: {name}\n" for k, name in enumerate(LONG, 1)))
    (root / "59_labels.txt").write_text("".join(f"{k}: {name}\n" for k, name in enumerate(SHORT, 1)))
    lists = root / "VOC2010/ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2008_000003\n2008_000002\n")
    (lists / "val.txt").write_text("2008_000007\n")
    return root


class TestPascalContext(DatasetContract):
    @pytest.fixture(params=["train", "val"])
    def dataset(self, context: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"pascal-context:{context}", "segmentation", request.param)


def test_classes_are_mapped_by_name_and_the_rest_is_unlabelled(context: Path) -> None:
    ids = np.arange(len(LONG) + 1, dtype=np.uint16)[None]
    savemat(context / "trainval/2008_000007.mat", {"LabelMap": ids})
    Image.fromarray(np.zeros((1, 10, 3), np.uint8)).save(context / "VOC2010/JPEGImages/2008_000007.jpg")
    dataset = open_dataset(f"pascal-context:{context}", "segmentation", "val")
    assert dataset.class_names == tuple(SHORT)
    assert dataset.labels(0).tolist() == [[255, 255, 0, 255, 2, 5, 3, 4, 1, 6]]


def test_33_are_those_of_the_users_list(context: Path) -> None:
    with pytest.raises(InputError, match=r"33_labels\.txt; write it: one class a line"):
        open_dataset(f"pascal-context-33:{context}", "segmentation", "val")
    (context / "33_labels.txt").write_text("grass\nair conditioner\n\n")
    dataset = open_dataset(f"pascal-context-33:{context}", "segmentation", "val")
    assert dataset.class_names == ("grass", "airconditioner")
    stored = open_dataset(f"pascal-context:{context}", "segmentation", "val").labels(0)
    assert np.array_equal(dataset.labels(0) == 0, stored == 4)
    (context / "33_labels.txt").write_text("grass\nbanana\n")
    with pytest.raises(InputError, match=r"names 'banana', which is not in labels\.txt"):
        open_dataset(f"pascal-context-33:{context}", "segmentation", "val")


def test_own_lists_come_before_vocs_and_the_photos_may_lie_beside(context: Path) -> None:
    (context / "train.txt").write_text("2008_000007\n")
    (context / "val.txt").write_text("2008_000002\n")
    (context / "VOC2010").rename(context.parent / "VOC2010")
    assert open_dataset(f"pascal-context:{context}", "segmentation").names == ["2008_000007"]


def test_photos_that_are_nowhere_are_asked_for_in_the_datas_own_folder(context: Path) -> None:
    (context / "VOC2010").rename(context.parent / "elsewhere")
    with pytest.raises(InputError, match=r"expected a list VOC2010/ImageSets/Main/train\.txt in it; get it from"):
        open_dataset(f"pascal-context:{context}", "segmentation")


def test_check_explains_it(context: Path) -> None:
    report = check(open_dataset(f"pascal-context:{context}", "segmentation"))
    assert not report.problems
    assert "diningtable" in str(report)


def test_labels_of_another_release_are_named(context: Path) -> None:
    (context / "labels.txt").write_text("".join(f"{k}: {name}\n" for k, name in enumerate(LONG[:-1], 1)))
    (context / "59_labels.txt").write_text("1: grass\n2: bag\n")
    with pytest.raises(InputError, match=r"000007\.mat holds the value 9, but labels\.txt ends at 8"):
        open_dataset(f"pascal-context:{context}", "segmentation", "val").labels(0)
