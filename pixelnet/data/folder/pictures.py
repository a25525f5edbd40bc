"""The images of a folder: which channels they have, and what range of numbers these take."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from pixelnet.data.dataset import Window, evenly
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.item import Item
from pixelnet.data.folder.survey import Survey
from pixelnet.data.images import find_ranges, percentile_ranges
from pixelnet.data.slices import read_slices, with_slices
from pixelnet.errors import InputError
from pixelnet.rasters import Header, channel_indices, read_header, read_pixels

RGB = ("red", "green", "blue")
SAMPLED = 32  # images that a range is found from


class Pictures:
    """Reads the images of a survey. channels: their names. ranges: as `Dataset.ranges`."""

    def __init__(self, survey: Survey) -> None:
        self.root, self.form = survey.root, survey.form
        self._headers: dict[str, Header] = {}
        self._kinds: dict[Header, Header] = {}  # most images say the same of themselves, which is kept once
        self.first, header = self._readable(survey.items)
        self.own, self.dtype = header.channels, header.dtype
        chosen = _chosen(header, self.form, str(self.first.image))
        if self.form.slices > 1:
            if self.first.page is None:
                raise InputError(f"slices are of stacks, and {self.first.image} is one image; leave them out")
            chosen = ("gray",) if header.gray and not self.form.channels else chosen
        elif chosen == ("gray",) and not self.form.channels:
            chosen = RGB  # gray stands for all three colors, so that pretrained weights serve it
        self._slice, self.channels = chosen, with_slices(chosen, self.form.slices)
        self.ranges = self._ranges(survey, header)
        self.notes = self._notes(header)

    def _readable(self, items: Sequence[Item]) -> tuple[Item, Header]:
        """The first image whose header can be read: others are named when they are. Raises InputError if none can."""
        for k, item in enumerate(items):
            try:
                return item, self.header(item)
            except InputError:
                if k + 1 == len(items):
                    raise
        raise AssertionError("a survey has items")

    def header(self, item: Item) -> Header:
        """What an image's file says of itself, read once: each step of training asks for it."""
        name = str(item.image)
        if name not in self._headers:
            found = read_header(self.root / item.image, self.form.axes)
            self._headers[name] = self._kinds.setdefault(found, found)
        return self._headers[name]

    def read(self, item: Item, window: Window | None = None) -> np.ndarray:
        """(H, W, C) as stored. Raises InputError for an image of other channels than the first."""
        if self.form.slices == 1:
            return self._read(item, window)
        pages = self.header(item).pages
        return read_slices(
            lambda page: self._read(item._replace(page=page), window), item.page or 0, pages, self.form.slices
        )

    def _read(self, item: Item, window: Window | None = None) -> np.ndarray:
        """One image, or one slice."""
        path, header = self.root / item.image, self.header(item)
        found = header.channels
        repeated = self._slice == RGB and len(found) == 1
        chosen = self.form.channels and set(self._slice) <= set(found)
        if not repeated and len(found) != len(self.own) and not chosen:
            raise InputError(
                f"{item.image} has the channels {', '.join(found)}, and {self.first.image} {', '.join(self.own)}; save "
                f'them alike, or choose those that all have by "channels" in {FILE}'
            )
        if header.dtype != self.dtype and self.form.range is None:
            raise InputError(
                f"{item.image} holds {header.dtype} and {self.first.image} {self.dtype}, so that what is black and "
                f'white in them differs; save them alike, or say "range" in {FILE}: "type", or numbers'
            )
        if item.block is not None:
            window = item.block.part(window).window
        wanted = None if repeated or self._slice == found else self._wanted(found)
        pixels = read_pixels(path, item.page, window, wanted, self.form.axes)
        return np.repeat(pixels, 3, axis=2) if repeated and pixels.shape[2] == 1 else pixels

    def _notes(self, header: Header) -> list[str]:
        notes = []
        if header.alpha:
            notes.append(f"pictures such as {self.first.image} may be transparent; they are laid on white")
        if self.ranges is not None and self.form.range is None:
            limits = ", ".join(f"{low:g}..{high:g}" for low, high in dict.fromkeys(self.ranges))
            notes.append(
                f"images of {header.dtype} that use a part of it: what lies between .1 and 99.9 % of their numbers is "
                f'brought to 0 to 1, {limits} ("range" in {FILE} says otherwise)'
            )
        return notes

    def _wanted(self, found: Sequence[str]) -> list[str | int]:
        """The channels by name where a file has the name, by place where it has not."""
        return [name if name in found or name == "gray" else self.own.index(name) for name in self._slice]

    def _ranges(self, survey: Survey, header: Header) -> tuple[tuple[float, float], ...] | None:
        asked = self.form.range
        if isinstance(asked, tuple):
            if len(asked) not in (1, len(self._slice), len(self.channels)):
                raise InputError(
                    f"{FILE}: range has {len(asked)} pairs for the channels {', '.join(self._slice)}; give one a "
                    "channel"
                )
            return asked * (len(self.channels) // len(asked))
        if header.picture or asked == "type":
            return None
        spread = evenly(len(survey.items), SAMPLED)
        images = self._read_if_sound([survey.items[k] for k in spread])
        if asked == "percentile":
            return percentile_ranges(images, header.nodata) * self.form.slices
        found = find_ranges(images, header.dtype, header.nodata)
        return None if found is None else found * self.form.slices

    def _read_if_sound(self, items: Sequence[Item]) -> Iterator[np.ndarray]:
        for item in items:
            with suppress(InputError):  # what cannot be read is named when it is
                yield self._read(item)


def _chosen(header: Header, form: Form, file: str) -> tuple[str, ...]:
    """The names of the channels that are wanted. Raises InputError for one that is not there."""
    if not form.channels:
        return header.channels
    if header.gray and form.channels == ("gray",):  # of pictures, which are three colors to others
        return ("gray",)
    return tuple(header.channels[k] for k in channel_indices(header, form.channels, file))
