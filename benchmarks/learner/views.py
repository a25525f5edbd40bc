"""Views of images with dense label maps: the views that `pixelnet train` cuts, and labels by their nearest pixel."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from benchmarks.learner.sets import Part
from pixelnet.data.transforms import Augmentation, cut_view, draw_view
from pixelnet.metrics.confusion import UNLABELLED

VIEWS, CROP, SCALE = 4, (256, 320), (0.75, 1.5)  # as by default in `pixelnet train`


def magnified(factor: float) -> Augmentation:
    """The everyday augmentation, of images that are magnified by a factor."""
    return Augmentation(crop=CROP, scale=(SCALE[0] * factor, SCALE[1] * factor))


@dataclass(frozen=True)
class Views:
    """Batch number k of a run, for each k: images float (N, 3, *CROP) in 0..1 and class ids (N, *CROP), 255 unlabelled.

    A view of an image that is smaller is padded right and below, without labels.
    """

    part: Part
    augmentation: Augmentation
    seed: int

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        examples = [self.example(place) for place in range(step * VIEWS, (step + 1) * VIEWS)]
        images, maps = zip(*(padded(*example) for example in examples), strict=True)
        return torch.stack(images), torch.stack(maps)

    def example(self, place: int) -> tuple[Tensor, Tensor]:
        epoch, position = divmod(place, len(self.part))
        index = int(order(self.seed, epoch, len(self.part))[position])
        rng = np.random.default_rng((self.seed, 1, place))
        view = draw_view(self.part.size(index), self.augmentation, rng)
        window = (view.rows, view.columns)
        image = cut_view(self.part.image(index, window), view, self.augmentation, rng)
        labels = torch.from_numpy(np.ascontiguousarray(self.part.labels(index, window)))[None]
        labels = F.resize(labels, list(view.size), InterpolationMode.NEAREST_EXACT)
        return image, (F.horizontal_flip(labels) if view.mirrored else labels)[0].long()


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def padded(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    below, right = (most - length for most, length in zip(CROP, labels.shape, strict=True))
    image = torch.nn.functional.pad(image[None], (0, right, 0, below), mode="replicate")[0]
    return image, torch.nn.functional.pad(labels, (0, right, 0, below), value=UNLABELLED)
