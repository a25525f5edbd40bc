"""Semantic segmentation: one of K classes a pixel."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.files import write_png
from pixelnet.metrics.calibration import BINS, calibration_counts, calibration_scores
from pixelnet.metrics.confusion import UNLABELLED, confusion, scores
from pixelnet.metrics.contours import contour_counts, contour_counts_of, contour_scores, margin_of
from pixelnet.metrics.parts import Part, Window
from pixelnet.metrics.sparse import Counts
from pixelnet.rasters import describe, read_stored
from pixelnet.tasks.scorer import ByPart, Scorer
from pixelnet.tasks.task import RGB, Labels, Loss, Plot, Scored, Task, pooled, weighted_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED_CLASSES = 60  # along a confusion matrix
LEAST = 0.01  # share of the pixels from which on a class is in the legend


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
    truth = labels == present  # (J, M)
    errors = (truth.to(logits) - logits.t().softmax(dim=0)[present[:, 0]]).abs()
    order = _descending(errors.detach())
    # Counts are whole numbers: sums of floats along an axis have no order on a GPU, and so not the same bits each time.
    got = truth.gather(1, order).cumsum(1)
    found, wrong = got[:, -1:], torch.arange(1, len(labels) + 1, device=labels.device) - got
    lost = 1 - (found - got).to(logits) / (found + wrong).to(logits)
    growth = torch.diff(lost, dim=1, prepend=torch.zeros_like(lost[:, :1]))
    return (errors.gather(1, order) * growth).sum(1).mean()


def _descending(values: Tensor) -> Tensor:
    """The order of each row's values (J, M), largest first."""
    if values.device.type != "cpu":
        return values.argsort(dim=1, descending=True)
    return torch.from_numpy(np.argsort(-values.numpy(), axis=1))  # six times as fast as torch's


class _Sum:
    """The sum of several losses; an object, so that processes that make views can be sent it."""

    def __init__(self, *losses: Loss) -> None:
        self.losses = losses

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        return torch.stack([loss(logits, labels, weights) for loss in self.losses]).sum()


