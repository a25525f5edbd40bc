"""Pictures are written by Pillow, or byte by byte from the PNG specification, and read back as people expect them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageOps
from test_stored import png, saved

from pixelnet.data.images import read_image, to_array, view_of
from pixelnet.errors import InputError
from pixelnet.rasters import read_size

NAMES = tuple("vwxyz")
BYTES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9).flatmap(lambda shape: arrays(np.uint8, shape))


# ------------------------------------------------------------------------------------------------ images


@given(BYTES)
@settings(max_examples=20)
def test_gray_is_repeated(tmp_path: Path, gray: np.ndarray) -> None:
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(gray)))
    assert image.dtype == np.uint8
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], gray)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path, name: str) -> None:
    gray = np.array([[0, 128, 129, 257, 32767, 65406, 65407, 65535]], np.uint16)
    image = read_image(saved(tmp_path / name, Image.fromarray(gray)))
    np.testing.assert_array_equal(image[0, :, 0], [round(int(v) / 257) for v in gray[0]])
    assert image.shape == (1, 8, 3)


def test_sixteen_bit_color_is_within_a_level(tmp_path: Path) -> None:
    color = np.random.default_rng(0).integers(0, 65536, (5, 6, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png(color))
    assert abs(read_image(tmp_path / "a.png") - color / 257).max() <= 1


def test_real_values_in_0_to_1(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(np.array([[0, 0.5, 1]], np.float32)))
    np.testing.assert_array_equal(read_image(path)[0, :, 1], [0, 128, 255])
    path = saved(tmp_path / "b.tif", Image.fromarray(np.array([[0, 7.5]], np.float32)))
    with pytest.raises(InputError, match=r"b.tif holds real values 0..7.5, expected 0..1"):
        read_image(path)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    expected = [[200, 100, 0], [255, 255, 255], [244, 224, 204]]  # 0.2 x color + 0.8 x 255
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)))[0], expected)
    np.testing.assert_array_equal(to_array(pixels)[0], expected)


def test_palettes_are_looked_up_with_their_transparent_entry(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert read_image(saved(tmp_path / "a.png", image))[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    path = saved(tmp_path / "b.png", image, transparency=1)
    assert read_image(path)[0].tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(np.array([[True, False]])))
    assert read_image(path)[0].tolist() == [[255] * 3, [0] * 3]
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (255, 0, 0, 0)), quality=100)
    assert abs(read_image(path).astype(int) - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / name, Image.fromarray(pixels), exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    image = read_image(path)
    np.testing.assert_array_equal(image, expected)
    assert image.shape[:2] == ((6, 10) if orientation < 5 else (10, 6))
    assert read_size(path) == (image.shape[1], image.shape[0])
    with Image.open(path) as image:
        np.testing.assert_array_equal(to_array(image), expected)


def test_sixteen_bit_gray_is_rotated_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(np.array([[257, 514]], np.uint16)), exif=exif)
    assert read_image(path)[..., 0].tolist() == [[1], [2]]


# --------------------------------------------------------------------------------------------- to_array


def test_every_way_to_give_an_image_is_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(pixels))
    for given_as in (path, str(path), Image.open(path), pixels, pixels[:, ::-1][:, ::-1]):
        found = to_array(given_as)
        np.testing.assert_array_equal(found, pixels)
        assert found.flags.c_contiguous
    for gray in (pixels[..., 0], pixels[..., :1]):
        np.testing.assert_array_equal(to_array(gray), np.stack([pixels[..., 0]] * 3, axis=2))


def every_form(pixels: np.ndarray) -> list[np.ndarray | torch.Tensor]:
    """An array (H, W, C), and the same as a tensor (C, H, W)."""
    return [pixels, torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_values_of_any_known_type_stay_what_they_are(kind: type, channels: int) -> None:
    rng = np.random.default_rng(channels)
    real = np.issubdtype(kind, np.floating)
    shape = (4, 5, channels)
    pixels = (rng.random(shape) if real else rng.integers(0, np.iinfo(kind).max, shape)).astype(kind)
    for given_as in every_form(pixels):
        found = to_array(given_as, NAMES[:channels])
        np.testing.assert_array_equal(found, pixels.astype(np.float32) if real else pixels)
        assert found.dtype == (np.float32 if real else kind)
        assert found.flags.c_contiguous


@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_gray_is_repeated_and_transparency_laid_on_white_in_every_type(kind: type, top: int) -> None:
    gray = np.array([[0, 0.25, 1]]) * top
    for given_as in (gray.astype(kind), torch.from_numpy(gray.astype(kind)), torch.from_numpy(gray.astype(kind))[None]):
        np.testing.assert_array_equal(to_array(given_as), np.stack([gray.astype(kind)] * 3, axis=2))
    pixels = np.array([[[0.8, 0.4, 0, 1], [0.8, 0.4, 0, 0], [0.8, 0.4, 0, 0.2]]]) * top
    pixels = (pixels if top == 1 else pixels.round()).astype(kind)
    expected = np.array([[[0.8, 0.4, 0], [1, 1, 1], [0.96, 0.88, 0.8]]]) * top
    for given_as in every_form(pixels):
        found = to_array(given_as)
        assert found.dtype == kind
        np.testing.assert_allclose(found, expected, atol=1 if top > 1 else 1e-6)
    np.testing.assert_array_equal(
        to_array(pixels, NAMES[:4]), pixels
    )  # a model of four channels means what it is given


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4, 3), 255, np.float32), r"holds real values 255\.\.255, expected 0\.\.1; divide them"),
        (np.full((4, 4, 3), -0.5), r"holds real values -0\.5\.\.-0\.5, expected 0\.\.1; divide them"),
        (np.full((4, 4, 3), np.nan, np.float32), r"holds real values nan\.\.nan, expected 0\.\.1"),
        (torch.full((3, 4, 4), 7.5), r"holds real values 7\.5\.\.7\.5, expected 0\.\.1; divide them"),
        (np.zeros((4, 4, 3), np.int64), "is int64; give uint8, uint16, or real values in 0..1"),
        (torch.zeros((3, 4, 4), dtype=torch.int32), "is int32; give uint8, uint16, or real values in 0..1"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\), expected \(H, W\)"),
        (torch.zeros((6, 7, 3)), r"shape \(7, 3, 6\).*tensors are \(C, H, W\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ([[1, 2]], "an image is a list"),
    ],
)
def test_other_arrays_are_refused(image, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_array(image)


def test_other_numbers_of_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shape \(4, 4, 3\), expected \(H, W, 5\)"):
        to_array(np.zeros((4, 4, 3), np.uint8), NAMES)
    with pytest.raises(InputError, match="of mode RGB; the model takes v, w, x, y, z: give an array"):
        to_array(Image.new("RGB", (4, 3)), NAMES)
    path = saved(tmp_path / "a.png", Image.new("RGB", (4, 3)))
    with pytest.raises(InputError, match=r"a\.png has the channels red, green, blue; the model was trained on v, w, x"):
        to_array(path, NAMES)


# ---------------------------------------------------------------------------------------------- view_of


def test_people_see_the_first_channels_in_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 7), dtype=np.uint8)
    np.testing.assert_array_equal(view_of(pixels), pixels[..., :3])
    for channels in (1, 2):
        np.testing.assert_array_equal(view_of(pixels[..., :channels]), np.stack([pixels[..., 0]] * 3, axis=2))
    for scaled in (pixels.astype(np.uint16) * 257, pixels.astype(np.float32) / 255):
        found = view_of(scaled)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, pixels[..., :3])


def test_people_see_what_is_within_the_ranges() -> None:
    image = np.array([[[300, 1000], [340, 2000], [400, 3000], [90, 0]]], np.uint16)
    expected = [[0] * 3, [102] * 3, [255] * 3, [0] * 3]
    assert view_of(image, [(300, 400), (0, 1)])[0].tolist() == expected
    assert view_of(image.astype(np.float64), [(300, 400), (0, 1)])[0].tolist() == expected
    for kind in (np.int32, np.float32):  # without ranges, what the image itself spans
        assert view_of(np.array([[[-5], [0], [20], [5]]], kind))[0, :, 0].tolist() == [0, 51, 255, 102]
    holes = np.array([[[np.nan], [3], [5]]])
    assert view_of(holes)[0, :, 0].tolist() == [0, 0, 255]
