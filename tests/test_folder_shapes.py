"""Files of many images' shapes, and which pictures they mean; the shapes themselves are in test_folder_drawn.py."""

import json
from pathlib import Path

import pytest
from trees import coco, grow

from pixelnet.data import open_dataset
from pixelnet.data.folder.survey import survey
from pixelnet.errors import InputError


def write(path: Path, file_name: str = "a.jpg", category: str = "car") -> None:
    content = coco(file_name)
    content["categories"][0]["name"] = category
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def images(root: Path, **form) -> dict[str, str]:
    """The image of each file of shapes."""
    return {str(item.labels[0]): str(item.image) for item in survey(root, "segmentation", form).items if item.labels}


@pytest.mark.parametrize(
    "file_name", ["a.jpg", "photos/a.jpg", "/elsewhere/photos/a.jpg", "C:\\\\me\\\\photos\\\\a.jpg", "./a.jpg"]
)
def test_an_image_is_found_by_the_end_of_its_path(file_name: str, tmp_path: Path) -> None:
    grow(tmp_path, "photos/a.jpg\nother/a.jpg")
    write(tmp_path / "photos/labels.json", file_name)
    assert images(tmp_path) == {"photos/labels.json": "photos/a.jpg"}


def test_of_two_pictures_of_one_name_the_one_of_the_files_split(tmp_path: Path) -> None:
    grow(tmp_path, "{train,val}2017/a.jpg")
    for split in ("train", "val"):
        write(tmp_path / f"annotations/instances_{split}2017.json")
    assert images(tmp_path) == {
        f"annotations/instances_{split}2017.json": f"{split}2017/a.jpg" for split in ("train", "val")
    }


def test_classes_of_all_files(tmp_path: Path) -> None:
    grow(tmp_path, "{train,valid}/a.jpg")
    write(tmp_path / "train/_annotations.coco.json", category="car")
    write(tmp_path / "valid/_annotations.coco.json", category="bus")
    for split in ("train", "val"):
        assert open_dataset(tmp_path, "segmentation", split).class_names == ("background", "car", "bus")


def test_a_file_that_is_named_is_taken_and_others_are_not(tmp_path: Path) -> None:
    grow(tmp_path, "a.jpg")
    write(tmp_path / "draft.json", category="bus")
    write(tmp_path / "final.json", category="car")
    dataset = open_dataset(tmp_path, "segmentation", changes={"labels": "final.json"})
    assert dataset.class_names == ("background", "car")
    assert dataset.names == ["a"]


def test_two_files_on_one_image_are_refused(tmp_path: Path) -> None:
    """Both would be an image of one name and split; which shapes are meant cannot be known."""
    grow(tmp_path, "a.jpg")
    write(tmp_path / "draft.json")
    write(tmp_path / "final.json")
    with pytest.raises(InputError):
        open_dataset(tmp_path, "segmentation")


def test_label_maps_beside_shapes_are_refused_until_one_is_meant(tmp_path: Path) -> None:
    grow(tmp_path, "images/a.jpg\nmasks/a.png bw")
    write(tmp_path / "annotations/all.json")
    with pytest.raises(InputError, match=r"masks/a.png and annotations/all.json both hold labels; keep one of them"):
        open_dataset(tmp_path, "segmentation")
    maps = open_dataset(tmp_path, "segmentation", changes={"images": "images/*", "labels": "masks/{name}.png"})
    assert maps.class_names == ("0", "255")
    shapes = open_dataset(tmp_path, "segmentation", changes={"labels": "annotations/all.json"})
    assert shapes.class_names == ("background", "car")


@pytest.mark.parametrize("policy", ["skip", "background"])
def test_pictures_that_no_file_knows(policy: str, tmp_path: Path) -> None:
    grow(tmp_path, "{a,b}.jpg")
    write(tmp_path / "labels.json")
    with pytest.raises(InputError, match=r"b.jpg is not among the images of labels.json"):
        open_dataset(tmp_path, "segmentation")
    dataset = open_dataset(tmp_path, "segmentation", changes={"missing_labels": policy})
    assert dataset.names == ["a", "b"][: 1 + (policy == "background")]
    assert policy == "skip" or not dataset.labels(1).any()
