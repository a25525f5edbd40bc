"""A fitted model teaches a network: what it believes where nobody labelled anything is learnt from as well.

    pixelnet fit --data DATA --out FITTED
    pixelnet train --task segmentation --data DATA --init-from FITTED --out RUN

A few labels cannot move a network without being learnt by heart; a linear head on frozen features holds against that,
but answers each pixel alone. The network learns from the head's answers to all pixels what they have in common over
places, scales and colors, and does not learn their speckle, which no view repeats: self-training (Scudder 1965; Xie,
Luong, Hovy, Le: Self-training with Noisy Student, CVPR 2020, section 2). Where the head is in doubt, what the network
itself holds likely counts as well (`pixelnet.learning.spread`), so that a pupil can come to know better.
"""

import sys
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from pixelnet.config import TrainConfig, read_json
from pixelnet.data.dataset import UNLABELLED, Dataset, evenly
from pixelnet.data.subset import Subset
from pixelnet.errors import InputError
from pixelnet.learning.fit import fit
from pixelnet.learning.labels import SAMPLE
from pixelnet.learning.spread import Spread, make_folder
from pixelnet.model import PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.networks import parts_of
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import folder_of, load
from pixelnet.runs.settings import is_fitted

TEACHER = "teacher"  # folder of a run: the model that teaches
SEEN = 300  # images that it is fitted to, at most: one with few labels takes a second or two
ANSWERS = "taught"  # folder of a run: what it answers, an array for each image


class Taught(Spread):
    """What a fitted model answers to each pixel, but of images most of whose pixels are labelled.

    The answers that are not there yet are made at once, so that no process that makes batches needs the teacher.
    """

    def __init__(self, whole: Dataset, teacher: PixelNet, folder: Path) -> None:
        super().__init__(whole, folder)
        for i in tqdm(range(len(whole)), "teaching", delay=2, leave=False):
            if not self.file(i).exists():
                self._answer(i, teacher)

    def side(self, i: int) -> int:
        return 1

    def _answer(self, i: int, teacher: PixelNet) -> None:
        few = (self.whole.labels(i) == UNLABELLED).mean() > 1 - SAMPLE
        unasked = np.zeros((0, 0, teacher.task.outputs))
        self.believe(i, teacher.predict(self.whole.image(i), probabilities=True) if few else unasked)


def teach(config: TrainConfig, data: Dataset, fresh: bool, main: bool) -> tuple[Dataset, PixelNet | None]:
    """The data of a run with what a fitted model adds to it, and that model; as it is, and None, without one.

    It is fitted once more, as the one that the run begins from was, but to the images that are learnt from alone: so
    that nothing of val gets into what is scored there.

    fresh: nothing of the run's is there. main: this process makes what the others then find.
    """
    if not is_fitted(config):
        return data, None
    if data.task_name != "segmentation":
        raise InputError(f"--init-from {config.init_from} was fitted to classes and cannot teach {data.task_name}")
    note = read_json(folder_of(cast(str, config.init_from)) / checkpoint.CONFIG).get("fit")
    if note is None:
        raise InputError(f"{config.init_from} does not say what it was fitted by; make it with pixelnet fit")
    place = config.out / TEACHER
    if main:
        make_folder(config.out / ANSWERS, fresh)
        if note["left_out"]:
            names = ", ".join(note["left_out"])
            tqdm.write(
                f"{config.init_from} was fitted in too little time to try {names}; what is fitted with more "
                "--seconds may teach better",
                sys.stderr,
            )
    if not checkpoint.is_model(place):  # a run that goes on has it already
        some = Subset(data, evenly(len(data), SEEN), data.split)
        fit(some, place, seconds=float("inf"), **{name: note[name] for name in ("features", "strength", "priors")})
    teacher = load(place)
    return Taught(data, teacher, config.out / ANSWERS), teacher


def begin(model: PixelNet, teacher: PixelNet) -> None:
    """Give a network the weights that the teacher has of it, if it has any."""
    names = [name for name, _ in parts_of(teacher.config.backbone)]
    if model.config.backbone in names:
        members = [teacher.backbone] if len(names) == 1 else list(cast("list[Backbone]", teacher.backbone.members))
        model.backbone.take_weights(members[names.index(model.config.backbone)])
