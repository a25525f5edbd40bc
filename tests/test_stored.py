"""Label files are written by Pillow, by NumPy or byte by byte from the PNG specification, and read back."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from pixelnet.data.images import read_image
from pixelnet.errors import InputError
from pixelnet.rasters import read_size
from pixelnet.tasks.edges import read_share
from pixelnet.tasks.normals import read_normals, write_normals
from pixelnet.tasks.regression import read_values
from pixelnet.tasks.segmentation import read_labels

SMALL = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
BYTES = SMALL.flatmap(lambda shape: arrays(np.uint8, shape))
WORDS = SMALL.flatmap(lambda shape: arrays(np.uint16, shape))
READERS = [read_image, read_labels, read_normals, read_share, read_values]


def filtered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    """A row of bytes through PNG filter 0 none, 1 sub, 2 up, 3 average or 4 Paeth (specification, section 9)."""
    found = [kind]
    for k, value in enumerate(row):
        a, b, c = row[k - step] if k >= step else 0, above[k], above[k - step] if k >= step else 0
        paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
        found.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
    return bytes(found)


def png(array: np.ndarray, bits: int = 16) -> bytes:
    """A PNG of gray (H, W) or RGB (H, W, 3) with so many bits a sample, after the specification, filters in turn."""
    rows, step = [], max(1, bits * (3 if array.ndim == 3 else 1) // 8)
    above = b""
    for y, row in enumerate(array.reshape(len(array), -1)):
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        else:
            text = "".join(f"{value:0{bits}b}" for value in row)
            text += "0" * (-len(text) % 8)
            packed = bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8))
        rows.append(filtered(y % 5, packed, above or bytes(len(packed)), step))
        above = packed

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, 2 if array.ndim == 3 else 0, 0, 0, 0)
    data = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


# ------------------------------------------------------------------------------------------------ labels


@given(BYTES)
@settings(max_examples=20)
def test_ids_come_back_from_gray_and_from_palettes(tmp_path: Path, ids: np.ndarray) -> None:
    np.testing.assert_array_equal(read_labels(saved(tmp_path / "a.png", Image.fromarray(ids))), ids)
    palette = Image.fromarray(ids, "L").convert("P")
    palette.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    np.testing.assert_array_equal(read_labels(saved(tmp_path / "b.png", palette)), ids)


@given(WORDS)
@settings(max_examples=20)
def test_sixteen_bit_ids_and_arrays_come_back(tmp_path: Path, ids: np.ndarray) -> None:
    np.testing.assert_array_equal(read_labels(saved(tmp_path / "a.png", Image.fromarray(ids))), ids)
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), ids.astype(np.float32))
    np.save(tmp_path / "a.npy", ids)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.npy"), ids)
    assert read_size(tmp_path / "a.npy") == (ids.shape[1], ids.shape[0])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_of_few_bits_is_not_stretched(tmp_path: Path, bits: int) -> None:
    ids = np.random.default_rng(bits).integers(0, 2**bits, (5, 7)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(png(ids, bits))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), ids)
    np.testing.assert_allclose(read_share(tmp_path / "a.png"), ids / (2**bits - 1), rtol=1e-6)
    assert (read_image(tmp_path / "a.png")[..., 0] == ids * (255 // (2**bits - 1))).all()  # but a picture is


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_color_label_map_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(InputError, match=f"a.png is a picture of mode {mode}, but class ids are expected"):
        read_labels(saved(tmp_path / "a.png", Image.new(mode, (4, 3))))


def test_real_values_are_no_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"an array of float64, shape \(3, 4\), but class ids are expected"):
        read_labels(tmp_path / "a.npy")


@pytest.mark.parametrize("reader", READERS[1:])
def test_a_turned_label_map_is_refused(tmp_path: Path, reader) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(InputError, match="EXIF rotation; save it upright"):
        reader(saved(tmp_path / "a.png", Image.new("RGB", (4, 3)), exif=exif))


# ------------------------------------------------------------------------------- normals, edges, values


def unit_vectors(seed: int, shape: tuple[int, int]) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


@given(st.integers(0, 1000), SMALL, st.sampled_from([8, 16]))
@settings(max_examples=30)
def test_normals_come_back_from_png(tmp_path: Path, seed: int, shape: tuple[int, int], bits: int) -> None:
    normals, top = unit_vectors(seed, shape), 2**bits - 1
    stored = np.round((normals + 1) / 2 * top).astype(np.uint16)
    stored[0, 0] = 0
    (tmp_path / "a.png").write_bytes(png(stored, bits))
    found = read_normals(tmp_path / "a.png")
    assert found.dtype == np.float32
    assert not found[0, 0].any()
    for y, x in np.ndindex(shape):
        if (y, x) != (0, 0):
            vector = [2 * int(v) / top - 1 for v in stored[y, x]]
            length = sum(v * v for v in vector) ** 0.5
            np.testing.assert_allclose(found[y, x], [v / length for v in vector], atol=2e-6)
            assert abs(found[y, x] - normals[y, x]).max() <= 2.1 / top + 1e-6


@given(st.integers(0, 1000), SMALL, st.sampled_from([np.float16, np.float32, np.float64]))
@settings(max_examples=20)
def test_normals_come_back_from_npy_at_unit_length(tmp_path: Path, seed: int, shape: tuple[int, int], kind) -> None:
    normals = unit_vectors(seed, shape)
    normals[0, 0] = 0
    np.save(tmp_path / "a.npy", (2 * normals).astype(kind))
    found = read_normals(tmp_path / "a.npy")
    np.testing.assert_allclose(found, normals, atol=2e-3 if kind == np.float16 else 1e-6)
    assert not found[0, 0].any()


@pytest.mark.parametrize("gray", [127, 128])
def test_mid_gray_is_no_normal(tmp_path: Path, gray: int) -> None:
    assert not read_normals(saved(tmp_path / "a.png", Image.new("RGB", (3, 2), (gray, gray, gray)))).any()


@pytest.mark.parametrize("ending", ["png", "npy"])
@pytest.mark.parametrize(("convention", "signs"), [("pixelnet", (1, 1, 1)), ("opengl", (1, -1, -1))])
def test_normals_are_written_and_read_in_any_axes(tmp_path: Path, ending: str, convention: str, signs: tuple) -> None:
    normals, path = unit_vectors(0, (6, 7)).astype(np.float32), tmp_path / f"a.{ending}"
    normals[2, 3] = 0
    write_normals(path, normals, convention)
    tolerance = 0.02 if ending == "png" else 2e-3
    np.testing.assert_allclose(read_normals(path, convention), normals, atol=tolerance)
    np.testing.assert_allclose(read_normals(path), normals * signs, atol=tolerance)
    assert not read_normals(path)[2, 3].any()
    if ending == "png":
        stored = np.asarray(Image.open(path)).astype(float)
        np.testing.assert_allclose(stored[0] / 127.5 - 1, (normals * signs)[0], atol=0.5 / 127.5 + 1e-6)


def test_normals_go_to_no_other_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.jpg is to hold normals, which are written to \.png or \.npy"):
        write_normals(tmp_path / "a.jpg", np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match="no convention 'left' of normals"):
        write_normals(tmp_path / "a.png", np.zeros((2, 2, 3)), "left")
    assert not any(tmp_path.iterdir())


def test_nan_in_normals_is_counted(tmp_path: Path) -> None:
    normals = unit_vectors(0, (4, 5))
    normals[1, 2], normals[3, 3, 0] = np.nan, np.inf
    np.save(tmp_path / "a.npy", normals)
    with pytest.raises(InputError, match=r"a.npy holds NaN in 2 pixels; write \(0, 0, 0\)"):
        read_normals(tmp_path / "a.npy")


def test_normals_need_three_channels_and_a_format_that_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="normals need three channels"):
        read_normals(saved(tmp_path / "a.png", Image.new("L", (4, 3))))
    with pytest.raises(InputError, match=r"read from \.png or \.npy"):
        read_normals(saved(tmp_path / "a.tif", Image.new("RGB", (4, 3))))


@given(BYTES.filter(lambda a: a.max() != 1), WORDS.filter(lambda a: a.max() != 1))
@settings(max_examples=20)
def test_shares_are_parts_of_the_maximum(tmp_path: Path, low: np.ndarray, high: np.ndarray) -> None:
    for stored, top in ((low, 255), (high, 65535)):
        share = read_share(saved(tmp_path / "a.png", Image.fromarray(stored)))
        assert share.dtype == np.float32
        np.testing.assert_allclose(share, stored.astype(np.float64) / top, rtol=1e-6)


def test_shares_as_arrays_and_in_one_bit(tmp_path: Path) -> None:
    share = np.array([[0, 0.25, 1, np.nan]])
    np.save(tmp_path / "a.npy", share)
    np.testing.assert_array_equal(read_share(tmp_path / "a.npy"), share.astype(np.float32))
    np.save(tmp_path / "b.npy", share == 1)
    np.testing.assert_array_equal(read_share(tmp_path / "b.npy"), [[0, 0, 1, 0]])
    path = saved(tmp_path / "c.png", Image.fromarray(share == 1))
    np.testing.assert_array_equal(read_share(path), [[0, 0, 1, 0]])


def test_shares_beyond_one_and_masks_of_ones_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 5.0]]))
    with pytest.raises(InputError, match=r"a.npy holds 0..5, but an edge map is the share"):
        read_share(tmp_path / "a.npy")
    with pytest.raises(InputError, match="holds only 0 and 1 where 255 means an edge"):
        read_share(saved(tmp_path / "b.png", Image.fromarray(np.array([[0, 1]], np.uint8))))
    with pytest.raises(InputError, match="a palette picture, but an edge map has one number a pixel"):
        read_share(saved(tmp_path / "c.png", Image.new("P", (4, 3))))


def test_values_keep_nan_and_refuse_infinity(tmp_path: Path) -> None:
    values = np.array([[1.5, np.nan, -3]], np.float32)
    np.testing.assert_array_equal(read_values(saved(tmp_path / "a.tif", Image.fromarray(values))), values)
    np.save(tmp_path / "a.npy", values.astype(np.float16))
    np.testing.assert_array_equal(read_values(tmp_path / "a.npy"), values)
    np.save(tmp_path / "b.npy", np.array([[1, np.inf]]))
    with pytest.raises(InputError, match=r"b.npy is infinite in 1 pixels"):
        read_values(tmp_path / "b.npy")


# ------------------------------------------------------------------------------------------- bad files


def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path: Path) -> None:
    """No cut gives other pixels than the whole file: Pillow's lenient mode would gray out the rest."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    for name, whole, reader in (
        ("a.png", png(pixels, 8), read_image),
        ("a.jpg", buffer.getvalue(), read_image),
        ("b.png", png(pixels.astype(np.uint16) * 257), read_normals),
    ):
        path, refused = tmp_path / name, 0
        path.write_bytes(whole)
        expected = reader(path)
        for end in range(0, len(whole), 7):
            path.write_bytes(whole[:end])
            try:
                np.testing.assert_array_equal(reader(path), expected)
            except InputError as error:
                refused += str(error).startswith(f"{path} cannot be read, it is truncated")
        assert refused > 0.9 * len(whole) / 7


@pytest.mark.parametrize("reader", [*READERS, read_size])
@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_what_is_no_image_is_named(tmp_path: Path, reader, name: str) -> None:
    (tmp_path / name).write_text("not at all")
    with pytest.raises(InputError, match=f"{name} cannot be read, it is truncated or in another format"):
        reader(tmp_path / name)
    (tmp_path / "gone").symlink_to("nowhere.png")
    with pytest.raises(InputError, match="is not there, or is a link to nothing"):
        reader(tmp_path / "gone")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a.npy cannot be read"):
        read_labels(tmp_path / "a.npy")
