"""Inputs of people's own that once gave a wrong answer without a word, each with its right one.

They are written by the generator that lies beside the real data, in cases/, which describes each; it is asked for the
values below, worked out from its own recipe (discs on dark ground, `scene` of seed 0, 1, ...).
"""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelnet.data import Dataset, first_task, has_split, open_dataset
from pixelnet.data.check import check
from pixelnet.errors import InputError


@pytest.fixture(scope="session")
def cases(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = real_data.parent / "cases" / "make.py"
    if not script.is_file():
        pytest.skip(f"no {script}, which writes these inputs")
    out = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, script, out], check=True, capture_output=True)
    return out


def opened(root: Path, split: str = "train", **changes: Any) -> Dataset:
    return open_dataset(f"folder:{root}", first_task(root), split, changes)


def ids_of(path: Path) -> np.ndarray:
    """Label maps as they are stored, one after the other."""
    return np.stack([np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))])


def every(dataset: Dataset) -> np.ndarray:
    return np.stack([dataset.labels(i) for i in range(len(dataset))])


# ---------------------------------------------------------------------------- values that mean something else


def test_binary255(cases: Path) -> None:
    dataset = opened(cases / "binary255")
    assert dataset.class_names == ("0", "255")
    np.testing.assert_array_equal(every(dataset), ids_of(cases / "binary255/labels") // 255)
    assert "two classes" in str(check(dataset))
    assert opened(cases / "binary255", classes=["ground", "disc"]).class_names == ("ground", "disc")


def test_binary255_named(cases: Path) -> None:
    report = check(opened(cases / "binary255-named"))
    assert report.labels == pytest.approx({"background": 0.8721, "building": 0.1279, "unlabelled": 0}, abs=1e-4)
    assert not report.problems


def test_colours(cases: Path) -> None:
    dataset = opened(cases / "colours")
    assert dataset.class_names == ("soil", "weed", "crop")
    stored = ids_of(cases / "colours/labels")
    np.testing.assert_array_equal(every(dataset), 1 * (stored[..., 0] > 0) + 2 * (stored[..., 1] > 0))


def test_grey_in_three(cases: Path) -> None:
    dataset = opened(cases / "grey-in-three")
    assert dataset.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(every(dataset), ids_of(cases / "grey-in-three/labels")[..., 0])


def test_sparse_ids(cases: Path) -> None:
    dataset = opened(cases / "sparse-ids")
    assert dataset.class_names == ("10", "30", "80")
    np.testing.assert_array_equal(every(dataset), np.searchsorted([10, 30, 80], ids_of(cases / "sparse-ids/labels")))
    named = opened(cases / "sparse-ids", classes=["soil", "weed", "crop"])
    assert any("soil 10, weed 30, crop 80" in note for note in named.notes)  # type: ignore[attr-defined]


def test_zero_unlabelled(cases: Path) -> None:
    dataset = opened(cases / "zero-unlabelled")
    assert dataset.class_names == ("weed", "crop")
    np.testing.assert_array_equal(every(dataset), np.array([255, 0, 1])[ids_of(cases / "zero-unlabelled/labels")])


def test_depth_zero_holes(cases: Path) -> None:
    with_nan = opened(cases / "depth-nan-holes")
    asked = opened(cases / "depth-zero-holes")
    assert any("0 is the value of 30.2% of the pixels" in own for own in check(asked).questions)
    assert any('"scale": 0.001' in own for own in check(asked).questions)
    said = opened(cases / "depth-zero-holes", nodata=[0], scale=0.001)
    np.testing.assert_allclose(every(said), every(with_nan), atol=0.001)  # millimeters are rounded; NaN equals NaN
    assert check(said).labels["unlabelled"] == pytest.approx(0.3021, abs=1e-4)
    assert not check(said).questions


# ------------------------------------------------------------------ pictures that are not three bytes of RGB


def test_stack(cases: Path) -> None:
    dataset = opened(cases / "stack")
    assert dataset.names == [f"volume[{page}]" for page in range(6)]
    with Image.open(cases / "stack/images/volume.tif") as images, Image.open(cases / "stack/labels/volume.tif") as maps:
        for page in range(6):
            images.seek(page)
            maps.seek(page)
            np.testing.assert_array_equal(dataset.image(page)[..., 0], np.asarray(images))
            np.testing.assert_array_equal(dataset.labels(page), np.asarray(maps))


def test_twelve_bit(cases: Path) -> None:
    dataset = opened(cases / "twelve-bit")
    assert dataset.ranges is not None
    (low, high), *_ = dataset.ranges
    stored = np.stack([dataset.image(i)[..., 0] for i in range(len(dataset))])
    assert (low, high) == pytest.approx(np.percentile(stored, [0.1, 99.9]), rel=0.05)
    assert len(np.unique(np.clip((stored - low) / (high - low) * 255, 0, 255).astype(np.uint8))) > 200


def test_near_infrared(cases: Path) -> None:
    dataset = opened(cases / "near-infrared")
    assert len(dataset.channels) == 4
    near = np.random.default_rng(0).integers(0, 255, (96, 128))  # as the recipe draws it, never blended
    np.testing.assert_array_equal(dataset.image(0)[..., 3], near)


@pytest.mark.parametrize("case", ["exif-180", "exif-90"])
def test_exif(cases: Path, case: str, tmp_path: Path) -> None:
    """Labels on the photo as it is stored are turned as the photo is; undone, both are what lies on disk."""
    dataset = opened(cases / case)
    turns = {"exif-180": 2, "exif-90": 3}[case]  # EXIF's 3 and 6, quarter turns against the clock
    stored = ids_of(cases / case / "labels")
    for i, ids in enumerate(stored):
        np.testing.assert_array_equal(dataset.labels(i), np.rot90(ids, turns))
        with Image.open(cases / case / f"images/p{i}.jpg") as photo:
            np.testing.assert_array_equal(dataset.image(i), np.rot90(np.asarray(photo), turns))
    text = str(check(dataset))
    assert "the labels fit the photos as they are stored" in text
    assert '"orientation": "exif" in dataset.json says otherwise' in text
    assert "resize" not in text


# ------------------------------------------------------------------------------- folders as people have them


@pytest.mark.parametrize("case", ["images-split", "masks-folder", "suffix", "one-folder"])
def test_folders_as_people_have_them(cases: Path, case: str) -> None:
    reference = every(opened(cases / "suffix"))  # the same two pairs in each
    for split in ("train", "val") if case == "images-split" else ("train",):
        dataset = opened(cases / case, split)
        assert dataset.names == ["p0", "p1"]
        np.testing.assert_array_equal(every(dataset), reference)
        assert check(dataset).problems == []
    assert has_split(cases / case, "segmentation", "val") == (case == "images-split")


def test_validation(cases: Path) -> None:
    for split in ("train", "val", "test"):
        assert has_split(cases / "validation", "segmentation", split)
        assert opened(cases / "validation", split).names == ["p0", "p1"]
    assert opened(cases / "validation", "val").files(0)[0].parts[-3] == "validation"


def test_mac_and_broken_one_are_checked(cases: Path) -> None:
    assert opened(cases / "mac").names == ["p0", "p1"]
    (problem,) = check(opened(cases / "broken-one")).problems
    assert "p2.png cannot be read" in problem


# ------------------------------------------------------------------------------------------------- shapes


def test_labelme_ignore(cases: Path) -> None:
    dataset = opened(cases / "labelme-ignore")
    assert dataset.class_names == ("background", "car")
    labels = dataset.labels(0)
    assert (labels[40, 40], labels[40, 95], labels[80, 10]) == (1, 255, 0)


def test_labelme_mask(cases: Path) -> None:
    expected = np.zeros((96, 128), np.uint8)
    expected[20:61, 20:61] = 1
    np.testing.assert_array_equal(opened(cases / "labelme-mask").labels(1), expected)


@pytest.mark.parametrize("case", ["cvat", "roboflow"])
def test_coco(cases: Path, case: str) -> None:
    dataset = opened(cases / case)
    assert dataset.class_names == ("background", "car")
    assert dataset.names == ["p0", "p1"]
    assert dataset.labels(0)[20:60, 20:60].all()
    assert dataset.labels(0).sum() == 1600


@pytest.mark.parametrize(
    ("case", "file", "what"),
    [
        ("rle-wraps", "labels.json", "run lengths add up to 18446744073709563904, expected 12288"),
        ("size-lies", "labels.json", "says that p0.png is 40000x40000, but it is 128x96"),
        ("width-infinite", "labels.json", ""),
        ("deep-json", "p0.json", ""),
        ("huge-integer", "p0.json", ""),
    ],
)
def test_hostile_files_are_one_message(cases: Path, case: str, file: str, what: str) -> None:
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        opened(cases / case).labels(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file in str(caught.value)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak < 50e6


def test_many_polygons(cases: Path) -> None:
    dataset = opened(cases / "many-polygons")
    tracemalloc.start()
    labels = dataset.labels(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
    content = json.loads((cases / "many-polygons/labels.json").read_text())
    corners = [own["segmentation"][0][:2] for own in content["annotations"]]
    assert len(corners) == 400
    assert all(labels[y + 5, x + 10] == 1 for x, y in corners)
    assert 0.9 * 400 * 350 < labels.sum() <= 400 * 400  # each 20 x 15 and a triangle of 50, some over others


# --------------------------------------------------------------------------------------- sets as downloaded


def own(real_data: Path, name: str) -> Path:
    if not (real_data / "own" / name).is_dir():
        pytest.skip(f"no {real_data / 'own' / name}")
    return real_data / "own" / name


def test_chase(real_data: Path) -> None:
    """28 fundus photographs, two people's vessels on each."""
    root = own(real_data, "chase")
    dataset = opened(root)
    assert len(dataset) == 28
    assert all([path.name for path in dataset.files(i)[1:]] == [f"{name}_{k}HO.png" for k in ("1st", "2nd")]
               for i, name in enumerate(dataset.names))  # fmt: skip
    first = np.asarray(Image.open(root / f"{dataset.names[3]}_1stHO.png")).astype(bool)
    np.testing.assert_array_equal(dataset.labels(3), first)
    assert any("2 people" in note for note in dataset.notes)  # type: ignore[attr-defined]
    assert len(dataset.class_names) == 2


def test_em(real_data: Path) -> None:
    """30 slices of electron microscopy; labels are 0 and 255, and both are classes."""
    dataset = opened(own(real_data, "em"))
    assert len(dataset) == 30
    assert dataset.class_names == ("0", "255")
    report = check(dataset)
    assert report.problems == []
    assert report.labels["unlabelled"] == 0
    assert sum(report.labels.values()) == pytest.approx(1)
