"""Several problems at once: one backbone and one head, whose outputs are the parts' side by side.

All answers then cost what one does, and what is learnt for one is there for the others. An image need not be labelled
for all: its points take part in the losses of those that it is labelled for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.points import Draw, Sampler, make_sampler
from pixelnet.tasks.task import Labels, Loss, Scorer, Task

NUMBERS = {"segmentation": 1, "normals": 3, "edges": 1, "regression": 1}  # that a pixel's label has


class Joint(Task):
    """Two tasks or more, each with its own loss; the loss is their sum, each times its own of `factors`.

    Labels are the parts' side by side in the parts' order, float32 (..., L), each unlabelled in its own way; `pack` and
    `unpack` go from a dict by task to them and back. Predictions are such dicts. The headline is the mean over the
    parts of theirs, from 0 to 1: an angle of a degrees counts as 1 - a / 90, an error of e as 1 - e.
    """

    losses: ClassVar[dict[str, Loss]] = {}
    headline = ("joint", True)

    def __init__(self, parts: Sequence[Task], factors: Sequence[float] | None = None) -> None:
        self._parts = {part.name: part for part in parts}
        self.factors = dict(zip([part.name for part in parts], factors or [1.0] * len(parts), strict=True))
        if len(self.parts) != len(parts):
            raise InputError(f"{', '.join(part.name for part in parts)}: name each task once")
        self.name = ",".join(self.parts)
        self.loss_name = ",".join(part.loss_name for part in parts)
        self.outputs = sum(part.outputs for part in parts)
        self.unlabelled = np.concatenate([np.full(NUMBERS[part.name], part.unlabelled, np.float32) for part in parts])
        self._of_logits = _slices({part.name: part.outputs for part in parts})
        self.of_labels = _slices({part.name: NUMBERS[part.name] for part in parts})
        self.of_signs = _slices({part.name: part.signs(torch.zeros(1, part.outputs)).shape[-1] for part in parts})

    @property
    def parts(self) -> Mapping[str, Task]:
        return self._parts

    @property
    def of_logits(self) -> Mapping[str, slice]:
        return self._of_logits

    def pack(self, labels: Mapping[str, np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Label maps by task, each (H, W) or (H, W, 3), of those that an image is labelled for -> (H, W, L)."""
        packed = np.tile(self.unlabelled, (*size, 1))
        for name, values in labels.items():
            packed[..., self.of_labels[name]] = values.reshape(*size, -1)
        return packed

    def unpack(self, labels: Labels) -> dict[str, Labels]:
        """(..., L) -> each part's labels, as the part takes them."""
        found = {}
        for name, own in self.of_labels.items():
            values = labels[..., own] if NUMBERS[name] > 1 else labels[..., own.start]
            if name == "segmentation":
                values = values.astype(np.uint8) if isinstance(values, np.ndarray) else values.long()
            found[name] = values
        return found

    def labelled(self, labels: Labels) -> Labels:
        known = [self.parts[name].labelled(own) for name, own in self.unpack(labels).items()]
        return sum(known[1:], start=known[0])  # any of them: bool + bool is "or"

    def mirror(self, labels: Labels) -> Labels:
        mirrored = labels.copy() if isinstance(labels, np.ndarray) else labels.clone()
        for name, own in self.of_labels.items():
            mirrored[..., own] = self.parts[name].mirror(labels[..., own])
        return mirrored

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        losses = []
        for name, values in self.unpack(labels).items():
            known = self.parts[name].labelled(values)
            own = logits[known][:, self.of_logits[name]]
            losses.append(self.factors[name] * self.parts[name].loss(own, values[known], weights[known]))
        return torch.stack(losses).sum()

    def decode(self, logits: Tensor, probabilities: bool = False) -> Any:
        """(..., K) -> a dict by task of what its part predicts."""
        return {name: self.parts[name].decode(logits[..., own], probabilities) for name, own in self.of_logits.items()}

    def with_mirror(self, logits: Tensor, mirrored: Tensor) -> Tensor:
        both = [
            self.parts[name].with_mirror(logits[..., own], mirrored[..., own]) for name, own in self.of_logits.items()
        ]
        return torch.cat(both, dim=-1)

    def signs(self, logits: Tensor) -> Tensor:
        return torch.cat([self.parts[name].signs(logits[..., own]) for name, own in self.of_logits.items()], dim=-1)

    def doubt(self, one: Tensor, other: Tensor) -> Tensor:
        """The largest of the parts' doubts."""
        doubts = [self.parts[name].doubt(one[..., own], other[..., own]) for name, own in self.of_signs.items()]
        return torch.stack(doubts).amax(dim=0)

    def scorer(self) -> Scorer:
        return JointScorer(self.parts)

    def benchmark(self, **options: Any) -> Scorer:
        raise InputError(f"{' and '.join(self.parts)} are scored one at a time; add --task")

    def paint(self, prediction: Any) -> np.ndarray:
        """A dict of predictions, or packed labels (H, W, L) -> the parts' pictures in a row, uint8 (H, n W, 3)."""
        found = prediction if isinstance(prediction, dict) else self.unpack(prediction)
        return np.concatenate([self.parts[name].paint(values) for name, values in found.items()], axis=1)


class JointSampler(Sampler):
    """Draws for each task by the task's own sampler, where an image is labelled for it.

    Tasks of one sampler share its points. pixels: as everywhere, for each draw.
    """

    def __init__(self, task: Joint, pixels: int | str = 2000) -> None:
        super().__init__(pixels)
        self.task = task
        kinds = dict.fromkeys(part.sampler for part in task.parts.values())
        self.draws = [  # a sampler, and the tasks that it draws for
            (make_sampler(kind, pixels), [name for name, part in task.parts.items() if part.sampler == kind])
            for kind in kinds
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
            draw = sampler(known, rng, own[names[0]], image)
            points.append(draw.points)
            weights.append(draw.weights)
        return Draw(np.concatenate(points), np.concatenate(weights))


class JointScorer(Scorer):
    """A scorer for each part, whose updates are dicts by task; a truth may lack some."""

    def __init__(self, parts: Mapping[str, Task]) -> None:
        self.parts = {name: part.scorer() for name, part in parts.items()}
        self.headline = Joint.headline

    def update(self, prediction: Any, truth: Any) -> None:
        for name, values in truth.items():
            self.parts[name].update(prediction[name], values)

    def merge(self, other: Scorer) -> None:
        assert isinstance(other, JointScorer)
        for name, scorer in self.parts.items():
            scorer.merge(other.parts[name])

    def result(self) -> dict[str, Any]:
        """The headline, and a dict of each part's scores."""
        found = {name: scorer.result() for name, scorer in self.parts.items()}
        headlines = {name: scorer.headline for name, scorer in self.parts.items()}
        each = [_goodness(name, found[name][score], more) for name, (score, more) in headlines.items()]
        known = [value for value in each if value is not None]
        return {"joint": sum(known) / len(known) if known else None, **found}


def _goodness(task: str, score: float | None, more_is_better: bool) -> float | None:
    if score is None or more_is_better:
        return score
    return 1 - score / 90 if task == "normals" else 1 - score


def _slices(widths: Mapping[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for end, (name, width) in zip(ends, widths.items(), strict=True)}
