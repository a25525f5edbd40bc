"""Semantic segmentation: one of K classes a pixel."""

import colorsys
import math
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.metrics.calibration import BINS, calibration_counts, calibration_scores
from pixelnet.metrics.confusion import UNLABELLED, confusion, scores
from pixelnet.metrics.contours import contour_counts, contour_scores
from pixelnet.tasks.task import Labels, Loss, Scorer, Task, weighted_mean


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (M, K) with labels (M,), its mean weighted by (M,)."""
    # With the points along the last axis the few classes are added up for many points at once.
    return weighted_mean(F.cross_entropy(logits.t()[None], labels.long()[None], reduction="none")[0], weights)


def dice(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Soft Dice loss: 1 - 2 |P T| / (|P| + |T|), its mean over the classes present among the labels.

    After Milletari et al. 2016 (V-Net), without the squares. The three sizes are weighted sums over the points (M,),
    so each estimates that of all labelled pixels, up to one factor that cancels; their ratio is consistent, though
    not unbiased.
    """
    truth = F.one_hot(labels.long(), logits.shape[1]).to(logits)
    share = logits.softmax(dim=1)
    weights = weights[:, None]
    both, sizes = (weights * share * truth).sum(0), (weights * (share + truth)).sum(0)
    present = (weights * truth).sum(0) > 0
    return (1 - 2 * both[present] / sizes[present]).mean() if present.any() else logits.sum() * 0


