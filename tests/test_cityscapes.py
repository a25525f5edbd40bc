from pathlib import Path

import numpy as np
import pytest
from conftest import random_image, save_png
from contract_dataset import DatasetContract

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.check import check
from pixelnet.errors import InputError

ITEMS = (("train", "ulm_000001"), ("train", "aachen_000000"), ("val", "munster_000009"))


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    rng, root = np.random.default_rng(0), tmp_path / "cityscapes"
    for split, frame in ITEMS:
        name = f"{split}/{frame.split('_')[0]}/{frame}_000019"
        save_png(root / f"leftImg8bit/{name}_leftImg8bit.png", random_image(rng))
        save_png(root / f"gtFine/{name}_gtFine_labelIds.png", rng.integers(0, 34, (12, 16), dtype=np.uint8))
        save_png(root / f"gtFine/{name}_gtFine_instanceIds.png", np.zeros((12, 16), np.uint8))
    return root


class TestCityscapes(DatasetContract):
    @pytest.fixture(params=["train", "val", "trainval"])
    def dataset(self, cityscapes: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"cityscapes:{cityscapes}", "segmentation", request.param)


def test_every_city_is_in_and_the_19_scored_classes_are_kept(cityscapes: Path) -> None:
    dataset = open_dataset(f"cityscapes:{cityscapes}", "segmentation")
    assert dataset.names == ["aachen_000000_000019_leftImg8bit", "ulm_000001_000019_leftImg8bit"]
    scored = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    save_png(cityscapes / "gtFine/val/munster/munster_000009_000019_gtFine_labelIds.png", ids)
    save_png(
        cityscapes / "leftImg8bit/val/munster/munster_000009_000019_leftImg8bit.png", np.zeros((2, 17, 3), np.uint8)
    )
    found = open_dataset(f"cityscapes:{cityscapes}", "segmentation", "val").labels(0).ravel()
    assert {number: int(k) for number, k in enumerate(found) if k != 255} == dict(zip(scored, range(19), strict=True))
    assert dataset.class_names[13] == "car"


def test_train_ids_stand_in_for_ids(cityscapes: Path) -> None:
    folder, ids = cityscapes / "gtFine/train/ulm", np.arange(12 * 16, dtype=np.uint8).reshape(12, 16) % 20
    train_ids = np.where(ids == 19, 255, ids).astype(np.uint8)
    save_png(folder / "ulm_000001_000019_gtFine_labelTrainIds.png", train_ids)
    before = open_dataset(f"cityscapes:{cityscapes}", "segmentation").labels(1)
    assert not np.array_equal(before, train_ids)  # labelIds come first
    (folder / "ulm_000001_000019_gtFine_labelIds.png").unlink()
    np.testing.assert_array_equal(open_dataset(f"cityscapes:{cityscapes}", "segmentation").labels(1), train_ids)


def test_check_explains_it(cityscapes: Path) -> None:
    report = check(open_dataset(f"cityscapes:{cityscapes}", "segmentation"))
    assert not report.problems
    assert "traffic light" in str(report)


def test_what_is_missing_is_named(cityscapes: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected a folder leftImg8bit/train in it; get it from www\.cityscapes-"):
        open_dataset(f"cityscapes:{tmp_path}/empty", "segmentation")
    (cityscapes / "gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(
        InputError, match=r"ulm_000001_000019_leftImg8bit\.png has no labels; expected gtFine/train/ulm"
    ):
        open_dataset(f"cityscapes:{cityscapes}", "segmentation")
    with pytest.raises(InputError, match="no split 'test'; it has train, val, trainval"):
        open_dataset(f"cityscapes:{cityscapes}", "segmentation", "test")
    (cityscapes / "leftImg8bit/test").mkdir()
    with pytest.raises(InputError, match="CITY/NAME_leftImg8bit"):
        open_dataset(f"cityscapes:{cityscapes}", "segmentation", "test")
