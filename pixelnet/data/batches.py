"""What a training step eats: a few images, a few points on each, and their labels.

A batch is a function of (seed, step) alone. Whoever makes it, in whatever process and order, makes the same, so a run
can start at any step.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from pixelnet.data.dataset import Dataset
from pixelnet.data.transforms import Augmentation, View, cut_view, draw_view, move_onto
from pixelnet.errors import InputError
from pixelnet.points import Sampler, TwoPhase
from pixelnet.signals import ignore_interrupts
from pixelnet.tasks.task import Task


class Batch(NamedTuple):
    """N views of one size and P points on each.

    A view that is smaller than the batch is padded right and below by its last row and column, and an image with fewer
    points is padded with points of weight 0 and no label. Neither is ever in a loss.
    """

    images: Tensor  # (N, C, H, W) float in 0..1
    points: Tensor  # (N, P, 2) as (x, y) in the view
    labels: Tensor  # (N, P) or (N, P, 3)
    weights: Tensor  # (N, P), the inverse of each point's chance to be chosen; 0 for padding and what is not taken


class Batches(TorchDataset):
    """Batch number k of a run, for each k.

    Raises InputError for turned views of a task whose labels have a direction.

    Args:
        dataset: images and labels.
        task: says which labels take part.
        sampler: chooses the points.
        augmentation: makes the views.
        images: N, a step, over all processes.
        seed: of everything random.
        rank, world: this process makes every world-th image, from the rank-th on.
    """

    def __init__(
        self,
        dataset: Dataset,
        task: Task,
        sampler: Sampler,
        augmentation: Augmentation,
        images: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ):
        if augmentation.rotate and task.directed:
            names = ", ".join(part.name for part in task.parts.values() if part.directed)
            raise InputError(
                f"{names} have an up: labels that point somewhere are not turned with their views; give --augment photo"
            )
        self.dataset, self.task, self.sampler, self.augmentation = dataset, task, sampler, augmentation
        self.images, self.seed, self.rank, self.world = images, seed, rank, world
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != "_order"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def __getitem__(self, step: int) -> Batch:
        every = range(step * self.images, (step + 1) * self.images)
        # What a view is padded to is seen by convolutions: on several processes as large as on one.
        least = np.max([self._view(place)[1].size for place in every], axis=0) if self.world > 1 else (0, 0)
        return collate([self.example(place) for place in every[self.rank :: self.world]], self.task, tuple(least))

    def _view(self, place: int) -> tuple[int, View, np.random.Generator]:
        """Which image is seen at a place of the run's endless list, the view, and the chances behind it."""
        epoch, position = divmod(place, len(self.dataset))
        index = int(self._order(epoch)[position])
        rng = np.random.default_rng((self.seed, 1, place))
        return index, draw_view(self.dataset.size(index), self.augmentation, rng), rng

    def example(self, place: int) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
        """The view at a place of the run's endless list of images: image, points, labels, weights.

        A view that would hold no label is moved onto one of the image's labelled pixels, if it has any.
        """
        index, view, rng = self._view(place)
        labels = self.dataset.labels(index, (view.rows, view.columns))
        known = view.shows(self.task.labelled(labels))
        if not known.any():
            view, labels = self._onto_labels(index, view, labels, place)
            known = view.shows(self.task.labelled(labels))
        pixels = self.dataset.image(index, (view.rows, view.columns))
        image = cut_view(pixels, view, self.augmentation, rng, self.dataset.channels, self.dataset.ranges)
        draw = self.sampler(known, rng, labels, pixels)
        columns, rows = draw.points.astype(np.int64).T
        chosen = labels[rows, columns]
        return image, view.place(draw.points), self.task.mirror(chosen) if view.mirrored else chosen, draw.weights

    def _onto_labels(self, index: int, view: View, labels: np.ndarray, place: int) -> tuple[View, np.ndarray]:
        """The view and its labels, moved onto a labelled pixel of the image: any of them, by chance; if there is one.

        The numbers are drawn apart, so that those of the view's look are the same as if it had not been moved.
        """
        whole = self.dataset.labels(index)
        known = np.flatnonzero(self.task.labelled(whole))
        if not len(known):
            return view, labels
        height, width = whole.shape[:2]
        rng = np.random.default_rng((self.seed, 3, place))
        row, column = divmod(int(rng.choice(known)), width)
        view = move_onto(view, (column, row), (width, height), rng)
        return view, whole[view.rows, view.columns]

    def narrow(self, step: int, batch: Batch, measure: Tensor) -> Batch:
        """The second draw of a sampler of two phases: the batch with weight 0 for the candidates that are not taken.

        measure: (N, P), what the model was asked of each; see `TwoPhase`.
        """
        assert isinstance(self.sampler, TwoPhase)
        known, first = measure.float().cpu().numpy(), batch.weights.cpu().numpy()
        weights = np.zeros_like(first)
        for row, place in enumerate(range(step * self.images + self.rank, (step + 1) * self.images, self.world)):
            count = int((first[row] > 0).sum())  # padding comes last
            rng = np.random.default_rng((self.seed, 2, place))
            weights[row, :count] = self.sampler.narrow(known[row, :count], first[row, :count], rng)
        return batch._replace(weights=torch.from_numpy(weights).to(batch.weights.device))

    def _shuffle(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.dataset))


