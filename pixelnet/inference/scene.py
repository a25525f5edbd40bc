"""One image of any size through a model: how it is cut, and the answers of its blocks, one after the other.

    source --windows--> views --model--> maps, logits --> answers of blocks --> sink

An image that is one window, as photos are, goes the same way: it has one block, and no halo.
"""

import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pixelnet.data.transforms import magnified, margin
from pixelnet.errors import InputError
from pixelnet.inference.budget import AHEAD, LARGEST, Cost, cost_of_windows
from pixelnet.inference.encoded import View, decoded, encode_views, whole_view
from pixelnet.inference.reach import reach, smaller_halo
from pixelnet.inference.source import Source
from pixelnet.inference.windows import (
    Block,
    Tiling,
    as_ratio,
    cut,
    grown,
    mirrored,
    steps_at,
    weights,
    within,
)  # fmt: skip
from pixelnet.model import PixelNet
from pixelnet.rasters.geotiff import SCENE
from pixelnet.rasters.ground import OnGround

Item = TypeVar("Item")
Made = TypeVar("Made")

AT_ONCE = 2**20  # pixels that are always one window
PHOTO = 2**27  # pixels that a photo may have, to be seen at a working size
OVERLAP = 256  # pixels around a block, of a backbone with global operations
SAMPLE = 128  # pixels, the side of the samples that a smaller halo is tried on


