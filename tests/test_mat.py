"""MATLAB's files: sound ones come back, and whatever else lies in them is one message."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from pixelnet import InputError
from pixelnet.data import mat
from pixelnet.data.bsds500 import read_annotators
from pixelnet.data.mat import field, integers, read_mat


def cell(*items: Any) -> np.ndarray:
    found = np.empty((1, len(items)), object)
    found[0] = items
    return found


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    ids = np.arange(6).reshape(2, 3)
    for compressed in (False, True):
        savemat(tmp_path / "a.mat", {"ids": ids, "one": {"map": ids}}, do_compression=compressed)
        np.testing.assert_array_equal(integers(read_mat(tmp_path / "a.mat", "ids"), 0, 5, "ids"), ids)
        np.testing.assert_array_equal(field(read_mat(tmp_path / "a.mat", "one"), "map", "one"), ids)


KINDS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@given(arrays(st.sampled_from([np.dtype(kind) for kind in KINDS]), array_shapes(max_side=5)), st.booleans())
@settings(max_examples=60)
def test_numbers_are_read_as_scipy_reads_them(tmp_path: Path, values: np.ndarray, compressed: bool) -> None:
    content = {"first": cell(values, {"a": values, "b": "text"}), "second": values}
    savemat(tmp_path / "a.mat", content, do_compression=compressed)
    expected, found = loadmat(tmp_path / "a.mat"), read_mat(tmp_path / "a.mat", "first")
    for one, other in (
        (read_mat(tmp_path / "a.mat", "second"), expected["second"]),
        (found[0, 0], expected["first"][0, 0]),
        (found[0, 1][0, 0]["a"], expected["first"][0, 1]["a"][0, 0]),
    ):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype or other.dtype == bool
    assert "".join(found[0, 1][0, 0]["b"].flat) == "text"


def test_what_is_not_read_lies_beside_what_is(tmp_path: Path) -> None:
    content = {"GTcls": {"Boundaries": csc_matrix(np.eye(3)), "z": np.array([[1j]]), "Segmentation": np.eye(2)}}
    savemat(tmp_path / "a.mat", content)
    np.testing.assert_array_equal(field(read_mat(tmp_path / "a.mat", "GTcls"), "Segmentation", ""), np.eye(2))


def test_a_type_that_is_none_does_not_end_the_process(tmp_path: Path) -> None:
    """SciPy looks for it beyond the end of its own table."""
    savemat(tmp_path / "a.mat", {"ids": np.arange(6)})
    content = (tmp_path / "a.mat").read_bytes()
    for place in range(128, len(content) - 3):
        for word in (14, 200, 0xFFFF, 0xFFFFFFFF):
            (tmp_path / "b.mat").write_bytes(content[:place] + struct.pack("<I", word) + content[place + 4 :])
            with suppress(InputError):
                read_mat(tmp_path / "b.mat", "ids")


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat, "MOST", 2**20)
    savemat(tmp_path / "a.mat", {"ids": np.zeros((2000, 2000), np.uint8)}, do_compression=True)
    with pytest.raises(InputError, match="inflates to more than 1,048,576 bytes"):
        read_mat(tmp_path / "a.mat", "ids")
    deflated = zlib.compress(struct.pack("<II", 14, 4))  # an array of which there is nothing
    header = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    (tmp_path / "b.mat").write_bytes(header + struct.pack("<II", 15, len(deflated)) + deflated)
    with pytest.raises(InputError, match=r"b\.mat cannot be read as a MATLAB file"):
        read_mat(tmp_path / "b.mat", "ids")


def test_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"of version 7.3, where one of version 5 to 7 is expected"):
        read_mat(tmp_path / "a.mat", "ids")


@pytest.mark.parametrize(
    "content",
    [
        {"groundTruth": np.zeros((2, 2))},
        {"groundTruth": "text"},
        {"groundTruth": cell()},
        {"groundTruth": cell(np.zeros((2, 2)))},
        {"groundTruth": cell({"Segmentation": np.zeros((2, 2))})},
        {"groundTruth": cell({"Boundaries": "none"})},
        {"groundTruth": cell({"Boundaries": np.zeros((2, 2, 3))})},
        {"groundTruth": cell({"Boundaries": np.full((2, 2), np.nan)})},
        {"groundTruth": cell({"Boundaries": cell(1, 2)})},
        {"groundTruth": cell({"Boundaries": np.zeros((2, 2))}, {"Boundaries": np.zeros((2, 3))})},
        {"groundTruth": {"Boundaries": np.zeros((0, 2))}},
        {"other": 1},
    ],
)
def test_contents_of_another_kind_are_one_message(tmp_path: Path, content: dict[str, Any]) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(InputError, match=r"a\.mat"):
        read_annotators(tmp_path / "a.mat")
