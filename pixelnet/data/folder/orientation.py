"""Whether labels fit photos as EXIF turns them or as they are stored: cameras note a rotation that tools pass over.

Sizes tell where the sides are exchanged. For half turns and squares the labels' borders tell: they lie where the photo
changes, so its mean gradient there is larger the right way round.
"""

from collections.abc import Iterable

import numpy as np

# EXIF's tag -> how a map as stored becomes upright: exchange the axes, then flip rows and columns.
TURNS: dict[int, tuple[bool, bool, bool]] = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
SURER = 1.25  # how many times larger the gradient must be, at the labels' borders, to overrule EXIF


def upright(labels: np.ndarray, orientation: int) -> np.ndarray:
    """A map (H, W) or (H, W, L) that fits a photo as stored -> one that fits it upright."""
    exchange, rows, columns = TURNS[orientation]
    turned = np.swapaxes(labels, 0, 1) if exchange else labels
    return np.ascontiguousarray(turned[:: -1 if rows else 1, :: -1 if columns else 1])


def fits_stored(pairs: Iterable[tuple[int, np.ndarray, np.ndarray]]) -> bool:
    """Whether labels fit photos as stored.

    pairs: of photos with a rotation, EXIF's tag, the photo upright (H, W, C), and its labels as they are.
    """
    turned = stored = 0.0
    for orientation, image, labels in pairs:
        if labels.shape[:2] != image.shape[:2]:
            if upright(labels, orientation).shape[:2] == image.shape[:2]:
                return True
            continue
        if TURNS[orientation][0] and image.shape[0] != image.shape[1]:
            continue  # of the upright size already, so drawn upright
        rises = _gradient(image)
        turned += _at_borders(rises, labels)
        stored += _at_borders(rises, upright(labels, orientation))
    return stored > SURER * turned


def _gradient(image: np.ndarray) -> np.ndarray:
    gray = image.astype(np.float32).mean(axis=2)
    down, right = np.gradient(gray)
    return np.hypot(down, right)


def _at_borders(rises: np.ndarray, labels: np.ndarray) -> float:
    """The mean gradient where labels change, as a multiple of that of the whole photo."""
    border = np.zeros(labels.shape[:2], bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return float(rises[border].mean() / (rises.mean() + 1e-6)) if border.any() else 0.0
