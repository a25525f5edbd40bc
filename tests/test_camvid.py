from pathlib import Path

import numpy as np
import pytest
from contract_dataset import DatasetContract
from PIL import Image

from pixelnet.data import Dataset, has_split, open_dataset
from pixelnet.errors import InputError


class TestCamVid(DatasetContract):
    @pytest.fixture(params=["train", "val", "trainval"])
    def dataset(self, camvid_data: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"camvid:{camvid_data}", "segmentation", request.param)


class TestRealCamVid(DatasetContract):
    limit = 2

    @pytest.fixture
    def dataset(self, real_data: Path) -> Dataset:
        return open_dataset(f"camvid:{real_data}/camvid", "segmentation", "val")

    def test_is_the_whole_split(self, dataset: Dataset) -> None:
        assert len(dataset) == 101
        assert dataset.image(0).shape == (360, 480, 3)


def test_eleven_is_unlabelled_and_the_rest_stays(camvid_data: Path) -> None:
    dataset = open_dataset(f"camvid:{camvid_data}", "segmentation")
    assert dataset.names == ["a_1", "a_2"]
    stored = np.asarray(Image.open(camvid_data / "train/labels/a_1.png"))
    assert (stored == 11).any()
    labels = dataset.labels(0)
    for before, after in zip(stored.flat, labels.flat, strict=True):
        assert after == (255 if before == 11 else before)
    assert dataset.class_names[3] == "Road"
    assert dataset.class_colors[3] == (128, 64, 128)


def test_trainval_is_both(camvid_data: Path) -> None:
    assert open_dataset(f"camvid:{camvid_data}", "segmentation", "trainval").names == ["a_1", "a_2", "b_1"]


def test_a_label_of_twelve_is_refused(camvid_data: Path) -> None:
    ids = np.zeros((12, 16), np.uint8)
    ids[3, 4:6] = 12
    Image.fromarray(ids).save(camvid_data / "train/labels/a_1.png")
    with pytest.raises(InputError, match=r"train/labels/a_1.png holds the value 12 in 2 pixels, outside .* 0..10"):
        open_dataset(f"camvid:{camvid_data}", "segmentation").labels(0)


def test_serves_segmentation_only_and_the_splits_it_has(camvid_data: Path) -> None:
    with pytest.raises(InputError, match="camvid serves segmentation, not normals"):
        open_dataset(f"camvid:{camvid_data}", "normals")
    with pytest.raises(InputError, match="no split 'test'; it has train, val, trainval"):
        open_dataset(f"camvid:{camvid_data}", "segmentation", "test")
    assert has_split(f"camvid:{camvid_data}", "segmentation", "val")
    assert not has_split(f"camvid:{camvid_data}", "segmentation", "test")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder train/images"):
        open_dataset(f"camvid:{tmp_path}", "segmentation")


def test_one_name_in_two_splits_cannot_be_joined(camvid_data: Path) -> None:
    for kind in ("images", "labels"):
        (camvid_data / f"val/{kind}/b_1.png").rename(camvid_data / f"val/{kind}/a_1.png")
    with pytest.raises(InputError, match=r"val/images/a_1.png and train/images/a_1.png share a name"):
        open_dataset(f"camvid:{camvid_data}", "segmentation", "trainval")
