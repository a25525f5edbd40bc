"""Few labels say more than the pixels under them: what is around them is learnt from as well.

Strokes are no sample of an image. People draw them amid things and around what matters, so that learning from their
pixels alone, a network knows nothing of outlines nor of all that is far away, and takes rare classes for common ones.
Here it learns from all pixels. The class of one that nobody labelled is, at each step, the one that the network as it
is, and what else is believed of that pixel, together hold likeliest: expectation and maximization in turn, each step a
little of both (Neal, Hinton: A view of the EM algorithm, 1998, section 5, the hard variant; for strokes Lin, Dai, Jia,
He, Sun: ScribbleSup, CVPR 2016, section 3). What else is believed is where a random walk ends
(`pixelnet.learning.walk`), or what a fitted model answers (`pixelnet.learning.taught`).
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import label as parts_of
from torch import Tensor
from tqdm import tqdm

from pixelnet.config import TrainConfig
from pixelnet.data.dataset import UNLABELLED, Dataset, Window, evenly
from pixelnet.data.subset import Subset
from pixelnet.errors import InputError
from pixelnet.files import write_npy
from pixelnet.learning.labels import SAMPLE
from pixelnet.learning.walk import FLOOR, believed, cells_of, chances, power_of, side_of_cell
from pixelnet.points import Sampler, two_kinds
from pixelnet.runs.start import Given
from pixelnet.tasks import Task
from pixelnet.tasks.segmentation import Segmentation
from pixelnet.tasks.task import Labels

WALKS = "walks"  # folder of a run: where walks lead, an array for each image
SEEN = 24  # images that it is decided on
STROKE = 5  # pixels of a stroke at least, in the mean
TOLD = 0.25  # share of the points that people have labelled
FULL = 255  # of a chance as a byte


class Spread(Subset):
    """A data set whose label maps say of each pixel which two classes it is likeliest of.

    Labels are uint8 (H, W, 3): the likeliest class, the next, and the first one's chance of the two, 0..255. Of pixels
    that people labelled both are their class; an image of which nothing is believed has none.

    folder: of what is believed, a file for each image.
    """

    def __init__(self, whole: Dataset, folder: Path) -> None:
        super().__init__(whole, range(len(whole)), whole.split)
        self.folder = folder

    def side(self, i: int) -> int:
        """Of a cell of image i, in pixels."""
        raise NotImplementedError

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        own = self.whole.labels(i, window)
        cells = self.cells(i)
        if not cells.size:
            return np.stack([own, own, np.zeros_like(own)], -1)
        width, height = self.size(i)
        rows, columns = window or (slice(0, height), slice(0, width))
        y, x = (np.arange(along.start, along.stop) // self.side(i) for along in (rows, columns))
        around = cells[y[:, None], x]
        told = own != UNLABELLED
        around[told] = np.stack([own, own, np.full_like(own, FULL)], -1)[told]
        return around

    def file(self, i: int) -> Path:
        return self.folder / f"{i:06d}.npy"

    def cells(self, i: int) -> np.ndarray:
        """The labels of the cells of image i (h, w, 3), whatever people say; none (0, 0, 3) where nothing is known."""
        return np.load(self.file(i), mmap_mode="r")

    def believe(self, i: int, found: np.ndarray) -> None:
        """Note the chances of the classes in the cells of image i (h, w, K)."""
        write_npy(self.file(i), two_likeliest(found))


def two_likeliest(found: np.ndarray) -> np.ndarray:
    """The labels of a `Spread` (h, w, 3) of the chances of classes (h, w, K)."""
    first, second = np.argsort(-found, axis=-1, kind="stable")[..., :2].transpose(2, 0, 1)
    top, next_ = (np.take_along_axis(found, own[..., None], -1)[..., 0] for own in (first, second))
    return np.stack([first, second, (FULL * top / (top + next_)).round()], -1).astype(np.uint8)


class Walked(Spread):
    """What is around strokes, by walks; images without strokes have nothing.

    power: how far walks are believed.
    """

    def __init__(self, whole: Dataset, folder: Path, power: float) -> None:
        super().__init__(whole, folder)
        self.power = power

    def cells(self, i: int) -> np.ndarray:
        """Made when they are first asked for."""
        if not self.file(i).exists():
            self._walk(i)
        return super().cells(i)

    def _walk(self, i: int) -> None:
        classes = len(self.class_names)
        cells = cells_of(self.whole.image(i), self.whole.labels(i), classes)
        walked = (cells.labels != UNLABELLED).any()
        self.believe(i, believed(chances(cells, classes), self.power) if walked else np.zeros((0, 0, classes)))

    def side(self, i: int) -> int:
        width, height = self.size(i)
        return side_of_cell(height, width)


class OfSpread(Segmentation):
    """Segmentation, of the labels of a `Spread`."""

    label_width = 3
    unlabelled: float | np.ndarray = np.array([UNLABELLED, UNLABELLED, 0], np.uint8)

    def __init__(self, own: Segmentation) -> None:
        vars(self).update(vars(own))

    def labelled(self, labels: Labels) -> Labels:
        return labels[..., 0] != UNLABELLED

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """The loss of the classes that people gave, or that the network and the walk hold likeliest.

        What the network holds common is put right first by what walks do: else the commonest class would take all.
        """
        first, second, chance = labels.long().unbind(-1)
        told, share = first == second, (chance / FULL)[:, None]
        walked = torch.zeros_like(logits).scatter_(1, second[:, None], 1 - share).scatter_(1, first[:, None], share)
        own = logits.detach().softmax(1)
        common = first[~told].bincount(minlength=logits.shape[1]) + 1
        expected = own[~told].sum(0) + 1
        likeliest = (own * (common / expected) * (walked + FLOOR)).argmax(1)
        return super()._loss(logits, torch.where(told, first, likeliest), weights)


class Told(Sampler):
    """A share of the points where people labelled, the others anywhere; of the labels of a `Spread`."""

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        assert labels is not None
        first, second = labels.reshape(-1, 3)[available, :2].T
        return two_kinds(available, first == second, number, TOLD)


def spread(
    config: TrainConfig, given: Given, data: Dataset, task: Task, sampler: Sampler, fresh: bool, main: bool
) -> tuple[Dataset, Task, Sampler]:
    """What a run learns from, and how, once labels have spread, where that helps; all as it was where it does not.

    What a fitted model taught is believed. Of strokes, those that are held out decide; see `power_of`. Single pixels
    may be a sample, whose loss is that of all pixels already, and are left alone.

    fresh: nothing of the run's is there. main: this process speaks, and clears away what another run has left.
    """
    asked = config.sampler is not None or given.sampler is not None
    if isinstance(data, Spread):
        if asked or type(task) is not Segmentation:
            raise InputError(
                "what a fitted model teaches is learnt from in one way, with no sampler or task of your own; leave "
                "these out, or start from another model"
            )
        return data, OfSpread(task), Told(sampler.pixels)
    if asked or not config.spread or type(task) is not Segmentation:
        return data, task, sampler
    power = _power(data, task.outputs, main)
    if power == 0:
        return data, task, sampler
    folder = config.out / WALKS
    if main:
        make_folder(folder, fresh)
        tqdm.write(
            "labels spread: walks from pixel to pixel find strokes that are held out, so all pixels of images with "
            "labels are learnt from; --no-spread turns that off",
            sys.stderr,
        )
    return Walked(data, folder, power), OfSpread(task), Told(sampler.pixels)


def make_folder(folder: Path, fresh: bool) -> None:
    """That of a `Spread`; of a run that begins, without what another has left."""
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _power(data: Dataset, classes: int, main: bool) -> float:
    """How far walks are to be believed: 0 for not at all."""
    seen = evenly(len(data), SEEN)
    maps = [data.labels(i) for i in seen]
    known = [labels != UNLABELLED for labels in maps]
    if not 0 < np.mean([own.mean() for own in known]) <= SAMPLE:
        return 0.0  # at once: parts of whole maps would take a run of all labels its time
    if not _are_strokes(known):
        if main:
            tqdm.write(
                "single pixels are labelled: what pixelnet fit makes of them can teach the network the pixels between "
                "(--init-from MODEL)",
                sys.stderr,
            )
        return 0.0
    return power_of([cells_of(data.image(i), own, classes) for i, own in zip(seen, maps, strict=True)], classes)


def _are_strokes(labelled: Sequence[np.ndarray]) -> bool:
    """Whether what people labelled of some pixels (H, W each) is more than single ones."""
    strokes = sum(parts_of(own, np.ones((3, 3)))[1] for own in labelled)
    return bool(sum(own.sum() for own in labelled) >= STROKE * strokes)
