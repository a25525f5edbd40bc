"""Which pixels a fit looks at: few of many, evenly, and no more of a large image than there is time for."""

import numpy as np
import pytest
from strokes import item, items

import pixelnet.learning.labels as module
from pixelnet.data.arrays import Arrays
from pixelnet.learning.labels import Labels, labelled_points
from pixelnet.learning.tiles import tile_numbers


def test_labels_are_read_while_the_time_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEEN_FOR_CHOICE", 2)
    data = Arrays(items(9), "segmentation")
    whole, _ = labelled_points(data)
    some, _ = labelled_points(data, -1)
    assert (whole.unread, some.unread) == (0, 7)
    read = [i for i in range(9) if len(some.ids[i])]
    assert len(read) == 2
    assert all(np.array_equal(some.points[i], whole.points[i]) for i in read)
    one = [(image, np.where(labels == 1, 255, labels).astype(np.uint8)) for image, labels in items(8)]
    assert labelled_points(Arrays([*one, item(8)], "segmentation"), -1)[0].unread < 7  # read until there are two


@pytest.mark.parametrize("size", [(1000, 900), (3000, 2000), (704, 9000)])
def test_unlabelled_pixels_of_a_large_image_lie_in_few_tiles(size: tuple[int, int]) -> None:
    points = module.anywhere(size)
    assert points.shape == (2000, 2)
    assert (points >= 0).all()
    assert (points < size).all()
    assert len(np.unique(tile_numbers(points, size))) <= module.MOST_TILES
    # The first few, which are all that is looked at where images are many, are of several of them.
    assert len(np.unique(tile_numbers(points[:50], size))) == len(np.unique(tile_numbers(points, size)))
    np.testing.assert_array_equal(points, module.anywhere(size))


@pytest.mark.parametrize(("unread", "found"), [(0, [2]), (1, [])])
def test_a_class_of_one_image_alone_is_known_unless_others_were_not_read(unread: int, found: list[int]) -> None:
    ids = [np.array([0, 1, 2, 2]), np.array([], np.int64), np.array([1, 0])]
    points = [np.zeros((len(own), 2), np.int64) for own in ids]
    assert Labels(points, ids, np.array([2, 2, 2, 0]), unread).in_one_image() == found
    assert Labels(points[:2], ids[:2], np.array([1, 1, 2, 0])).in_one_image() == []  # there is one image alone
