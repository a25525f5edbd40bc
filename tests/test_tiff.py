"""TIFF in all its kinds, as tifffile, rasterio and Pillow write it, or byte by byte."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_rasters import KINDS, LAYOUTS, RGB, check, numbers
from test_stored import saved

from pixelnet.errors import InputError
from pixelnet.rasters import read_header, read_pixels, read_stored


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_tiff_of_any_type(tmp_path: Path, kind: str, channels: int) -> None:
    values = numbers((21, 37, channels), kind)
    for planar in ("contig", "separate"):
        stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
        options = {"photometric": "minisblack", "metadata": None}
        options |= {} if channels == 1 else {"planarconfig": planar}
        tifffile.imwrite(tmp_path / "a.tif", stored[..., 0] if channels == 1 and planar == "contig" else
                         stored[0] if channels == 1 else stored, **options)  # fmt: skip
        if (kind, channels) == ("uint8", 1):
            values = np.repeat(values, 3, axis=2)  # a picture
            assert check(tmp_path / "a.tif", values[None]).picture
            return
        header = check(tmp_path / "a.tif", values[None])
        assert header.channels == (("gray",) if channels == 1 else tuple(f"band {k + 1}" for k in range(channels)))
        assert not header.picture


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_tiff_however_it_is_laid_out(tmp_path: Path, layout: str, planar: str, kind: str) -> None:
    values, options = numbers((2, 41, 67, 3), kind), LAYOUTS[layout]
    stored = values if planar == "contig" else np.moveaxis(values, 3, 1)
    with tifffile.TiffWriter(
        tmp_path / "a.tif", **{k: v for k, v in options.items() if k in ("bigtiff", "byteorder")}
    ) as file:
        rest = {k: v for k, v in options.items() if k not in ("bigtiff", "byteorder")}
        for page in stored:
            file.write(page, photometric="rgb", planarconfig=planar, metadata=None, **rest)
    assert check(tmp_path / "a.tif", values).channels == RGB


def test_no_more_than_the_tiles_of_a_window_is_read(tmp_path: Path) -> None:
    values = numbers((256, 256, 2))
    tifffile.imwrite(tmp_path / "a.tif", values, tile=(16, 16), compression="zlib", photometric="minisblack",
                     planarconfig="contig")  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset, count = file.pages.first.dataoffsets[100], file.pages.first.databytecounts[100]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + count] = bytes(count)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif cannot be read"):
        read_pixels(tmp_path / "a.tif")
    window = (slice(0, 90), slice(3, 200))
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", window=window), values[window])


def test_a_fourth_band_is_one_whatever_its_tag_says(tmp_path: Path) -> None:
    for kind in ("uint8", "uint16"):
        values = numbers((20, 31, 4), kind)
        for tag in ("unassalpha", "assocalpha", "unspecified"):
            tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=[tag])
            assert check(tmp_path / "a.tif", values[None]).channels == (*RGB, "band 4")


def test_pictures_in_tiff_are_as_pillow_shows_them(tmp_path: Path) -> None:
    color = numbers((20, 31, 3), "uint8")
    pictures = {
        "rgb": Image.fromarray(color),
        "gray": Image.fromarray(color[..., 0]),
        "palette": Image.fromarray(color).quantize(17),
        "one bit": Image.fromarray(color[..., 0] > 99),
        "ink": Image.fromarray(color).convert("CMYK"),
    }
    for name, picture in pictures.items():
        for compression in (None, "tiff_lzw", "tiff_deflate", "packbits", *(["group4"] if name == "one bit" else [])):
            path = saved(tmp_path / "a.tif", picture, compression=compression)
            assert check(path, np.array(picture.convert("RGB"))[None]).picture
    path = saved(tmp_path / "a.tif", pictures["rgb"], compression="jpeg", quality=95)
    with Image.open(path) as image:
        assert np.abs(read_pixels(path).astype(int) - np.array(image.convert("RGB"))).max() <= 2


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_white_is_zero_is_inverted_in_pictures_and_left_in_labels(tmp_path: Path, bits: int) -> None:
    ids = np.random.default_rng(bits).integers(0, 2**bits, (20, 32)).astype(np.uint8)
    data = np.unpackbits(ids[..., None], axis=2)[..., 8 - bits :].reshape(20, -1)
    for photometric in (0, 1):
        tags = [(256, 4, 32), (257, 4, 20), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8),
                (277, 3, 1), (278, 4, 20), (279, 4, 20 * 4 * bits)]  # fmt: skip
        pixels = np.packbits(data, axis=1).tobytes()
        directory = struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags
        )
        (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + bytes(4))
        stored = read_stored(tmp_path / "a.tif")
        np.testing.assert_array_equal(stored.values, ids)
        assert stored.top == 2**bits - 1
        gray = ids * (255 // (2**bits - 1))
        expected = gray if photometric else 255 - gray
        check(tmp_path / "a.tif", np.repeat(expected[None, ..., None], 3, axis=3))


def test_stacks_say_what_their_axes_are(tmp_path: Path) -> None:
    values, path = numbers((3, 2, 20, 31)), tmp_path / "a.tif"
    upright = values.transpose(0, 2, 3, 1)  # Z, Y, X, C
    for axes, expected in (("ZCYX", upright), ("TZYX", values.reshape(6, 20, 31, 1))):
        for options in ({}, {"imagej": True}, {"ome": True}, {"compression": "zlib", "tile": (16, 16), "ome": True}):
            own = {"TZYX": "TZYX"}.get(axes, axes)
            tifffile.imwrite(path, values, metadata={"axes": own}, photometric="minisblack", **options)
            header = check(path, expected)
            assert header.axes == axes
    tifffile.imwrite(path, values[0], imagej=True, metadata={"axes": "CYX", "Labels": ["DAPI", "GFP"]})
    assert check(path, upright[:1]).channels == ("DAPI", "GFP")
    tifffile.imwrite(path, values, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": ["nuclei", "cells"]}})
    assert check(path, upright).channels == ("nuclei", "cells")
    np.testing.assert_array_equal(read_pixels(path, 2, channels=["cells"])[..., 0], values[2, 1])
    with pytest.raises(InputError, match=r"a\.tif has the channels nuclei, cells; 'walls' is none of them"):
        read_pixels(path, 2, channels=["walls"])


def test_pages_written_one_by_one_are_a_stack(tmp_path: Path) -> None:
    values = numbers((5, 20, 31))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in values:
            file.write(page)
    check(tmp_path / "a.tif", values[..., None])
    first, *rest = (Image.fromarray(page) for page in values)
    first.save(tmp_path / "b.tif", save_all=True, append_images=rest)
    assert check(tmp_path / "b.tif", values[..., None]).axes == "IYX"
    for read in (read_pixels, read_stored):
        with pytest.raises(InputError, match=r"b\.tif holds 5 images, and one is expected; say which page"):
            read(tmp_path / "b.tif")
        with pytest.raises(InputError, match=r"b\.tif has no page 5; it has 5, from 0 on"):
            read(tmp_path / "b.tif", 5)
    for page, ids in enumerate(values):
        np.testing.assert_array_equal(read_stored(tmp_path / "b.tif", page).values, ids)
    tifffile.imwrite(tmp_path / "b.tif", values[0, :9], append=True)
    with pytest.raises(InputError, match=r"b\.tif holds 2 images of different kinds"):
        read_header(tmp_path / "b.tif")


def test_a_geotiff_has_names_and_no_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    values, path = numbers((40, 50, 4), "int16"), tmp_path / "a.tif"
    tiled = {"driver": "GTiff", "width": 50, "height": 40, "tiled": True, "blockxsize": 16, "blockysize": 16,
             "transform": rasterio.Affine(1, 0, 5, 0, -1, 9), "sparse_ok": True}  # fmt: skip
    values[16:32, 16:32] = -9999
    with rasterio.open(
        path, "w", **tiled, count=4, dtype="int16", nodata=-9999, compress="deflate", predictor=2
    ) as file:
        file.write(values.transpose(2, 0, 1))
        file.descriptions = ("blue", "green", "red", "near infrared")
        file.build_overviews([2])
    header = check(path, values[None])
    assert header.channels == ("blue", "green", "red", "near infrared")
    assert header.nodata == read_stored(path).nodata == (-9999,)
    np.testing.assert_array_equal(read_pixels(path, channels=["red", "green"]), values[..., [2, 1]])
    with rasterio.open(path, "w", **tiled, count=1, dtype="float32", nodata=7) as file:
        file.write(np.ones((1, 16, 16), np.float32), window=rasterio.windows.Window(0, 0, 16, 16))
    expected = np.full((1, 40, 50, 1), 7, np.float32)  # tiles without data are not in the file
    expected[:, :16, :16] = 1
    check(path, expected)


@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("codec", ["jpeg2000", "webp", "jpeg"])
def test_codecs_within_tiff_say_whether_they_are_lossy(tmp_path: Path, codec: str, lossy: bool) -> None:
    values = numbers((32, 48, 3), "uint8")
    options = {"jpeg2000": {"reversible": not lossy}, "webp": {"lossless": not lossy}, "jpeg": {"lossless": not lossy}}
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", compression=codec, compressionargs=options[codec],
                     tile=(16, 16))  # fmt: skip
    assert read_header(tmp_path / "a.tif").lossy == lossy
    if not lossy:
        np.testing.assert_array_equal(read_stored(tmp_path / "a.tif").values, values)


def test_labels_in_tiff_of_any_kind(tmp_path: Path) -> None:
    for kind in KINDS:
        values = numbers((20, 31), kind)
        tifffile.imwrite(tmp_path / "a.tif", values, compression="zlib")
        stored = read_stored(tmp_path / "a.tif")
        np.testing.assert_array_equal(stored.values, values)
        assert stored.top == (np.iinfo(kind).max if kind.startswith("u") else 0)
    palette = Image.fromarray(numbers((20, 31, 3), "uint8")).quantize(9)
    stored = read_stored(saved(tmp_path / "a.tif", palette))
    np.testing.assert_array_equal(stored.values, np.array(palette))
    assert stored.mode == "P"
    assert stored.palette is not None
    np.testing.assert_array_equal(stored.palette[stored.values], np.array(palette.convert("RGB")))


def test_a_damaged_tiff_tells_nobody_but_who_asked(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 3) + bytes(60))
    code = "import sys\nfrom pixelnet.rasters import *\ntry: read_header(sys.argv[1])\nexcept ValueError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.tif"], capture_output=True, text=True, check=True)
    assert "cannot be read" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(("pages", "back_to"), [(2, 0), (3, 2), (150, 120)])
def test_pages_that_lead_in_a_circle_are_refused(tmp_path: Path, pages: int, back_to: int) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(pages):
            file.write(np.zeros((2, 3), np.uint16), metadata=None)
    with tifffile.TiffFile(path) as file:
        places = [page.offset for page in file.pages]
    content = bytearray(path.read_bytes())
    (tags,) = struct.unpack_from("<H", content, places[-1])
    struct.pack_into("<I", content, places[-1] + 2 + 12 * tags, places[back_to])
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif cannot be read, .*its pages lead in a circle"):
        read_header(path)
