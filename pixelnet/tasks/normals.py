"""Surface normals: a unit vector a pixel, x right, y down, z into the scene."""

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pixelnet.metrics import angles
from pixelnet.tasks.task import Labels, Loss, Scorer, Task, weighted_mean


def euclidean(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Half the squared distance between the normalised output and the label, both (M, 3): the paper's loss.

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
        return Scorer(_count, angles.tally_scores, angles.tally(np.empty(0)), self.headline)

    def paint(self, prediction: np.ndarray) -> np.ndarray:
        """Normals (H, W, 3) -> RGB (x, -y, -z) from -1..1 to 0..255, the zero vector black.

        The usual look of a normal map: red grows to the right, green upwards, blue towards the viewer; so a floor is
        green and a wall that faces the camera is light blue.
        """
        normals = np.asarray(prediction, dtype=np.float32)
        colours = ((normals * (1, -1, -1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        colours[~self.labelled(normals)] = 0
        return colours


def _count(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return angles.tally(angles.angular_errors(prediction, truth))
