"""Memory against the number of images, and of pixels: `check`, `evaluate --predictions` and `evaluate MODEL`.

    python -m benchmarks.many --images 100 1000 10000 --classes 150 --out docs/results/many.json
    python -m benchmarks.many --commands scene --sides 2048 8192
    python -m benchmarks.many COMMAND IMAGES CLASSES FOLDER    # a process of its own, of one command and number

Images are PNG files of 48 x 32; there are a hundred of them, and of more the others are links to these, under names of
their own. Resident MB are a process's most beyond what it had before the first image. The last column is how many bytes
each further image, or pixel, took, from the smallest number to the largest.

`scene` is `evaluate --predictions` of one image, a tiled TIFF that no place on the ground divides into blocks, and of
sides in pixels in place of numbers of images.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import tyro
from PIL import Image

import pixelnet
from benchmarks.memory import resident_peak
from benchmarks.timing import keep_in
from pixelnet.data.check import check

SIZE = (32, 48)
FILES = 100
COMMANDS = ("check", "predictions", "model", "scene")
TILE, BLOB = 512, 64  # pixels
OWN = 3  # classes that an image shows
WHAT = (
    "Memory against the number of images, or of pixels for `scene`: the most that a process came to beyond what it had "
    "before the first image. `bytes each`: what each further image, or pixel, took, from the smallest number to the "
    "largest."
)


@dataclass(frozen=True)
class Arguments:
    """Measure numbers of images, each in a process of its own."""

    images: tuple[int, ...] = (100, 1000, 10_000)
    sides: tuple[int, ...] = (2048, 8192)
    """Of the image of `scene`, in pixels."""
    classes: int = 19
    commands: tuple[str, ...] = COMMANDS
    """Which of check, predictions, model and scene."""
    out: Path | None = None
    """Write the rows to this file as well."""


def write_data(folder: Path, images: int, classes: int) -> None:
    """A folder of images, labels and predictions, which err in one pixel of ten."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels", "predictions"):
        (folder / name).mkdir(parents=True)
    for k in range(images):
        first = [folder / name / f"{k % FILES:06d}.png" for name in ("images", "labels", "predictions")]
        if k >= FILES:
            for path in first:
                os.link(path, path.with_name(f"{k:06d}.png"))
            continue
        labels = rng.choice(classes, OWN, replace=False).astype(np.uint8)[rng.integers(0, OWN, SIZE)]
        wrong = np.where(rng.random(SIZE) < 0.1, rng.integers(0, classes, SIZE, dtype=np.uint8), labels)
        for path, pixels in zip(first, (rng.integers(0, 256, (*SIZE, 3), np.uint8), labels, wrong), strict=True):
            Image.fromarray(pixels).save(path)
    (folder / "dataset.json").write_text(json.dumps(_about(classes)))


def write_scene(folder: Path, side: int, classes: int) -> None:
    """One image, its labels and a prediction, written tile by tile."""
    for name in ("images", "labels", "predictions"):
        (folder / name).mkdir(parents=True)
        # Labels and predictions are of one seed, and so alike but for what errs.
        tiles = _tiles(side, classes, np.random.default_rng(0), 0.1 if name == "predictions" else 0.0)
        tifffile.imwrite(
            folder / name / "0.tif", tiles, shape=(side, side), dtype=np.uint8, tile=(TILE, TILE),
            photometric="minisblack", compression="zlib", metadata=None,
        )  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(_about(classes)))


def _tiles(side: int, classes: int, rng: np.random.Generator, wrong: float) -> Iterator[np.ndarray]:
    """Of blobs of classes, of which a share errs."""
    errors = np.random.default_rng(1)
    for _ in range(math.ceil(side / TILE) ** 2):
        blobs = rng.integers(0, classes, (TILE // BLOB, TILE // BLOB), np.uint8)
        other = errors.integers(0, classes, blobs.shape, np.uint8)
        yield np.where(errors.random(blobs.shape) < wrong, other, blobs).repeat(BLOB, axis=0).repeat(BLOB, axis=1)


def _about(classes: int) -> dict[str, Any]:
    return {"task": "segmentation", "classes": [f"class {k}" for k in range(classes)]}


def one(command: str, images: int, classes: int, folder: Path) -> int:
    """The bytes that a command held beyond those of before."""
    write_data(folder / "few", 8, classes)
    (write_scene if command == "scene" else write_data)(folder / "many", images, classes)
    names = [f"class {k}" for k in range(classes)]
    model = pixelnet.PixelNet("segmentation", backbone="test_resnet", hidden=(8,), class_names=names).eval()
    before = 0
    for name in ("few", "many"):
        data = folder / name
        before = resident_peak() if name == "many" else 0
        if command == "check":
            problems = check(pixelnet.open_dataset(f"folder:{data}", "segmentation")).problems
            assert not problems, problems[0]
        else:
            own = {"model": model} if command == "model" else {"predictions": data / "predictions"}
            pixelnet.evaluate(**own, data=f"folder:{data}", split="train", task="segmentation", csv=folder / "rows.csv")
    return resident_peak() - before


def main(arguments: Arguments) -> None:
    rows: list[dict[str, Any]] = []
    for command in arguments.commands:
        found = []
        numbers, unit = (arguments.sides, "a side") if command == "scene" else (arguments.images, "images")
        for images in numbers:
            with tempfile.TemporaryDirectory() as folder:
                words = [command, str(images), str(arguments.classes), folder]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.many", *words],
                    cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
            found.append(int(done.stdout.splitlines()[-1]))
        held = {f"{images} {unit}, MB": round(own / 2**20, 1) for images, own in zip(numbers, found, strict=True)}
        counts = [images**2 if command == "scene" else images for images in numbers]
        each = (found[-1] - found[0]) / max(1, counts[-1] - counts[0])
        rows.append({"command": command, "classes": arguments.classes, **held, "bytes each": round(each, 2)})
        print(rows[-1], flush=True)
    if arguments.out is not None:
        keep_in(arguments.out, "many", rows, WHAT, "python -m benchmarks.many", ("command", "classes"))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        print(one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
    else:
        main(tyro.cli(Arguments, description=__doc__))
