from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pixelnet.data import Dataset, open_dataset
from pixelnet.errors import InputError

H, W = 12, 16


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A folder of arrays as images, each with a label map of two ids."""

    def make(*arrays: np.ndarray, ending: str = "tif", **tags: Any) -> Path:
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for k, array in enumerate(arrays):
            path = tmp_path / "images" / f"{k}.{ending}"
            if ending == "tif":
                tifffile.imwrite(path, array, **tags)
            elif ending == "npy":
                np.save(path, array)
            else:
                Image.fromarray(array).save(path)
            ids = (np.arange(H * W).reshape(H, W) % 2).astype(np.uint8)
            Image.fromarray(ids).save(tmp_path / "labels" / f"{k}.png")
        return tmp_path

    return make


def opened(root: Path, **changes: Any) -> Dataset:
    return open_dataset(root, "segmentation", changes=changes)


def bands(count: int, high: int, kind: type = np.uint16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (H, W, count)).astype(kind)


def test_gray_pictures_are_three_equal_colors(make) -> None:
    gray = bands(1, 256, np.uint8)[..., 0]
    dataset = opened(make(gray, gray, ending="png"))
    assert dataset.channels == ("red", "green", "blue")
    assert dataset.ranges is None
    np.testing.assert_array_equal(dataset.image(0), np.repeat(gray[..., None], 3, axis=2))
    single = opened(make(gray, gray, ending="png"), channels=["gray"])
    assert single.channels == ("gray",)
    np.testing.assert_array_equal(single.image(0)[..., 0], gray)
    with pytest.raises(InputError, match="'gray' is none of them"):
        opened(make(bands(3, 256, np.uint8), gray, ending="png"), channels=["gray"])


def test_channels_are_chosen_and_ordered(make) -> None:
    arrays = [bands(5, 65536, seed=k) for k in range(2)]
    root = make(*arrays, photometric="minisblack", planarconfig="contig")
    assert len(opened(root).channels) == 5
    chosen = opened(root, channels=[4, 0])
    np.testing.assert_array_equal(chosen.image(1), arrays[1][..., [4, 0]])
    np.testing.assert_array_equal(chosen.image(1, (slice(2, 5), slice(1, 9))), arrays[1][2:5, 1:9, [4, 0]])
    with pytest.raises(InputError, match=r"has the channels .*; 'nir' is none of them"):
        opened(root, channels=["nir"])
    with pytest.raises(InputError, match="range has 2 pairs for the channels"):
        opened(root, range=[[0, 1], [0, 2]])
    assert opened(root, range=[0, 99]).ranges == ((0.0, 99.0),) * 5
    assert opened(root).ranges is None  # the whole of the type is used
    assert opened(root, range="percentile").ranges is not None


def test_images_of_other_channels_are_named(make) -> None:
    root = make(bands(4, 65536), bands(5, 65536), photometric="minisblack", planarconfig="contig")
    with pytest.raises(InputError, match=r"images/1.tif has the channels .*, and images/0.tif .*; save them alike"):
        opened(root).image(1)
    assert opened(root, channels=[0, 3]).image(1).shape == (H, W, 2)


def test_images_of_other_types_are_named(make) -> None:
    """One of 16 bits beside one of 8 would be all white or all black, whichever the range was found from."""
    root = make(bands(4, 4096), bands(4, 256, np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(InputError, match=r"images/1.tif holds uint8 and images/0.tif uint16, so that what is black"):
        opened(root).image(1)
    np.testing.assert_array_equal(opened(root, range="type").image(1), bands(4, 256, np.uint8))


def test_arrays_say_their_axes_or_are_told(make) -> None:
    arrays = [np.moveaxis(bands(3, 65536, seed=k), 2, 0) for k in range(2)]
    root = make(*arrays, ending="npy")
    with pytest.raises(InputError, match=r"holds an array of shape \(3, 12, 16\) and does not say what its axes are"):
        opened(root)
    np.testing.assert_array_equal(opened(root, axes="CYX").image(0), np.moveaxis(arrays[0], 0, 2))


def test_a_broken_first_image_does_not_hide_the_rest(make) -> None:
    root = make(*[bands(3, 256, np.uint8, seed=k) for k in range(3)], ending="png")
    (root / "images/0.png").write_text("none")
    dataset = opened(root)
    assert dataset.image(2).shape == (H, W, 3)
    with pytest.raises(InputError, match=r"0.png cannot be read"):
        dataset.image(0)
