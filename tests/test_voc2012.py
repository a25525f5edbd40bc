from pathlib import Path

import numpy as np
import pytest
from conftest import random_image
from contract_dataset import DatasetContract
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from pixelnet.data import Dataset, has_split, open_dataset
from pixelnet.data.check import check
from pixelnet.data.voc2012 import CLASSES, voc_colors
from pixelnet.errors import InputError


def save_palette(path: Path, ids: np.ndarray) -> None:
    """As the devkit stores labels: an indexed PNG with the devkit's colors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(ids).convert("P")
    picture.putpalette(np.array(voc_colors(256), np.uint8).ravel().tolist())
    picture.save(path)


def write_list(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def labels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([*range(21), 255], (12, 16)).astype(np.uint8)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOCdevkit/VOC2012 of two train images and one val image, and SBD of the val image, a train one and two more."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    (root / "JPEGImages").mkdir(parents=True)
    for k, name in enumerate(("2007_01", "2007_02", "2008_03", "2008_04", "2008_05", "2012_99")):
        Image.fromarray(random_image(np.random.default_rng(k))).save(root / f"JPEGImages/{name}.jpg")
    for k, name in enumerate(("2007_01", "2007_02", "2008_03")):
        save_palette(root / f"SegmentationClass/{name}.png", labels(k))
    lists = root / "ImageSets" / "Segmentation"
    write_list(lists / "train.txt", "2007_02", "2007_01")
    write_list(lists / "val.txt", "2008_03")
    write_list(lists / "trainval.txt", "2007_01", "2007_02", "2008_03")
    return root


@pytest.fixture
def with_sbd(voc: Path) -> Path:
    sbd = voc.parents[1] / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    for k, name in enumerate(("2007_01", "2008_03", "2008_04", "2008_05"), start=10):
        boundaries = np.empty((20, 1), object)  # one sparse map a class, as released
        for c in range(20):
            boundaries[c, 0] = csc_matrix((12, 16), dtype=bool)
        content = {"Boundaries": boundaries, "Segmentation": labels(k) % 21, "CategoriesPresent": [[1]]}
        savemat(sbd / f"cls/{name}.mat", {"GTcls": content}, do_compression=True)
    write_list(sbd / "train.txt", "2008_04", "2008_03")
    write_list(sbd / "val.txt", "2008_05", "2007_01")
    return voc


class TestVOC(DatasetContract):
    @pytest.fixture(params=["train", "val", "trainval", "train_aug"])
    def dataset(self, with_sbd: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"voc2012:{with_sbd}", "segmentation", request.param)


def test_sbd_adds_what_is_not_in_val_and_vocs_own_labels_stay(with_sbd: Path) -> None:
    dataset = open_dataset(f"voc2012:{with_sbd}", "segmentation", "train_aug")
    assert dataset.names == ["2007_01", "2007_02", "2008_04", "2008_05"]
    np.testing.assert_array_equal(dataset.labels(0), labels(0))  # not SBD's, which are labels(10) % 21
    np.testing.assert_array_equal(dataset.labels(2), labels(12) % 21)
    assert dataset.files(2)[1].suffix == ".mat"


def test_an_image_that_only_sbd_has(with_sbd: Path) -> None:
    (with_sbd.parents[1] / "benchmark_RELEASE/dataset/img").mkdir()
    (with_sbd / "JPEGImages/2008_05.jpg").rename(with_sbd.parents[1] / "benchmark_RELEASE/dataset/img/2008_05.jpg")
    assert open_dataset(f"voc2012:{with_sbd}", "segmentation", "train_aug").image(3).shape == (12, 16, 3)


@pytest.mark.parametrize("up", [0, 1, 2])
def test_the_devkit_is_found_from_above(voc: Path, up: int) -> None:
    place = (voc, *voc.parents)[up]
    assert open_dataset(f"voc2012:{place}", "segmentation", "train").names == ["2007_01", "2007_02"]
    assert has_split(f"voc2012:{place}", "segmentation", "val")


def test_the_palette_is_the_devkits() -> None:
    first = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128))
    assert voc_colors(7) == first
    assert voc_colors(21)[15] == (192, 128, 128)  # person
    assert CLASSES[15] == "person"
    assert len(set(voc_colors(256))) == 256


def test_check_explains_it(with_sbd: Path) -> None:
    report = check(open_dataset(f"voc2012:{with_sbd}", "segmentation", "train_aug"))
    assert not report.problems
    assert "aeroplane" in str(report)


def test_what_is_missing_is_named(voc: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no split 'train_aug', .* expected benchmark_RELEASE/dataset/ .*benchmark\.tgz"
    ):
        open_dataset(f"voc2012:{voc}", "segmentation", "train_aug")
    (voc / "SegmentationClass/2007_02.png").unlink()
    with pytest.raises(InputError, match=r"lists 2007_02, whose labels SegmentationClass/2007_02\.png is not there"):
        open_dataset(f"voc2012:{voc}", "segmentation", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"list ImageSets/Segmentation/train\.txt in it; get it from host\.robots\.ox"):
        open_dataset(f"voc2012:{tmp_path / 'empty'}", "segmentation", "train")
    write_list(voc / "ImageSets/Segmentation/val.txt")
    with pytest.raises(InputError, match="names no image"):
        open_dataset(f"voc2012:{voc}", "segmentation", "val")


def test_an_id_outside_is_named(with_sbd: Path) -> None:
    ids = labels(0)
    ids[0, 0] = 21
    save_palette(with_sbd / "SegmentationClass/2007_01.png", ids)
    with pytest.raises(InputError, match=r"2007_01\.png holds the value 21 in 1 pixels"):
        open_dataset(f"voc2012:{with_sbd}", "segmentation", "train").labels(0)
    (with_sbd.parents[1] / "benchmark_RELEASE/dataset/cls/2008_04.mat").write_bytes(b"not a .mat file")
    with pytest.raises(InputError, match=r"2008_04\.mat"):
        open_dataset(f"voc2012:{with_sbd}", "segmentation", "train_aug").labels(2)
