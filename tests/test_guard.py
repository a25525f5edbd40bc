"""Files that are too large, that swell, that are none, or are spoilt: one message each, at once."""

import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_rasters import numbers
from test_stored import saved

from pixelnet.errors import InputError
from pixelnet.rasters import read_header, read_pixels, read_size, read_stored


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def headed_png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def test_what_is_too_large_is_told_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(headed_png(100_000, 50_000))
    tifffile.imwrite(tmp_path / "a.tif", numbers((64, 64)), tile=(16, 16), compression="zlib")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for tag in (256, 257):
            at = file.pages.first.tags[tag].valueoffset
            content[at : at + 2] = struct.pack("<H", 60_000)
    (tmp_path / "a.tif").write_bytes(content)
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (40_000, 40_000)).flush()
    for name, size in (
        ("a.png", "100000x50000 of 3 channels"),
        ("a.tif", "60000x60000 of 1"),
        ("a.npy", "40000x40000"),
    ):
        read_header(tmp_path / name)
        for read in (read_pixels, read_stored):
            with pytest.raises(InputError, match=rf"{name} is {size}.*1,073,741,824 numbers.*PIXELNET_MAX_PIXELS=\d+"):
                read(tmp_path / name)
    window = (slice(30_000, 30_010), slice(39_990, 40_000))
    assert read_pixels(tmp_path / "a.npy", window=window).shape == (10, 10, 1)
    small = saved(tmp_path / "b.png", Image.fromarray(numbers((20, 30), "uint8")))
    monkeypatch.setenv("PIXELNET_MAX_PIXELS", "599")
    with pytest.raises(InputError, match=r"b\.png is 30x20 of 1 channels, more than the 599"):
        read_pixels(small)
    monkeypatch.setenv("PIXELNET_MAX_PIXELS", "600")
    read_pixels(small)
    monkeypatch.setenv("PIXELNET_MAX_PIXELS", "much")
    with pytest.raises(InputError, match="the environment variable PIXELNET_MAX_PIXELS is 'much'; give a whole number"):
        read_pixels(small)


def test_a_picture_beyond_the_limit_of_pillow_is_read_and_its_limit_stays(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(numbers((20, 30), "uint8")))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    threads = [threading.Thread(target=read_pixels, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_pixels(path).shape == (20, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_text_that_swells_is_one_message(tmp_path: Path, kind: bytes) -> None:
    swollen = zlib.compress(bytes(20_000_000), 9)
    head = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[kind]
    (tmp_path / "a.png").write_bytes(headed_png(3, 11, chunk(kind, head + swollen)))
    for read in (read_header, read_pixels, read_stored):
        with pytest.raises(InputError, match=r"a\.png cannot be read"):
            read(tmp_path / "a.png")


def test_ghostscript_is_never_asked(tmp_path: Path) -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for name in ("a.png", "a.tif", "a.jpg"):
        (tmp_path / name).write_bytes(eps)
        for read in (read_header, read_pixels, read_stored):
            with pytest.raises(InputError, match=rf"{name} cannot be read"):
                read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes that are files")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "folder.png").mkdir()
    messages = {
        "pipe.png": "is no regular file but a device or a pipe",
        "loop.png": "cannot be read",
        "folder.png": "is a folder; give a file",
        "none.png": "is not there",
    }
    for read in (read_size, read_header, read_pixels, read_stored):
        for name, message in messages.items():
            with pytest.raises(InputError, match=f"{name} {message}"):
                read(tmp_path / name)
        with pytest.raises(InputError, match="/dev/zero is no regular file"):
            read("/dev/zero")


@given(st.sampled_from(["a.tif", "b.tif", "c.tif", "a.npy", "a.png", "a.jp2", "a.gif"]), st.data())
@settings(max_examples=150)
def test_a_spoilt_file_is_refused_or_read(tmp_path: Path, name: str, data) -> None:
    """Whatever its bytes are: never an exception of a decoder's own, nor a hang."""
    values, path = numbers((20, 31, 3), "uint8"), tmp_path / name
    deep = numbers((2, 20, 31))
    if name == "a.tif":
        tifffile.imwrite(path, deep, ome=True, metadata={"axes": "ZYX"}, compression="zlib")
    elif name == "b.tif":
        tifffile.imwrite(path, values, photometric="rgb", tile=(16, 16), compression="lzw", predictor=True)
    elif name == "c.tif":
        tifffile.imwrite(path, deep, imagej=True)
    elif name == "a.npy":
        np.save(path, deep)
    else:
        Image.fromarray(values).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    for read in (read_size, read_header, read_pixels, read_stored):
        try:
            read(path)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
