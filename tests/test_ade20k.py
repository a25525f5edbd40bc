from pathlib import Path

import numpy as np
import pytest
from conftest import random_image, save_png
from contract_dataset import DatasetContract
from PIL import Image

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.check import check
from pixelnet.errors import InputError


@pytest.fixture
def ade20k(tmp_path: Path) -> Path:
    rng, root = np.random.default_rng(0), tmp_path / "ADEChallengeData2016"
    for part, kind, name in (
        ("training", "train", "00000002"),
        ("training", "train", "00000001"),
        ("validation", "val", "00000001"),
    ):
        image = root / f"images/{part}/ADE_{kind}_{name}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_image(rng)).save(image)
        save_png(root / f"annotations/{part}/ADE_{kind}_{name}.png", rng.integers(0, 151, (12, 16), dtype=np.uint8))
    names = [f"thing{k}, object{k}" for k in range(148)] + ["screen, silver screen", "screen, CRT screen"]
    rows = [f"{k}\t0.1\t11664\t1172\t1\t{name}" for k, name in enumerate(names, 1)]
    (root / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *rows, ""]))
    return root


class TestADE20K(DatasetContract):
    @pytest.fixture(params=["train", "val"])
    def dataset(self, ade20k: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"ade20k:{ade20k}", "segmentation", request.param)


def test_zero_is_unlabelled_and_classes_begin_at_one(ade20k: Path) -> None:
    dataset = open_dataset(f"ade20k:{ade20k}", "segmentation")
    stored = np.asarray(Image.open(ade20k / "annotations/training/ADE_train_00000001.png")).astype(int)
    np.testing.assert_array_equal(dataset.labels(0), np.where(stored == 0, 255, stored - 1))
    assert dataset.class_names[0] == "thing0"
    assert dataset.class_names[148:] == ("screen, silver screen", "screen, CRT screen")


def test_check_explains_it(ade20k: Path) -> None:
    report = check(open_dataset(f"ade20k:{ade20k}", "segmentation"))
    assert not report.problems
    assert "thing0" in str(report)


def test_what_is_wrong_is_named(ade20k: Path) -> None:
    save_png(ade20k / "annotations/validation/ADE_val_00000001.png", np.full((12, 16), 151, np.uint8))
    with pytest.raises(InputError, match=r"ADE_val_00000001\.png holds the value 151"):
        open_dataset(f"ade20k:{ade20k}", "segmentation", "val").labels(0)
    (ade20k / "objectInfo150.txt").write_text("Idx\tName\n1\twall\n")
    with pytest.raises(InputError, match="names 1 classes, expected 150"):
        open_dataset(f"ade20k:{ade20k}", "segmentation")
    (ade20k / "objectInfo150.txt").unlink()
    with pytest.raises(InputError, match=r"no .*objectInfo150\.txt"):
        open_dataset(f"ade20k:{ade20k}", "segmentation")
    with pytest.raises(InputError, match="no split 'test'; it has train, val"):
        open_dataset(f"ade20k:{ade20k}", "segmentation", "test")
