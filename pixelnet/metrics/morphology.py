"""Morphological thinning: a mask worn down to lines one pixel wide."""

import numpy as np


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """For each of the 256 neighborhoods: may the pixel go in the first, and in the second, half of a round?"""
    # The neighbors x1..x8 of a pixel: east, then anticlockwise; bit k - 1 of a neighborhood's number is xk.
    x1, x2, x3, x4, x5, x6, x7, x8 = (np.arange(256) >> bit & 1 == 1 for bit in range(8))
    sides, corners = (x1, x3, x5, x7), (x2, x4, x6, x8)
    following = (x3, x5, x7, x1)
    crossings = sum((~a & (b | c)).astype(int) for a, b, c in zip(sides, corners, following, strict=True))
    pairs_from_sides = sum((a | b).astype(int) for a, b in zip(sides, corners, strict=True))
    pairs_from_corners = sum((b | c).astype(int) for b, c in zip(corners, following, strict=True))
    fewer = np.minimum(pairs_from_sides, pairs_from_corners)
    simple = (crossings == 1) & (fewer >= 2) & (fewer <= 3)  # its going breaks no line and shortens none
    return simple & ~((x2 | x3 | ~x8) & x1), simple & ~((x6 | x7 | ~x4) & x5)


TABLES = _tables()


def thin_mask(mask: np.ndarray) -> np.ndarray:
    """Wear a mask (H, W) down until nothing changes; what was connected stays so, and lines keep their length.

    Guo and Hall's parallel algorithm (CACM 1989, "A1") as Lam, Lee and Suen (TPAMI 1992) put it, which is that of
    MATLAB's `bwmorph(mask, "thin", Inf)` and so of the BSDS benchmark. Returns bool (H, W); outside counts as empty.
    """
    padded = np.pad(np.asarray(mask, dtype=np.uint8), 1)
    flat, width = padded.reshape(-1), padded.shape[1]
    neighbors = (1, 1 - width, -width, -width - 1, -1, width - 1, width, width + 1)
    pixels, before = np.flatnonzero(flat), -1
    while len(pixels) != before:
        before = len(pixels)
        for table in TABLES:
            around = np.zeros(len(pixels), dtype=np.uint8)
            for bit, step in enumerate(neighbors):
                around |= flat[pixels + step] << bit
            goes = table[around]
            flat[pixels[goes]] = 0
            pixels = pixels[~goes]
    return padded[1:-1, 1:-1] == 1
