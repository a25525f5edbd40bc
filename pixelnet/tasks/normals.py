"""Surface normals: a unit vector a pixel, x right, y down, z into the scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.files import write_npy, write_png
from pixelnet.geometry import convert_normals
from pixelnet.metrics import angles
from pixelnet.metrics.parts import Part, Window
from pixelnet.metrics.sparse import Counts
from pixelnet.rasters import describe, read_stored
from pixelnet.tasks.scorer import ByPart, Scorer
from pixelnet.tasks.task import Labels, Loss, Plot, Scored, Task, pooled, weighted_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUMMARY = ("mean x (right)", "mean y (down)", "mean z (into the scene)", "z > 0 (few: normals face the camera)")


def euclidean(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Half the squared distance between the normalized output and the label, both (M, 3): the paper's loss.

    As in its released networks, the squared length has 1e-10 added before the root.
    """
    unit = logits / (logits.square().sum(1, keepdim=True) + 1e-10).sqrt()
    return weighted_mean((unit - labels).square().sum(1) / 2, weights)


def angular(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The angle between output and label, both (M, 3) and of any length, in radians.

    By the arctangent, whose gradient is finite everywhere; the arccosine's is not at 0 and at 180 degrees.
    """
    cross = torch.linalg.vector_norm(torch.linalg.cross(logits, labels), dim=1)
    return weighted_mean(torch.atan2(cross, (logits * labels).sum(1)), weights)


class Normals(Task):
    """Labels are unit vectors (..., 3), the zero vector unlabelled."""

    name = "normals"
    losses: ClassVar[dict[str, Loss]] = {"euclidean": euclidean, "angular": angular}
    unlabelled = 0
    headline = ("mean", False)
    outputs = 3
    folder = "normals"
    label_width = 3

    def labelled(self, labels: Labels) -> Labels:
        return (labels != 0).any(-1)

    def mirror(self, labels: Labels) -> Labels:
        """A left-right flip of the image negates x."""
        mirrored = labels.copy() if isinstance(labels, np.ndarray) else labels.clone()
        mirrored[..., 0] = -mirrored[..., 0]
        return mirrored

    def with_mirror(self, logits: Tensor, mirrored: Tensor) -> Tensor:
        """The mean of the two unit vectors, x of the mirror image's negated."""
        # No loss looks at an output's length, so a longer one is no surer and must not weigh more.
        return super().with_mirror(F.normalize(logits, dim=-1), self.mirror(F.normalize(mirrored, dim=-1)))

    def decode(self, logits: Tensor, probabilities: bool = False) -> Tensor:
        """(..., 3) -> unit vectors (..., 3); an output without direction becomes (0, 0, -1), facing the camera."""
        self._no_distribution(probabilities)
        length = torch.linalg.vector_norm(logits, dim=-1, keepdim=True)
        return torch.where(length == 0, logits.new_tensor([0, 0, -1]), logits / length)

    def scorer(self) -> Scorer:
        return Scorer(_count, angles.tally_scores, angles.tally(np.empty(0)), self.headline, ByPart(_count))

    def goodness(self, score: float) -> float:
        """An angle of a degrees counts as 1 - a / 90."""
        return 1 - score / 90

    def score_label(self, name: str) -> str:
        return f"within {name}°" if name[0].isdigit() else name

    def format_score(self, name: str, value: float, digits: int) -> str:
        return super().format_score(name, value, digits) + (" %" if name[0].isdigit() else "°")

    def plots(self, scored: Scored) -> list[Plot]:
        """How many pixels are off by how many degrees."""
        number = scored.counts["histogram"][: 180 * angles.BINS_PER_DEGREE].reshape(180, -1).sum(axis=1)

        def draw(axes: Axes) -> None:
            axes.stairs(100 * number / max(number.sum(), 1), np.arange(181), fill=True, color="C0")
            for threshold, style in zip(angles.THRESHOLDS, ("-", "--", ":"), strict=True):
                value = scored.scores[f"{threshold:g}"]
                label = f"{threshold:g}°" if value is None else f"{value:.1f} % within {threshold:g}°"
                axes.axvline(threshold, color="C3", linewidth=1.2, linestyle=style, label=label)
            axes.legend(frameon=False)
            axes.set(xlabel="angular error, degrees", ylabel="% of pixels a degree", xlim=(0, 180))

        return [Plot("Histogram of the angular error", draw, (8, 4))]

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Normals (H, W, 3) -> RGB (x, -y, -z) from -1..1 to 0..255, the zero vector black.

        The usual look of a normal map: red grows to the right, green upwards, blue towards the viewer; so a floor is
        green and a wall that faces the camera is light blue.
        """
        normals = np.asarray(prediction, dtype=np.float32)
        colors = ((normals * (1, -1, -1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        colors[~self.labelled(normals)] = 0
        return colors

    @staticmethod
    def read(path: str | Path) -> np.ndarray:
        """Unit vectors float32 (H, W, 3); see `read_normals`."""
        return read_normals(path)

    def read_prediction(self, path: Path, page: int | None = None, window: Window | None = None) -> np.ndarray:
        return read_normals(path, page=page, window=window)

    def write(self, path: Path, prediction: np.ndarray) -> None:
        """Unit vectors (H, W, 3); see `write_normals`."""
        write_normals(path, prediction)

    def resize(self, prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Bilinearly, and then made unit vectors again."""
        new = super().resize(prediction, size)
        length = np.linalg.norm(new, axis=-1, keepdims=True)
        return np.divide(new, length, out=np.zeros_like(new), where=length > 0)

    def columns(self) -> Sequence[str]:
        return ["x_normal", "y_normal", "z_normal"]

    def count_labels(self, labels: np.ndarray) -> Counts:
        return {"sums": np.append(np.ones(len(labels)) @ labels, (labels[:, 2] > 0).sum())}

    def pool(self, counts: Counts) -> Counts:
        return pooled(counts)

    def summarize(self, counts: Counts) -> dict[str, float]:
        """The mean of each axis, which tells other conventions."""
        labelled = max(float(counts["labelled"].sum()), 1)
        found = zip(SUMMARY, counts["sums"].sum(axis=0), strict=True)
        return {name: float(value) / labelled for name, value in found} | super().summarize(counts)


def read_normals(
    path: str | Path, convention: str = "pixelnet", page: int | None = None, window: Window | None = None
) -> np.ndarray:
    """Surface normals, float32 (H, W, 3), unit vectors, x right, y down, z into the scene; the zero vector unlabelled.

    An 8- or 16-bit RGB PNG holds n = 2 v / max - 1 and (0, 0, 0) for unlabelled, as does mid-gray, the code of
    the zero vector; a .npy holds the vectors. Their axes are those of the convention named (geometry.CONVENTIONS).
    Raises InputError for NaN, named with its count, and for a convention that is not known.
    """
    stored, top, mode, *_ = read_stored(path, page, window=window)
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise InputError(
            f"{path} is {describe(stored, mode)}, but normals need three channels; use an RGB PNG or .npy (H, W, 3)"
        )
    if top:
        if Path(path).suffix.lower() != ".png":  # other formats lose the low byte of 16-bit color on reading
            raise InputError(f"{path} holds normals, which are read from .png or .npy; save it as one of these")
        normals = stored.astype(np.float32) * (2 / top) - 1
        normals[(stored[..., 0] | stored[..., 1] | stored[..., 2]) == 0] = 0
    else:
        normals = stored.astype(np.float32)
        bad = int((~np.isfinite(normals)).any(axis=2).sum())
        if bad:
            raise InputError(f"{path} holds NaN in {bad} pixels; write (0, 0, 0) where there is no normal")
    length = np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))[..., None]
    # Nothing near a unit vector is this short; mid-gray, 127 or 128 of 255, is.
    unit = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0.1)
    return convert_normals(unit, convention)


def write_normals(path: str | Path, normals: np.ndarray, convention: str = "pixelnet") -> None:
    """Write unit vectors (H, W, 3), x right, y down, z into the scene, in the axes of a convention.

    A .npy holds them as float16; a .png in 8 bits, (n + 1) 127.5 a channel, and (0, 0, 0) for the zero vector.
    The file is written whole or not at all. Raises InputError for another ending, and for a convention that is not
    known.
    """
    path, normals = Path(path), convert_normals(np.asarray(normals, np.float32), convention)
    if path.suffix == ".npy":
        write_npy(path, normals.astype(np.float16))
    elif path.suffix == ".png":
        known = (normals != 0).any(axis=-1, keepdims=True)
        write_png(path, np.where(known, ((normals + 1) * 127.5).round(), 0).astype(np.uint8))
    else:
        raise InputError(f"{path} is to hold normals, which are written to .png or .npy; name it one of these")


def _count(prediction: np.ndarray, truth: np.ndarray, part: Part | None = None) -> Counts:
    """Of an image, or of a part of one."""
    own = ... if part is None else part.inner
    return angles.tally(angles.angular_errors(prediction[own], truth[own]))
