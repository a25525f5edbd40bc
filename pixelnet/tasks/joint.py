"""Several problems at once: one backbone and one head, whose outputs are the parts' side by side.

All answers then cost what one does, and what is learnt for one is there for the others. An image need not be labelled
for all: its points take part in the losses of those that it is labelled for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.points import Draw, Sampler, make_sampler
from pixelnet.tasks.scorer import Scorer
from pixelnet.tasks.task import Labels, Loss, Task

LEAST = 1e-6  # of a loss whose logarithm is taken


class Joint(Task):
    """Two tasks or more, each with its own loss; the loss is their sum, each times its own of `factors`.

    A factor None takes a loss's logarithm, so that its gradient is divided by its value. That is uncertainty weighting
    (Kendall, Gal and Cipolla, CVPR 2018), exp(-s) L + s, at each step's best s, which is log L.

    Labels are the parts' side by side in the parts' order, float32 (..., L), each unlabelled in its own way; `pack` and
    `unpack` go from a dict by task to them and back. Predictions are such dicts. The headline is the mean over the
    parts of theirs, each as `Task.goodness` has it.
    """

    losses: ClassVar[dict[str, Loss]] = {}
    headline = ("joint", True)

    def __init__(self, parts: Sequence[Task], factors: Sequence[float | None] | None = None) -> None:
        self._parts = {part.name: part for part in parts}
        if len(self._parts) != len(parts):
            raise InputError(f"{', '.join(part.name for part in parts)}: name each task once")
        self.factors = dict(zip(self._parts, factors or [1.0] * len(parts), strict=True))
        self.name = ",".join(self._parts)
        self.loss_name, self.loss_function = ",".join(part.loss_name for part in parts), None
        self.outputs = sum(part.outputs for part in parts)
        self.label_width = sum(part.label_width for part in parts)
        self.unlabelled = np.concatenate([np.full(part.label_width, part.unlabelled, np.float32) for part in parts])
        self._logit_slices = _slices({part.name: part.outputs for part in parts})
        self.label_slices = _slices({part.name: part.label_width for part in parts})
        self.digest_slices = _slices({part.name: part.digest(torch.zeros(1, part.outputs)).shape[-1] for part in parts})
        self.num_classes = next((part.num_classes for part in parts if part.num_classes), None)
        self.class_names = next((part.class_names for part in parts if part.class_names), ())
        self.class_colors = next((part.class_colors for part in parts if part.class_colors), ())

    @property
    def parts(self) -> Mapping[str, Task]:
        return self._parts

    @property
    def logit_slices(self) -> Mapping[str, slice]:
        return self._logit_slices

    def pack(self, labels: Mapping[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Label maps by task, each (H, W) or (H, W, l), of those that an image is labelled for -> (H, W, L)."""
        packed = np.tile(self.unlabelled, (*size, 1))
        for name, values in labels.items():
            packed[..., self.label_slices[name]] = values.reshape(*size, -1)
        return packed

    def unpack(self, labels: Labels) -> dict[str, Labels]:
        """(..., L) -> each part's labels, as the part takes them."""
        found = {}
        for name, own in self.label_slices.items():
            part = self.parts[name]
            values = labels[..., own] if part.label_width > 1 else labels[..., own.start]
            if np.issubdtype(part.label_dtype, np.integer):
                values = values.astype(part.label_dtype) if isinstance(values, np.ndarray) else values.long()
            found[name] = values
        return found

    def split(self, prediction: Any) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = prediction
        return found

    def make_sampler(self, pixels: int | str) -> Sampler:
        """Each part's own sampler; see `JointSampler`."""
        return JointSampler(self, pixels)

    def with_loss(self, loss: str | Loss | None) -> Task:
        if loss is None:
            return self
        raise InputError("a joint task has a loss for each of its parts; give them to the parts")

    def labelled(self, labels: Labels) -> Labels:
        known = [self.parts[name].labelled(own) for name, own in self.unpack(labels).items()]
        return sum(known[1:], start=known[0])  # any of them: bool + bool is "or"

    def mirror(self, labels: Labels) -> Labels:
        mirrored = labels.copy() if isinstance(labels, np.ndarray) else labels.clone()
        for name, own in self.label_slices.items():
            part = self.parts[name]
            values = labels[..., own] if part.label_width > 1 else labels[..., own.start]
            mirrored[..., own] = part.mirror(values).reshape(mirrored[..., own].shape)
        return mirrored

    @property
    def directed(self) -> bool:
        return any(part.directed for part in self.parts.values())

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        losses = []
        for name, values in self.unpack(labels).items():
            known = self.parts[name].labelled(values)
            own = logits[known][:, self.logit_slices[name]]
            losses.append(_counted(self.parts[name].loss(own, values[known], weights[known]), self.factors[name]))
        return torch.stack(losses).sum()

    def decode(self, logits: Tensor, probabilities: bool = False) -> Any:
        """(..., K) -> a dict by task of what its part predicts."""
        return self.answers(logits, probabilities)

    def with_mirror(self, logits: Tensor, mirrored: Tensor) -> Tensor:
        both = [
            self.parts[name].with_mirror(logits[..., own], mirrored[..., own])
            for name, own in self.logit_slices.items()
        ]
        return torch.cat(both, dim=-1)

    def digest(self, logits: Tensor) -> Tensor:
        return torch.cat([self.parts[name].digest(logits[..., own]) for name, own in self.logit_slices.items()], dim=-1)

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """The largest of the parts' disagreements."""
        parts = [
            self.parts[name].disagreement(one[..., own], other[..., own]) for name, own in self.digest_slices.items()
        ]
        return torch.stack(parts).amax(dim=0)

    def scorer(self) -> Scorer:
        return JointScorer(self.parts)

    def benchmark(self, **options: Any) -> Scorer:
        raise InputError(f"{' and '.join(self.parts)} are scored one at a time; add --task")

    def paint(self, prediction: Any) -> np.ndarray:
        """A dict of predictions, or packed labels (H, W, L) -> the parts' pictures in a row, uint8 (H, n W, 3)."""
        found = prediction if isinstance(prediction, dict) else self.unpack(prediction)
        return np.concatenate([self.parts[name].paint(values) for name, values in found.items()], axis=1)

    def read(self, path: str | Path) -> np.ndarray:
        raise InputError(f"{path}: {' and '.join(self.parts)} are read one at a time; choose one")


