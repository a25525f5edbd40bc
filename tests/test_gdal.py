"""What GDAL alone reads, against the arrays that rasterio wrote."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from pixelnet.errors import InputError
from pixelnet.rasters import read_header, read_pixels, read_stored

rasterio = pytest.importorskip("rasterio")


def written(path: Path, bands: np.ndarray, nodata: float | None = None) -> Path:
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", driver="HFA", dtype=bands.dtype, nodata=nodata, **shape) as file:
        file.write(bands)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bands_and_windows_come_back(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 4096, (5, 30, 40), dtype=np.uint16)
    path = written(tmp_path / "a.img", bands, nodata=9)
    header = read_header(path)
    assert (header.width, header.height, len(header.channels), header.nodata) == (40, 30, 5, (9.0,))
    assert header.dtype == np.uint16
    np.testing.assert_array_equal(read_pixels(path), bands.transpose(1, 2, 0))
    window = slice(3, 20), slice(5, 11)
    np.testing.assert_array_equal(
        read_pixels(path, window=window, channels=[4, 1]), bands[[4, 1], 3:20, 5:11].T.swapaxes(0, 1)
    )
    np.testing.assert_array_equal(read_stored(written(tmp_path / "b.img", bands[:1])).values, bands[0])


def test_without_rasterio_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.vrt").write_text("<VRTDataset/>")
    real = builtins.__import__

    def without(name: str, *more: object, **keys: object) -> object:
        if name.startswith("rasterio"):
            raise ImportError(name)
        return real(name, *more, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "pixelnet\[geo\]"'):
        read_header(tmp_path / "a.vrt")


def test_a_broken_mosaic_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text("<VRTDataset rasterXSize='5' rasterYSize='5'><VRTRasterBand/>")
    with pytest.raises(InputError, match=r"a\.vrt cannot be read"):
        read_header(tmp_path / "a.vrt")
