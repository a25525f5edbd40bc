"""What dataset.json says of images, labels and splits; what is found without it is in test_folder_trees.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from trees import grow

from pixelnet.data import has_split, open_dataset
from pixelnet.data.folder.survey import survey
from pixelnet.errors import InputError


def found(root: Path, **form) -> dict[str, list[str]]:
    """The names of each split."""
    pairs: dict[str, list[str]] = {}
    for item in survey(root, "segmentation", form).items:
        pairs.setdefault(item.split or "-", []).append(item.name)
    return pairs


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    return grow(tmp_path, "photos/{s1,s2}/{a,b}.jpg\nmaps/{s1,s2}/{a,b}_m.png ids\nextra/z.jpg")


NAMED = {"images": "photos/**/*.jpg", "labels": "maps/{path}_m.png"}


def test_globs_and_patterns(sites: Path) -> None:
    assert found(sites, **NAMED) == {"-": ["s1/a", "s1/b", "s2/a", "s2/b"]}
    assert found(sites, images="photos/s1/*.jpg", labels="maps/s1/{name}_m.png") == {"-": ["a", "b"]}
    with pytest.raises(InputError, match=r"holds 9 images .* and no labels for segmentation"):
        found(sites, images="photos/**/*.jpg", labels="maps/{path}_x.png")


def test_splits_by_globs_and_by_lists(sites: Path) -> None:
    assert found(sites, **NAMED, splits={"train": "s1/*", "val": "s2/*"}) == {
        "train": ["s1/a", "s1/b"],
        "val": ["s2/a", "s2/b"],
    }
    (sites / "lists").mkdir()
    (sites / "lists/t.txt").write_text("s1/a\nphotos/s2/b.jpg\n")
    assert found(sites, **NAMED, splits={"train": "lists/t.txt", "val": "*/b*"} | {"val": "s1/b"}) == {
        "train": ["s1/a", "s2/b"],
        "val": ["s1/b"],
    }
    said = survey(sites, "segmentation", {**NAMED, "splits": {"train": "s1/*"}})
    assert "left aside: 2 images in no split (photos/s2/a.jpg, photos/s2/b.jpg)" in said.notes


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": "s1/*", "val": "s3/*"}, r"the split val \(s3/\*\) names no image; they are called photos/s1/a.jpg"),
        ({"train": "s1/*", "val": "*/a"}, r"photos/s1/a.jpg is in the splits train and val; it belongs in one"),
        ({"train": "none.txt"}, "none.txt"),
    ],
)
def test_splits_that_cannot_be(sites: Path, splits: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(sites, **NAMED, splits=splits)


def test_trainval_is_train_and_val(sites: Path) -> None:
    (sites / "dataset.json").write_text(json.dumps({**NAMED, "splits": {"train": "s1/*", "val": "s2/*"}}))
    assert open_dataset(sites, "segmentation", "trainval").names == ["s1/a", "s1/b", "s2/a", "s2/b"]
    assert not has_split(sites, "segmentation", "test")


def test_what_is_passed_over_is_said(sites: Path) -> None:
    (sites / ".DS_Store").touch()
    (sites / "README").write_text("x")
    said = " ".join(survey(sites, "segmentation", NAMED).passed_over)
    assert "1 hidden files" in said
    assert "1 no ending, 1 .jpg (README, extra/z.jpg)" in said or "1 .jpg, 1 no ending" in said


def test_a_stack_and_its_labels(tmp_path: Path) -> None:
    for folder, pages in (("images", 4), ("labels", 3)):
        (tmp_path / folder).mkdir()
        planes = np.random.default_rng(0).integers(0, 2, (pages, 12, 16), np.uint8)
        tifffile.imwrite(tmp_path / folder / "v.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(
        InputError, match=r"images/v.tif holds 4 images and labels/v.tif 3; give one label map an image"
    ):
        found(tmp_path)
    tifffile.imwrite(
        tmp_path / "labels/v.tif", planes[[0, 1, 2, 0]], photometric="minisblack", metadata={"axes": "ZYX"}
    )
    assert found(tmp_path) == {"-": [f"v[{k}]" for k in range(4)]}
    np.testing.assert_array_equal(open_dataset(tmp_path, "segmentation").labels(3), planes[0])


def test_pages_of_a_stack_may_have_a_file_of_labels_each(tmp_path: Path) -> None:
    planes = np.random.default_rng(0).integers(0, 2, (4, 12, 16), np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", planes * 200, photometric="minisblack", metadata={"axes": "ZYX"})
    (tmp_path / "drawn").mkdir()
    for page in (1, 3):
        Image.fromarray(planes[page]).save(tmp_path / "drawn" / f"v[{page}].png")
    told: dict[str, Any] = {"images": ["*.tif"], "labels": ["drawn/{path}.png"]}
    with pytest.raises(InputError, match=r"2 of 4 images of v.tif have no labels: v.tif\[0\], v.tif\[2\]; "):
        survey(tmp_path, "segmentation", told)
    data = open_dataset(tmp_path, "segmentation", "train", told | {"missing_labels": "skip"})
    assert data.names == ["v[1]", "v[3]"]
    for k, page in enumerate((1, 3)):
        np.testing.assert_array_equal(data.labels(k), planes[page])
        np.testing.assert_array_equal(data.image(k)[..., 0], planes[page] * 200)
    all_of_it = open_dataset(tmp_path, "segmentation", "train", told | {"missing_labels": "background"})
    assert (len(all_of_it), all_of_it.labels(2).max()) == (4, 0)


def test_a_change_on_disk_is_seen(sites: Path) -> None:
    """Surveys are kept for as long as no file that they depend on changes."""
    assert len(found(sites, **NAMED)["-"]) == 4
    grow(sites, "photos/s1/c.jpg\nmaps/s1/c_m.png ids")
    assert len(found(sites, **NAMED)["-"]) == 5
    (sites / "photos/s1/c.jpg").unlink()
    assert len(found(sites, **NAMED)["-"]) == 4


def test_each_task_has_its_own_labels(tmp_path: Path) -> None:
    grow(tmp_path, "rgb/{a,b}.png\nlabels/{a,b}.png ids\nedges/{a,b}.png bw\ndepth/{a,b}.png bw")
    for task, folder in (("segmentation", "labels"), ("edges", "edges"), ("regression", "depth")):
        (label,) = survey(tmp_path, task).items[0].labels
        assert label.parent.name == folder
    with pytest.raises(InputError, match=r"no labels for normals|one color|RGB"):
        open_dataset(tmp_path, "normals").labels(0)
