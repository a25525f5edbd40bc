"""The axes of an array: which are an image's rows and columns, which its channels, and which number the images.

Letters are tifffile's: Y rows, X columns; C, S channels; Z depth, T time, P position and I place in the file, each
of them pages; Q where nobody says.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pixelnet.errors import InputError

PAGES, CHANNELS = "ZTPI", "CS"
Window = tuple[slice, slice]
Read = Callable[[tuple[int | slice, ...]], np.ndarray]


class Layout(NamedTuple):
    """What a file says of the array in it.

    shape and axes: a length and a letter each. dtype: of its numbers. names: of its channels, () where it has none.
    nodata: the numbers that it declares to be no measurement. bits: of one sample as it is stored. picture: it is one,
    8-bit gray, RGB or a palette's. palette: uint8 (entries, 3). inverted: of a picture: 0 is white.
    orientation: EXIF's, 1 to 8. lossy: what is read is not what was written. guessed: the axes are likely, not said.
    """

    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype
    names: tuple[str, ...] = ()
    nodata: tuple[float, ...] = ()
    bits: int = 0
    picture: bool = False
    palette: np.ndarray | None = None
    inverted: bool = False
    orientation: int = 1
    lossy: bool = False
    guessed: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.shape[self.axes.index("X")], self.shape[self.axes.index("Y")]

    @property
    def pages(self) -> int:
        return self._count(PAGES)

    @property
    def channels(self) -> int:
        return self._count(CHANNELS)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names that are all different, one a channel: the file's, or else by their numbers."""
        count = self.channels
        if len(set(self.names)) == count == len(self.names) and all(self.names):
            return self.names
        return ("gray",) if count == 1 else tuple(f"band {k}" for k in range(1, count + 1))

    def _allows(self, axes: str) -> bool:
        if len(axes) != len(self.shape) or len(set(axes)) < len(axes):
            return False
        return self.guessed or all(
            own in ("Q", other) or (own not in "YXS" and other not in "YX") or (own == "S" and other == "C")
            for own, other in zip(self.axes, axes, strict=True)
        )

    def _count(self, letters: str) -> int:
        lengths = (length for length, letter in zip(self.shape, self.axes, strict=True) if letter in letters)
        return int(np.prod([*lengths], dtype=np.int64))

    def resolved(self, path: object, asked: str | None) -> "Layout":
        """With axes that are all known: those that were asked for where they fit, or else the file's own.

        They fit if they have rows, columns and samples where the file has them; of a map beside an image, without the
        letters of channels; of pages in color, with that of the samples, which the file knows.
        Raises InputError where the file does not say, and nobody did.
        """
        said = not self.guessed and not set(self.axes) - {*"YX", *PAGES, *CHANNELS}
        if asked is not None:
            letters = check_axes(asked)
            plain = "".join(letter for letter in letters if letter not in CHANNELS)
            for option in (letters, plain, *([letters + "S"] if self.axes.endswith("S") else [])):
                if self._allows(option):
                    return self._replace(axes=option)
            if not said:
                raise InputError(f"{path} holds an array of shape {self.shape}, whose axes cannot be {asked}")
        if said or self.guessed:
            return self
        first, others = self.shape[0], "YX" + "S" * (len(self.shape) - 3 if self.axes.endswith("S") else 0)
        options = f'"Z{others}" ({first} images) or "C{others}" ({first} channels)'
        if len(self.shape) != len(others) + 1:
            options = 'one letter each, as "ZCYX" for images Z of channels C'
        raise InputError(
            f'{path} holds an array of shape {self.shape} and does not say what its axes are; give "axes" in '
            f"dataset.json, or --axes at predict: {options}"
        )


def check_axes(axes: str) -> str:
    """Axes in capitals. Raises InputError for those that are none."""
    letters = axes.upper()
    fits = set(letters) <= {*"YX", *PAGES, *CHANNELS} and len(set(letters)) == len(letters) and {*"YX"} <= set(letters)
    if not fits:
        raise InputError(
            f'the axes are {axes!r}; give one letter each, such as "ZYX": Y rows, X columns, C channels, and Z, T, P '
            "or I for pages"
        )
    return letters


def take(
    read: Read, layout: Layout, page: int, channels: Sequence[int] | None = None, window: Window | None = None
) -> np.ndarray:
    """(h, w, C) of an array with known axes, of which no more is read than is wanted.

    read: gives the part of it that whole numbers and slices, one an axis, select.
    """
    axes, shape = layout.axes, layout.shape
    selection: list[int | slice] = [slice(None)] * len(axes)
    if window is not None:
        selection[axes.index("Y")], selection[axes.index("X")] = window
    paged = [k for k, letter in enumerate(axes) if letter in PAGES]
    for k, place in zip(paged, np.unravel_index(page, [shape[k] for k in paged]) if paged else (), strict=True):
        selection[k] = int(place)
    (*several, channel) = [-1, *(k for k, letter in enumerate(axes) if letter in CHANNELS)]
    left = [letter for letter in axes if letter not in PAGES]
    if len(several) == 1 and channel < min(axes.index("Y"), axes.index("X")):  # planes, of which only some are read
        upright = left.index("Y") < left.index("X")
        planes = []
        for k in range(shape[channel]) if channels is None else channels:
            selection[channel] = k
            plane = read(tuple(selection))
            planes.append(plane if upright else plane.T)
        return np.stack(planes, axis=-1)
    found = read(tuple(selection))
    rest = [k for k, letter in enumerate(left) if letter in CHANNELS]
    found = found.transpose(left.index("Y"), left.index("X"), *rest)
    found = found.reshape(*found.shape[:2], layout.channels)
    return found if channels is None else found[..., list(channels)]


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, C) as they are stored -> upright, as EXIF's orientation 1 to 8 says."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    down, across = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]
