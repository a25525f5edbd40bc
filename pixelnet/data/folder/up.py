"""Whether a folder's pictures have an up: microscopes, retinas and pictures from the air have none.

What stands or lies, as nearly all in photos does, has edges that run across and down more than in other directions, or
a light side. Where pictures have no up, edges run in all directions alike. That is asked of each picture alone: where
all show one thing in one position (eyes, slices of one volume), they look alike upright and not turned, too, without
having an up.
"""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from pixelnet.data.dataset import evenly
from pixelnet.data.images import view_of
from pixelnet.errors import InputError

if TYPE_CHECKING:
    from pixelnet.data.folder import Folder

FEWEST, SAMPLED = 4, 32  # pictures, below which nothing is said, and that are looked at
SIDE = (128, 512)  # pixels: the least that tell of directions, of the shorter side; and what the longer is brought to
BLUR = 2.0  # pixels, below which what grids, noise and compression draw would be seen
# Of 0 (alike) to 1: the mean over pictures from which on there is an up. Electron microscopy and retinas have .05,
# hearts in MRI .18, photos .25 to .35; of 100,000 draws of four, of hearts and of BSDS500, none was below.
UNEVEN = 0.075


def top_down(data: "Folder") -> bool:
    """Whether the pictures surely have no up: False if they are few, small, or cannot be read, which `check` names."""
    if len(data) < FEWEST:
        return False
    try:
        found = [unevenness(view_of(data.image(i), data.ranges, data.channels)) for i in evenly(len(data), SAMPLED)]
    except InputError:
        return False
    return float(np.mean(found)) < UNEVEN


def unevenness(image: np.ndarray) -> float:
    """How far a picture, uint8 (H, W, 3), is from having edges in all directions alike, 0..1; 1 if it is too small.

    The largest length of the means of exp(i k angle) over its gradients, weighted by their lengths: k = 1 tells of a
    lighter side, 2 of edges along one direction, 4 of edges across and down rather than along diagonals.
    """
    small = Image.fromarray(image).convert("L")
    small.thumbnail((SIDE[1], SIDE[1]), Image.Resampling.BOX)
    if min(small.size) < SIDE[0]:
        return 1.0
    down, across = np.gradient(gaussian_filter(np.asarray(small, np.float32), BLUR))
    gradients = across + 1j * down
    lengths = np.abs(gradients)
    total = float(lengths.sum())
    if total == 0:
        return 1.0
    directions = gradients / np.maximum(lengths, 1e-9)
    return max(float(abs((lengths * directions**k).sum())) / total for k in (1, 2, 4))
