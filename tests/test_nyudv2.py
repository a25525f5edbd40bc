import json
from pathlib import Path

import numpy as np
import pytest
import torch
from contract_dataset import DatasetContract
from PIL import Image

from pixelnet import PixelNet, evaluate
from pixelnet.data import Dataset, has_split, open_dataset
from pixelnet.errors import InputError

VARIANTS = [("nyudv2", "segmentation"), ("nyudv2", "normals"), ("nyudv2", "regression"), ("nyudv2-13", "segmentation")]


class TestNYUDv2(DatasetContract):
    @pytest.fixture(params=VARIANTS, ids="-".join)
    def dataset(self, nyudv2_data: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"{request.param[0]}:{nyudv2_data}", request.param[1])


class TestRealNYUDv2(DatasetContract):
    limit = 1

    @pytest.fixture(params=VARIANTS, ids="-".join)
    def dataset(self, real_data: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"{request.param[0]}:{real_data}/nyudv2", request.param[1], "val")

    def test_is_the_folder_test(self, dataset: Dataset) -> None:
        assert len(dataset) == 334
        assert dataset.files(0)[0].parent.parent.name == "test"
        assert dataset.image(0).shape == (212, 280, 3)

    def test_normals_face_the_camera_and_depth_is_in_meters(self, dataset: Dataset) -> None:
        labels = dataset.labels(0)
        if dataset.task == "normals":
            assert (labels[..., 2] <= 0).mean() > 0.9
        if dataset.task == "regression":
            assert 0.3 <= np.nanmin(labels) <= np.nanmax(labels) <= 9.9


def stored(root: Path, kind: str) -> np.ndarray:
    return np.asarray(Image.open(root / "train" / kind / "0001.png"))


def test_forty_classes(nyudv2_data: Path) -> None:
    dataset = open_dataset(f"nyudv2:{nyudv2_data}", "segmentation")
    assert dataset.class_names == tuple(map(str, range(1, 41)))
    for before, after in zip(stored(nyudv2_data, "labels40").flat, dataset.labels(0).flat, strict=True):
        assert after == (255 if before == 0 else before - 1)


def test_thirteen_classes_by_the_table(nyudv2_data: Path) -> None:
    dataset = open_dataset(f"nyudv2-13:{nyudv2_data}", "segmentation")
    assert dataset.class_names == tuple("abcdefghijklm")
    table = json.loads((nyudv2_data / "classes.json").read_text())["map40to13"]
    for before, after in zip(stored(nyudv2_data, "labels40").flat, dataset.labels(0).flat, strict=True):
        assert after == (255 if before == 0 else table[before] - 1)


def test_forty_classes_are_scored_as_thirteen(nyudv2_data: Path) -> None:
    torch.manual_seed(0)
    coarse, fine = (open_dataset(f"nyudv2{kind}:{nyudv2_data}", "segmentation", "val") for kind in ("-13", ""))
    model = PixelNet("segmentation", 40, "test_resnet", hidden=(8,), class_names=fine.class_names).eval()
    scores = evaluate(model, data=coarse.source)
    table = json.loads((nyudv2_data / "classes.json").read_text())["map40to13"][1:]
    hits = known = 0
    for i in range(len(coarse)):
        shares, truth = model.predict(coarse.image(i), probabilities=True), coarse.labels(i)
        summed = np.stack([shares[..., [t == k for t in table]].sum(-1) for k in range(1, 14)], axis=-1)
        hits += (summed.argmax(-1) == truth)[truth != 255].sum()
        known += (truth != 255).sum()
    assert scores["pixel_accuracy"] == pytest.approx(hits / known)
    assert len(scores["iou_per_class"]) == 13
    assert coarse.merge(coarse.class_names) is None
    assert fine.merge(coarse.class_names) is None


def test_depth_in_meters_and_zero_unlabelled(nyudv2_data: Path) -> None:
    depth = open_dataset(f"nyudv2:{nyudv2_data}", "regression").labels(0)
    millimeters = stored(nyudv2_data, "depth")
    assert np.isnan(depth[0, 0])
    assert np.isnan(depth).sum() == 1
    assert depth[3, 4] == pytest.approx(int(millimeters[3, 4]) / 1000, rel=1e-6)


def test_val_is_test_and_there_is_no_other(nyudv2_data: Path) -> None:
    spec = f"nyudv2:{nyudv2_data}"
    assert open_dataset(spec, "normals", "val").names == open_dataset(spec, "normals", "test").names == ["0003"]
    assert has_split(spec, "normals", "val")
    with pytest.raises(InputError, match="no split 'trainval'; it has train, val, test"):
        open_dataset(spec, "normals", "trainval")
    with pytest.raises(InputError, match="nyudv2-13 serves segmentation, not normals"):
        open_dataset(f"nyudv2-13:{nyudv2_data}", "normals")


def test_bad_input_is_named(nyudv2_data: Path) -> None:
    Image.fromarray(np.full((12, 16), 41, np.uint8)).save(nyudv2_data / "train/labels40/0001.png")
    with pytest.raises(InputError, match=r"labels40/0001.png holds the value 41 in 192 pixels"):
        open_dataset(f"nyudv2:{nyudv2_data}", "segmentation").labels(0)
    (nyudv2_data / "classes.json").write_text('{"labels40": ["wall"]}')
    with pytest.raises(InputError, match=r"classes.json has no list 'labels40' of 41 str"):
        open_dataset(f"nyudv2:{nyudv2_data}", "segmentation")
    (nyudv2_data / "classes.json").unlink()
    with pytest.raises(InputError, match=r"classes.json is not there"):
        open_dataset(f"nyudv2:{nyudv2_data}", "segmentation")
    assert len(open_dataset(f"nyudv2:{nyudv2_data}", "normals")) == 2  # which needs no class names
