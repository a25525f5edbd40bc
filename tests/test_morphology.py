"""Thinning against scikit-image's, which is the same algorithm written by others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.morphology import thin

from pixelnet.metrics.morphology import thin_mask


@given(
    seed=st.integers(0, 2**16),
    share=st.sampled_from([0.2, 0.5, 0.7, 0.9, 0.98]),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_thinning_is_scikit_images(seed, share, shape):
    mask = np.random.default_rng(seed).random(shape) < share
    kept = mask.copy()
    assert np.array_equal(thin_mask(mask), thin(mask))
    assert np.array_equal(mask, kept)


def test_a_bar_becomes_its_middle():
    mask = np.zeros((9, 20), dtype=bool)
    mask[3:6, 3:17] = True
    thinned = thin_mask(mask)
    assert thinned.dtype == bool
    assert set(np.nonzero(thinned)[0]) == {4}
    assert thinned.sum() >= 11


def test_a_thin_line_and_an_empty_mask_stay():
    line = np.zeros((7, 12), dtype=bool)
    line[3, 2:6], line[range(2, 6), range(6, 10)] = True, True
    assert np.array_equal(thin_mask(line), line)
    assert not thin_mask(np.zeros((4, 5), dtype=bool)).any()


@pytest.mark.parametrize("size", [5, 6, 12])
def test_a_full_image_leaves_a_remainder(size):
    assert 1 <= thin_mask(np.ones((size, size), dtype=bool)).sum() < size
