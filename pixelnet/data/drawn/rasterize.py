"""Outlines and lines to pixels: a pixel belongs to a shape if its center does, on a left or upper border, too.

Inside a polygon is what the even-odd rule says. (Pillow's polygons take in the outline as well, about a pixel's width
too much.) Time and memory go with the rows that edges cross and with the shape's own box, not with the image.
"""

from collections.abc import Iterator

import numpy as np

from pixelnet.data.drawn.shapes import Patch

BLOCK = 2**20  # edges x rows worked on at once
MOST = 10**7  # edges x rows that any shape may have; one of a larger image as many as there are pixels


def fill(outline: np.ndarray, width: int, height: int) -> Patch:
    """The pixels inside a polygon (P, 2), which may leave the image. Raises ValueError for a scribble without end."""
    (x0, y0), (x1, y1) = outline.T, np.roll(outline, -1, axis=0).T
    # The rows whose centers an edge crosses, and below the first column whose center is right of it.
    first, last = np.clip(np.ceil(np.sort([y0, y1], axis=0) - 0.5), 0, height).astype(int)
    crossed = first < last
    if not crossed.any():
        return Patch(0, 0, np.zeros((0, 0), bool))
    top, bottom = first[crossed].min(), last[crossed].max()
    ends = np.concatenate([x0[crossed], x1[crossed]])
    left, right = np.clip(np.ceil([ends.min() - 0.5, ends.max() - 0.5]), 0, width).astype(int)
    inside = np.zeros((bottom - top, right - left + 1), np.uint8)
    for edge, row in edges_and_rows(first, last, width * height):
        x = x0[edge] + (row + 0.5 - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
        column = np.clip(np.ceil(x - 0.5), left, right).astype(int)
        np.add.at(inside, (row - top, column - left), 1)  # modulo 256, which leaves odd and even alone
    np.cumsum(inside, axis=1, dtype=np.uint8, out=inside)
    return Patch(int(top), int(left), (inside[:, :-1] & 1).view(bool))


def stroke(starts: np.ndarray, ends: np.ndarray, radius: float, width: int, height: int) -> Patch:
    """The pixels within `radius` of the lines from starts (S, 2) to ends (S, 2); of a line without length, a disc."""
    (x0, y0), (x1, y1) = starts.T, ends.T
    dx, dy = x1 - x0, y1 - y0
    first = np.clip(np.ceil(np.minimum(y0, y1) - radius - 0.5), 0, height).astype(int)
    last = np.clip(np.ceil(np.maximum(y0, y1) + radius - 0.5), 0, height).astype(int)
    crossed = first < last
    if not crossed.any():
        return Patch(0, 0, np.zeros((0, 0), bool))
    top, bottom = first[crossed].min(), last[crossed].max()
    left = int(np.clip(np.ceil(min(x0.min(), x1.min()) - radius - 0.5), 0, width))
    right = int(np.clip(np.ceil(max(x0.max(), x1.max()) + radius - 0.5), 0, width))
    depth = np.zeros((bottom - top, right - left + 1), np.min_scalar_type(-len(starts) - 1))  # lines over each pixel
    length = np.maximum(np.hypot(dx, dy), 1e-30)
    across_x, across_y = -radius * dy / length, radius * dx / length  # to the line's side
    for edge, row in edges_and_rows(first, last, width * height):
        y = row + 0.5
        with np.errstate(all="ignore"):
            # Where the row leaves the discs at both ends, and the two sides between them; NaN where it misses them.
            halves = [np.sqrt(radius**2 - (y - end[edge]) ** 2) for end in (y0, y1)]
            leaves = [x[edge] + sign * half for x, half in zip((x0, x1), halves, strict=True) for sign in (-1, 1)]
            for side in (-1, 1):
                along = (y - y0[edge] - side * across_y[edge]) / dy[edge]
                x = x0[edge] + side * across_x[edge] + along * dx[edge]
                leaves.append(np.where((along >= 0) & (along <= 1), x, np.nan))
        begin, end = np.fmin.reduce(leaves), np.fmax.reduce(leaves)
        hit = np.isfinite(begin)
        begin = np.clip(np.ceil(begin[hit] - 0.5), left, right).astype(int)
        end = np.clip(np.ceil(end[hit] - 0.5), left, right).astype(int)
        np.add.at(depth, (row[hit] - top, begin - left), 1)
        np.add.at(depth, (row[hit] - top, end - left), -1)
    return Patch(int(top), left, np.cumsum(depth, axis=1, dtype=depth.dtype, out=depth)[:, :-1] > 0)


def edges_and_rows(first: np.ndarray, last: np.ndarray, pixels: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each edge with each of its rows first..last - 1: (edge (E,), row (E,)), in blocks.

    Raises ValueError for more of them than a drawing by hand or by a model can have.
    """
    number = np.maximum(last - first, 0)
    total = np.cumsum(number)
    if total[-1] > max(MOST, pixels):
        raise ValueError(f"its edges cross {total[-1]} rows of pixels, the image has {pixels} pixels")
    for edges in np.split(np.arange(len(number)), np.flatnonzero(np.diff(total // BLOCK)) + 1):
        edge = np.repeat(edges, number[edges])
        before = total[edges[0]] - number[edges[0]]
        yield edge, first[edge] + np.arange(before, before + edge.size) - (total - number)[edge]


def corners(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """The outline (4, 2) of an upright rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """The outline (720, 2) of an upright ellipse, within 1e-5 of its radius."""
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def turned(outline: np.ndarray, x: float, y: float, degrees: float) -> np.ndarray:
    """An outline (P, 2) turned about a point, clockwise as the image is seen."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (outline - (x, y)) @ np.array([(cos, sin), (-sin, cos)]) + (x, y)