class JointSampler(Sampler):
    """Draws for each task by the task's own sampler, where an image is labelled for it.

    Tasks of one sampler share its points. pixels: as everywhere, for each draw.
    """

    def __init__(self, task: Joint, pixels: int | str = 2000) -> None:
        super().__init__(pixels)
        self.task = task
        used = dict.fromkeys(part.sampler for part in task.parts.values())
        self.draws = [  # a sampler, and the tasks that it draws for
            (make_sampler(own, pixels), [name for name, part in task.parts.items() if part.sampler == own])
            for own in used
        ]

    def __call__(
        self,
        labelled: np.ndarray,
        rng: np.random.Generator,
        labels: np.ndarray | None = None,
        image: np.ndarray | None = None,
    ) -> Draw:
        """As `Sampler.__call__`, with labels (H, W, L)."""
        assert labels is not None
        own = self.task.unpack(labels)
        points, weights = [], []
        for sampler, names in self.draws:
            known = np.logical_or.reduce([self.task.parts[name].labelled(own[name]) for name in names])
            draw = sampler(known & labelled, rng, own[names[0]], image)
            points.append(draw.points)
            weights.append(draw.weights)
        return Draw(np.concatenate(points), np.concatenate(weights))


class JointScorer(Scorer):
    """A scorer for each part, whose updates are dicts by task; a truth may lack some."""

    def __init__(self, parts: Mapping[str, Task]) -> None:
        self.parts, self.headline = parts, Joint.headline
        self.scorers = {name: part.scorer() for name, part in parts.items()}

    def update(self, prediction: Any, truth: Any) -> None:
        for name, values in truth.items():
            self.scorers[name].update(prediction[name], values)

    @property
    def counts(self) -> Any:  # type: ignore[override]
        """Those of each part's scorer, by name."""
        return {name: scorer.counts for name, scorer in self.scorers.items()}

    def add(self, counts: Any) -> None:
        for name, own in counts.items():
            self.scorers[name].add(own)

    def result(self) -> dict[str, Any]:
        """The headline, and a dict of each part's scores."""
        found = {name: scorer.result() for name, scorer in self.scorers.items()}
        headlines = {name: found[name][part.headline[0]] for name, part in self.parts.items()}
        known = [self.parts[name].goodness(score) for name, score in headlines.items() if score is not None]
        return {"joint": sum(known) / len(known) if known else None, **found}


def _counted(loss: Tensor, factor: float | None) -> Tensor:
    """A part's loss as it enters the sum; of none of its points, and so small that it teaches nothing, as it is."""
    if factor is not None:
        return factor * loss
    return loss.log() if loss > LEAST else loss


def _slices(widths: Mapping[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for end, (name, width) in zip(ends, widths.items(), strict=True)}
