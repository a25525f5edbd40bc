"""Dense answers from few questions: the head is asked on a grid, then only where the grid leaves a doubt.

After PointRend (Kirillov et al., CVPR 2020, section 3.1). The head answers on every eighth pixel of every eighth row.
Step by step the grid is made twice as fine: an answer between two known ones is their mean, unless they leave a doubt;
then it is asked for. Exactness says how far the neighbors must agree: at 1 every pixel is asked, and the answer is
the exact one; at 0 only those whose neighbors flatly disagree.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pixelnet.model import FeatureMaps, PixelNet
from pixelnet.tasks.task import Task

COARSE = 8  # pixels from one point of the first grid to the next; a power of 2
STRIP = 1 << 18  # pixels answered at once, whatever the size of the image


def adaptive_strips(model: PixelNet, maps: FeatureMaps, height: int, width: int, exactness: float) -> Iterator[Tensor]:
    """Dense logits of one image from the top down: (rows, W, K) each.

    maps: of the image, from `model.maps`. height, width: of the image. exactness: 0..1, see above.
    """
    step = max(1, STRIP // width // COARSE) * COARSE
    for top in range(0, height, step):
        yield _strip(model, maps, range(top, min(top + step, height)), width, exactness)


def _strip(model: PixelNet, maps: FeatureMaps, rows: range, width: int, exactness: float) -> Tensor:
    step = COARSE
    down, across = (-(-(length - 1) // step) + 1 for length in (len(rows), width))  # the grid reaches the last pixel
    projection = model.project(maps, len(rows) * width // 4, range(rows.start, rows.start + down * step))

    def ask(y: Tensor, x: Tensor) -> Tensor:
        points = torch.stack([x * step, y * step + rows.start], dim=-1).float()
        return model.rest(maps, projection(points[None]))

    grid = torch.ones(down, across, dtype=torch.bool, device=maps.features[0].device)
    logits = ask(*grid.nonzero(as_tuple=True)).view(down, across, -1)
    while step > 1:
        step //= 2
        asked = uncertainty(model.task, logits) >= 1 - exactness
        asked[::2, ::2] = False  # known
        asked[-(-len(rows) // step) :] = False  # beyond the image
        asked[:, -(-width // step) :] = False
        logits = twice_as_fine(logits)
        places = asked.nonzero(as_tuple=True)
        logits[places] = ask(*places).to(logits.dtype)
    return logits[: len(rows), :width]


def twice_as_fine(grid: Tensor) -> Tensor:
    """(h, w, K) -> (2 h - 1, 2 w - 1, K): the grid's points, and between them their means."""
    height, width, channels = grid.shape
    finer = grid.new_empty(2 * height - 1, 2 * width - 1, channels)
    finer[::2, ::2] = grid
    finer[1::2, ::2] = (grid[:-1] + grid[1:]) / 2
    finer[:, 1::2] = (finer[:, :-1:2] + finer[:, 2::2]) / 2
    return finer


def uncertainty(task: Task, logits: Tensor) -> Tensor:
    """How unsure a grid (h, w, K) leaves each point of the one that is twice as fine: (2 h - 1, 2 w - 1), 0..1.

    Between two points it is what the task says of the two; in the middle of four, the largest of their four sides.
    """
    digests = task.digest(logits)
    height, width = digests.shape[:2]
    found = logits.new_zeros(2 * height - 1, 2 * width - 1)
    right, below = task.disagreement(digests[:, :-1], digests[:, 1:]), task.disagreement(digests[:-1], digests[1:])
    found[::2, 1::2], found[1::2, ::2] = right, below
    found[1::2, 1::2] = right[:-1].maximum(right[1:]).maximum(below[:, :-1]).maximum(below[:, 1:])
    return found
