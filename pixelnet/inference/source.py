"""Where images come from: files that are read by windows, and arrays; of either, the channels that a model takes."""

from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from pixelnet.data.images import as_many, known_type, match_channels, measured
from pixelnet.data.slices import middle, own_channels, read_slices, slices_of
from pixelnet.model import PixelNet
from pixelnet.rasters import OpenPixels
from pixelnet.rasters.layout import Window


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
        self.channels, self.ranges = model.channels, model.config.ranges
        self._slice, self._slices = own_channels(self.channels), slices_of(self.channels)
        self._axes, self._files, self._lock = axes, {page: OpenPixels(path, page, axes)}, Lock()
        try:
            self.header = self._files[page].header
            self.height, self.width = self.header.height, self.header.width
            self._chosen = match_channels(self.header, self._slice, path)
        except BaseException:
            self.close()
            raise

    @property
    def in_parts(self) -> bool:
        """Whether no more is read than is asked for; otherwise the whole is in memory from the first window on."""
        return self._files[self.page].in_parts

    def read(self, rows: range, columns: range) -> np.ndarray:
        window = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        with self._lock:  # decoders have a place in their file
            if self._slices == 1:
                pixels = self._read(self.page, window)
            else:
                own, pages = self.page or 0, self.header.pages
                pixels = read_slices(lambda page: self._read(page, window), own, pages, self._slices)
        return known_type(pixels, str(self.path), self.ranges)

    def _read(self, page: int | None, window: Window) -> np.ndarray:
        """One image, or one slice."""
        if page not in self._files:
            self._files[page] = OpenPixels(self.path, page, self._axes)
        return as_many(self._files[page].read(window, self._chosen), self._slice)

    def measured(self, pixels: np.ndarray) -> np.ndarray | None:
        return measured(pixels[..., middle(self.channels)], self.header.nodata)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def __enter__(self) -> "FileSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
