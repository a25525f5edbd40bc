"""Why a few pixels do: how alike two pixels of one image are, by their distance.

Of labels (as vectors: one-hot classes, normals, the share of annotators), of hypercolumns (every channel scaled to mean
0 and deviation 1 over all images, a network's as it is before training), and of what a step learns from a pixel: the
gradient of a linear predictor that answers the mean label, which is the outer product of the other two, so that its
correlation is their product, pair by pair.

With r the mean correlation of two pixels drawn at random from one image, the mean over n of its pixels varies as much
as that over n / (1 + (n - 1) r) pixels from as many images (Kish 1965, the design effect): never more than 1 / r.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from pixelnet import PixelNet
from pixelnet.data import Dataset, task_of
from pixelnet.data.dataset import evenly
from pixelnet.points import Uniform

IMAGES, POINTS = 40, 2000
DISTANCES = tuple(2.0**k for k in range(8))  # pixels; each stands for those within a factor of the root of 2
KINDS = ("labels", "hypercolumns", "gradients")


class Sample(NamedTuple):
    """Pixels of one image: points (P, 2), label vectors (P, V), hypercolumns (P, D), and how many are labelled."""

    points: np.ndarray
    labels: np.ndarray
    features: np.ndarray
    available: int


def correlation(dataset: Dataset, model: PixelNet) -> dict[str, Any]:
    """By kind: the correlation at each distance, None where no pair is so far apart, and the effective pixels."""
    samples = [sample(dataset, model, item) for item in evenly(len(dataset), IMAGES)]
    labels = standardized([part.labels for part in samples], scale=False)
    features = standardized([part.features for part in samples], scale=True)
    sums = {kind: Sums() for kind in KINDS}
    for part, own_labels, own_features in zip(samples, labels, features, strict=True):
        alike = own_labels @ own_labels.T, own_features @ own_features.T
        apart = np.linalg.norm(part.points[:, None] - part.points, axis=-1)
        for kind, products in zip(KINDS, (*alike, alike[0] * alike[1]), strict=True):
            sums[kind].add(products, apart)
    available = float(np.median([part.available for part in samples]))
    return {
        "distance": list(DISTANCES),
        **{kind: sums[kind].by_distance() for kind in KINDS},
        "effective": {kind: sums[kind].effective(available) for kind in KINDS},
        "images": len(samples),
        "pixels": available,
    }


class Sums:
    """Products of pairs of pixels, added up over images."""

    def __init__(self) -> None:
        self.own = 0.0  # of pixels with themselves, the mean over an image's
        self.pairs = 0.0  # of two, likewise
        self.at, self.count = np.zeros(len(DISTANCES)), np.zeros(len(DISTANCES))
        self.own_at = np.zeros(len(DISTANCES))

    def add(self, products: np.ndarray, apart: np.ndarray) -> None:
        """products, apart: (P, P), of each two points of an image, and how far apart they are in pixels."""
        points = len(products)
        own = float(np.trace(products)) / points
        self.own += own
        self.pairs += float(products.sum() - np.trace(products)) / (points * (points - 1))
        for place, distance in enumerate(DISTANCES):
            near = (apart >= distance / 2**0.5) & (apart < distance * 2**0.5)
            self.at[place] += products[near].sum()
            self.count[place] += near.sum()
            self.own_at[place] += own * near.sum()

    def by_distance(self) -> list[float | None]:
        found = zip(self.at, self.own_at, self.count, strict=True)
        return [round(float(at / own), 4) if count else None for at, own, count in found]

    def effective(self, pixels: float) -> float:
        """How many independent pixels so many of one image are worth."""
        r = max(self.pairs / self.own, 0.0)
        return round(pixels / (1 + (pixels - 1) * r), 1)


def standardized(parts: list[np.ndarray], scale: bool) -> list[np.ndarray]:
    """Columns of all parts together to mean 0, and with `scale` to deviation 1 and rows of unit mean square."""
    whole = np.concatenate(parts)
    mean, deviation = whole.mean(axis=0), whole.std(axis=0)
    if not scale:
        return [part - mean for part in parts]
    return [(part - mean) / np.maximum(deviation, 1e-6) / part.shape[1] ** 0.5 for part in parts]


@torch.inference_mode()
def sample(dataset: Dataset, model: PixelNet, item: int) -> Sample:
    """Random labelled pixels of an item."""
    labels = dataset.labels(item)
    labelled = task_of(dataset).labelled(labels)
    points = Uniform(POINTS)(labelled, np.random.default_rng((0, item))).points
    image = torch.from_numpy(dataset.image(item).copy()).permute(2, 0, 1)[None].float() / 255
    features = model.hypercolumns(image, torch.from_numpy(points)[None])[0].numpy()
    columns, rows = points.astype(int).T
    chosen = labels[rows, columns]
    vectors = np.eye(len(dataset.class_names))[chosen] if dataset.class_names else chosen.reshape(len(chosen), -1)
    return Sample(points, vectors, features, int(labelled.sum()))
