"""Trees of whole data sets are in test_folder_trees.py; here is what is said of them, and what names alone decide."""

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image
from trees import TREES, grow

from pixelnet.data import open_dataset
from pixelnet.data.folder.layout import begin_alike, discover, files_in, looks_like_labels
from pixelnet.data.folder.words import Vocabulary
from pixelnet.errors import InputError

ANY = Vocabulary((), frozenset(), generic=True)


def found(root: Path, text: str) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """The labels of each image, what is nobody's, and what is noted, of a tree's text."""
    files, _ = files_in(grow(root, text))
    result = discover(root, files, ANY, (), lambda _: None)
    pairs = {str(image.path): [str(place.path) for place in labels] for image, labels in result.pairs}
    return pairs, [str(place.path) for place in result.orphans], result.notes


def test_files_are_listed_without_hidden_ones_and_links_in_circles(tmp_path: Path) -> None:
    grow(tmp_path, "a/{x,.hidden,._x}.png\n__MACOSX/x.png\nThumbs.db = x\n.git/config = x")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "z.zarr").mkdir()
    (tmp_path / "z.zarr/0").touch()
    files, skipped = files_in(tmp_path)
    assert files == [PurePosixPath("a/x.png"), PurePosixPath("z.zarr")]
    assert skipped["hidden"] == 3


def test_a_set_that_serves_a_whole_split_is_preferred_by_what_it_is_called(tmp_path: Path) -> None:
    _, _, notes = found(tmp_path, TREES["DRIVE, its test without labels"]["files"])
    (note,) = [note for note in notes if note.startswith("labels taken from")]
    assert note.startswith("labels taken from training/1st_manual/; 4 other files like test/mask/01_test_mask.gif")


def test_a_few_labels_of_a_better_name_do_not_displace_many(tmp_path: Path) -> None:
    pairs, _, notes = found(tmp_path, "images/{a,b,c,d}.png\nmanual/a.png bw\nmask/{a,b,c,d}.png bw")
    assert pairs["images/a.png"] == ["mask/a.png"]
    assert "labels taken from mask/; 1 other files like manual/a.png were left aside" in notes[0]


def test_renderings_give_way(tmp_path: Path) -> None:
    pairs, orphans, notes = found(
        tmp_path, "{a,b}.png\n{a,b}_label.png ids\n{a,b}_label_color.png colors\nc_label_color.png bw"
    )
    assert pairs["a.png"] == ["a_label.png"]
    assert orphans == []
    assert any("renderings" in note and "a_label_color.png" in note for note in notes)


def test_names_that_all_end_alike_are_paired_and_said(tmp_path: Path) -> None:
    pairs, _, notes = found(tmp_path, "images/{a,b}_left_8.png\nlabels/{a,b}_fine.png ids")
    assert pairs == {"images/a_left_8.png": ["labels/a_fine.png"], "images/b_left_8.png": ["labels/b_fine.png"]}
    assert notes == ["paired by their names without what all end in: images/a_left_8.png with labels/a_fine.png"]


@pytest.mark.parametrize(
    "text",
    [
        "images/a.png\nlabels/b.png ids",  # one of each is no pattern
        "images/p1_{1,2}.png\nlabels/p2_{1,2}.png ids",
        "images/{1,2}.png\nlabels/{3,4}.png ids",
    ],
)
def test_names_that_begin_alike_are_no_pairs(tmp_path: Path, text: str) -> None:
    pairs, orphans, _ = found(tmp_path, text)
    assert not any(pairs.values())
    assert len(orphans) == text.count("labels/{") + 1 or len(orphans) == 2


def test_one_label_of_two_images_is_nobodys(tmp_path: Path) -> None:
    """p1/1.png and p2/1.png, and one 1.png of labels: whose it is cannot be known."""
    pairs, orphans, _ = found(tmp_path, "images/{p1,p2}/1.png\nlabels/1.png ids")
    assert not any(pairs.values())
    assert orphans == ["labels/1.png"]


def test_two_files_of_one_persons_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels/a.png and labels/a.tif both hold labels of one image"):
        found(tmp_path, "images/{a,b}.jpg\nlabels/{a,b}.{png,tif} ids")


def test_photos_are_no_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 200, (20, 20), np.uint8)
    for name, array in (("few", many // 8), ("many", many), ("color", np.stack([many // 8] * 3, 2))):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    Image.fromarray(many // 8).save(tmp_path / "lossy.jpg")
    (tmp_path / "broken.png").write_text("none")
    names = ("few", "many", "color", "broken")
    assert [looks_like_labels(tmp_path / f"{name}.png") for name in names] == [True, False, False, False]
    assert not looks_like_labels(tmp_path / "lossy.jpg")


def test_two_folders_of_photos_are_no_pairs(tmp_path: Path) -> None:
    pairs, _, _ = found(tmp_path, "one/{a,b}.png\nother/{a,b}.png")
    assert not any(pairs.values())


def test_begin_alike() -> None:
    assert begin_alike(["abc", "abd", "ab"]) == 2
    assert begin_alike([("a", "b"), ("a", "c")]) == 1
    assert begin_alike([]) == 0
    assert begin_alike([()]) == 0


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_name_that_is_no_utf8_is_read_as_any_other(tmp_path: Path) -> None:
    grow(tmp_path, "images/{a,b}.png\nlabels/{a,b}.png ids")
    for folder in ("images", "labels"):
        (tmp_path / folder / "a.png").rename(tmp_path / folder / os.fsdecode(b"\xff.png"))
    assert len(open_dataset(tmp_path, "segmentation")) == 2