@dataclass(frozen=True)
class Plan:
    """How an image is answered for.

    tiling: its blocks, and what is seen around them. scale: how far the network sees it magnified; None for the model's
    working size, of one window. flip: its mirror
    image is asked, too. probabilities: answers are distributions. error: of a halo that does not cover the receptive
    field, how far it moved a logit in samples, as a share of the largest.
    """

    tiling: Tiling
    scale: Fraction | None
    flip: bool = False
    probabilities: bool = False
    error: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether it is one window."""
        return self.tiling.count == 1


class Planner:
    """Plans for images of one model, within one bound of memory.

    scale: None for that of the pixels on the ground that the model learnt from, where both are known, else its working
    size, or an image's own pixels. memory: bytes that the process may come to. exact: halos that cover the receptive
    field, however large it is.
    """

    def __init__(self, model: PixelNet, scale: float | None, memory: int, exact: bool, resident: int) -> None:
        self.model, self.exact, self.memory, self.spare = model, exact, memory, memory - resident
        self._scale = None if scale is None else as_ratio(scale)
        self._costs: dict[tuple[np.dtype, Fraction, bool], Cost] = {}
        self._said: set[Fraction] = set()
        self._lock = Lock()
        self._traced = False
        self._reach: int | None = None

    def plan(
        self, source: Source, dtype: np.dtype, flip: bool, probabilities: bool, ground: OnGround | None, what: str
    ) -> Plan:
        """How an image is to be answered for. ground: where it lies, if its file says so; what: its name in messages.

        Raises:
            InputError: it is too large for the working size, and no scale is given or known; the memory is too small.
        """
        whole = self.whole(source, dtype, flip, probabilities, ground, what)
        if whole is not None:
            return whole
        scale = self._scale_of(ground, what) or Fraction(1)
        return self._in_windows(source, scale, self._cost(dtype, scale, flip), flip, probabilities)

    def whole(
        self, source: Source, dtype: np.dtype, flip: bool, probabilities: bool, ground: OnGround | None, what: str
    ) -> Plan | None:
        """The plan of an image that is one window; None of any other, which takes longer to plan for. See `plan`."""
        height, width = source.height, source.width
        size, scale = self.model.config.image_size, self._scale_of(ground, what)
        if size is not None and scale is None:
            if height * width > (PHOTO if ground is None else SCENE):
                raise InputError(
                    f"{what} is {width}x{height}, and the model brings the longer side of images to {size} pixels, "
                    f"which would squeeze it {max(height, width) / size:.0f} times; say at which scale it is to be "
                    "seen: --scale 1 for its own pixels"
                )
            return Plan(_whole(height, width), None, flip, probabilities)
        pixels, scale = height * width, scale or Fraction(1)
        if pixels * scale**2 <= AT_ONCE or self._cost(dtype, scale, flip).of(pixels) <= self.spare:
            return Plan(_whole(height, width), scale, flip, probabilities)
        return None

    def _scale_of(self, ground: OnGround | None, what: str) -> Fraction | None:
        """What is asked for, else what makes pixels as large on the ground as those that the model learnt from."""
        learnt, own = self.model.config.pixel_size, ground and ground.pixel_size
        if self._scale is not None or learnt is None or own is None:
            return self._scale
        found = f"{what} has pixels of {own:g} m, and the model learnt from those of {learnt:g} m"
        try:
            scale = as_ratio(own / learnt)
        except InputError:
            raise InputError(f"{found}; say at which scale it is to be seen: --scale 1 for its own pixels") from None
        with self._lock:
            if scale != 1 and scale not in self._said:
                self._said.add(scale)
                by = f"magnified by {float(scale):.3g}" if scale > 1 else f"made smaller by {float(1 / scale):.3g}"
                tqdm.write(f"{found}: it is seen {by} (--scale 1 for its own pixels)", file=sys.stderr)
        return scale

    def _cost(self, dtype: np.dtype, scale: Fraction, flip: bool) -> Cost:
        with self._lock:  # threads ask at once
            if (dtype, scale, flip) not in self._costs:
                self._costs[dtype, scale, flip] = cost_of_windows(self.model, dtype, scale, flip)
            return self._costs[dtype, scale, flip]

    def _in_windows(self, source: Source, scale: Fraction, cost: Cost, flip: bool, probabilities: bool) -> Plan:
        if not self._traced:
            self._traced, self._reach = True, reach(self.model.backbone)
        step = steps_at(self.model.backbone.step, scale)
        blend, error = self._reach is None, 0.0
        halo = math.ceil((self._reach or OVERLAP) / scale / step) * step
        if not blend and not self.exact:
            halo, error = self._smaller(source, scale, halo, step)
        tiling = Tiling(source.height, source.width, step, halo, step, blend)
        side = self._side(tiling, cost)
        return Plan(Tiling(source.height, source.width, side, halo, step, blend), scale, flip, probabilities, error)

    def _smaller(self, source: Source, scale: Fraction, halo: int, step: int) -> tuple[int, float]:
        def logits(rows: range, columns: range, down: int, across: int) -> Tensor:
            tilings = [Tiling(source.height, source.width, 0, own, step) for own in (down, across)]
            seen = [
                tiling.around(own, length)
                for tiling, own, length in zip(tilings, (rows, columns), (source.height, source.width), strict=True)
            ]
            view = view_of_part(self.model, source, (seen[0], seen[1]), (rows, columns), scale)
            with torch.inference_mode():
                return torch.cat(list(encode_views(self.model, [view]).logits()))

        return smaller_halo(logits, _samples(source, step), halo, step)

    def _side(self, tiling: Tiling, cost: Cost) -> int:
        """The side of the largest blocks that fit the memory."""
        outputs = self.model.task.outputs if tiling.blend else 0

        def needed(side: int) -> float:
            down, across = (min(side + 2 * tiling.halo, length) for length in (tiling.height, tiling.width))
            # Of mixed answers, two rows of blocks wait for those below them.
            return cost.of(down * across) + 2 * side * tiling.width * 4 * outputs

        smallest = max(tiling.halo, tiling.step)
        for side in range(max(smallest, LARGEST // tiling.step * tiling.step), smallest - 1, -tiling.step):
            if needed(side) <= self.spare:
                return side
        least = math.ceil((needed(smallest) + self.memory - self.spare) / 2**20)
        raise InputError(
            f"a memory of {self.memory / 2**20:.0f} MB is too little for this model, whose windows show {tiling.halo} "
            f"pixels around what they answer for; give --memory {least}MB or more"
        )


def _whole(height: int, width: int) -> Tiling:
    return Tiling(height, width, max(height, width), 0, 1)


def _samples(source: Source, step: int) -> list[tuple[range, range]]:
    """Rows and columns of three places of an image, at a quarter, the middle and three quarters of its diagonal."""
    side = -(-SAMPLE // step) * step

    def along(length: int, share: float) -> range:
        first = int(share * max(0, length - side)) // step * step
        return range(first, min(first + side, length))

    return [(along(source.height, share), along(source.width, share)) for share in (0.25, 0.5, 0.75)]


class Look(NamedTuple):
    """What a model is to see for a block: the image and perhaps its mirror image; which pixels are measured."""

    block: Block
    views: list[View]
    measured: np.ndarray | None


def look(model: PixelNet, source: Source, plan: Plan, block: Block) -> Look:
    """Read what is to be seen for a block, and for its border where answers are mixed."""
    tiling = plan.tiling
    measured = source.measured(source.read(block.rows, block.columns))
    rows, asked = tiling.around(block.rows, tiling.height), tiling.asked(block)
    views = []
    for flipped in (False, True)[: 1 + plan.flip]:
        part, own = ((mirrored(one, tiling.width) if flipped else one) for one in (block.columns, asked[1]))
        view = view_of_part(
            model, source, (rows, tiling.around(part, tiling.width)), (asked[0], own), plan.scale, flipped
        )
        views.append(view)
    return Look(block, views, measured)


def view_of_part(
    model: PixelNet,
    source: Source,
    seen: tuple[range, range],
    asked: tuple[range, range],
    scale: Fraction | None,
    flipped: bool = False,
) -> View:
    """Rows and columns of an image, and those of them that are asked for; of its mirror image in columns of that."""
    (rows, columns), more = seen, margin(scale or Fraction(1))
    held = grown(rows, more, source.height), grown(columns, more, source.width)
    pixels = source.read(held[0], mirrored(held[1], source.width) if flipped else held[1])
    pixels = np.ascontiguousarray(pixels[:, ::-1]) if flipped else pixels
    if scale is None:
        return whole_view(model, pixels)
    part = magnified(pixels, scale, within(rows, held[0]), within(columns, held[1]), model.config.ranges)
    return View(part, float(scale), within(asked[0], rows), within(asked[1], columns))


Answered = tuple[Block, dict[str, np.ndarray]]


def answered(model: PixelNet, source: Source, plan: Plan, wanted: Sequence[int] | None = None) -> Iterator[Answered]:
    """The answers of blocks, by task, in the order in which they are made; unlabelled where nothing was measured.

    wanted: numbers of blocks, rising; None for all. The answers of a block are the same whichever others are wanted.
    """
    tiling = plan.tiling
    numbers = range(tiling.count) if wanted is None else wanted
    seen = sorted({block.number for number in numbers for block in tiling.neighbors(number)})
    looks = ahead(lambda number: look(model, source, plan, tiling.block(number)), seen)
    yield from (_mixed if tiling.border else _apart)(model, plan, looks, frozenset(numbers))


def _apart(model: PixelNet, plan: Plan, looks: Iterator[Look], wanted: frozenset[int]) -> Iterator[Answered]:
    nothing: dict[str, np.ndarray] = {}
    for block, views, measured in looks:
        if measured is not None and not measured.any() and nothing:
            shape = len(block.rows), len(block.columns)
            yield block, {name: np.broadcast_to(own, shape + own.shape).copy() for name, own in nothing.items()}
            continue
        answers = encode_views(model, views).answers(probabilities=plan.probabilities)
        answers = without(model, answers, measured)
        nothing = nothing or _nothing(model, answers)
        yield block, answers


def _mixed(model: PixelNet, plan: Plan, looks: Iterator[Look], wanted: frozenset[int]) -> Iterator[Answered]:
    """Blocks whose windows differ where they overlap: logits there are a mean, by the distance from either."""
    tiling, outputs = plan.tiling, model.task.outputs
    waiting: dict[int, np.ndarray] = {}
    lacking: dict[int, np.ndarray | None] = {}
    for block, views, measured in looks:
        lacking[block.number] = measured
        encoded = encode_views(model, views)
        with torch.inference_mode():
            logits = torch.cat(list(encoded.logits())).float().cpu().numpy()
        rows, columns = tiling.asked(block)
        logits *= weights(block.rows, tiling.height, tiling.border, rows)[:, None, None]
        logits *= weights(block.columns, tiling.width, tiling.border, columns)[:, None]
        for other in tiling.neighbors(block.number):
            if other.number not in wanted:
                continue
            if other.number not in waiting:
                waiting[other.number] = np.zeros((len(other.rows), len(other.columns), outputs), np.float32)
            shared = [_shared(one, two) for one, two in ((rows, other.rows), (columns, other.columns))]
            here = tuple(cut(within(part, own)) for part, own in zip(shared, (rows, columns), strict=True))
            there = tuple(cut(within(part, own)) for part, own in zip(shared, (other.rows, other.columns), strict=True))
            waiting[other.number][there] += logits[here]
            if max(own.number for own in tiling.neighbors(other.number)) == block.number:
                found = decoded(model.task, [torch.from_numpy(waiting.pop(other.number))], plan.probabilities)
                yield other, without(model, found, lacking.pop(other.number))


def _shared(one: range, other: range) -> range:
    first = max(one.start, other.start)
    return range(first, max(first, min(one.stop, other.stop)))


def without(model: PixelNet, answers: dict[str, np.ndarray], measured: np.ndarray | None) -> dict[str, np.ndarray]:
    """Answers, with unlabelled ones where nothing was measured."""
    if measured is not None:
        for name, answer in answers.items():
            answer[~measured] = _unlabelled(model, name, answer)
    return answers


def _nothing(model: PixelNet, answers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each task the answer of one pixel where nothing was measured."""
    return {
        name: np.full(answer.shape[2:], _unlabelled(model, name, answer), answer.dtype)
        for name, answer in answers.items()
    }


