"""`cityscapes:PATH`: 19 classes of street scenes in fifty cities (Cordts et al., CVPR 2016).

PATH/leftImg8bit/{train,val,test}/CITY/NAME_leftImg8bit.png   PATH/gtFine/.../CITY/NAME_gtFine_labelIds.png

NAME_gtFine_labelTrainIds.png, which the benchmark's scripts write, is read where there is no labelIds. The released
labels of test are void throughout.
"""

from pathlib import Path

import numpy as np

from pixelnet.data.dataset import UNLABELLED, PairedFiles, class_ids
from pixelnet.errors import InputError
from pixelnet.tasks import Task
from pixelnet.tasks.segmentation import read_labels

IMAGE, LABELS, TRAIN_LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"
LAST_ID = 33

CLASSES = {  # name: (id on disk, color)
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}


class Cityscapes(PairedFiles):
    """The 19 classes that are scored; every other id is unlabelled, as the benchmark has it."""

    name = "cityscapes"
    tasks = ("segmentation",)
    class_names = tuple(CLASSES)
    class_colors = tuple(color for _, color in CLASSES.values())
    origin = "www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip)"

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / "leftImg8bit" / part, root / "gtFine" / part

    def find(self) -> dict[str, tuple[Path, Path]]:
        pairs: dict[str, tuple[Path, Path]] = {}
        for images, targets in self.folders():
            for image in sorted(images.glob(f"*/*{IMAGE}")):
                stem = targets / image.parent.name / image.name.removesuffix(IMAGE)
                known = [Path(f"{stem}{end}") for end in (LABELS, TRAIN_LABELS)]
                target = next((path for path in known if path.is_file()), None)
                if target is None:
                    raise InputError(
                        f"{self.rel(image)} has no labels; expected {self.rel(known[0])}: get it from {self.origin}"
                    )
                pairs[image.stem] = image, target
            if not pairs:
                raise InputError(f"{images} holds no images; expected {self.rel(images)}/CITY/NAME{IMAGE}")
        return pairs

    def read(self, path: Path) -> np.ndarray:
        if path.name.endswith(TRAIN_LABELS):
            return class_ids(read_labels(path), len(CLASSES), UNLABELLED, self.rel(path))
        known = np.full(LAST_ID + 1, UNLABELLED, np.uint8)
        for k, (number, _) in enumerate(CLASSES.values()):
            known[number] = k
        stored = class_ids(read_labels(path), LAST_ID + 1, UNLABELLED, self.rel(path))
        return np.where(stored == UNLABELLED, UNLABELLED, known[np.minimum(stored, LAST_ID)])
