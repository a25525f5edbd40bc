"""Pictures that hold more than eight bits, or less, or several frames; written by imagecodecs, Pillow or by hand."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from test_rasters import RGB, check, numbers
from test_stored import saved

from pixelnet.errors import InputError
from pixelnet.rasters import read_header, read_pixels, read_stored


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_is_exact(tmp_path: Path, channels: int) -> None:
    values = numbers((20, 31, channels))
    if channels in (2, 4):
        values[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    shown = values[..., : channels - 1] if channels in (2, 4) else values  # transparency is laid on white
    header = check(tmp_path / "a.png", shown[None])
    assert header.channels == (("gray",) if channels <= 2 else RGB)
    stored = read_stored(tmp_path / "a.png")
    np.testing.assert_array_equal(stored.values, values[..., 0] if channels == 1 else values)
    assert (stored.top, stored.nodata) == (65535, ())


def test_transparency_of_16_bits_is_laid_on_white(tmp_path: Path) -> None:
    values = np.array([[[50000, 0, 1000, 13107]]], np.uint16)  # a fifth
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    assert read_pixels(tmp_path / "a.png")[0, 0].tolist() == [62428, 52428, 52628]


@pytest.mark.parametrize("top", [1, 3, 255, 999, 4095, 65535])
@pytest.mark.parametrize("kind", ["P5", "P6", "P2"])
def test_pnm_holds_what_it_holds(tmp_path: Path, kind: str, top: int) -> None:
    shape = (20, 31, 3) if kind == "P6" else (20, 31)
    values = np.random.default_rng(top).integers(0, top, shape, endpoint=True).astype(np.uint8 if top < 256 else ">u2")
    head = f"{kind}\n# a comment\n31 20\n{top}\n".encode()
    body = " ".join(map(str, values.ravel().tolist())).encode() if kind == "P2" else values.tobytes()
    (tmp_path / "a.pgm").write_bytes(head + body)
    stored = read_stored(tmp_path / "a.pgm")
    assert stored.top == top
    if (kind, top > 255) != ("P6", True):  # of which Pillow keeps eight bits
        np.testing.assert_array_equal(stored.values, values)
    if top > 255 and kind != "P6":
        check(tmp_path / "a.pgm", values.astype(np.uint16)[None, ..., None])
    elif top == 255:
        check(tmp_path / "a.pgm", values[None] if kind == "P6" else np.stack([values] * 3, axis=2)[None])


@pytest.mark.parametrize(("channels", "kind"), [(1, "uint8"), (3, "uint8"), (4, "uint8"), (1, "uint16"), (4, "uint16")])
def test_jpeg_2000_of_any_depth(tmp_path: Path, channels: int, kind: str) -> None:
    values = numbers((20, 31, channels), kind)
    stored = values[..., 0] if channels == 1 else values
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(stored, reversible=True, level=0))
    picture = kind == "uint8" and channels < 4
    header = check(tmp_path / "a.jp2", (np.repeat(values, 3, axis=2) if picture and channels == 1 else values)[None])
    assert (header.picture, header.lossy) == (picture, False)
    assert header.channels == (RGB if picture else ("gray",) if channels == 1 else (*RGB, "band 4"))
    np.testing.assert_array_equal(read_stored(tmp_path / "a.jp2").values, stored)


def test_gray_pictures_have_one_channel_for_those_who_ask(tmp_path: Path) -> None:
    gray = numbers((20, 31), "uint8")
    for name in ("a.png", "a.tif", "a.gif"):
        path = saved(tmp_path / name, Image.fromarray(gray))
        assert read_header(path).gray
        np.testing.assert_array_equal(read_pixels(path, channels=["gray"])[..., 0], gray)
        np.testing.assert_array_equal(read_pixels(path), np.stack([gray] * 3, axis=2))
    path = saved(tmp_path / "a.png", Image.fromarray(np.stack([gray] * 3, axis=2)))
    with pytest.raises(InputError, match="has the channels red, green, blue; 'gray' is none of them"):
        read_pixels(path, channels=["gray"])


def test_frames_of_a_gif_are_pages(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2, (3, 20, 31), dtype=np.uint8) * 255
    first, *rest = map(Image.fromarray, values)
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest)
    check(tmp_path / "a.gif", np.stack([values] * 3, axis=3))
    mask = saved(tmp_path / "b.gif", Image.fromarray(values[0]))
    np.testing.assert_array_equal(read_stored(mask).values, values[0])
