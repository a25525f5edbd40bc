"""A fitted model teaches a network: what it answers where nobody labelled anything is learnt like labels.

    pixelnet fit --data DATA --out FITTED
    pixelnet train --task segmentation --data DATA --init-from FITTED --out RUN

A few labels cannot move a network without being learnt by heart; a linear head on frozen features holds against that,
but answers each pixel alone. The network learns from the head's answers to all pixels what they have in common over
places, scales and colors, and does not learn their speckle, which no view repeats: self-training (Scudder 1965; Xie,
Luong, Hovy, Le: Self-training with Noisy Student, CVPR 2020, section 2).
"""

from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from pixelnet.config import TrainConfig, read_json
from pixelnet.data.dataset import UNLABELLED, Dataset, Window, evenly
from pixelnet.data.subset import Subset
from pixelnet.errors import InputError
from pixelnet.learning.fit import IMAGES, SAMPLE, fit
from pixelnet.model import PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.networks import parts_of
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import folder_of, load
from pixelnet.runs.settings import is_fitted

TEACHER = "teacher"  # folder of a run: the model that teaches
ANSWERS = "taught"  # folder of a run: the teacher's answers, a label map for each image


class Taught(Subset):
    """A data set whose pixels that nobody labelled have what a teacher answers; its images as they are.

    folder: of the answers, which are made where they are not there; images most of whose pixels are labelled need none.
    """

    def __init__(self, whole: Dataset, teacher: PixelNet, folder: Path) -> None:
        super().__init__(whole, range(len(whole)), whole.split)
        self.folder, self.task_of = folder, teacher.task
        folder.mkdir(parents=True, exist_ok=True)
        for i in tqdm(range(len(whole)), "teaching", delay=2, leave=False):
            if not self.file(i).exists() and (whole.labels(i) == UNLABELLED).mean() > 1 - SAMPLE:
                teacher.task.write(self.file(i), teacher.predict(whole.image(i)))

    def file(self, i: int) -> Path:
        return self.folder / f"{i:06d}.png"

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        own = self.whole.labels(i, window)
        if not self.file(i).exists():
            return own
        return np.where(own == UNLABELLED, self.task_of.read(self.file(i))[window or ...], own)


def teach(config: TrainConfig, data: Dataset) -> tuple[Dataset, PixelNet | None]:
    """The data of a run with what a fitted model adds to it, and that model; as it is, and None, without one.

    It is fitted once more, as the one that the run begins from was, but to the images that are learnt from alone: so
    that nothing of val gets into what is scored there.
    """
    if not is_fitted(config):
        return data, None
    if data.task_name != "segmentation":
        raise InputError(f"--init-from {config.init_from} was fitted to classes and cannot teach {data.task_name}")
    note = read_json(folder_of(cast(str, config.init_from)) / checkpoint.CONFIG).get("fit")
    if note is None:
        raise InputError(f"{config.init_from} does not say what it was fitted by; make it with pixelnet fit")
    place = config.out / TEACHER
    if not checkpoint.is_model(place):  # a run that goes on has it already
        some = Subset(data, evenly(len(data), IMAGES), data.split)
        fit(some, place, seconds=float("inf"), **{name: note[name] for name in ("features", "strength", "priors")})
    teacher = load(place)
    return Taught(data, teacher, config.out / ANSWERS), teacher


def begin(model: PixelNet, teacher: PixelNet) -> None:
    """Give a network the weights that the teacher has of it, if it has any."""
    names = [name for name, _ in parts_of(teacher.config.backbone)]
    if model.config.backbone in names:
        members = [teacher.backbone] if len(names) == 1 else list(cast("list[Backbone]", teacher.backbone.members))
        model.backbone.take_weights(members[names.index(model.config.backbone)])
