"""Counts of many images come back as they went in, and take the memory of what is in them."""

import errno
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet.errors import InputError
from pixelnet.metrics import sparse
from pixelnet.metrics.sparse import SparseCounts


@given(st.data())
def test_counts_come_back_as_they_were(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shapes = data.draw(st.lists(st.sampled_from([(), (1,), (3,), (2, 4), (0,)]), min_size=1, max_size=3))
    kinds = [data.draw(st.sampled_from([np.int64, np.uint8, np.float32, np.float64])) for _ in shapes]

    def image() -> dict[str, np.ndarray]:
        return {
            str(k): (rng.integers(0, 200, shape) * (rng.random(shape) < 0.3)).astype(kind)
            for k, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))
        }

    given_ones = [image() for _ in range(data.draw(st.integers(0, 4)))]
    kept = SparseCounts(given_ones[:2])
    kept += given_ones[2:]
    for found in (kept, pickle.loads(pickle.dumps(kept))):
        assert len(found) == len(given_ones)
        for one, other in zip(found, given_ones, strict=True):
            assert list(one) == list(other)
            for name in one:
                assert one[name].dtype == other[name].dtype
                np.testing.assert_array_equal(one[name], other[name])


def test_places_are_those_of_a_list() -> None:
    kept = SparseCounts([{"a": np.array([k, 0])} for k in range(3)])
    assert kept[-1]["a"].tolist() == [2, 0]
    for place in (3, -4):
        with pytest.raises(IndexError):
            kept[place]
    with pytest.raises(ValueError, match="other names or shapes"):
        kept.append({"a": np.array([1, 2, 3])})


def test_what_is_more_than_a_little_lies_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "HELD", 1000)
    images = [{"a": np.arange(k, k + 20.0)} for k in range(50)]
    kept = SparseCounts(images[:40])
    kept += images[40:]
    for found in (kept, pickle.loads(pickle.dumps(kept)), SparseCounts(kept)):
        np.testing.assert_array_equal([own["a"] for own in found], [own["a"] for own in images])
    assert kept._file._rolled
    kept.append(images[3])  # after it was read from
    assert kept[50]["a"].tolist() == images[3]["a"].tolist()


def test_no_space_for_them_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SparseCounts()

    def full(stored: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kept._file, "write", full)
    with pytest.raises(InputError, match="No space left on device; free some space, or let TMPDIR name"):
        kept.append({"a": np.ones(3)})


def test_zeros_take_no_memory() -> None:
    matrix = np.zeros((150, 150), np.int64)
    matrix[3, 3:8] = 1
    kept = SparseCounts({"confusion": matrix} for _ in range(1000))
    assert len(pickle.dumps(kept)) < 1000 * 100  # and not 1000 x 180,000
