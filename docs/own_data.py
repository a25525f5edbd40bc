"""A folder of images and masks: written, checked, learnt from, scored and predicted.

    python docs/own_data.py [--picture FILE]

Writes coins/, run/ and answers/ into the current folder. The photo is scikit-image's (the test extra has it); the
masks are made by its watershed, in place of a person's.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_fill_holes
from skimage import data, filters, segmentation

import pixelnet
from pixelnet.data.check import check, overlay

# --8<-- [start:write]
DATA = Path("coins")


def write_data() -> None:
    """Nine tiles of one photo: six to learn from; the three on the right to score on."""
    photo = data.coins()  # uint8 (303, 384)
    seeds = 1 * (photo < 30) + 2 * (photo > 150)
    mask = binary_fill_holes(segmentation.watershed(filters.sobel(photo), seeds) == 2)
    for row in range(3):
        for column in range(3):
            split = "val" if column == 2 else "train"
            top, left = 101 * row, 128 * column
            for folder, pixels in (("images", photo), ("masks", 255 * mask.astype(np.uint8))):
                path = DATA / split / folder / f"tile-{row}{column}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels[top : top + 101, left : left + 128]).save(path)
    classes = [{"name": "background", "color": [52, 56, 70]}, {"name": "coin", "color": [242, 174, 62]}]
    (DATA / "dataset.json").write_text(json.dumps({"classes": classes}))  # the rest is found out
    # --8<-- [end:write]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--picture", type=Path, help="write what was predicted to this PNG")
    picture = arguments.parse_args().picture
    write_data()

    # --8<-- [start:check]
    opened = pixelnet.open_dataset(DATA, "segmentation", "train")
    report = check(opened)
    print(report)
    assert not report.problems
    overlay(opened, "labels.png")  # look at it: labels over images
    # --8<-- [end:check]

    # --8<-- [start:train]
    model = pixelnet.train(
        "segmentation",
        DATA,
        "run",
        init_from="pixelnet",  # the model that ships, so nothing is downloaded
        freeze=True,  # its backbone stays: six small pictures could only spoil it
        image_size=192,  # the longer side, in pixels, that the network sees
        crop=(128, 160),  # of a training view
        pixels=500,  # of each view
        batch_size=4,
        max_steps=20,
        num_workers=0,  # so few pictures are read faster than a process is started
    )
    # --8<-- [end:train]

    # --8<-- [start:score]
    scores = pixelnet.evaluate(model, data=DATA, csv="scores.csv", report="scores.html")
    print(f"mean IoU {scores['miou']:.3f} on the {scores['images']} images of {DATA}/val")
    # --8<-- [end:score]

    # --8<-- [start:predict]
    again = pixelnet.load("run")
    mask = again.predict(DATA / "val/images/tile-02.png")  # uint8 (101, 128): class ids
    print(f"{(mask == 1).mean():.0%} of tile-02 is coin")
    written = pixelnet.predict_files(again, [DATA / "val/images"], "answers")
    print(*written, sep="\n")
    # --8<-- [end:predict]
    if picture:  # the three tiles one below the other: photo, mask, answer
        val, views = pixelnet.open_dataset(DATA, "segmentation", "val"), sorted(Path("answers/view").glob("*.png"))
        gap = np.full((101, 6, 3), 255, np.uint8)
        rows = [
            (val.image(i), gap, again.task.paint(val.labels(i)), gap, np.asarray(Image.open(views[i])))
            for i in range(len(val))
        ]
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
        Image.fromarray(sheet).save(picture, optimize=True)


if __name__ == "__main__":
    main()
