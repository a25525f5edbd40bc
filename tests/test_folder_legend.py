"""Files that other tools lay beside label maps tell their classes."""

import json
from pathlib import Path

import pytest
from trees import TREES, grow

from pixelnet.data import open_dataset
from pixelnet.data.folder.nnunet import as_form, is_nnunet
from pixelnet.data.folder.proposed import write_form
from pixelnet.errors import InputError


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ("VOC from CVAT", ("background", "car", "sign")),
        ("masks from Roboflow", ("background", "car", "sign")),
        ("DeepGlobe", ("unknown", "urban", "forest")),
        ("nnU-Net", ("background", "cell", "rim")),
    ],
)
def test_classes_are_told(tree: str, names: tuple[str, ...], tmp_path: Path) -> None:
    dataset = open_dataset(grow(tmp_path, TREES[tree]["files"]), "segmentation")
    assert dataset.class_names == names
    assert {*dataset.labels(0).ravel().tolist()} == {0, 1, 2}
    own = open_dataset(tmp_path, "segmentation", changes={"classes": [
        {"name": name, "value": k, "color": [255 * (k == 1), 255 * (k == 2), 0]} for k, name in enumerate("xyz")
    ]})  # fmt: skip
    assert own.class_names == ("x", "y", "z")  # what is said in our own words counts for more


def test_files_that_say_different_things_are_refused(tmp_path: Path) -> None:
    root = grow(tmp_path, TREES["masks from Roboflow"]["files"])
    (root / "valid/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, bus\n2, sign\n")
    with pytest.raises(InputError, match=r"valid/_classes.csv and test/_classes.csv name other classes; keep one"):
        open_dataset(root, "segmentation")


def test_nnunet_of_either_version() -> None:
    second = {"channel_names": {"0": "T2"}, "labels": {"background": 0, "tumor": 2, "ignore": 3}, "file_ending": ".tif"}
    first = {"modality": {"0": "T2"}, "labels": {"0": "background", "2": "tumor"}, "numTraining": 4}
    expected = [{"name": "background", "value": 0}, {"name": "tumor", "value": 2}]
    assert as_form(second, "x") == {"classes": expected, "unlabelled": [3]}
    assert as_form(first, "x") == {"classes": expected, "unlabelled": []}
    assert is_nnunet(first)
    assert is_nnunet(second)
    assert not is_nnunet({"labels": "masks/*", "numTraining": 3})
    with pytest.raises(InputError, match="x: nnU-Net keeps the channels T1, T2 in a file each, which is not read"):
        as_form({**second, "channel_names": {"0": "T1", "1": "T2"}}, "x")
    with pytest.raises(InputError, match="x: nnU-Net's labels are not one number a class"):
        as_form({**second, "labels": {"background": 0, "whole": [1, 2], "core": [2]}}, "x")


def test_nnunets_own_file_is_not_written_over(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", TREES["nnU-Net"]["files"])
    dataset = open_dataset(root, "segmentation")
    with pytest.raises(InputError, match=r"dataset.json is nnU-Net's, and stays so; keep what was found elsewhere"):
        write_form(dataset)
    assert "numTraining" in json.loads((root / "dataset.json").read_text())
    write_form(dataset, tmp_path / "own.json")
    assert open_dataset(tmp_path / "own.json", "segmentation").class_names == dataset.class_names
