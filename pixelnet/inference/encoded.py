"""Encode once, ask often: an image that the backbone has seen, and what it shows wherever it is asked.

A part of a larger image is encoded in the same way, with the pixels around it: see `pixelnet.inference.windows`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from pixelnet.data.images import to_array
from pixelnet.data.transforms import bring_to
from pixelnet.devices import seeing
from pixelnet.errors import InputError
from pixelnet.hypercolumn import hypercolumns
from pixelnet.inference.adaptive import adaptive_strips
from pixelnet.metrics.boundaries import binarize
from pixelnet.model import FeatureMaps, PixelNet
from pixelnet.nn.head import Norms
from pixelnet.tasks import Task

Image = str | Path | PIL.Image.Image | np.ndarray | Tensor


class View(NamedTuple):
    """What a model is to see, and where in it it is asked.

    seen: (C, h, w), floats in 0..1. zoom: the factor by which it is magnified. rows, columns: of what is seen, in
    pixels before that.
    """

    seen: Tensor
    zoom: float
    rows: range
    columns: range


class Side(NamedTuple):
    """The maps of an image or of its mirror image, and the rows and columns of it that are asked for."""

    maps: FeatureMaps
    rows: range
    columns: range


@dataclass(frozen=True)
class Encoded:
    """An image that a model has seen. It answers as the model was then, as long as nobody trains it on.

    model: which saw it. width, height: of the image, in its own pixels; of a part of one, those that are asked for.
    sides: its maps, and those of its mirror image where that was asked for.
    """

    model: PixelNet
    width: int
    height: int
    sides: tuple[Side, ...]

    def at(
        self,
        points: np.ndarray | Sequence,
        probabilities: bool = False,
        adaptive: float | None = None,
        binary: bool = False,
    ) -> Any:
        """What the image shows at points (P, 2), (x, y) in its pixels; see `PixelNet.predict`."""
        self.model.check_options(points, probabilities, adaptive, binary, len(self.sides) > 1)
        return self._unpacked(self.answers(points, probabilities))

    def dense(self, probabilities: bool = False, adaptive: float | None = None, binary: bool = False) -> Any:
        """What the image shows at every pixel; see `PixelNet.predict`."""
        self.model.check_options(None, probabilities, adaptive, binary, len(self.sides) > 1)
        return self._unpacked(self.answers(None, probabilities, adaptive, binary))

    @torch.inference_mode()
    def hypercolumns(self, points: np.ndarray | Sequence) -> np.ndarray:
        """The descriptors at points (P, 2), as the head gets them: float32 (P, D), the taps side by side.

        Of the image itself, not of its mirror image. They are features for any other program, a random forest say.
        """
        wanted, maps = self._points(points), self.sides[0].maps
        strides = [stride / maps.zoom for stride in self.model.backbone.strides]
        found = hypercolumns(maps.features, wanted, strides)[0]
        if isinstance(self.model.norms, Norms):
            scale, shift = self.model.norms.scale_and_shift()
            found = found * scale + shift
        return found.float().cpu().numpy()

    @torch.inference_mode()
    def answers(
        self,
        points: np.ndarray | Sequence | None = None,
        probabilities: bool = False,
        adaptive: float | None = None,
        binary: bool = False,
    ) -> dict[str, np.ndarray]:
        """What `at` and `dense` give, as a dict by task, of one task as of several."""
        wanted = None if points is None else self._points(points)
        found = decoded(self.model.task, self.logits(wanted, adaptive), probabilities)
        if binary:
            assert self.model.config.threshold is not None
            found["edges"] = binarize(found["edges"], self.model.config.threshold)
        return found

    def _unpacked(self, answers: dict[str, np.ndarray]) -> Any:
        return answers if len(answers) > 1 else next(iter(answers.values()))

    def logits(self, points: Tensor | None = None, adaptive: float | None = None) -> Iterator[Tensor]:
        """At points (1, P, 2), (P, K) in one part; of all pixels, (rows, W, K) from the top down."""
        if len(self.sides) == 1:
            yield from self._logits_of(self.sides[0], points, adaptive)
            return
        across = points
        if points is not None:  # where the points lie in the mirror image
            across = torch.stack([self.width - 1 - points[..., 0], points[..., 1]], dim=-1)
        sides = (self._logits_of(side, own, None) for side, own in zip(self.sides, (points, across), strict=True))
        for own, other in zip(*sides, strict=True):
            yield self.model.task.with_mirror(own, other if points is not None else other.flip(1))

    def _logits_of(self, side: Side, points: Tensor | None, adaptive: float | None) -> Iterator[Tensor]:
        maps, rows, columns = side
        if points is not None:
            yield self.model.read_head(maps, points + points.new_tensor([columns.start, rows.start]))[0]
        elif adaptive is not None:
            yield from adaptive_strips(self.model, maps, self.height, self.width, adaptive)
        else:
            yield from (band[0] for band in self.model.bands(maps, rows, columns))

    def _points(self, points: np.ndarray | Sequence) -> Tensor:
        array = points_inside(points, self.width, self.height)
        return torch.tensor(array, device=self.model.backbone.mean.device)[None]


def decoded(task: Task, logits: Iterable[Tensor], probabilities: bool) -> dict[str, np.ndarray]:
    """What logits (..., K) say, by task, one part below the other."""
    parts: dict[str, list[np.ndarray]] = {}
    for band in logits:
        for name, answer in task.answers(band.float(), probabilities).items():
            values = answer.cpu().numpy()
            # Class ids, a band at a time: an image of 64-bit integers never exists.
            parts.setdefault(name, []).append(
                values.astype(np.uint8) if np.issubdtype(values.dtype, np.integer) else values
            )
    return {name: np.concatenate(values) for name, values in parts.items()}


def points_inside(points: Any, width: int, height: int, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Points as an array (P, 2) of finite numbers. Raises InputError for what is none, and as `check_inside`."""
    array = np.asarray(points, dtype=dtype)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise InputError(f"points are an array {array.shape}; give (P, 2), x and y in pixels, all finite")
    check_inside(array, width, height)
    return array


