"""What windows take of memory: counted, and sizes as people write them."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from test_predict import picture, small

from pixelnet import InputError
from pixelnet.inference.budget import SMALL, Counted, cost_of_windows, parse_bytes


def test_what_tensors_hold_at_once_is_counted() -> None:
    with Counted() as counted:
        first = torch.zeros(1000)
        second = first + 1
        del first
        third = second.view(10, 100) * 2  # a view holds nothing of its own
        del second, third
        torch.zeros(10)
    assert counted.peak == 2 * 4000
    assert counted.live == 0


@pytest.mark.parametrize("scale", [1, 2])
def test_a_window_takes_no_more_than_it_was_said_to(scale: int) -> None:
    model = small()
    cost = cost_of_windows(model, np.dtype(np.uint8), Fraction(scale), flip=False)
    assert cost.pixel > 0
    image = torch.rand(1, 3, 320 * scale, 320 * scale)
    with Counted() as counted, torch.inference_mode():
        maps = model.maps(image, for_prediction=True, zoom=scale)
        for _ in model.bands(maps, range(320), range(320)):
            pass
    assert counted.peak <= cost.of(320 * 320) <= 3 * counted.peak + SMALL


def test_the_mirror_image_takes_more() -> None:
    one, both = (cost_of_windows(small(), np.dtype(np.uint8), Fraction(1), flip) for flip in (False, True))
    assert both.pixel > 1.2 * one.pixel
    assert picture().nbytes < one.of(1000)


def test_sizes_are_read_as_people_write_them() -> None:
    assert [parse_bytes(text) for text in ("2GB", "800 mb", "1.5 GiB", "4096", "3k")] == [
        2 * 2**30, 800 * 2**20, 3 * 2**29, 4096, 3072,
    ]  # fmt: skip
    for text in ("", "two", "-1GB", "2XB"):
        with pytest.raises(InputError, match="give a size such as 2GB"):
            parse_bytes(text)
