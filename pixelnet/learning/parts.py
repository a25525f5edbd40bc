"""What a few labels are learnt from: frozen networks, which see images magnified or not, and a pixel's own filters.

A part is written as `edges@2` (the network of the model that ships as `edges`, which sees images magnified by two),
`imagenet` (the default network with ImageNet's weights) or `filters`; what describes a pixel is one or several,
as in `edges@2+filters`. An image's maps are made once and kept in half precision, as they are: never upsampled.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pixelnet.config import BACKBONE
from pixelnet.data.images import Ranges
from pixelnet.data.transforms import to_unit
from pixelnet.errors import InputError
from pixelnet.model import PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.fuse import fused
from pixelnet.nn.layout import memory_format
from pixelnet.nn.networks import FILTERS, make_backbone
from pixelnet.nn.pretrained import at_hand
from pixelnet.nn.projection import neighbors
from pixelnet.runs.hub import load, shipped

IMAGENET = "imagenet"
SOURCES = (IMAGENET, "edges", "pixelnet")  # where networks come from, the best on average first
MAGNIFICATIONS = ("0.5", "1", "2", "4")
MOST_BYTES = 2 * 2**30  # of maps that are kept


def known_sources() -> list[str]:
    """The networks that are here without asking any hub."""
    ships = shipped()
    return [name for name in SOURCES if (at_hand(BACKBONE) if name == IMAGENET else name in ships)]


def split(text: str) -> tuple[str, ...]:
    """The parts of a description, `edges@2+filters`. Raises InputError for what is none."""
    parts = tuple(part.strip() for part in text.split("+"))
    for part in parts:
        source, at, factor = part.partition("@")
        if part != FILTERS and (source not in SOURCES or (at and factor not in MAGNIFICATIONS)):
            raise InputError(
                f"{text!r}: {part!r} is nothing to learn from; write {', '.join(SOURCES)} or {FILTERS}, a network that "
                "is to see images magnified as in edges@2, and several as in edges@2+filters"
            )
    return tuple(dict.fromkeys(part.removesuffix("@1") for part in parts))


def name_of(part: str) -> str:
    """What `make_backbone` calls a part: the network, without where its weights are from."""
    source, at, factor = part.partition("@")
    network = BACKBONE if source == IMAGENET else part if source == FILTERS else network_of(source).config.backbone
    return network + at + factor


@lru_cache(maxsize=8)
def open_part(part: str, channels: int) -> Backbone:
    """A part's backbone, frozen, for images of so many channels; as of color, weights are fitted to other counts.

    Raises InputError where ImageNet's weights are not to be had.
    """
    source = part.partition("@")[0]
    backbone = make_backbone(name_of(part), channels=channels, pretrained=source == IMAGENET)
    if source not in (FILTERS, IMAGENET):
        backbone.take_weights(network_of(source).backbone)
    return backbone.eval().requires_grad_(False).to(memory_format=memory_format(backbone))


@lru_cache(maxsize=4)
def network_of(source: str) -> PixelNet:
    """A model that ships."""
    return load(source)


class Maps:
    """The maps of images, by image and part, made when first asked for.

    Args:
        image: gives the pixels (H, W, C) of image i.
        channels, ranges: of the images; see `Dataset`.
        most: bytes that are kept; those that were not asked for the longest are made again when they are.
    """

    def __init__(
        self,
        image: Callable[[int], np.ndarray],
        channels: int,
        ranges: Ranges | None = None,
        most: int = MOST_BYTES,
    ) -> None:
        self.image, self.channels, self.ranges, self.most = image, channels, ranges, most
        self._kept: OrderedDict[tuple[int, str], list[Tensor]] = OrderedDict()
        self._bytes = 0

    @torch.inference_mode()
    def of(self, index: int, part: str) -> list[Tensor]:
        """Maps (1, C_l, H_l, W_l) of an image, in half precision, shallow to deep."""
        key = (index, part)
        if key not in self._kept:
            pixels = to_unit(torch.from_numpy(np.ascontiguousarray(self.image(index).transpose(2, 0, 1))), self.ranges)
            backbone = open_part(part, self.channels)
            padded = backbone.padded(pixels[None]).contiguous(memory_format=memory_format(backbone))
            made = [features.clamp(-HALF_ENDS, HALF_ENDS).half() for features in fused(backbone, padded)(padded)]
            self._kept[key] = made
            self._bytes += _size(made)
            while self._bytes > self.most and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
        self._kept.move_to_end(key)
        return self._kept[key]

    def at(self, index: int, part: str, points: np.ndarray) -> np.ndarray:
        """Hypercolumns of a part at points (P, 2) of an image: float32 (P, D)."""
        strides = open_part(part, self.channels).strides
        maps = self.of(index, part)
        places = torch.from_numpy(points.astype(np.float32))
        return torch.cat([_read(own[0], places, s) for own, s in zip(maps, strides, strict=True)], dim=1).numpy()

    def forget(self, index: int) -> None:
        """Drop what is kept of an image."""
        for key in [key for key in self._kept if key[0] == index]:
            self._bytes -= _size(self._kept.pop(key))


HALF_ENDS = torch.finfo(torch.float16).max


@torch.inference_mode()
def _read(features: Tensor, points: Tensor, stride: float) -> Tensor:
    """A map (C, h, w) in half precision at points (P, 2) -> float32 (P, C); as `pixelnet.hypercolumn.read`."""
    (columns, across), (rows, down) = (
        neighbors(points[:, axis], stride, range(length)) for axis, length in enumerate(features.shape[:0:-1])
    )
    # A cell's channels lie side by side where maps have them last: read so, it takes a seventh of the time.
    corners = features.permute(1, 2, 0)[rows.long()[:, :, None], columns.long()[:, None, :]].float()  # (P, 2, 2, C)
    return (corners * (down[:, :, None] * across[:, None, :])[..., None]).sum(dim=(1, 2))


def _size(maps: Sequence[Tensor]) -> int:
    return sum(features.numel() * features.element_size() for features in maps)
