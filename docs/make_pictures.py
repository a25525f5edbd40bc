"""Draw the documentation's pictures again: python docs/make_pictures.py (needs the test extra, for its photo)."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage import data

from pixelnet.files import write_atomic
from pixelnet.points import COLOR_LEVELS, make_sampler

HERE = Path(__file__).parent
DRAWN = 120


def draw_sampling(path: Path) -> None:
    """A uniform and a stratified draw of as many pixels from one photo, each beside a bar of the colors drawn."""
    photo = data.rocket()  # SpaceX, in the public domain
    faded = (0.55 * photo + 0.45 * 255).astype(np.uint8)
    figure = Figure(figsize=(10, 3.35), layout="constrained")
    photos_and_bars = figure.subplots(1, 4, width_ratios=(12, 1, 12, 1))
    captions = {"uniform": "every pixel alike", "stratified": "look first, then some of each color"}
    for (left, bar), (name, words) in zip(photos_and_bars.reshape(2, 2), captions.items(), strict=True):
        points = make_sampler(name, DRAWN)(np.ones(photo.shape[:2], bool), np.random.default_rng(1), None, photo).points
        x, y = points.astype(int).T
        left.imshow(faded, interpolation="antialiased")
        left.scatter(x, y, s=52, c=photo[y, x] / 255, edgecolors="white", linewidths=1.4)
        left.scatter(x, y, s=66, c="none", edgecolors="black", linewidths=0.6)
        kinds = _draw_bar(bar, photo[y, x], photo.shape[0] / photo.shape[1] * 12)
        left.set_title(f"{name}: {words} ({kinds} colors met)", fontsize=10, loc="left")
        left.set(xlim=(0, photo.shape[1]), ylim=(photo.shape[0], 0))
        left.axis("off")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    small = PIL.Image.open(content).convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE)
    content = io.BytesIO()
    small.save(content, format="PNG", optimize=True)
    write_atomic(path, content.getvalue())


def _draw_bar(axes: Axes, colors: np.ndarray, aspect: float) -> int:
    """Colors (P, 3) uint8 one above the other, those that a stratified draw takes for one kind together; the kinds."""
    kinds = (colors.astype(int) * COLOR_LEVELS // 256) @ COLOR_LEVELS ** np.arange(3)
    order = np.lexsort((colors.sum(axis=1), kinds))
    axes.imshow(colors[order][:, None], aspect=aspect / len(colors), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    return len(np.unique(kinds))


if __name__ == "__main__":
    draw_sampling(HERE / "sampling.png")
