from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import grow

from pixelnet.data import open_dataset
from pixelnet.data.folder.maps import vote
from pixelnet.errors import InputError


def test_a_vote_is_what_most_say_of_those_who_say_something() -> None:
    maps = [np.array([own], np.uint8) for own in ([0, 0, 255, 255, 2], [1, 1, 3, 255, 1], [1, 255, 255, 255, 0])]
    assert vote(maps).tolist() == [[1, 0, 3, 255, 2]]  # of equals the first's
    rng = np.random.default_rng(0)
    several = list(rng.choice(np.array([0, 1, 2, 255], np.uint8), (5, 8, 9)))
    found = vote(several)
    for y, x in np.ndindex(8, 9):
        said = [own[y, x] for own in several if own[y, x] != 255]
        counts = [said.count(value) for value in said]
        expected = said[counts.index(max(counts))] if said else 255
        assert found[y, x] == expected


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return grow(tmp_path, "images/{a,b}.png\nmasks/{a,b}_annotator{1,2,3}.png bw")


def test_three_people(three: Path) -> None:
    maps = np.stack([np.asarray(Image.open(three / f"masks/a_annotator{k}.png")) for k in (1, 2, 3)]) > 0
    first = open_dataset(three, "segmentation")
    np.testing.assert_array_equal(first.labels(0), maps[0])
    voted = open_dataset(three, "segmentation", changes={"annotators": "vote"})
    np.testing.assert_array_equal(voted.labels(0), maps.sum(axis=0) >= 2)


def test_three_people_of_whom_one_drew_at_another_size(three: Path) -> None:
    Image.new("L", (9, 9)).save(three / "masks/a_annotator2.png")
    voted = open_dataset(three, "segmentation", changes={"annotators": "vote"})
    with pytest.raises(InputError, match=r"annotator2.png is 9x9 and .*annotator1.png 24x16; the labels of one image"):
        voted.labels(0)


def test_edges_of_three_people(tmp_path: Path) -> None:
    grow(tmp_path, "images/{a,b}.png\nedges/{a,b}_annotator{1,2,3}.png bw")
    maps = np.stack([np.asarray(Image.open(tmp_path / f"edges/a_annotator{k}.png")) for k in (1, 2, 3)]) > 0
    shared = open_dataset(tmp_path, "edges")
    np.testing.assert_allclose(shared.labels(0), maps.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(shared.truth(0), maps)
    voted = open_dataset(tmp_path, "edges", changes={"annotators": "vote"})
    np.testing.assert_array_equal(voted.labels(0), maps.sum(axis=0) >= 2)
    inverted = open_dataset(tmp_path, "edges", changes={"invert": True})
    np.testing.assert_array_equal(inverted.truth(0), ~maps)


def test_an_image_without_labels_is_the_class_background(tmp_path: Path) -> None:
    grow(tmp_path, "images/{a,b,c}.png\nlabels/{a,b}.png ids")
    names = ["car", "background", "tree"]
    changes = {"missing_labels": "background", "classes": names}
    assert (open_dataset(tmp_path, "segmentation", changes=changes).labels(2) == 1).all()
    first = open_dataset(tmp_path, "segmentation", changes={"missing_labels": "background"})
    assert (first.labels(2) == 0).all()
