"""What a task is: the five answers in which one pixel problem differs from another.

Output size, loss, decode (logits -> prediction), score, paint. Everything else is the same for all of them.
Shapes: M labelled points of a whole batch, K outputs, H W the image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.metrics.bootstrap import intervals

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Labels = TypeVar("Labels", np.ndarray, Tensor)


class Scorer:
    """Scores a set of images by adding up counts, so that the order and the grouping of images do not matter.

    Every score is a function of the images' summed counts: no mean of means. Each image's own are kept, for its own
    scores and for what another draw of images would have given.

    count: (prediction, truth) of one image -> array of counts. scores: summed counts -> dict of numbers, or None for
    a score that nothing was counted for. nothing: the counts of no image. headline: the score that says most, and
    whether more of it is better. counts: one array an image, in the order of the updates.
    """

    def __init__(
        self,
        count: Callable[[Any, Any], np.ndarray],
        scores: Callable[[np.ndarray], dict[str, Any]],
        nothing: np.ndarray,
        headline: tuple[str, bool],
    ) -> None:
        self.count, self.scores, self.nothing, self.headline = count, scores, nothing, headline
        self.counts: list[np.ndarray] = []

    def update(self, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Add one image: its decoded prediction and its truth. Raises InputError where they do not fit."""
        self.counts.append(self.count(prediction, truth))

    def merge(self, other: Scorer) -> None:
        """Add the images that another scorer of the same task has seen."""
        self.counts += other.counts

    def result(self) -> dict[str, Any]:
        """The scores of all images so far, ready for JSON."""
        return self.scores(sum(self.counts, start=self.nothing))

    def each(self) -> list[dict[str, Any]]:
        """The scores of each image alone."""
        return [self.scores(counts) for counts in self.counts]

    def intervals(self) -> dict[str, tuple[float, float]]:
        """How far chance in the choice of images moves each score that is one number: its 95 % interval."""
        return intervals(np.stack(self.counts), self.scores) if self.counts else {}


class Task(ABC):
    """One instance per model, made by `make_task`.

    name: the task's. losses: loss functions by name, the first is the default. unlabelled: what a label map holds
    where there is no label. headline: the score that picks the best checkpoint, and whether more of it is better.
    sampler: the sampler used unless another is asked for. outputs: K.
    """

    name: str
    losses: ClassVar[dict[str, Loss]]
    unlabelled: float | np.ndarray
    headline: tuple[str, bool]
    sampler: ClassVar[str] = "uniform"
    outputs: int

    def __init__(self, loss: str | None = None) -> None:
        self.loss_name = next(iter(self.losses)) if loss is None else loss
        if self.loss_name not in self.losses:
            raise InputError(f"{self.name} has no loss {loss!r}; choose one of {', '.join(self.losses)}")

    @property
    def parts(self) -> Mapping[str, Task]:
        """The tasks that this one is made of, by name: itself, unless it is several."""
        return {self.name: self}

    @property
    def of_logits(self) -> Mapping[str, slice]:
        """Which of the K outputs are each part's, by name."""
        return {self.name: slice(0, self.outputs)}

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """The loss named at construction, a scalar, of labelled points only, flattened over the batch.

        logits (M, K), labels (M,) or (M, 3), weights (M,) as the sampler gave them, or ones. Computed in float32 at
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
        return self.losses[self.loss_name](logits, labels, weights)

    def mirror(self, labels: Labels) -> Labels:
        """Label values (...) after a left-right flip of the image: as they were, unless they have a direction."""
        return labels

    def with_mirror(self, logits: Tensor, mirrored: Tensor) -> Tensor:
        """What an image and its mirror image say together, as logits (..., K): the mean of the two.

        logits, mirrored: (..., K) each, of the same places: those of the mirror image are brought back, but their
        values are as they were.
        """
        return (logits + mirrored) / 2

    @abstractmethod
    def labelled(self, labels: Labels) -> Labels:
        """Which labels take part in the loss: (...) or (..., 3), NumPy or torch -> bool (...), of the same kind."""

    @abstractmethod
    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., K) logits -> prediction (...) or (..., 3); or with `probabilities` the distribution predicted."""

    def signs(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (..., S), what `doubt` compares: the prediction, unless a task has more to say."""
        prediction = self.decode(logits)
        return prediction if prediction.ndim == logits.ndim else prediction[..., None]

    def doubt(self, one: Tensor, other: Tensor) -> Tensor:
        """How unsure two neighbours, by their signs (..., S), leave a prediction between them: (...), 0..1.

        0 where the two say the same; see `pixelnet.adaptive`.
        """
        return (one - other).abs().amax(dim=-1).clamp(max=1)

    def certainty(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (...), how sure each answer is, for the sampler `hard`; only its order has a meaning.

        Raises InputError where a task predicts values, none surer than another.
        """
        raise InputError(
            f"the sampler hard needs to know which answers are unsure, and {self.name} predicts values without a "
            "doubt; choose another, such as gradient"
        )

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

    @abstractmethod
    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """A picture for people: a prediction or a label map (H, W) or (H, W, 3) -> uint8 (H, W, 3)."""

    def _no_distribution(self, probabilities: bool) -> None:
        if probabilities:
            raise InputError(f"{self.name} predicts a value a pixel, not a distribution; leave out `probabilities`")


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum(w v) / sum(w) of values (M,), whose expectation is the mean over all labelled pixels; 0 if no weight is."""
    return (weights * values).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
