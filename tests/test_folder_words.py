from pathlib import PurePosixPath

import pytest

from pixelnet.data.folder.words import Vocabulary, fields, vocabulary

ANY = Vocabulary((), frozenset(), generic=True)


def place(path: str, top: int = 0):
    return ANY.place(PurePosixPath(path), top=top)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Image_01L_1stHO", "image 01 l 1st ho"),
        ("SegmentationClass", "segmentation class"),
        ("PNGImages", "png images"),
        ("imagesTr", "images tr"),
        ("trainannot", "train annot"),
        ("leftImg8bit", "left img 8 bit"),
        ("benign (1)_mask", "benign 1 mask"),
        ("groundTruth", "ground truth"),
        ("gt_train-2.final", "gt train 2 final"),
        ("Jose\u0301_3", "jos\xe9 3"),
        ("21st_century", "21st century"),
        ("", ""),
    ],
)
def test_names_are_cut_into_fields(name: str, expected: str) -> None:
    assert [*fields(name)] == expected.split()


@pytest.mark.parametrize(
    ("path", "role", "split"),
    [
        ("images/a.png", "image", None),
        ("JPEGImages/a.jpg", "image", None),
        ("701_StillsRaw_full/a.png", "image", None),
        ("train/a.png", None, "train"),
        ("Validation/masks/a.png", "label", "val"),
        ("labels/testing/a.png", "label", "test"),
        ("images/train/raw/a.png", "image", "train"),
        ("gt/sub/a.png", "label", None),
        ("label_images_semantic/a.png", "label", None),
        ("GT_color/a.png", "rendered", None),
        ("SegmentationObject/a.png", "rendered", None),
        ("depth/a.png", None, None),
        ("a.png", None, None),
    ],
)
def test_folders_say_what_is_in_them(path: str, role: str | None, split: str | None) -> None:
    assert (place(path).role, place(path).split) == (role, split)


def test_the_deepest_folder_that_speaks_decides() -> None:
    assert place("semantic_dataset/original_images/a.png").role == "image"
    assert place("photos_and_masks/masks/a.png").role == "label"
    assert place("Dataset_with_GT/benign/a.png").role == "label"
    assert place("Dataset_with_GT/benign/a.png", top=1).role is None


def test_the_outermost_split_decides_below_what_holds_everything() -> None:
    assert place("val/train/a.png").split == "val"  # a picture of a train
    assert place("val/train/a.png").folder == ("train",)
    assert place("training_data/val/a.png").split == "train"
    assert ANY.place(PurePosixPath("training_data/val/a.png"), shared=1).split == "val"
    assert ANY.place(PurePosixPath("train/images/a.png"), shared=2).split == "train"
    assert place("train_val/images/a.png").split == "train"
    assert place("train_test_split/images/a.png").split is None


def test_words_of_labels_and_people_are_no_part_of_a_name() -> None:
    found = place("train/masks/p1/Image_01L_2ndHO.png")
    assert found.bare == ("01", "l")
    assert found.annotator == ("2nd",)
    assert found.spoken
    assert found.folder == ("p1",)
    assert place("images/1st_floor.png").bare == ("1st", "floor")  # a name without a word of labels keeps it
    assert place("masks/a_expert2.png").annotator == ("expert", "2")
    assert place("masks/rater_3/a.png").annotator == ("rater", "3")
    assert place("21_training.tif").barest == ("21",)


def test_a_task_has_words_of_its_own() -> None:
    edges = vocabulary("edges", "edges", generic=False)
    assert edges.place(PurePosixPath("contours/a.png")).role == "label"
    assert edges.place(PurePosixPath("masks/a.png")).role == "aside"
    depth = vocabulary("regression", "values", generic=True)
    assert depth.place(PurePosixPath("depth/a.png")).role == "label"
    assert depth.place(PurePosixPath("normals/a.png")).role == "aside"
    own = vocabulary("roughness", "roughness", generic=False)
    assert own.place(PurePosixPath("roughness/a.png")).role == "label"
    ids = vocabulary("segmentation", "labels", generic=True)
    assert ids.place(PurePosixPath("depth/a.png")).role == "aside"