def collate(
    examples: list[tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]], task: Task, least: tuple[int, int] = (0, 0)
) -> Batch:
    """Views of any size and any number of points -> one batch, whose views have a least (height, width)."""
    height = max(least[0], *(image.shape[-2] for image, *_ in examples))
    width = max(least[1], *(image.shape[-1] for image, *_ in examples))
    count = max(len(points) for _, points, _, _ in examples)
    images = torch.stack([_pad_image(image, height, width) for image, *_ in examples])
    points = torch.stack([_pad_points(points, count, 0.0) for _, points, _, _ in examples])
    labels = torch.stack([_pad_points(labels, count, task.unlabelled) for _, _, labels, _ in examples])
    weights = torch.stack([_pad_points(weights, count, 0.0) for *_, weights in examples])
    return Batch(images, points, labels if labels.is_floating_point() else labels.long(), weights)


def _pad_image(image: Tensor, height: int, width: int) -> Tensor:
    rows = torch.arange(height).clamp(max=image.shape[-2] - 1)
    columns = torch.arange(width).clamp(max=image.shape[-1] - 1)
    return image if image.shape[-2:] == (height, width) else image[:, rows][:, :, columns]


def _pad_points(values: np.ndarray, count: int, fill: float | np.ndarray) -> Tensor:
    padded = np.full((count, *values.shape[1:]), fill, values.dtype)
    padded[: len(values)] = values
    return torch.from_numpy(padded)


def stream(batches: Batches, first: int, last: int, workers: int) -> Iterator[Batch]:
    """Batches first to last - 1, in order, made ahead by `workers` processes (0: by this one, when asked).

    What goes wrong in a worker, this process does again itself: what was wrong with the data is then said as it is, and
    what was wrong with workers (too little shared memory, as in many containers; one that was killed; a script that
    cannot be started anew) is told in one line, and the rest is made here.
    """
    step = first
    try:
        for batch in _from_workers(batches, range(first, last), workers) if workers else ():
            yield batch
            step += 1
    except Exception as error:  # torch's, the system's, or the data's own out of a worker
        if step < last:
            batch = batches[step]
            reason = (str(error).splitlines() or [type(error).__name__])[-1][:200]
            tqdm.write(f"pixelnet: goes on without workers (--num-workers 0): {reason}", sys.stderr)
            yield batch
            step += 1
    for later in range(step, last):
        yield batches[later]


def _from_workers(batches: Batches, steps: range, workers: int) -> Iterator[Batch]:
    loader = DataLoader(
        batches, batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=4, worker_init_fn=_helper,
        collate_fn=_shared,  # type: ignore[arg-type]
    )  # fmt: skip
    before = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
    made = iter(loader)
    if before is not None and threading.current_thread() is threading.main_thread():
        # torch would have a worker's end raise wherever this process is, in the middle of a step; asking for a batch
        # finds it out as well.
        signal.signal(signal.SIGCHLD, before)
    try:
        yield from made
    finally:
        made._shutdown_workers()  # type: ignore[attr-defined]  # also where what went wrong still holds on to it


def _shared(batch: Batch) -> Batch:
    """The batch in shared memory. Where that is full this fails, and is told of; in the queue it would just be lost."""
    return Batch(*(tensor.share_memory_() for tensor in batch))


def _helper(_: int) -> None:
    torch.set_num_threads(1)  # the cores belong to the network
    ignore_interrupts()