def check_inside(points: np.ndarray, width: int, height: int) -> None:
    """Raise InputError for points (P, 2) that lie outside an image: beyond the edges of its outermost pixels."""
    outside = ((points < -0.5) | (points > np.array([width, height]) - 0.5)).any(axis=1)
    if not outside.any():
        return
    x, y = points[outside.argmax()]
    swapped = points[:, ::-1]
    fits = not ((swapped < -0.5) | (swapped > np.array([width, height]) - 0.5)).any()
    raise InputError(
        f"{int(outside.sum())} of {len(points)} points lie outside the image of {width}x{height}: x {x:g}, y {y:g} is "
        "the first; points are x,y in pixels, from 0,0 on" + ("; did you swap x and y?" if fits else "")
    )


def encode(model: PixelNet, image: Image, flip: bool = False) -> Encoded:
    """See `PixelNet.encode`.

    A model with a working size sees the image at that size and is asked at the image's own pixels: a map of stride t
    of an image resized by the factor z has the stride t / z in these.
    """
    pixels = to_array(image, model.channels, model.config.ranges)
    sides = (pixels, np.ascontiguousarray(pixels[:, ::-1])) if flip else (pixels,)
    return encode_views(model, [whole_view(model, side) for side in sides])


def whole_view(model: PixelNet, pixels: np.ndarray) -> View:
    """A whole image (H, W, C) as a model sees it: at its working size, if it has one."""
    seen, zoom = bring_to(pixels, model.config.image_size, model.config.ranges)
    return View(seen, zoom, range(pixels.shape[0]), range(pixels.shape[1]))


def encode_views(model: PixelNet, views: Sequence[View]) -> Encoded:
    """What a model sees of an image and, where there are two views, of its mirror image."""
    return encode_batch(model, [views])[0]


@torch.inference_mode()
def encode_batch(model: PixelNet, batch: Sequence[Sequence[View]]) -> list[Encoded]:
    """`encode_views` of several images that are seen at one size, in one pass of the backbone."""
    mean = model.backbone.mean
    sides: list[list[Side]] = [[] for _ in batch]
    for same in zip(*batch, strict=True):
        seen = torch.stack([view.seen for view in same])
        with seeing(mean.device, model.precision):
            maps = model.maps(seen.to(mean.device, mean.dtype), for_prediction=True, zoom=same[0].zoom)
        maps = replace(maps, features=tuple(own.to(mean.dtype) for own in maps.features))
        for own, one, view in zip(sides, maps.each(), same, strict=True):
            own.append(Side(one, view.rows, view.columns))
    return [
        Encoded(model, len(views[0].columns), len(views[0].rows), tuple(own))
        for views, own in zip(batch, sides, strict=True)
    ]
