"""How large a window may be: what it takes of memory, counted once on small ones."""

import re
import weakref
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pixelnet.errors import InputError
from pixelnet.inference.encoded import View, encode_views
from pixelnet.inference.windows import steps_at
from pixelnet.model import PixelNet

LARGEST = 2048  # pixels, the side of a block: more spares little of what halos cost
TRIED = 1024  # pixels, the side of the larger of the windows that are tried, at most
SEEN = 512  # pixels of it that the network sees
BEYOND = 1.3  # what kernels take besides, and what lies between, as a factor
SMALL = 5 * 2**25  # bytes that pieces come to which are too small to be handed back (`pixelnet.memory`)
AHEAD = 3  # windows whose pixels are in memory at once: one is read, one waits, one is seen


class Cost(NamedTuple):
    """Bytes that a window takes: some, and some for each of its pixels."""

    fixed: float
    pixel: float

    def of(self, pixels: int) -> float:
        return self.fixed + self.pixel * pixels


class Counted(TorchDispatchMode):
    """Within, `peak` is the most bytes that tensors made there have held at once; on any device."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and id(tensor.untyped_storage()) not in self._known:
                storage = tensor.untyped_storage()
                self._known.add(id(storage))
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._freed, id(storage), storage.nbytes())
        return made

    def _freed(self, known: int, size: int) -> None:
        self._known.discard(known)
        self.live -= size


def cost_of_windows(model: PixelNet, dtype: np.dtype, scale: Fraction, flip: bool) -> Cost:
    """What a window costs, from two that are tried: images of random numbers, seen and answered for."""
    step = steps_at(model.backbone.step, scale)
    side = max(2, min(TRIED, int(SEEN / scale)) // step)
    counts = {}
    for steps in (-(-side // 2), side):
        length = steps * step
        seen = torch.zeros(model.config.in_channels, *(int(length * scale),) * 2)
        view = View(seen, float(scale), range(length), range(length))
        with Counted() as counted:
            encode_views(model, [view] * (1 + flip)).answers()
        counts[length**2] = counted.peak
    (few, less), (many, more) = counts.items()
    pixel = max(more - less, 0) / (many - few)
    stored = (1 + flip) * model.config.in_channels * (4 * AHEAD * float(scale) ** 2 + dtype.itemsize + 8)  # and read
    return Cost(SMALL + max(0.0, less - pixel * few), BEYOND * pixel + stored)


def parse_bytes(text: str) -> int:
    """A size as people write it, 2GB or 800 MB, in bytes. Raises InputError for what is none."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower())
    if not found:
        raise InputError(f"the memory is {text!r}; give a size such as 2GB or 800MB")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))
