"""Files of pixels, whole and in part: their axes, their rotation, and what may be a label map."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_stored import saved

from pixelnet.errors import InputError
from pixelnet.rasters import Header, read_header, read_pixels, read_size, read_stored

WINDOW = (slice(3, 17), slice(5, 30))
RGB = ("red", "green", "blue")


def numbers(shape: tuple[int, ...], kind: str = "uint16", seed: int = 0) -> np.ndarray:
    rng, dtype = np.random.default_rng(seed), np.dtype(kind)
    if dtype.kind == "f":
        return rng.normal(0, 1000, shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)


def check(path: Path, expected: np.ndarray, axes: str | None = None) -> Header:
    """That a file holds the images (pages, H, W, C), whole, in windows and channel by channel."""
    header = read_header(path, axes)
    assert (header.pages, header.height, header.width, len(header.channels)) == expected.shape
    assert header.dtype == expected.dtype
    assert axes or read_size(path) == (header.width, header.height)
    for page, image in enumerate(expected):
        found = read_pixels(path, page, axes=axes)
        assert found.dtype == expected.dtype
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, image)
        np.testing.assert_array_equal(read_pixels(path, page, WINDOW, axes=axes), image[WINDOW])
        some = [expected.shape[3] - 1, 0]
        np.testing.assert_array_equal(read_pixels(path, page, WINDOW, some, axes), image[WINDOW][..., some])
        named = [header.channels[k] for k in some]
        np.testing.assert_array_equal(read_pixels(path, page, None, named, axes), image[..., some])
    return header


KINDS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "big": {"bigtiff": True, "byteorder": ">"},
    "other order": {"byteorder": ">", "rowsperstrip": 7},
    "deflate": {"compression": "zlib", "rowsperstrip": 5},
    "deflate and predictor": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
    "lzw": {"compression": "lzw", "predictor": True, "rowsperstrip": 4},
    "zstd": {"compression": "zstd", "tile": (32, 16)},
}


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40), st.integers(2, 4)),
    st.sampled_from(["uint8", "uint16", "int32", "float32"]),
    st.sampled_from(["tiles", "strips", "one strip", "deflate", "lzw", "npy"]),
    st.data(),
)
@settings(max_examples=60)
def test_a_window_is_a_part_of_the_whole(tmp_path: Path, shape, kind: str, layout: str, data) -> None:
    values = numbers(shape, kind)
    rows, columns = (slice(*sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2)))) for side in shape[1:3])
    if rows.start == rows.stop or columns.start == columns.stop:
        rows, columns = slice(None), slice(None)
    path = tmp_path / ("a.npy" if layout == "npy" else "a.tif")
    if layout == "npy":
        np.save(path, values)
    else:
        tifffile.imwrite(
            path, values, photometric="minisblack", planarconfig="contig", metadata=None, **LAYOUTS[layout]
        )
    for page in range(shape[0]):
        whole = read_pixels(path, page, axes="ZYXC")
        if not read_header(path, "ZYXC").picture:
            np.testing.assert_array_equal(whole, values[page])
        np.testing.assert_array_equal(read_pixels(path, page, (rows, columns), axes="ZYXC"), whole[rows, columns])


def test_axes_that_nobody_says_are_asked_for_by_name(tmp_path: Path) -> None:
    values = numbers((4, 20, 31))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    np.save(tmp_path / "a.npy", values)
    for path in (tmp_path / "a.tif", tmp_path / "a.npy"):
        for read in (read_header, read_pixels):
            with pytest.raises(
                InputError, match=r'shape \(4, 20, 31\) and does not say .* "axes" in dataset.json, or --axes'
            ):
                read(path)
        check(path, values[..., None], "ZYX")
        check(path, values.transpose(1, 2, 0)[None], "cyx")
        np.testing.assert_array_equal(read_pixels(path, 3, axes="ZCYX")[..., 0], values[3])  # a map beside its image
        for wrong in ("ZZYX", "AYX", "ZYC", ""):
            with pytest.raises(InputError, match="give one letter each"):
                read_pixels(path, axes=wrong)
        with pytest.raises(InputError, match=r"shape \(4, 20, 31\), whose axes cannot be YX"):
            read_pixels(path, axes="YX")
    np.save(tmp_path / "b.npy", np.moveaxis(values, 0, 2))
    assert check(tmp_path / "b.npy", np.moveaxis(values, 0, 2)[None]).axes == "YXC"
    np.save(tmp_path / "c.npy", values[0].astype(">f4"))
    assert check(tmp_path / "c.npy", values[:1, ..., None].astype(np.float32)).channels == ("gray",)
    tifffile.imwrite(tmp_path / "d.tif", values[0])
    check(tmp_path / "d.tif", values[:1, ..., None], "ZYX")  # one image, whatever others are


@pytest.mark.parametrize("orientation", range(1, 9))
def test_numbers_are_turned_upright_as_pictures_are(tmp_path: Path, orientation: int) -> None:
    values = numbers((6, 10), "uint16")
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(tmp_path / "a.png", Image.fromarray(values), exif=exif)
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(274, "H", 1, orientation, True)])
    turned = {1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1], 5: values.T,
              6: np.rot90(values, -1), 7: values[::-1, ::-1].T, 8: np.rot90(values)}[orientation]  # fmt: skip
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        header = read_header(path)
        assert (header.height, header.width) == turned.shape == read_size(path)[::-1]
        assert header.orientation == orientation
        np.testing.assert_array_equal(read_pixels(path)[..., 0], turned)
        np.testing.assert_array_equal(read_pixels(path, window=(slice(1, 5), slice(2, 4)))[..., 0], turned[1:5, 2:4])
        np.testing.assert_array_equal(read_pixels(path, upright=False)[..., 0], values)
        if orientation > 1:
            with pytest.raises(InputError, match="a label map with an EXIF rotation; save it upright"):
                read_stored(path)


def test_axes_that_contradict_the_file_do_not_count(tmp_path: Path) -> None:
    color, pages = numbers((20, 31, 3), "uint8"), numbers((2, 20, 31, 3), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", color, photometric="rgb")
    check(tmp_path / "a.tif", color[None], "ZYX")  # a color picture among stacks
    tifffile.imwrite(tmp_path / "b.tif", pages, photometric="rgb")
    check(tmp_path / "b.tif", pages, "ZYX")  # a stack of color pictures
    np.save(tmp_path / "c.npy", color)
    check(tmp_path / "c.npy", color[..., None], "ZYX")  # for an array, what is said counts


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_is_read_in_full_resolution(tmp_path: Path, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    values, path = numbers((2, 3, 20, 31)), tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    for name, stored in (("full", values), ("half", values[..., ::2, ::2])):
        group.create_array(name, data=stored, chunks=(1, 1, 16, 16))
    said = {
        "multiscales": [{
            "axes": [{"name": name} for name in ("z", "c", "y", "x")],
            "datasets": [{"path": "full"}, {"path": "half"}],
        }],
        "omero": {"channels": [{"label": label} for label in ("DAPI", "GFP", "dead")]},
    }  # fmt: skip
    group.attrs.update(said if version == 2 else {"ome": said})
    header = check(path, values.transpose(0, 2, 3, 1))
    assert header.channels == ("DAPI", "GFP", "dead")
    lone = zarr.create_array(str(tmp_path / "b.zarr"), data=values[0], zarr_format=version)
    assert lone.shape == (3, 20, 31)
    with pytest.raises(InputError, match=r'b\.zarr holds an array of shape \(3, 20, 31\) .*"axes" in dataset\.json'):
        read_header(tmp_path / "b.zarr")
    check(tmp_path / "b.zarr", values[0][..., None], "ZYX")
    np.testing.assert_array_equal(read_stored(tmp_path / "b.zarr", 1, "ZYX").values, values[0, 1])
    zarr.open_group(str(tmp_path / "c.zarr"), mode="w")
    with pytest.raises(InputError, match=r"c\.zarr is a Zarr group without `multiscales`"):
        read_header(tmp_path / "c.zarr")


def test_zarr_without_its_package_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(InputError, match=r'a\.zarr is Zarr, .*; pip install "pixelnet\[bio\]"'):
        read_pixels(tmp_path / "a.zarr")


LOSSLESS = {"a.png": {}, "a.tif": {"compression": "tiff_lzw"}, "a.webp": {"lossless": True}, "a.bmp": {}, "a.ppm": {}}
LOSSY = {
    "a.jpg": ("JPEG", {}, r"JPEG \(lossy\)"),
    "a.png": ("JPEG", {}, r"JPEG \(lossy\)"),
    "a.bmp": ("WEBP", {}, "lossy WebP"),
    "a.jp2": ("JPEG2000", {"irreversible": True, "quality_mode": "rates", "quality_layers": [8]}, "lossy JPEG 2000"),
    "a.tif": ("TIFF", {"compression": "jpeg"}, r"a TIFF with JPEG or the like \(lossy\)"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_labels_that_a_format_changed_are_refused_by_their_content(tmp_path: Path, name: str) -> None:
    kind, options, said = LOSSY[name]
    values = numbers((24, 32, 3), "uint8")
    path = tmp_path / name
    Image.fromarray(values).save(path, kind, **options)
    assert read_header(path).lossy
    with pytest.raises(InputError, match=rf"{name} is stored as {said}, which changes labels; save it losslessly"):
        read_stored(path)
    assert read_stored(path, lossy=True).values.shape == values.shape


@pytest.mark.parametrize("name", LOSSLESS)
def test_labels_in_lossless_formats_are_not(tmp_path: Path, name: str) -> None:
    values = numbers((24, 32, 3), "uint8")
    path = saved(tmp_path / name, Image.fromarray(values), **LOSSLESS[name])
    np.testing.assert_array_equal(read_stored(path).values, values)
    assert not read_header(path).lossy
