"""Whether labels fit photos as EXIF turns them or as they are stored: cameras note a rotation that tools pass over.

Sizes tell where the sides are exchanged. For half turns and squares it is told by where labels change: the photo
changes there, too, so its mean gradient there is larger the right way round.
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


def upright(labels: np.ndarray, orientation: int, normals: bool = False) -> np.ndarray:
    """A map (H, W) or (H, W, L) that fits a photo as stored -> one that fits it upright.

    normals: its vectors (x right, y down, z) turn, too.
    """
    exchange, rows, columns = TURNS[orientation]
    turned = np.swapaxes(labels, 0, 1) if exchange else labels
    turned = turned[:: -1 if rows else 1, :: -1 if columns else 1]
    if normals:
        turned = turned[..., [1, 0, 2] if exchange else [0, 1, 2]] * np.array(
            [1 - 2 * columns, 1 - 2 * rows, 1], np.float32
        )
    return np.ascontiguousarray(turned)


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
        if min(image.shape[:2]) < 2:
            continue
        rises, changes = _gradient(image), _changes(labels)
        turned += float((rises * changes).sum() / rises.mean().clip(1e-6))
        stored += float((rises * upright(changes, orientation)).sum() / rises.mean().clip(1e-6))
    return stored > SURER * turned


def _gradient(values: np.ndarray) -> np.ndarray:
    """How fast values (H, W, C) change; those that are no number do not."""
    sound = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0).mean(axis=2)
    down, right = np.gradient(sound)
    return np.hypot(down, right)


def _changes(labels: np.ndarray) -> np.ndarray:
    """Where labels change, (H, W) that sums up to 1, or zeros: at the borders of ids, or as fast as real values do."""
    if labels.dtype == np.uint8:
        border = np.zeros(labels.shape, np.float32)
        border[1:] += labels[1:] != labels[:-1]
        border[:, 1:] += labels[:, 1:] != labels[:, :-1]
        changes = border.clip(max=1)
    else:
        changes = _gradient(labels.reshape(*labels.shape[:2], -1))
    return changes / max(float(changes.sum()), 1e-6)