def lovasz(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Lovasz-softmax loss (Berman et al. 2018, section 3) of the points, its mean over the classes among the labels.

    The convex surrogate of 1 - IoU: a class's errors, largest first, are weighted by how much 1 - IoU grows when one
    more point is got wrong. `weights` is not used: the extension is defined on a set of points that count alike.
    """
    present = labels.long().bincount(minlength=logits.shape[1]).nonzero()  # (J, 1), J classes
    truth = (labels == present).to(logits)  # (J, M)
    errors = (truth - logits.t().softmax(dim=0)[present[:, 0]]).abs()
    order = _descending(errors.detach())
    true_sorted = truth.gather(1, order)
    found = truth.sum(1, keepdim=True)
    intersection, union = found - true_sorted.cumsum(1), found + (1 - true_sorted).cumsum(1)
    lost = 1 - intersection / union
    growth = torch.diff(lost, dim=1, prepend=torch.zeros_like(lost[:, :1]))
    return (errors.gather(1, order) * growth).sum(1).mean()


def _descending(values: Tensor) -> Tensor:
    """The order of each row's values (J, M), largest first."""
    if values.device.type != "cpu":
        return values.argsort(dim=1, descending=True)
    return torch.from_numpy(np.argsort(-values.numpy(), axis=1))  # six times as fast as torch's


def _sum_of(*losses: Loss) -> Loss:
    def total(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        return torch.stack([loss(logits, labels, weights) for loss in losses]).sum()

    return total


class Segmentation(Task):
    """K classes, 2 to 255; labels are ids 0..K-1, 255 unlabelled.

    names, colours (RGB, 0..255): one per class, or none. class_weights: one factor per class for the cross-entropy,
    whose mean is then sum(w c l) / sum(w c), as in torch. Raises InputError where these do not fit.
    """

    name = "segmentation"
    losses: ClassVar[dict[str, Loss]] = {
        "cross-entropy+lovasz": _sum_of(cross_entropy, lovasz),  # Lovasz aims at the IoU itself, which is the headline
        "cross-entropy": cross_entropy,
        "dice": dice,
        "lovasz": lovasz,
        "cross-entropy+dice": _sum_of(cross_entropy, dice),
    }
    unlabelled = UNLABELLED
    headline = ("miou", True)

    def __init__(
        self,
        classes: int,
        names: Sequence[str] = (),
        colours: Sequence[Sequence[int]] = (),
        loss: str | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(loss)
        self.classes = self.outputs = classes
        self.names = tuple(names)
        self.colours = tuple((int(r), int(g), int(b)) for r, g, b in colours) or default_palette()[:classes]
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)
        for what, given in (("names", names), ("colours", colours)):
            if len(given) not in (0, classes):
                raise InputError(f"{len(given)} {what} given for {classes} classes; give one per class, or none")
        if not all(0 <= value <= 255 for colour in self.colours for value in colour):
            raise InputError(f"colours are three numbers in 0..255 each, found {self.colours}")
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        if self.class_weights is None:
            return
        if self.loss_name not in ("cross-entropy", "cross-entropy+lovasz"):
            raise InputError(f"class weights are of the cross-entropy, alone or with Lovasz, not of {self.loss_name!r}")
        if len(self.class_weights) != self.classes:
            raise InputError(f"{len(self.class_weights)} class weights given for {self.classes} classes; give one each")
        if not all(0 <= weight < math.inf for weight in self.class_weights) or not any(self.class_weights):
            raise InputError(f"class weights must be 0 or more, and not all 0; found {self.class_weights}")

    def labelled(self, labels: Labels) -> Labels:
        return labels != UNLABELLED

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        if self.class_weights is not None:
            weights = weights * weights.new_tensor(self.class_weights)[labels.long()]
        return super()._loss(logits, labels, weights)

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., K) -> class ids int64 (...), or the distribution (..., K)."""
        return logits.softmax(dim=-1) if probabilities else logits.argmax(dim=-1)

    def signs(self, logits: Tensor) -> Tensor:
        """The likeliest class, and its lead over the next, 0..1: their probabilities' difference if they were alone."""
        first, label = logits.max(dim=-1)
        second = logits.scatter(-1, label[..., None], -math.inf).amax(dim=-1)
        return torch.stack([label.to(first.dtype), ((first - second) / 2).tanh()], dim=-1)

    def doubt(self, one: Tensor, other: Tensor) -> Tensor:
        """1 where the classes differ; else the smaller lead, taken from 1."""
        (label, lead), (other_label, other_lead) = one.unbind(-1), other.unbind(-1)
        return torch.where(label == other_label, 1 - torch.minimum(lead, other_lead), 1.0)

    def certainty(self, logits: Tensor) -> Tensor:
        """The lead of the likeliest class over the next, in logits."""
        first, second = logits.topk(2, dim=-1).values.unbind(-1)
        return first - second

    def scorer(self) -> Scorer:
        counts = np.zeros((self.classes, self.classes), dtype=np.int64)
        return Scorer(partial(confusion, classes=self.classes), scores, counts, self.headline)

    def benchmark(self, **options: Any) -> Scorer:
        """Adds the boundary F, and for class probabilities (H, W, K) in place of ids (H, W) the calibration error.

        Its counts are flat: the confusion matrix (K, K), those of contours (K, 4), those of calibration (15, 3).
        """
        scorer = super().benchmark(**options)
        scorer.count, scorer.scores = partial(_count, classes=self.classes), partial(_scores, classes=self.classes)
        scorer.nothing = np.zeros(self.classes**2 + 4 * self.classes + 3 * BINS)
        return scorer

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Class ids (H, W) -> each class in its colour, unlabelled black."""
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: self.classes] = self.colours
        return palette[np.asarray(prediction)]


def _count(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    calibration = np.zeros((BINS, 3))
    if prediction.ndim == 3:
        if prediction.shape[2] != classes:
            raise InputError(f"there are probabilities of {prediction.shape[2]} classes; expected {classes}")
        calibration = calibration_counts(prediction, truth)
        prediction = prediction.argmax(axis=2)
    counts = confusion(prediction, truth, classes), contour_counts(prediction, truth, classes), calibration
    return np.concatenate([part.ravel() for part in counts])


def _scores(counts: np.ndarray, classes: int) -> dict[str, Any]:
    matrix, contours, calibration = np.split(counts, np.cumsum([classes**2, 4 * classes]))
    result = scores(matrix.reshape(classes, classes)) | contour_scores(contours.reshape(classes, 4))
    # Ids have no confidence; of images with either, it is the error of those with probabilities.
    return result | (calibration_scores(calibration.reshape(BINS, 3)) if calibration.any() else {})


# Hand-picked: clear at a glance, and muted enough to lay over a photo. The first ten are hues, the rest their shades.
FIRST_COLOURS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (240, 120, 200), (150, 150, 150), (190, 190, 30), (20, 190, 207),
    (174, 199, 232), (255, 200, 140), (150, 225, 140), (255, 152, 150), (90, 40, 140),
    (200, 160, 145), (130, 0, 90), (60, 60, 70), (110, 110, 0), (0, 80, 90),
)  # fmt: skip


@cache
def default_palette() -> tuple[tuple[int, int, int], ...]:
    """255 different RGB colours: the hand-picked ones, then always the candidate farthest from all before it."""
    shades = [
        (hue / 48, saturation, value) for hue in range(48) for saturation in (0.35, 0.6, 1) for value in (0.5, 0.75, 1)
    ]
    candidates = np.array([colorsys.hsv_to_rgb(*shade) for shade in shades]) * 255
    chosen = [np.array(colour) for colour in FIRST_COLOURS]
    nearest = np.min([_distance(candidates, colour) for colour in (np.zeros(3), *chosen)], axis=0)
    while len(chosen) < UNLABELLED:
        chosen.append(candidates[nearest.argmax()])
        nearest = np.minimum(nearest, _distance(candidates, chosen[-1]))
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen)


def _distance(colours: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """How different (M, 3) look from (3,): the eye tells greens apart best and blues worst."""
    return np.sqrt((((colours - colour) ** 2) * (0.3, 0.59, 0.11)).sum(axis=1))
