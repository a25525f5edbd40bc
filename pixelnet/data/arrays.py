"""Images and labels in memory, or out of any map-style data set, as a `Dataset`: `data=[(image, labels), ...]`."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from pixelnet.data.dataset import UNLABELLED, Dataset, Window, class_ids
from pixelnet.data.images import known_type
from pixelnet.errors import InputError
from pixelnet.tasks import Task, find_task


@runtime_checkable
class MapStyle(Protocol):
    """What torch calls a map-style data set: it has a length, and items by their number."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> Any: ...


class Arrays(Dataset):
    """A list of (image, labels), or a torch data set of (image, target), for one task.

    An image is an array (H, W) or (H, W, C), uint8, uint16 or real values in 0..1, a tensor (C, H, W) of the same, or a
    PIL image. Labels are an array or a tensor (H, W), (1, H, W) or (H, W, L) as `Dataset.labels` has them, or a PIL
    image of class ids. Class names are those of the data set's attribute `classes`, if it has one; else 0, 1, 2 and so
    on to the largest id there is, for which all labels are read.

    Raises InputError for an empty list, and, when it is read, for an item that is not such a pair.
    """

    def __init__(self, items: MapStyle, task: str | Task, class_names: Sequence[str] = ()) -> None:
        self.items, self.task = items, task
        self.source = f"{len(items)} items of a {type(items).__name__}"
        self.names = self.groups = [f"{i:06d}" for i in range(len(items))]  # numbers that say nothing of neighbors
        if not self.names:
            raise InputError("the data are empty; give at least one (image, labels)")
        channels = self.image(0).shape[2]
        if channels != 3:
            self.channels = ("gray",) if channels == 1 else tuple(f"channel {k}" for k in range(channels))
        self.categorical = find_task(task).categorical
        if self.categorical:
            names = tuple(class_names) or tuple(getattr(task, "class_names", ()) or getattr(items, "classes", ()))
            self.class_names = tuple(map(str, names)) or tuple(str(k) for k in range(self.largest_id() + 1))

    def largest_id(self) -> int:
        """The largest class id of all items, at least 1."""
        ids = [self._pair(i)[1] for i in range(len(self))]
        return max(1, *(int(own[own != UNLABELLED].max(initial=0)) for own in ids))

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._pair(i)[0][window or ...].copy()

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        labels = self._pair(i)[1]
        if self.categorical:
            labels = class_ids(labels, len(self.class_names), UNLABELLED, f"item {i} of the data")
        return labels[window or ...].copy()

    def size(self, i: int) -> tuple[int, int]:
        height, width = self._pair(i)[0].shape[:2]
        return width, height

    def _pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            image, labels = self.items[i]
        except (TypeError, ValueError) as error:
            raise InputError(f"item {i} of the data is no pair (image, labels): {error}") from error
        image, labels = _image(image, i), _labels(labels, i, find_task(self.task).categorical)
        if image.shape[:2] != labels.shape[:2]:
            raise InputError(
                f"item {i} of the data has an image of {image.shape[1]}x{image.shape[0]} and labels of "
                f"{labels.shape[1]}x{labels.shape[0]}; they must be of one size"
            )
        return image, labels


def _image(given: Any, i: int) -> np.ndarray:
    if isinstance(given, torch.Tensor):
        image = given.detach().cpu().numpy()
        image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
    else:
        image = np.asarray(given.convert("RGB") if isinstance(given, Image.Image) else given)
    image = known_type(image[..., None] if image.ndim == 2 else image, f"the image of item {i}")
    if image.ndim != 3:
        raise InputError(f"the image of item {i} is {image.shape}; give (H, W) or (H, W, C), or a tensor (C, H, W)")
    return image


def _labels(given: Any, i: int, categorical: bool) -> np.ndarray:
    labels = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
    if isinstance(given, torch.Tensor) and labels.ndim == 3 and len(labels) == 1:  # a mask as torchvision has it
        labels = labels[0]
    if categorical and (labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer)):
        raise InputError(f"the labels of item {i} are {labels.dtype} {labels.shape}; give class ids (H, W)")
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "buif":
        raise InputError(f"the labels of item {i} are {labels.dtype} {labels.shape}; give numbers (H, W) or (H, W, L)")
    return labels if categorical else labels.astype(np.float32)
