"""dataset.json as `check --write` keeps it says all that was said and found; of trees see test_folder_trees.py."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from trees import grow

from pixelnet.cli import main
from pixelnet.data import open_dataset
from pixelnet.data.folder import Folder
from pixelnet.data.folder.proposed import proposed_form, write_form
from pixelnet.errors import InputError


def again(dataset: Folder, tmp_path: Path) -> Folder:
    """The same data by what was written of it."""
    return Folder(write_form(dataset, tmp_path / "said.json"), dataset.task, dataset.split)


def test_what_was_said_stays_said(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "photos/{a,b,c}.png\nmasks/{a,b}.png ids")
    said = {
        "images": "photos/*.png", "missing_labels": "skip", "group": "^(.)", "unlabelled": [2], "line_width": 7,
        "classes": [
            {"name": "x", "value": 0, "color": [1, 2, 3]}, {"name": "y", "values": "other", "color": [4, 5, 6]},
        ],
    }  # fmt: skip
    dataset = Folder(root, "segmentation", changes=said)
    form = proposed_form(dataset)
    assert form.images == ("photos/*.png",)
    assert (form.missing_labels, form.group, form.line_width) == ("skip", "^(.)", 7)
    found = again(dataset, tmp_path)
    assert found.names == dataset.names == ["a", "b"]
    assert found.groups == dataset.groups == ("a", "b")
    assert found.class_colors == dataset.class_colors == ((1, 2, 3), (4, 5, 6))
    np.testing.assert_array_equal(found.labels(0), dataset.labels(0))
    assert set(np.unique(dataset.labels(0))) == {0, 1, 255}


def test_images_that_were_said_are_kept_where_labels_fit_no_pattern(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "a/x.png\nb/y.png\nb/deep/z.png\nlabels/{x,y,z}.png ids")
    form = proposed_form(Folder(root, "segmentation", changes={"images": ["a/*.png", "b/**/*.png"]}))
    assert form.images == ("a/*.png", "b/**/*.png")
    assert form.labels == ()


def test_values_edges_and_normals_keep_their_keys(tmp_path: Path) -> None:
    for task, folder, keys in (
        ("regression", "depth", {"scale": 0.5, "nodata": [0.0]}),
        ("edges", "edges", {"invert": True, "annotators": "vote"}),
    ):
        root = grow(tmp_path / task, f"rgb/{{a,b}}.png\n{folder}/{{a,b}}.png bw")
        dataset = Folder(root, task, changes=keys)
        found = again(dataset, tmp_path)
        np.testing.assert_array_equal(found.labels(0), dataset.labels(0))
        assert {key: json.loads((tmp_path / "said.json").read_text())[key] for key in keys} == keys


def test_ranges_and_channels_stay_as_they_were_found(tmp_path: Path) -> None:
    """More images do not move the range that a model was learnt with."""
    root = grow(tmp_path / "data", "labels/{a,b}.png ids")
    (root / "images").mkdir()
    for k, name in enumerate("ab"):
        array = np.random.default_rng(k).integers(100, 900, (16, 24, 4)).astype(np.uint16)
        tifffile.imwrite(root / f"images/{name}.tif", array, photometric="minisblack", planarconfig="contig")
    dataset = Folder(root, "segmentation")
    assert dataset.ranges is not None
    found = again(dataset, tmp_path)
    assert (found.channels, found.ranges) == (dataset.channels, dataset.ranges)


def test_anti_aliased_masks_keep_their_threshold(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "images/{a,b}.jpg\nmasks/{a,b}.jpg jpeg")
    dataset = Folder(root, "segmentation", changes={"threshold": 100})
    assert dataset.class_names == ("0", "255")
    found = again(dataset, tmp_path)
    np.testing.assert_array_equal(found.labels(1), dataset.labels(1))
    assert len(np.unique(found.labels(1))) == 2


def test_the_command_line_writes_it_here_or_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = grow(tmp_path / "data", "images/{a,b}.png\nmasks/{a,b}.png bw")
    elsewhere = tmp_path / "there.json"
    assert main(["check", str(root), "--classes", "ground,roof", "--out", str(elsewhere)]) == 0
    assert not (root / "dataset.json").exists()
    assert f"written: {elsewhere}" in capsys.readouterr().out
    assert open_dataset(elsewhere, "segmentation").class_names == ("ground", "roof")
    assert main(["check", str(root), "--set", "classes=ground,roof", "--set", "group=^(.)", "--write"]) == 0
    written = json.loads((root / "dataset.json").read_text())
    assert written["group"] == "^(.)"
    assert "root" not in written
    assert open_dataset(root, "segmentation").class_names == ("ground", "roof")
    assert main(["check", str(root), "--set", "grup=x"]) == 2
    assert "unknown key 'grup'; did you mean 'group'?" in capsys.readouterr().err


def test_benchmarks_have_a_form_of_their_own(camvid_data: Path) -> None:
    with pytest.raises(InputError, match=r"has a form of its own; dataset.json is for folders of your own"):
        write_form(open_dataset(f"camvid:{camvid_data}", "segmentation"))
