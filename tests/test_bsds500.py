from pathlib import Path

import numpy as np
import pytest
from contract_dataset import DatasetContract
from scipy.io import loadmat

from pixelnet.data import Dataset, open_dataset
from pixelnet.errors import InputError


class TestBSDS500(DatasetContract):
    @pytest.fixture(params=["train", "val", "trainval"])
    def dataset(self, bsds500_data: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"bsds500:{bsds500_data}", "edges", request.param)


class TestRealBSDS500(DatasetContract):
    limit = 2

    @pytest.fixture
    def dataset(self, real_data: Path) -> Dataset:
        return open_dataset(f"bsds500:{real_data}/bsds500", "edges", "val")

    def test_has_every_annotator(self, dataset: Dataset) -> None:
        assert len(dataset) == 100
        cells = loadmat(dataset.files(0)[1])["groundTruth"]
        truth = dataset.truth(0)
        assert 4 <= len(truth) == cells.size <= 9
        for k in range(cells.size):
            np.testing.assert_array_equal(truth[k], cells.flat[k]["Boundaries"][0, 0] == 1)


def test_labels_are_the_share_of_annotators(bsds500_data: Path) -> None:
    dataset = open_dataset(f"bsds500:{bsds500_data}", "edges")
    truth, labels = dataset.truth(0), dataset.labels(0)
    assert truth.shape == (4, 12, 16)
    cells = loadmat(bsds500_data / "groundTruth/train/100.mat")["groundTruth"]
    assert [cells.flat[a]["Boundaries"][0, 0].sum() for a in range(4)] == truth.sum(axis=(1, 2)).tolist()
    for y in range(12):
        for x in range(16):
            assert labels[y, x] == pytest.approx(sum(bool(truth[a, y, x]) for a in range(4)) / 4)


def test_bad_input_is_named(bsds500_data: Path) -> None:
    with pytest.raises(InputError, match="bsds500 serves edges, not segmentation"):
        open_dataset(f"bsds500:{bsds500_data}", "segmentation")
    (bsds500_data / "groundTruth/train/100.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut")
    with pytest.raises(InputError, match=r"100\.mat cannot be read"):
        open_dataset(f"bsds500:{bsds500_data}", "edges").labels(0)
    (bsds500_data / "groundTruth/train/100.mat").unlink()
    with pytest.raises(InputError, match=r"images/train/100.png has no label: .*groundTruth/train/100 as \.mat"):
        open_dataset(f"bsds500:{bsds500_data}", "edges")
