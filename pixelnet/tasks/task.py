"""What a task is: all that differs between one pixel problem and another, and nothing of it is anywhere else.

Output size, loss, decoding (logits -> prediction), scores, pictures, files. A new problem is one class like these;
give an instance of it wherever the name of a task will do. Shapes: M labelled points of a whole batch, K outputs,
H W the image.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.files import write_npy
from pixelnet.metrics.parts import Window
from pixelnet.metrics.sparse import Counts
from pixelnet.points import Sampler, make_sampler
from pixelnet.tasks.scorer import Scorer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Labels = TypeVar("Labels", np.ndarray, Tensor)
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Scored:
    """What `Task.plots` may draw from.

    counts: the scorer's, summed over all images. scores: its result. pairs: gives (prediction, label map) of images
    that are evenly spread over the data. reference: (recall, precision) of people, where they are published.
    """

    counts: Counts
    scores: Mapping[str, Any]
    pairs: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
    reference: tuple[float, float] | None = None


@dataclass(frozen=True)
class Plot:
    """A plot of scores: its caption, how to draw it on matplotlib's axes, and its size in inches."""

    caption: str
    draw: Callable[[Axes], object]
    size: tuple[float, float] = field(default=(6.4, 4.8))


class Task(ABC):
    """One instance per model, made by `make_task` from a name, or by you.

    To write one, give `name`, `outputs`, `losses`, `headline` and `unlabelled`, and the five abstract methods; the rest
    has defaults for a problem whose labels are one real number a pixel, kept in .npy files.

    name: the task's; of its answers' folder on disk, too. outputs: K. losses: loss functions by name, the first is the
    default; each takes logits (M, K), labels (M,) or (M, L) and weights (M,), and gives a scalar. headline: the score
    that picks the best checkpoint, and whether more of it is better. unlabelled: what a label map holds where there is
    no label, a number, or an array (L,) for labels of L numbers. folder: of label maps, beside images/. suffix: of the
    file that a prediction is written to. label_width, label_dtype: the numbers that a pixel's label has, 1 unless label
    maps are (H, W, L), and their type. categorical: predictions are class ids, which have no mean. sampler: the name of
    the one used unless another is asked for. num_classes, class_names, class_colors: of categorical tasks.
    """

    name: str
    outputs: int
    losses: ClassVar[dict[str, Loss]]
    headline: tuple[str, bool]
    unlabelled: float | np.ndarray
    folder: str = "values"
    suffix: str = ".npy"
    label_width: int = 1
    label_dtype: ClassVar[type[np.generic]] = np.float32
    categorical: ClassVar[bool] = False
    sampler: str = "uniform"
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    class_colors: tuple[RGB, ...] = ()

    def __init__(self, loss: str | Loss | None = None) -> None:
        self.loss_name, self.loss_function = self._find_loss(loss)

    def _find_loss(self, loss: str | Loss | None) -> tuple[str, Loss | None]:
        if loss is not None and not isinstance(loss, str):
            return getattr(loss, "__name__", type(loss).__name__), loss
        if not self.losses:
            raise InputError(f"{self.name} has no losses; give it at least one")
        name = next(iter(self.losses)) if loss is None else loss
        if name not in self.losses:
            raise InputError(f"{self.name} has no loss {loss!r}; choose one of {', '.join(self.losses)}")
        return name, self.losses[name]

    def __str__(self) -> str:
        return self.name

    # ------------------------------------------------------------------------------------------- parts

    @property
    def parts(self) -> Mapping[str, Task]:
        """The tasks that this one is made of, by name: itself, unless it is several."""
        return {self.name: self}

    @property
    def logit_slices(self) -> Mapping[str, slice]:
        """Which of the K outputs are each part's, by name."""
        return {self.name: slice(0, self.outputs)}

    def answers(self, logits: Tensor, probabilities: bool = False) -> dict[str, Tensor]:
        """`decode`, by task: one of each part."""
        return {
            name: part.decode(logits[..., self.logit_slices[name]], probabilities) for name, part in self.parts.items()
        }

    def split(self, prediction: Any) -> dict[str, np.ndarray]:
        """A prediction, as `PixelNet.predict` gives it, by task."""
        return {self.name: prediction}

    def unpack(self, labels: Labels) -> dict[str, Labels]:
        """Label maps (...) or (..., L), as data gives them, by task."""
        return {self.name: labels}

    def make_sampler(self, pixels: int | str) -> Sampler:
        """The task's own sampler, of so many pixels an image."""
        return make_sampler(self.sampler, pixels)

    def like(self, other: Task) -> bool:
        """Whether the outputs of another task of this name mean the same, so that its weights can be taken over."""
        return self.outputs == other.outputs

    # -------------------------------------------------------------------------------------- learning

    def with_loss(self, loss: str | Loss | None) -> Task:
        """The task with another loss; itself for None."""
        if loss is None:
            return self
        other = copy.copy(self)
        other.loss_name, other.loss_function = self._find_loss(loss)
        return other

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """The loss chosen at construction, a scalar, of labelled points only, flattened over the batch.

        logits (M, K), labels (M,) or (M, L), weights (M,) as the sampler gave them, or ones. Computed in float32 at
        least. With M = 0 it is exactly 0, and its gradient too.
        """
        if not len(logits):
            return logits.sum() * 0
        if logits.dtype != torch.float64:
            logits = logits.float()
        if labels.is_floating_point():
            labels = labels.to(logits.dtype)
        return self._loss(logits, labels, weights.to(logits))

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        assert self.loss_function is not None
        return self.loss_function(logits, labels, weights)

    @abstractmethod
    def labelled(self, labels: Labels) -> Labels:
        """Which labels take part in the loss: (...) or (..., L), NumPy or torch -> bool (...), of the same kind."""

    def mirror(self, labels: Labels) -> Labels:
        """Label values (...), NumPy or torch, after a left-right flip of the image: as they were, unless they have a
        direction. A task that gives this gives `with_mirror`, too."""
        return labels

    @property
    def directed(self) -> bool:
        """Whether labels point somewhere in the image, so that a flip changes them."""
        return type(self).mirror is not Task.mirror

    def confidence(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (...), how sure each answer is, for the sampler `hard`; only its order has a meaning.

        Raises InputError where a task predicts values, none surer than another.
        """
        raise InputError(
            f"the sampler hard needs to know which answers are unsure, and {self.name} predicts values without a "
            "doubt; choose another, such as gradient"
        )

    # ------------------------------------------------------------------------------------- answering

    @abstractmethod
    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., K) logits -> prediction (...) or (..., L); or with `probabilities` the distribution predicted."""

    def with_mirror(self, logits: Tensor, mirrored: Tensor) -> Tensor:
        """What an image and its mirror image say together, as logits (..., K): the mean of the two.

        logits, mirrored: (..., K) each, of the same places in the image. What has a direction still points the mirrored
        way in the second, and is to be turned back here. Raises InputError for a task whose labels have a direction
        and that does not say how.
        """
        if self.directed and type(self).with_mirror is Task.with_mirror:
            raise InputError(f"{self.name} says how a flip mirrors labels, but not logits; give it `with_mirror`")
        return (logits + mirrored) / 2

    def digest(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (..., S), what `disagreement` compares: the prediction, unless a task has more to say."""
        prediction = self.decode(logits)
        return prediction if prediction.ndim == logits.ndim else prediction[..., None]

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """How unsure two neighbors, by their digests (..., S), leave a prediction between them: (...), 0..1.

        0 where the two say the same; see `pixelnet.inference.adaptive`.
        """
        return (one - other).abs().amax(dim=-1).clamp(max=1)

    def _no_distribution(self, probabilities: bool) -> None:
        if probabilities:
            raise InputError(f"{self.name} predicts a value a pixel, not a distribution; leave out `probabilities`")

    # --------------------------------------------------------------------------------------- scoring

    @abstractmethod
    def scorer(self) -> Scorer:
        """A scorer that has seen nothing yet."""

    def benchmark(self, **options: Any) -> Scorer:
        """A scorer by the full protocol of the field's benchmark, where that takes longer than training can wait.

        Raises InputError for options, which only a task with such a protocol has.
        """
        if options:
            given = ", ".join(f"--{name.replace('_', '-')}" for name in options)
            raise InputError(f"{given}: only the boundary benchmark has this, not {self.name}; leave it out")
        return self.scorer()

    def goodness(self, score: float) -> float:
        """The headline as a share, 0 to 1 the best, so that different tasks can be averaged."""
        return score if self.headline[1] else 1 - score

    def score_label(self, name: str) -> str:
        """What people call a score."""
        return name

    def format_score(self, name: str, value: float, digits: int) -> str:
        """A score with its unit."""
        return f"{value:.{digits}f}"

    def plots(self, scored: Scored) -> list[Plot]:
        """Plots of the scores, for a page about them."""
        return []

    # -------------------------------------------------------------------------------------- pictures

    @abstractmethod
    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """A picture for people: a prediction or a label map (H, W) or (H, W, L) -> uint8 (H, W, 3)."""

    def legend(self, prediction: np.ndarray) -> list[tuple[str, RGB]]:
        """What the colors in the picture of a prediction stand for, where words can say it."""
        return []

    # ----------------------------------------------------------------------------------------- files

    @abstractmethod
    def read(self, path: str | Path) -> np.ndarray:
        """A label map, or a prediction, from its file. Raises InputError that names the file.

        It may be a static method: it is asked before anything else of the task is known.
        """

    def write(self, path: Path, prediction: np.ndarray) -> None:
        """Write a prediction (H, W) or (H, W, L), whole or not at all, as `read` reads it."""
        write_npy(path, prediction)

    def read_prediction(self, path: Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
        """Any method's prediction for an image, from its file: what `read` reads, unless there are more forms.

        page: which of a stack's, from 0. window: rows and columns of it, with both ends given. Raises InputError for a
        page of a task that reads none.
        """
        if page is not None:
            raise InputError(
                f"{path} holds several maps, and {self.name} is read from files of one; save each in its own"
            )
        return self.read(path)[window or ...]

    def resize(self, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A prediction (h, w) or (h, w, L) at the size (H, W), bilinearly, with half-pixel centers."""
        maps = torch.from_numpy(prediction.astype(np.float32)).reshape(1, *prediction.shape[:2], -1).permute(0, 3, 1, 2)
        new = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
        return new.reshape(*size, *prediction.shape[2:])

    def columns(self) -> Sequence[str]:
        """The titles of a prediction's numbers in a table of points."""
        return [self.name]

    # ---------------------------------------------------------------------------------------- checks

    def known(self, labels: np.ndarray) -> np.ndarray:
        """Where a label map says something, bool (H, W), whether or not a loss takes it."""
        return self.labelled(labels)

    def count_labels(self, labels: np.ndarray) -> Counts:
        """What `summarize` needs of one image's known labels (M,) or (M, L): arrays by name, of fixed shapes."""
        return {}

    def pool(self, counts: Counts) -> Counts:
        """Counts (I, ...) of I images as those of fewer, of which `summarize` makes the same; as they are by default.

        It keeps what `check` holds of many images small.
        """
        return counts

    def summarize(self, counts: Counts) -> dict[str, float]:
        """What `pixelnet check` says of labels: numbers by name.

        counts: those of `count_labels`, stacked over I images, (I, ...) each; and "pixels" and "labelled", how many
        pixels each image has (I,) and how many of them are known (I,).
        """
        return {"unlabelled": share_unlabelled(counts)}


def pooled(counts: Counts) -> Counts:
    """Counts (I, ...) added up, as those of one image."""
    return {name: own.sum(axis=0, keepdims=True) for name, own in counts.items()}


def share_unlabelled(counts: Counts) -> float:
    """The share of unlabelled pixels in the counts that `Task.summarize` is given."""
    return 1 - float(counts["labelled"].sum()) / max(float(counts["pixels"].sum()), 1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum(w v) / sum(w) of values (M,), whose expectation is the mean over all labelled pixels; 0 if no weight is."""
    return (weights * values).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
