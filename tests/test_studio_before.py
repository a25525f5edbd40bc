"""Labels that a folder has before the studio opens it: of every form and split, and said where they cannot be read."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import save_png
from studio_folder import HEIGHT, make_folder, striped

from pixelnet.studio.project import Project


def labelme(folder: Path, k: int) -> None:
    """Two of an image's stripes, as LabelMe writes them."""
    outline = [[0, 0], [10, 0], [10, HEIGHT], [0, HEIGHT]]
    shapes = [
        {"label": name, "points": [[x + 10 * at, y] for x, y in outline], "shape_type": "polygon"}
        for at, name in enumerate(("dark", "light"))
    ]
    content = {"imagePath": f"image-{k}.png", "imageHeight": HEIGHT, "imageWidth": 80, "shapes": shapes}
    (folder / f"image-{k}.json").write_text(json.dumps(content))


def test_outlines_of_some_images_are_taken_over(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "images")
    labelme(folder, 0)
    labelme(folder, 1)
    project = Project(folder)
    assert (project.notice, project.classes.names) == ("", ["background", "dark", "light"])
    assert [project.state(k) for k in range(3)] == ["labelled", "labelled", "unlabelled"]
    expected = np.zeros((HEIGHT, 80), int)
    expected[:, :10], expected[:, 10:20] = 1, 2
    np.testing.assert_array_equal(project.labels(1), expected)


def test_labels_of_every_split_are_taken_over_and_are_no_images(tmp_path: Path) -> None:
    for split in ("train", "val"):
        make_folder(tmp_path / "images" / split, 2)
        for k in range(2):
            save_png(tmp_path / "labels" / split / f"image-{k}.png", striped(k).astype(np.uint8))
    project = Project(tmp_path)
    assert project.paths == [f"images/{split}/image-{k}.png" for split in ("train", "val") for k in range(2)]
    for k in range(4):
        np.testing.assert_array_equal(project.labels(k), striped(k % 2))


@pytest.mark.parametrize("torn", [False, True])
def test_labels_that_cannot_be_read_are_said(tmp_path: Path, torn: bool) -> None:
    folder = make_folder(tmp_path / "images")
    if torn:
        (folder / "image-0.json").write_text('{"shapes": [')
    project = Project(folder)
    assert len(project.classes) == 0
    assert project.notice.startswith("The labels in this folder were not taken over: image-0.json") == torn
    assert bool(project.notice) == torn
