"""MATLAB's files: sound ones come back, and whatever else lies in them is one message."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

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
