"""Dense answers from few questions: the head is asked on a grid, then only where the grid leaves a doubt.

After PointRend (Kirillov et al., CVPR 2020, section 3.1). The head answers on every eighth pixel of every eighth row.
Step by step the grid is made twice as fine: an answer between two known ones is their mean, unless they leave a doubt;
then it is asked for. The dial says how sure the neighbours must be: at 1 every pixel is asked, and the answer is the
exact one; at 0 only those whose neighbours flatly disagree.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelnet.tasks.task import Task

if TYPE_CHECKING:
    from pixelnet.model import Maps, PixelNet

COARSE = 8  # pixels from one point of the first grid to the next; a power of 2
STRIP = 1 << 18  # pixels answered at once, whatever the size of the image


def adaptive_strips(model: "PixelNet", maps: "Maps", height: int, width: int, dial: float) -> Iterator[Tensor]:
    """Dense logits of one image from the top down: (rows, W, K) each.

    maps: of the image, from `model.maps`. height, width: of the image. dial: 0..1, see above.
    """
    rows = max(1, STRIP // width // COARSE) * COARSE
    for top in range(0, height, rows):
        yield _strip(model, maps, range(top, min(top + rows, height)), width, dial)


def _strip(model: "PixelNet", maps: "Maps", lines: range, width: int, dial: float) -> Tensor:
    step = COARSE
    down, across = (-(-(length - 1) // step) + 1 for length in (len(lines), width))  # the grid reaches the last pixel
    projection = model.project(maps, len(lines) * width // 4, range(lines.start, lines.start + down * step))

    def ask(rows: Tensor, columns: Tensor) -> Tensor:
        points = torch.stack([columns * step, rows * step + lines.start], dim=-1).float()
        return model.head.rest(projection(points[None]))

    grid = torch.ones(down, across, dtype=torch.bool, device=maps[0].device)
    logits = ask(*grid.nonzero(as_tuple=True)).view(down, across, -1)
    while step > 1:
        step //= 2
        asked = doubts(model.task, logits) >= 1 - dial
        asked[::2, ::2] = False  # known
        asked[-(-len(lines) // step) :] = False  # beyond the image
        asked[:, -(-width // step) :] = False
        logits = twice_as_fine(logits)
        places = asked.nonzero(as_tuple=True)
        logits[places] = ask(*places).to(logits.dtype)
    return logits[: len(lines), :width]


def twice_as_fine(grid: Tensor) -> Tensor:
    """(h, w, K) -> (2 h - 1, 2 w - 1, K): the grid's points, and between them their means."""
    height, width, channels = grid.shape
    finer = grid.new_empty(2 * height - 1, 2 * width - 1, channels)
    finer[::2, ::2] = grid
    finer[1::2, ::2] = (grid[:-1] + grid[1:]) / 2
    finer[:, 1::2] = (finer[:, :-1:2] + finer[:, 2::2]) / 2
    return finer


def doubts(task: Task, logits: Tensor) -> Tensor:
    """How unsure a grid (h, w, K) leaves each point of the one that is twice as fine: (2 h - 1, 2 w - 1), 0..1.

    Between two points it is what the task says of the two; in the middle of four, the largest of their four sides.
    """
    signs = task.signs(logits)
    height, width = signs.shape[:2]
    found = logits.new_zeros(2 * height - 1, 2 * width - 1)
    right, below = task.doubt(signs[:, :-1], signs[:, 1:]), task.doubt(signs[:-1], signs[1:])
    found[::2, 1::2], found[1::2, ::2] = right, below
    found[1::2, 1::2] = right[:-1].maximum(right[1:]).maximum(below[:, :-1]).maximum(below[:, 1:])
    return found