class Segmentation(Task):
    """K classes, 2 to 255; labels are ids 0..K-1, 255 unlabelled.

    class_names, class_colors (RGB, 0..255): one per class, or none. class_weights: one factor per class for the
    cross-entropy, whose mean is then sum(w c l) / sum(w c), as in torch. Raises InputError where these do not fit.
    """

    name = "segmentation"
    losses: ClassVar[dict[str, Loss]] = {
        "cross-entropy+lovasz": _Sum(cross_entropy, lovasz),  # Lovasz aims at the IoU itself, which is the headline
        "cross-entropy": cross_entropy,
        "dice": dice,
        "lovasz": lovasz,
        "cross-entropy+dice": _Sum(cross_entropy, dice),
    }
    unlabelled: float | np.ndarray = UNLABELLED
    headline = ("miou", True)
    folder = "labels"
    suffix = ".png"
    label_dtype = np.uint8
    categorical = True
    num_classes: int

    def __init__(
        self,
        num_classes: int,
        class_names: Sequence[str] = (),
        class_colors: Sequence[Sequence[int]] = (),
        loss: str | Loss | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(loss)
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or not 2 <= num_classes <= 255:
            raise InputError(f"segmentation needs the number of classes, 2 to 255; found {num_classes}")
        self.num_classes = self.outputs = num_classes
        self.class_names = tuple(class_names)
        self.class_colors = tuple((int(r), int(g), int(b)) for r, g, b in class_colors)
        self.class_weights = None if class_weights is None else tuple(float(weight) for weight in class_weights)
        for what, given in (("class names", class_names), ("class colors", class_colors)):
            if len(given) not in (0, num_classes):
                raise InputError(f"{len(given)} {what} given for {num_classes} classes; give one per class, or none")
        if not all(0 <= value <= 255 for color in self.class_colors for value in color):
            raise InputError(f"colors are three numbers in 0..255 each, found {self.class_colors}")
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        if self.class_weights is None:
            return
        if self.loss_name not in ("cross-entropy", "cross-entropy+lovasz"):
            raise InputError(f"class weights are of the cross-entropy, alone or with Lovasz, not of {self.loss_name!r}")
        if len(self.class_weights) != self.num_classes:
            raise InputError(
                f"{len(self.class_weights)} class weights given for {self.num_classes} classes; give one each"
            )
        if not all(0 <= weight < math.inf for weight in self.class_weights) or not any(self.class_weights):
            raise InputError(f"class weights must be 0 or more, and not all 0; found {self.class_weights}")

    @property
    def palette(self) -> tuple[RGB, ...]:
        """One RGB a class: its own, or the default palette's."""
        return self.class_colors or default_palette()[: self.num_classes]

    def like(self, other: Task) -> bool:
        return super().like(other) and self.class_names == other.class_names

    def labelled(self, labels: Labels) -> Labels:
        return labels != UNLABELLED

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        if self.class_weights is not None:
            weights = weights * weights.new_tensor(self.class_weights)[labels.long()]
        return super()._loss(logits, labels, weights)

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., K) -> class ids int64 (...), or the distribution (..., K)."""
        return logits.softmax(dim=-1) if probabilities else logits.argmax(dim=-1)

    def digest(self, logits: Tensor) -> Tensor:
        """The likeliest class, and its lead over the next, 0..1: their probabilities' difference if they were alone."""
        first, label = logits.max(dim=-1)
        second = logits.scatter(-1, label[..., None], -math.inf).amax(dim=-1)
        return torch.stack([label.to(first.dtype), ((first - second) / 2).tanh()], dim=-1)

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """1 where the classes differ; else the smaller lead, taken from 1."""
        (label, lead), (other_label, other_lead) = one.unbind(-1), other.unbind(-1)
        return torch.where(label == other_label, 1 - torch.minimum(lead, other_lead), 1.0)

    def confidence(self, logits: Tensor) -> Tensor:
        """The lead of the likeliest class over the next, in logits."""
        first, second = logits.topk(2, dim=-1).values.unbind(-1)
        return first - second

    def scorer(self) -> Scorer:
        counts = {"confusion": np.zeros((self.num_classes, self.num_classes), dtype=np.int64)}
        count = partial(_count, classes=self.num_classes)
        return Scorer(count, _scores, counts, self.headline, ByPart(count))

    def benchmark(self, **options: Any) -> Scorer:
        """Adds the boundary F, and for class probabilities (H, W, K) in place of ids (H, W) the calibration error."""
        scorer = super().benchmark(**options)
        scorer.count, scorer.scores = partial(_count_all, classes=self.num_classes), _all_scores
        scorer.by_part = ByPart(scorer.count, margin_of)
        nothing = {"contours": np.zeros((self.num_classes, 4)), "calibration": np.zeros((BINS, 3))}
        scorer.nothing = {**scorer.nothing, **nothing}
        return scorer

    def plots(self, scored: Scored) -> list[Plot]:
        """The confusion matrix, and the IoU of each class."""
        names = self.class_names or tuple(map(str, range(self.num_classes)))
        return [confusion_plot(scored.counts["confusion"], names), iou_plot(scored.scores["iou_per_class"], names)]

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Class ids (H, W), or probabilities (H, W, K) -> each class in its color, unlabelled black."""
        ids = np.asarray(prediction)
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: self.num_classes] = self.palette
        return palette[ids.argmax(axis=-1) if ids.ndim == 3 else ids]

    def legend(self, prediction: np.ndarray) -> list[tuple[str, RGB]]:
        """The classes that take up a share of an image (H, W) worth naming, largest first, with their colors."""
        counts = np.bincount(prediction.ravel(), minlength=self.num_classes)[: self.num_classes]
        large = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] >= LEAST * prediction.size]
        return [(self.class_names[i] if self.class_names else str(i), self.palette[i]) for i in large]

    @staticmethod
    def read(path: str | Path) -> np.ndarray:
        """Class ids as they are stored; what they mean is the data's to say. See `read_labels`."""
        return read_labels(path)

    def write(self, path: Path, prediction: np.ndarray) -> None:
        """Class ids uint8 (H, W) as a gray PNG."""
        write_png(path, prediction)

    def read_prediction(self, path: Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
        """Class ids (H, W), or class probabilities float32 (H, W, K) of a .npy, a TIFF or OME-Zarr."""
        if path.suffix.lower() in (".npy", ".tif", ".tiff", ".zarr"):
            stored = read_stored(path, page, window=window).values
            if stored.ndim == 3:
                return _probabilities(path, stored, self.num_classes)
        return read_labels(path, page, window)

    def resize(self, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Class ids by nearest neighbor, probabilities bilinearly."""
        if prediction.ndim == 3:
            return super().resize(prediction, size)
        rows, cols = (
            ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, prediction.shape, strict=True)
        )
        return prediction[np.ix_(rows, cols)]

    def count_labels(self, labels: np.ndarray) -> Counts:
        return {"classes": np.bincount(labels, minlength=self.num_classes)}

    def pool(self, counts: Counts) -> Counts:
        return pooled(counts)

    def summarize(self, counts: Counts) -> dict[str, float]:
        """The share of all pixels that each class has, and that of unlabelled ones."""
        names = self.class_names or tuple(map(str, range(self.num_classes)))
        pixels = max(float(counts["pixels"].sum()), 1)
        found = zip(names, counts["classes"].sum(axis=0), strict=True)
        return {name: float(count) / pixels for name, count in found} | super().summarize(counts)


def read_labels(path: str | Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
    """Class ids as stored, integers (H, W): gray PNG of 1 to 16 bits, the indices of a palette, TIFF, BMP or .npy.

    page: which of a stack's. window: rows and columns of it. Raises InputError for a color picture or real values: ids
    are expected.
    """
    stored, _, mode, *_ = read_stored(path, page, window=window)
    if stored.ndim != 2 or not np.issubdtype(stored.dtype, np.integer):
        raise InputError(
            f"{path} is {describe(stored, mode)}, but class ids are expected, one integer a pixel (gray or palette); "
            "convert its colors to ids"
        )
    return stored


def _probabilities(path: Path, stored: np.ndarray, classes: int) -> np.ndarray:
    if stored.dtype.kind != "f" or stored.shape[2] != classes:
        raise InputError(
            f"{path} is an array of {stored.dtype}, shape {stored.shape}; class probabilities are real numbers "
            f"(H, W, {classes}), one for each class of the data"
        )
    if not (stored.min() >= 0 and np.abs(stored.sum(axis=2, dtype=np.float32) - 1).max() < 0.02):  # float16 rounds
        raise InputError(f"{path} holds no probabilities: they are 0 or more and sum to 1; apply the softmax")
    return stored.astype(np.float32)


def _count(prediction: np.ndarray, truth: np.ndarray, part: Part | None = None, *, classes: int) -> Counts:
    """Of an image, or of a part of one."""
    own = ... if part is None else part.inner
    return {"confusion": confusion(prediction[own], truth[own], classes)}


def _scores(counts: Counts) -> dict[str, Any]:
    return scores(counts["confusion"])


def _count_all(prediction: np.ndarray, truth: np.ndarray, part: Part | None = None, *, classes: int) -> Counts:
    calibration = np.zeros((BINS, 3))
    if prediction.ndim == 3:
        if prediction.shape[2] != classes:
            raise InputError(f"there are probabilities of {prediction.shape[2]} classes; expected {classes}")
        own = ... if part is None else part.inner
        calibration = calibration_counts(prediction[own], truth[own])
        prediction = prediction.argmax(axis=2)
    if part is None:
        contours = contour_counts(prediction, truth, classes)
    else:
        contours = contour_counts_of(prediction, truth, part, classes)
    return {**_count(prediction, truth, part, classes=classes), "contours": contours, "calibration": calibration}


def _all_scores(counts: Counts) -> dict[str, Any]:
    result = _scores(counts) | contour_scores(counts["contours"])
    # Ids have no confidence; of images with either, it is the error of those with probabilities.
    calibration = counts["calibration"]
    return result | (calibration_scores(calibration) if calibration.any() else {})


def confusion_plot(matrix: np.ndarray, names: Sequence[str]) -> Plot:
    """The confusion matrix (K, K), true classes down: each row a share of its class's pixels."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 0.18 * min(len(names), NAMED_CLASSES)

    def draw(axes: Axes) -> None:
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        if len(names) <= NAMED_CLASSES:  # of more the names could not be read; the bars have them
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
            axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set(xlabel="predicted", ylabel="truth")
        if len(names) <= 20:
            for y, x in np.argwhere(share >= 0.005):
                color = "white" if share[y, x] > 0.5 else "black"
                axes.text(x, y, f"{100 * share[y, x]:.0f}", ha="center", va="center", fontsize=6, color=color)
        axes.figure.colorbar(image, label="share of the true class", shrink=0.6)

    return Plot("Confusion matrix, each row summing to 1", draw, (max(6, 2.5 + side), max(5, 1.8 + side)))


def iou_plot(ious: Sequence[float | None], names: Sequence[str]) -> Plot:
    """A bar for each class, the worst below; None for a class that is absent."""
    iou = np.array([np.nan if value is None else value for value in ious])
    order = np.argsort(np.where(np.isnan(iou), -1, iou))

    def draw(axes: Axes) -> None:
        axes.barh(range(len(names)), np.nan_to_num(iou[order]), color="C0")
        axes.set_yticks(range(len(names)), [names[k] + (" (absent)" if np.isnan(iou[k]) else "") for k in order])
        axes.tick_params(axis="y", labelsize=8)
        axes.set(xlabel="IoU", xlim=(0, 1), ylim=(-0.6, len(names) - 0.4))

    return Plot("IoU of each class", draw, (8, 1.4 + 0.22 * len(names)))


# Hand-picked: clear at a glance, and muted enough to lay over a photo. The first ten are hues, the rest their shades.
FIRST_COLORS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (240, 120, 200), (150, 150, 150), (190, 190, 30), (20, 190, 207),
    (174, 199, 232), (255, 200, 140), (150, 225, 140), (255, 152, 150), (90, 40, 140),
    (200, 160, 145), (130, 0, 90), (60, 60, 70), (110, 110, 0), (0, 80, 90),
)  # fmt: skip


@cache
def default_palette() -> tuple[tuple[int, int, int], ...]:
    """255 different RGB colors: the hand-picked ones, then always the candidate farthest from all before it."""
    shades = [
        (hue / 48, saturation, value) for hue in range(48) for saturation in (0.35, 0.6, 1) for value in (0.5, 0.75, 1)
    ]
    candidates = np.array([colorsys.hsv_to_rgb(*shade) for shade in shades]) * 255
    chosen = [np.array(color) for color in FIRST_COLORS]
    nearest = np.min([_distance(candidates, color) for color in (np.zeros(3), *chosen)], axis=0)
    while len(chosen) < UNLABELLED:
        chosen.append(candidates[nearest.argmax()])
        nearest = np.minimum(nearest, _distance(candidates, chosen[-1]))
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen)


def _distance(colors: np.ndarray, color: np.ndarray) -> np.ndarray:
    """How different (M, 3) look from (3,): the eye tells greens apart best and blues worst."""
    return np.sqrt((((colors - color) ** 2) * (0.3, 0.59, 0.11)).sum(axis=1))
