"""`bsds500:PATH`: boundaries drawn by four to nine people an image (Arbelaez et al., TPAMI 2011)."""

from pathlib import Path

import numpy as np

from pixelnet.data.dataset import PairedFiles, Window
from pixelnet.data.mat import AGAIN, field, integers, read_mat
from pixelnet.errors import InputError
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

    def truth(self, i: int, window: Window | None = None) -> np.ndarray:
        maps = read_annotators(self.pairs[i][1])
        return maps if window is None else maps[:, *window]


def read_annotators(path: str | Path) -> np.ndarray:
    """Each annotator's boundaries in a ground truth .mat, bool (A, H, W). Raises InputError for another file."""
    annotators, where = read_mat(path, "groundTruth"), f"{path}, groundTruth"
    if annotators.dtype != object:
        raise InputError(f"{where} is an array of {annotators.dtype}, not a cell for each annotator; {AGAIN}")
    structs = [np.asarray(one, object) for one in annotators.flat]
    maps = [integers(field(one, "Boundaries", where), 0, 255, f"{where}, Boundaries") > 0 for one in structs]
    if len({map_.shape for map_ in maps}) != 1:
        raise InputError(f"{where} holds maps of {len({map_.shape for map_ in maps})} sizes; expected one an annotator")
    return np.stack(maps)
