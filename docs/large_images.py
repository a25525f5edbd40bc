"""Channels and stacks, from files to answers for larger files, by the command line: the examples of images.md.

    python docs/large_images.py [--minutes 3] [--pictures docs/assets]

Writes fields/, cells/, a scene and a stack beside them, runs/ and answers/ into the current folder; of what they hold
nothing was photographed. GeoTIFF needs the extra geo.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from pixelnet.files import write_json

LAND = {"water": (58, 110, 190), "field": (222, 205, 120), "wood": (50, 120, 70), "roof": (200, 84, 70)}
CELLS = {"background": (40, 44, 56), "cell": (242, 174, 62)}
# Red, green, blue and near infrared of each class, in twelve bits; how far crowns and furrows vary them.
COLORS = np.array([(260, 330, 380, 160), (620, 640, 420, 1500), (300, 450, 280, 1650), (980, 860, 800, 900)])
TEXTURE = np.array([5, 40, 150, 30])
NOISE = 45
COMMANDS = """
pixelnet train --task segmentation --data fields --pretrained --minutes {minutes} --out runs/fields
pixelnet evaluate runs/fields --data fields
pixelnet predict runs/fields fields-scene.tif --out answers --objects --polygons

pixelnet train --task segmentation --data cells --slices 3 --pretrained --minutes {minutes} --out runs/cells
pixelnet evaluate runs/cells --data cells
pixelnet predict runs/cells cells-larger.tif --out answers
"""


def land(rng: np.random.Generator, meters: tuple[int, int], pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """A stretch of land: four bands uint16 (H, W, 4) and class ids (H, W), with pixels of so many meters."""
    height, width = (round(side / pixel) for side in meters)

    def waves(length: float) -> np.ndarray:  # of mean 0 and deviation 1
        found = gaussian_filter(rng.normal(size=(height, width)), length / pixel, mode="wrap")
        return (found - found.mean()) / found.std()

    hills, moisture = waves(30), waves(24)
    ids = np.where(hills < -0.8, 0, np.where(moisture > 0.3, 2, 1)).astype(np.uint8)
    canvas = Image.fromarray(ids)
    for _ in range(meters[0] * meters[1] // 1500):
        x, y, long, wide = rng.uniform((0, 0, 8, 6), (width, height, 20, 14))
        if ids[int(y), int(x)] == 1:
            ImageDraw.Draw(canvas).rectangle((x, y, x + long / pixel, y + wide / pixel), fill=3)
    ids = np.asarray(canvas)
    bands = COLORS[ids] * (1 + 0.05 * waves(40)[..., None]) + TEXTURE[ids][..., None] * waves(1.5)[..., None]
    return (bands + rng.normal(0, NOISE, bands.shape)).clip(0, 4095).astype(np.uint16), ids


def write_geotiff(path: Path, bands: np.ndarray, pixel: float) -> None:
    import rasterio

    height, width, count = bands.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": "uint16", "tiled": True}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000)}
    with rasterio.open(path, "w", **profile, **place, compress="deflate", photometric="rgb") as file:
        file.write(bands.transpose(2, 0, 1))


def write_fields(folder: Path, chips: int = 12, side: int = 256, scene: tuple[int, int] = (768, 1024)) -> None:
    """Chips of a meter a pixel, a third of them val; a scene of so many meters, twice as fine, with its truth."""
    rng = np.random.default_rng(0)
    for k in range(chips):
        split = folder / ("val" if k % 3 == 2 else "train")
        bands, ids = land(rng, (side, side), 1.0)
        for name in ("images", "labels"):
            (split / name).mkdir(parents=True, exist_ok=True)
        write_geotiff(split / f"images/chip-{k:02d}.tif", bands, 1.0)
        Image.fromarray(ids).save(split / f"labels/chip-{k:02d}.png")
    _say(folder, LAND)
    bands, ids = land(rng, scene, 0.5)
    write_geotiff(Path(f"{folder}-scene.tif"), bands, 0.5)
    Image.fromarray(ids).save(f"{folder}-truth.png")


def volume(rng: np.random.Generator, pages: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Balls in noise: gray uint8 (pages, height, width), and class ids."""
    z, y, x = np.ogrid[:pages, :height, :width]
    ids = np.zeros((pages, height, width), np.uint8)
    for _ in range(pages * height * width // 12_000):
        center, radius = rng.uniform((0, 0, 0), ids.shape), rng.uniform(7, 13)
        flat = (2.5 * (z - center[0])) ** 2  # pages are further apart than pixels
        ids[flat + (y - center[1]) ** 2 + (x - center[2]) ** 2 < radius**2] = 1
    gray = 110 + 26 * gaussian_filter(ids.astype(float), (0, 1, 1)) + rng.normal(0, 24, ids.shape)
    return gray.clip(0, 255).astype(np.uint8), ids


def write_cells(
    folder: Path, pages: int = 30, size: tuple[int, int] = (160, 208), larger: tuple[int, ...] = (40, 320, 416)
) -> None:
    """A stack of pages to learn from, one of a third as many for val, and a larger one with its truth."""
    rng = np.random.default_rng(1)
    for split, count in (("train", pages), ("val", pages // 3)):
        for name, values in zip(("images", "labels"), volume(rng, count, *size), strict=True):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / split / name / f"{split}.tif", values, imagej=True, metadata={"axes": "ZYX"})
    _say(folder, CELLS)
    for name, values in zip(("larger", "truth"), volume(rng, *larger), strict=True):
        tifffile.imwrite(f"{folder}-{name}.tif", values, imagej=True, metadata={"axes": "ZYX"})


def _say(folder: Path, classes: dict[str, tuple[int, int, int]]) -> None:
    named = [{"name": name, "color": color} for name, color in classes.items()]
    splits = {split: f"{split}/images/*" for split in ("train", "val")}
    write_json(folder / "dataset.json", {"task": "segmentation", "classes": named, "splits": splits})


def painted(ids: np.ndarray, classes: dict[str, tuple[int, int, int]]) -> np.ndarray:
    return np.array([*classes.values(), *[(0, 0, 0)] * (256 - len(classes))], np.uint8)[ids]


def side_by_side(path: Path, panels: list[np.ndarray], width: int) -> None:
    """A picture of several (H, W, 3), each so wide."""
    shown = [Image.fromarray(own).resize((width, round(own.shape[0] * width / own.shape[1]))) for own in panels]
    sheet = Image.new("RGB", ((width + 6) * len(shown) - 6, shown[0].height), "white")
    for k, own in enumerate(shown):
        sheet.paste(own, (k * (width + 6), 0))
    sheet.save(path, quality=88)


def pictures(folder: Path) -> None:
    """The scene in infrared, red and green, and a slice of the larger stack, each beside its answer and the truth."""
    bands = tifffile.imread("fields-scene.tif")[..., (3, 0, 1)] / (1900, 1100, 1000)
    land_said = tifffile.imread("answers/segmentation/fields-scene.tif")
    truth = np.asarray(Image.open("fields-truth.png"))
    photo = (255 * bands.clip(0, 1)).astype(np.uint8)
    side_by_side(folder / "fields.jpg", [photo, painted(land_said, LAND), painted(truth, LAND)], 400)
    print(f"fields-scene.tif: {(land_said == truth).mean():.3f} of the pixels right")
    gray, said, true = (
        tifffile.imread(own) for own in ("cells-larger.tif", "answers/segmentation/cells-larger.tif", "cells-truth.tif")
    )
    k = len(gray) // 2
    side_by_side(
        folder / "cells.jpg", [np.stack([gray[k]] * 3, 2), painted(said[k], CELLS), painted(true[k], CELLS)], 400
    )
    print(f"cells-larger.tif: {(said == true).mean():.3f} of the pixels right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3, help="of each training")
    parser.add_argument("--pictures", type=Path, help="draw fields.jpg and cells.jpg into this folder")
    arguments = parser.parse_args()
    write_fields(Path("fields"))
    write_cells(Path("cells"))
    for line in COMMANDS.format(minutes=f"{arguments.minutes:g}").split("\n"):
        if line:
            print(f"$ {line}", flush=True)
            subprocess.run([sys.executable, "-m", *shlex.split(line)], check=True)
    if arguments.pictures:
        pictures(arguments.pictures)


if __name__ == "__main__":
    main()
