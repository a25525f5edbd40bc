"""Where images come from: files that are read by windows, and arrays; of either, the channels that a model takes."""

from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from pixelnet.data.images import as_many, known_type, match_channels
from pixelnet.model import PixelNet
from pixelnet.rasters import OpenPixels


class Source(Protocol):
    """An image of so many pixels, and any rows and columns of it."""

    height: int
    width: int

    def read(self, rows: range, columns: range) -> np.ndarray:
        """(h, w, C) of the model's channels, raw numbers."""

    def measured(self, pixels: np.ndarray) -> np.ndarray | None:
        """Which of some pixels (h, w, C) hold a measurement, bool (h, w); None for all."""


class ArraySource:
    """An image (H, W, C) that is in memory, with a model's channels already. nodata: see `measured`."""

    def __init__(self, pixels: np.ndarray, nodata: tuple[float, ...] = ()) -> None:
        self.pixels, self._nodata = pixels, nodata
        self.height, self.width = pixels.shape[:2]

    def read(self, rows: range, columns: range) -> np.ndarray:
        return self.pixels[rows.start : rows.stop, columns.start : columns.stop]

    def measured(self, pixels: np.ndarray) -> np.ndarray | None:
        return measured(pixels, self._nodata)


class FileSource:
    """An image of a file, which stays open until it is closed.

    Raises InputError for a file that cannot be read, or has not the model's channels.
    """

    def __init__(self, path: str | Path, model: PixelNet, page: int | None = None, axes: str | None = None) -> None:
        self.path, self.page = Path(path), page
        self._channels, self._ranges = model.channels, model.config.ranges
        self._file, self._lock = OpenPixels(path, page, axes), Lock()
        try:
            self.header = self._file.header
            self.height, self.width = self.header.height, self.header.width
            self._chosen = match_channels(self.header, self._channels, path)
        except BaseException:
            self.close()
            raise

    @property
    def in_parts(self) -> bool:
        """Whether no more is read than is asked for; otherwise the whole is in memory from the first window on."""
        return self._file.in_parts

    def read(self, rows: range, columns: range) -> np.ndarray:
        window = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        with self._lock:  # decoders have a place in their file
            pixels = as_many(self._file.read(window, self._chosen), self._channels)
        return known_type(pixels, str(self.path), self._ranges)

    def measured(self, pixels: np.ndarray) -> np.ndarray | None:
        return measured(pixels, self.header.nodata)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "FileSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def measured(pixels: np.ndarray, nodata: tuple[float, ...] = ()) -> np.ndarray | None:
    """Which pixels (h, w, C) hold a measurement, bool (h, w); None for all.

    Those do not whose every channel has a number that the file declares to be none, as GDAL counts it, and those with
    NaN in any.
    """
    lacking = np.zeros(pixels.shape[:2], bool)
    for value in nodata:
        lacking |= (pixels == value).all(axis=2)
    if pixels.dtype.kind == "f":
        lacking |= np.isnan(pixels).any(axis=2)
    return ~lacking if lacking.any() else None
