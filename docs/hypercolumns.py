"""A few labelled pixels of one picture -> a segmentation of all of it, by hypercolumns and scikit-learn.

    python docs/hypercolumns.py [--picture FILE] [--every N]

Needs scikit-learn and scikit-image (the test extra has both). Nothing is trained but scikit-learn's classifier.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelnet

# fmt: off
# --8<-- [start:clicks]
CLICKS = {  # (x, y) of single pixels, as any viewer of images shows them
    "gland": [
        (60, 110), (150, 85), (230, 150), (190, 220), (330, 45), (410, 130),
        (430, 240), (100, 340), (30, 225), (90, 470), (320, 400), (345, 340),
    ],
    "stroma": [
        (200, 320), (280, 255), (180, 430), (235, 480), (420, 350), (470, 100),
        (490, 250), (445, 30), (400, 470), (115, 240), (150, 280), (470, 400),
    ],
    "lumen": [
        (10, 330), (20, 470), (30, 370), (350, 150), (320, 95), (445, 440),
        (130, 30), (375, 180),
    ],
}
POINTS = np.concatenate([np.array(points) for points in CLICKS.values()])  # (32, 2)
CLASSES = np.repeat(np.arange(3), [len(points) for points in CLICKS.values()])  # (32,)
# --8<-- [end:clicks]
# fmt: on
COLORS = ("#e7298a", "#1b9e77", "#7570b3")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--picture", type=Path, help="write what was found to this PNG")
    arguments.add_argument("--every", type=int, default=2, help="classify every N-th pixel of every N-th row")
    asked = arguments.parse_args()

    # --8<-- [start:encode]
    photo = data.immunohistochemistry()  # uint8 (512, 512, 3), stained tissue
    encoded = pixelnet.load("pixelnet").encode(photo)  # the network sees it once
    print(encoded.hypercolumns(POINTS).shape)  # (32, 560): one descriptor a click
    # --8<-- [end:encode]

    # --8<-- [start:learn]
    def color(points: np.ndarray) -> np.ndarray:
        """What a pixel shows without its surroundings, for comparison: (P, 3)."""
        return photo[points[:, 1], points[:, 0]]

    learnt = {}
    for name, describe in (("color alone", color), ("hypercolumns", encoded.hypercolumns)):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        share = cross_val_score(classifier, describe(POINTS), CLASSES, cv=8).mean()
        print(f"{name}: {share:.0%} of the clicks are told from the others")
        learnt[name] = classifier.fit(describe(POINTS), CLASSES), describe
    # --8<-- [end:learn]

    # --8<-- [start:segment]
    height, width = photo.shape[:2]
    found = {name: [] for name in learnt}
    for y in range(0, height, asked.every):  # a row at a time: all of it would be 600 MB
        x = np.arange(0, width, asked.every)
        points = np.stack([x, np.full_like(x, y)], axis=1)
        for name, (classifier, describe) in learnt.items():
            found[name].append(classifier.predict(describe(points)))
    segmentation = np.stack(found["hypercolumns"])  # (H, W) class ids
    # --8<-- [end:segment]
    shares = np.bincount(segmentation.ravel(), minlength=len(CLICKS)) / segmentation.size
    print(*(f"{name}: {share:.0%} of the picture" for name, share in zip(CLICKS, shares, strict=True)), sep="\n")
    if asked.picture:
        draw(photo, {name: np.stack(rows) for name, rows in found.items()}, asked.picture)


def draw(photo: np.ndarray, found: dict[str, np.ndarray], path: Path) -> None:
    """The clicks, and what comes of them, over the photo."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    clicked, *others = figure.subplots(1, 1 + len(found))
    for axes, title in zip((clicked, *others), (f"{len(POINTS)} clicks", *found), strict=True):
        axes.imshow(photo)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    for (name, points), rgb in zip(CLICKS.items(), COLORS, strict=True):
        clicked.scatter(*np.transpose(points), s=36, c=rgb, edgecolors="white", label=name)
    extent = (-0.5, photo.shape[1] - 0.5, photo.shape[0] - 0.5, -0.5)
    for axes, classes in zip(others, found.values(), strict=True):
        axes.imshow(classes, ListedColormap(COLORS), alpha=0.55, extent=extent, interpolation="nearest")
    figure.legend(loc="outside lower center", ncols=len(CLICKS), frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100, bbox_inches="tight")
    Image.open(content).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
