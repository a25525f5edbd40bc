"""Blocks tile an image, windows begin where cells do, and mixed answers weigh 1 in all."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet import InputError
from pixelnet.inference.windows import Tiling, as_ratio, cut, grown, mirrored, steps_at, weights, within

TILINGS = st.builds(
    lambda height, width, step, side, halo, blend: Tiling(height, width, step * side, step * halo, step, blend),
    st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 4, 16]), st.integers(2, 6), st.integers(0, 2),
    st.booleans(),
)  # fmt: skip


@given(TILINGS)
def test_blocks_tile_the_image_and_windows_hold_them(tiling: Tiling) -> None:
    times = np.zeros((tiling.height, tiling.width), int)
    for block in tiling.blocks():
        assert tiling.block(block.number) == block
        times[cut(block.rows), cut(block.columns)] += 1
        for part, length in ((block.rows, tiling.height), (block.columns, tiling.width)):
            seen = tiling.around(part, length)
            assert seen.start % tiling.step == 0
            assert seen.stop % tiling.step == 0 or seen.stop == length
            assert seen.start <= max(0, part.start - tiling.halo)
            assert seen.stop >= min(length, part.stop + tiling.halo)
        shown = np.zeros(times.shape, bool)
        shown[cut(tiling.around(block.rows, tiling.height)), cut(tiling.around(block.columns, tiling.width))] = True
        assert tiling.seen(block.number) == shown.sum()
    assert (times == 1).all()
    assert tiling.count == len(list(tiling.blocks()))


@given(TILINGS)
def test_weights_of_mixed_answers_add_up_to_one(tiling: Tiling) -> None:
    total = np.zeros((tiling.height, tiling.width))
    for block in tiling.blocks():
        rows, columns = tiling.asked(block)
        if not tiling.border:
            continue
        own = weights(block.rows, tiling.height, tiling.border, rows)[:, None]
        own = own * weights(block.columns, tiling.width, tiling.border, columns)
        total[cut(rows), cut(columns)] += own
        near = {other.number for other in tiling.neighbors(block.number)}
        for other in tiling.blocks():
            meets = all(
                max(one.start, two.start) < min(one.stop, two.stop)
                for one, two in ((rows, other.rows), (columns, other.columns))
            )
            assert not meets or other.number in near
    if tiling.border:
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_parts_of_an_axis() -> None:
    assert grown(range(3, 5), 4, 8) == range(8)
    assert mirrored(range(1, 3), 10) == range(7, 9)
    assert within(range(5, 8), range(4, 9)) == range(1, 4)


@given(st.floats(1 / 64, 64), st.sampled_from([1, 4, 32, 96]))
def test_a_scale_is_a_ratio_of_small_numbers_whose_steps_are_whole(scale: float, step: int) -> None:
    ratio = as_ratio(scale)
    assert abs(float(ratio) / scale - 1) < 0.07
    pixels = steps_at(step, ratio)
    assert (pixels * ratio).denominator == 1
    assert pixels * ratio % step == 0


def test_usual_scales_are_taken_as_they_are() -> None:
    usual = (1, 2, 0.5, 0.25, 0.75, 1.5, 0.1)
    assert [as_ratio(own) for own in usual] == [Fraction(str(own)) for own in usual]
    for none in (0, -1, 100, float("nan")):
        with pytest.raises(InputError, match="the scale is"):
            as_ratio(none)
