"""What colors mean, and labelled pixels as dots."""

from collections.abc import Sequence

import numpy as np

from pixelnet.report import page
from pixelnet.report.page import Picture
from pixelnet.tasks.task import Task

Color = tuple[int, int, int]
WIDTH = 800  # about, of a picture with dots
FEW = 100  # points; dots of fewer are larger


def normals_legend(task: Task) -> str:
    """The colors of a ball: every direction that can face the viewer."""
    y, x = np.mgrid[-1:1:97j, -1:1:97j]
    z = -np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    ball = np.where((x**2 + y**2 <= 1)[..., None], np.stack([x, y, z], axis=-1), 0)
    words = (
        "The color key is a ball: a surface has the color of the ball where the ball faces the same way. Green faces "
        "up (floors), violet-blue faces you, pink faces right, teal faces left."
    )
    pixels = task.paint(ball)
    pixels[x**2 + y**2 > 1] = 128
    return page.color_key(Picture(pixels, words, "photo"))


def edges_legend(task: Task) -> str:
    names = {0.0: "surely no edge", 0.5: "perhaps", 1.0: "surely an edge"}
    colors = task.paint(np.array([list(names)]))[0]
    return page.legend(
        [((int(r), int(g), int(b)), text) for (r, g, b), text in zip(colors, names.values(), strict=True)]
    )


def labels_as_dots(
    caption: str, image: np.ndarray, points: np.ndarray, ids: np.ndarray, names: Sequence[str], colors: Sequence[Color]
) -> Picture:
    """Points (P, 2) on an image (H, W, 3), each in the color of its class, and in words how many each class has.

    ids: (P,), indices into names and colors.
    """
    counts = np.bincount(ids, minlength=len(names))
    tally = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True) if count)
    zoom, radius = max(1, round(WIDTH / image.shape[1])), 9 if len(points) < FEW else 6
    drawn = page.dots(image, points, np.array(colors, np.uint8)[ids], zoom, radius)
    return Picture(drawn, f"{caption} Here: {tally}.", "photo")