def _unlabelled(model: PixelNet, name: str, answer: np.ndarray) -> Any:
    part = model.task.parts[name]
    return np.nan if part.categorical and answer.dtype.kind == "f" else part.unlabelled


def answer_points(model: PixelNet, source: Source, plan: Plan, points: np.ndarray) -> dict[str, np.ndarray]:
    """Answers at points (P, 2), (x, y) in pixels, from the windows of the blocks that they lie in."""
    tiling = plan.tiling
    last = np.array([tiling.width, tiling.height]) - 1
    across, down = (points.round().clip(0, last).astype(int) // tiling.side).T
    numbers = down * tiling.across + across
    found: dict[str, np.ndarray] = {}
    looks = ahead(lambda number: look(model, source, plan, tiling.block(number)), np.unique(numbers).tolist())
    for block, views, _ in looks:
        here = np.flatnonzero(numbers == block.number)
        rows, columns = tiling.asked(block)
        own = points[here] - np.array([columns.start, rows.start], np.float32)
        for name, answer in encode_views(model, views).answers(own).items():
            whole = found.setdefault(name, np.zeros((len(points), *answer.shape[1:]), answer.dtype))
            whole[here] = answer
    return found


def ahead(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What a work makes of each item, in their order, done in a thread of its own before it is asked for."""
    with ThreadPoolExecutor(1) as worker:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(worker.submit(work, item))
            if len(waiting) >= AHEAD - 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
