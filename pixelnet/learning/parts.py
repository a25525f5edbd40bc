"""What a few labels are learnt from: frozen networks, which see images magnified or not, and a pixel's own filters.

A part is written as `edges@2` (the network of the model that ships as `edges`, which sees images magnified by two),
`imagenet` (the default network with ImageNet's weights) or `filters`; what describes a pixel is one or several,
as in `edges@2+filters`. An image's maps are made once, of a large one tile by tile, and kept in half
precision, as they are: never upsampled.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pixelnet.config import BACKBONE
from pixelnet.data.images import Ranges
from pixelnet.data.transforms import to_unit
from pixelnet.errors import InputError
from pixelnet.inference.reach import reach
from pixelnet.learning.tiles import MARGIN, Tile, tile_numbers, tiles_of
from pixelnet.model import PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.fuse import fused
from pixelnet.nn.layout import memory_format
from pixelnet.nn.networks import FILTERS, make_backbone
from pixelnet.nn.pretrained import at_hand
from pixelnet.nn.projection import neighbors
from pixelnet.runs.hub import load, shipped

CPU = torch.device("cpu")
IMAGENET = "imagenet"
SOURCES = (IMAGENET, "edges", "pixelnet")  # where networks come from, the best on average first
MAGNIFICATIONS = ("0.5", "1", "2", "4")
MOST_BYTES = 2 * 2**30  # of maps that are kept
HELD = 2**26  # pixels of an image of several tiles that is held whole; of a larger one tiles are read one by one
TRIED = 256  # pixels, as a network sees them, of a side of what its time is told by


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
def open_part(part: str, channels: int, device: torch.device = CPU) -> Backbone:
    """A part's backbone, frozen, for images of so many channels; as of color, weights are fitted to other counts.

    Raises InputError where ImageNet's weights are not to be had.
    """
    source = part.partition("@")[0]
    backbone = make_backbone(name_of(part), channels=channels, pretrained=source == IMAGENET)
    if source not in (FILTERS, IMAGENET):
        backbone.take_weights(network_of(source).backbone)
    return backbone.eval().requires_grad_(False).to(device).to(memory_format=memory_format(backbone))


@lru_cache(maxsize=4)
def network_of(source: str) -> PixelNet:
    """A model that ships."""
    return load(source)


class Piece(NamedTuple):
    """The maps (1, C_l, h_l, w_l) of a tile and of a margin around it, and the pixel that they begin at."""

    maps: list[Tensor]
    top: int
    left: int


class Maps:
    """The maps of images, by image, part and tile, made when first asked for.

    Args:
        image: gives the pixels (H, W, C) of image i, or some rows and columns of them.
        size: gives its (width, height).
        channels, ranges: of the images; see `Dataset`.
        device: where networks see images; the maps come back from there.
        most: bytes that are kept; those that were not asked for the longest are made again when they are. The last is
            kept in any case.
    """

    def __init__(
        self,
        image: Callable[..., np.ndarray],
        size: Callable[[int], tuple[int, int]],
        channels: int,
        ranges: Ranges | None = None,
        most: int = MOST_BYTES,
        device: torch.device = CPU,
    ) -> None:
        self.image, self.size, self.channels, self.ranges, self.most = image, size, channels, ranges, most
        self.device = device
        self._kept: OrderedDict[tuple[int, str, Tile], Piece] = OrderedDict()
        self._bytes = 0
        self._last: tuple[int, np.ndarray] | None = None  # the pixels of an image of several tiles
        self._lock = Lock()  # of what is kept, not while maps are made: one thread may ask while another makes some

    def of(self, index: int, part: str, tile: Tile) -> Piece:
        """Maps of a tile of an image (see `tiles_of`), in half precision, shallow to deep."""
        key = index, part, tile
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._made(index, part, tile)
        with self._lock:
            if key not in self._kept:  # which another thread may have made meanwhile
                self._kept[key] = made
                self._bytes += _size(made.maps)
            while self._bytes > self.most and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1].maps)
        return made

    def missing(self, index: int, part: str) -> list[Tile]:
        """The tiles of an image whose maps are not at hand."""
        return [tile for tile in tiles_of(self.size(index)) if (index, part, tile) not in self._kept]

    def has(self, index: int, part: str) -> bool:
        """Whether the maps of all tiles of an image are at hand."""
        return not self.missing(index, part)

    def weight(self, part: str) -> float:
        """Bytes that a pixel's maps of a part come to."""
        backbone = open_part(part, self.channels)
        return sum(2 * own / stride**2 for own, stride in zip(backbone.channels, backbone.strides, strict=True))

    @property
    def share(self) -> float:
        """How much of the bytes that are kept at most is in use."""
        return self._bytes / self.most

    def forget(self, index: int) -> None:
        """Drop what is kept of an image."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == index]:
                self._bytes -= _size(self._kept.pop(key).maps)

    @torch.inference_mode()
    def _made(self, index: int, part: str, tile: Tile) -> Piece:
        size, backbone = self.size(index), open_part(part, self.channels, self.device)
        kept, seen = tile.around(MARGIN, size), self._seen(size, part, tile)
        window = self._window(index, seen)
        pixels = to_unit(torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1))), self.ranges)
        padded = backbone.padded(pixels[None].to(self.device)).contiguous(memory_format=memory_format(backbone))
        made = []
        for features, stride in zip(fused(backbone, padded)(padded), backbone.strides, strict=True):
            # At an image's end the map goes on, as far as that was padded.
            rows, columns = (
                slice(int((first - begun) / stride), None if end == length else int((end - begun) / stride))
                for first, end, begun, length in (
                    (kept.top, kept.bottom, seen.top, size[1]),
                    (kept.left, kept.right, seen.left, size[0]),
                )
            )
            made.append(features[..., rows, columns].clamp(-HALF_ENDS, HALF_ENDS).half().cpu())
        return Piece(made, kept.top, kept.left)

    def _seen(self, size: tuple[int, int], part: str, tile: Tile) -> Tile:
        """What of an image of that size a part has to see for a tile's maps."""
        if tile.pixels == size[0] * size[1]:
            return tile  # the reach of a network takes seconds to trace
        # What is kept beyond the cells that are read hangs on more.
        return tile.around(max(MARGIN, reach_of(part, self.channels)), size)

    def _window(self, index: int, seen: Tile) -> np.ndarray:
        """The pixels of a tile; of an image that is not held whole no more is read."""
        rows, columns = slice(seen.top, seen.bottom), slice(seen.left, seen.right)
        width, height = self.size(index)
        if width * height > HELD:
            return self.image(index, (rows, columns))
        return self._pixels(index)[rows, columns]

    def _pixels(self, index: int) -> np.ndarray:
        last = self._last  # which another thread may replace
        if last is None or last[0] != index:
            last = self._last = None  # which is given back before there is another
            last = self._last = index, self.image(index)
        return last[1]

    def at(self, index: int, part: str, points: np.ndarray) -> np.ndarray:
        """Hypercolumns of a part at points (P, 2) of an image: float32 (P, D)."""
        size, strides = self.size(index), open_part(part, self.channels).strides
        tiles, numbers = tiles_of(size), tile_numbers(points, size)
        found = np.empty((len(points), self.width(part)), np.float32)
        for number in np.unique(numbers):
            own = numbers == number
            maps, top, left = self.of(index, part, tiles[number])
            places = torch.from_numpy((points[own] - (left, top)).astype(np.float32))
            read = [_read(one[0], places, s) for one, s in zip(maps, strides, strict=True)]
            found[own] = torch.cat(read, dim=1).numpy()
        return found

    def seconds(self, index: int, part: str) -> float:
        """What it will take to see an image, of which nothing is kept yet, about."""
        size = self.size(index)
        pixels = sum(self._seen(size, part, tile).pixels for tile in tiles_of(size))
        return pixels * pace(part, self.channels, self.device)

    def width(self, part: str) -> int:
        """How many features a part has."""
        return sum(open_part(part, self.channels).channels)


@lru_cache(maxsize=16)
def reach_of(part: str, channels: int) -> int:
    """How far beyond a tile its answers hang on the image, in pixels; see `reach`."""
    found = reach(open_part(part, channels))
    assert found is not None, "a network that looks at all of an image cannot see it in tiles"
    return found


@lru_cache(maxsize=16)
@torch.inference_mode()
def pace(part: str, channels: int, device: torch.device = CPU) -> float:
    """The seconds that a part takes to see a pixel of an image, by a small one."""
    backbone = open_part(part, channels, device)
    side = int(TRIED / backbone.magnification)
    image = torch.rand(1, channels, side, side, device=device).contiguous(memory_format=memory_format(backbone))
    network = fused(backbone, image)
    network(image)[-1].cpu()  # the first time takes longer
    start = time.monotonic()
    network(image)[-1].cpu()  # which waits for an accelerator
    return (time.monotonic() - start) / side**2


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
