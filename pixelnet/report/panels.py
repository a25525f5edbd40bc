"""Panels: images, truths and predictions side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Dataset
from pixelnet.data.images import view_of
from pixelnet.files import write_png
from pixelnet.model import PixelNet

GAP = 4  # pixels between the pictures of a panel


def panel(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of pictures (H, W, 3) uint8, of any sizes -> one picture, each row at its own height, left aligned."""
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    width = max(sum(picture.shape[1] + GAP for picture in row) for row in rows) - GAP
    sheet = np.full((sum(heights) + GAP * (len(rows) - 1), width, 3), 255, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            left += picture.shape[1] + GAP
        top += height + GAP
    return sheet


def draw_panel(model: PixelNet, dataset: Dataset, items: Sequence[int], path: Path) -> None:
    """Input, truth and prediction of a few items, a row for each task that the item is labelled for."""
    task, rows = model.task, []
    for item in items:
        image, truth = dataset.image(item), task.unpack(dataset.labels(item))
        found = task.split(model.predict(image))
        for name, part in task.parts.items():
            if part.labelled(truth[name]).any() or len(truth) == 1:
                rows.append(
                    [view_of(image, dataset.ranges, dataset.channels), part.paint(truth[name]), part.paint(found[name])]
                )
    write_png(path, panel(rows))
