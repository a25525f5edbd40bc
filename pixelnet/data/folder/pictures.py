"""The images of a folder: which channels they have, and what range of numbers these take."""

import numpy as np

from pixelnet.data.dataset import Window
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.layout import Item
from pixelnet.data.folder.survey import Survey
from pixelnet.data.images import find_ranges
from pixelnet.errors import InputError
from pixelnet.rasters import Header, read_header, read_pixels

RGB = ("red", "green", "blue")
SAMPLED = 32  # images that a range is found from


class Pictures:
    """Reads the images of a survey. channels: their names. ranges: as `Dataset.ranges`."""

    def __init__(self, survey: Survey) -> None:
        self.root, self.form = survey.root, survey.form
        self.first = survey.items[0]
        header = read_header(self.root / self.first.image, self.form.axes)
        self.chosen = _chosen(header, self.form, str(self.first.image))
        self.channels = tuple(header.channels[k] for k in self.chosen)
        if len(self.channels) == 1 and not self.form.channels:
            self.channels = RGB  # gray stands for all three, so that pretrained weights serve it
        self.ranges = self._ranges(survey, header)

    def read(self, item: Item, window: Window | None = None) -> np.ndarray:
        """(H, W, C) as stored. Raises InputError for an image of other channels than the first."""
        path = self.root / item.image
        header = read_header(path, self.form.axes)
        gray = len(header.channels) == 1 and self.channels == RGB
        if not gray and (len(header.channels) <= max(self.chosen)):
            raise InputError(
                f"{item.image} has the channels {', '.join(header.channels)}, and {self.first.image} "
                f"{', '.join(self.channels)}; save them alike, "
                f'or choose those that all have by "channels" in {FILE}'
            )
        chosen = None if header.picture else (0,) if gray else self.chosen
        pixels = read_pixels(path, item.page or 0, window, chosen, self.form.axes)
        if gray and pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        return pixels[..., list(self.chosen)] if header.picture and not gray and self.form.channels else pixels

    def _ranges(self, survey: Survey, header: Header) -> tuple[tuple[float, float], ...] | None:
        asked = self.form.range
        if isinstance(asked, tuple):
            if len(asked) not in (1, len(self.channels)):
                raise InputError(
                    f"{FILE}: range has {len(asked)} pairs for the channels {', '.join(self.channels)}; give one a "
                    "channel"
                )
            return asked * len(self.channels) if len(asked) == 1 else asked
        if header.picture or asked == "type":
            return None
        spread = np.linspace(0, len(survey.items) - 1, min(SAMPLED, len(survey.items))).round().astype(int)
        images = (self.read(survey.items[k]) for k in spread)
        found: tuple[tuple[float, float], ...] | None = find_ranges(images, always=asked == "percentile")
        return found


def _chosen(header: Header, form: Form, file: str) -> tuple[int, ...]:
    """The numbers of the channels that are wanted. Raises InputError for one that is not there."""
    if not form.channels:
        return tuple(range(len(header.channels)))
    chosen = []
    for wanted in form.channels:
        place = header.channels.index(wanted) if wanted in header.channels else wanted
        if not isinstance(place, int) or not 0 <= place < len(header.channels):
            raise InputError(
                f"{FILE}: there is no channel {wanted!r} in {file}; it has {', '.join(header.channels)} (or 0 to "
                f"{len(header.channels) - 1})"
            )
        chosen.append(place)
    return tuple(chosen)
