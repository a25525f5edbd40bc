"""`bsds500:PATH`: boundaries drawn by four to nine people an image (Arbelaez et al., TPAMI 2011)."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from pixelnet.data.dataset import PairedFiles
from pixelnet.rasters import reading
from pixelnet.tasks import Task

# Recall and precision of BSDS500's annotators against the others: val is BSDS300's test split, where that benchmark's
# plots mark the first; the structured edges toolbox marks the second for test.
PEOPLE = {"val": (0.701, 0.898), "test": (0.724, 0.901)}


class BSDS500(PairedFiles):
    """PATH/images/SPLIT/*.jpg and PATH/groundTruth/SPLIT/*.mat as released; splits train, val, trainval (and test).

    labels: the share of annotators who drew a boundary at a pixel; truth: each annotator's map, bool (A, H, W).
    """

    name = "bsds500"
    origin = "Berkeley's Contour Detection and Image Segmentation Resources (BSR_bsds500.tgz: PATH is BSR/BSDS500/data)"
    tasks = ("edges",)
    label_extensions = (".mat",)

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / "images" / part, root / "groundTruth" / part

    @property
    def reference(self) -> tuple[float, float] | None:  # type: ignore[override]
        return PEOPLE.get(self.split)

    def read(self, path: Path) -> np.ndarray:
        return read_annotators(path).mean(axis=0, dtype=np.float32)

    def truth(self, i: int) -> np.ndarray:
        return read_annotators(self.pairs[i][1])


def read_annotators(path: str | Path) -> np.ndarray:
    """Each annotator's boundaries in a ground truth .mat, bool (A, H, W). Raises InputError for another file."""
    with reading(path):
        annotators = loadmat(path)["groundTruth"].flat
        return np.stack([annotator["Boundaries"][0, 0] > 0 for annotator in annotators])
