"""2.5-D: an image of a stack with its neighbors as channels, which say in their names what slice they are of.

"gray[z-1]", "gray", "gray[z+1]" are a slice between those before and after it. A model keeps the names of its channels,
and so repeats it. Beyond the first and the last slice of a stack these stand for what is not there.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from pixelnet.errors import InputError

MOST = 31
OFFSET = re.compile(r"(.+)\[z([+-]\d+)\]")


def with_slices(channels: Sequence[str], count: int) -> tuple[str, ...]:
    """The channels of so many slices, the middle one's called as they are. Raises InputError for no odd number."""
    if count not in range(1, MOST + 1, 2):
        raise InputError(f"slices is {count}; give an odd number up to {MOST}: a slice, and as many on either side")
    reach = count // 2
    return tuple(
        f"{name}[z{offset:+d}]" if offset else name for offset in range(-reach, reach + 1) for name in channels
    )


def own_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """The channels that a slice itself has, of those of several slices, or of one: all of them."""
    return tuple(name for name in channels if not OFFSET.fullmatch(name))


def slices_of(channels: Sequence[str]) -> int:
    """How many slices the names of channels are of."""
    own = own_channels(channels)
    count = len(channels) // max(len(own), 1)
    return count if count % 2 and tuple(channels) == with_slices(own, count) else 1


def middle(channels: Sequence[str]) -> slice:
    """Which of such channels are those of the slice itself."""
    count = slices_of(channels)
    own = len(channels) // count
    return slice(own * (count // 2), own * (count // 2 + 1))


def read_slices(read: Callable[[int], np.ndarray], page: int, pages: int, count: int) -> np.ndarray:
    """A page of a stack with its neighbors, (h, w, count x C). read: gives the pixels (h, w, C) of a page."""
    around = range(page - count // 2, page + count // 2 + 1)
    return np.concatenate([read(min(max(k, 0), pages - 1)) for k in around], axis=2)
