"""How large pixels are on the ground, of images that say so: the scale at which a model learns from them."""

from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Dataset, evenly
from pixelnet.rasters.ground import on_ground

LOOKED_AT = 64  # files, whose headers are read
ALIKE = 1.1  # the largest of sizes that are taken for one, as a multiple of the smallest


def seen_pixel_size(data: Dataset, image_size: int | None = None) -> float | None:
    """The side in meters, on the ground, of a pixel as a network sees it that learns from a data set.

    image_size: the longer side that images are brought to; None for their own pixels. None where the files do not say,
    or are of scales that differ by more than a tenth. Raises InputError for a file that cannot be read.
    """
    found: dict[Path, float] = {}
    for i in evenly(len(data), LOOKED_AT):
        path = next(iter(data.files(i)), None)
        ground = None if path is None else on_ground(path)
        if path is None or ground is None or ground.pixel_size is None:
            return None
        found[path] = ground.pixel_size * (max(data.size(i)) / image_size if image_size else 1)
    sizes = list(found.values())
    return float(np.median(sizes)) if sizes and max(sizes) <= ALIKE * min(sizes) else None
