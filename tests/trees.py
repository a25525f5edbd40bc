"""Grows the folders of trees.toml.

`files` has a file a line, {a,b} standing for several, and behind it what it holds if that is no photo: "bw" (0 and
255), "ids" (0, 1, 2), "colors" (black, red, green), "jpeg" (0 and 255 in a lossy file), "labelme", or after "=" a text
(COCO: a file of shapes on a.jpg, in the folder that follows). `pairs` are lines of SPLIT: IMAGE -> LABELS, "-" for no
split, or, of what must be refused, "!" and a part of the message. `form`: what a person would have to say.
"""

import json
import re
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

W, H = 24, 16
COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
TREES: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
LINE = re.compile(r"(?P<names>.*?)(?: (?P<kind>bw|ids|colors|jpeg|labelme)| = (?P<text>.*))?")


def expanded(text: str) -> list[str]:
    """a{1,2}/{x,y} -> four texts."""
    parts = re.split(r"(\{[^}]*\})", text)
    return ["".join(own) for own in product(*(p[1:-1].split(",") if p.startswith("{") else [p] for p in parts))]


def grow(root: Path, text: str) -> Path:
    """Write a tree's files."""
    seed = 0
    for line in text.strip().splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        for name in expanded(match["names"]):
            seed += 1
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if match["kind"] == "labelme":
                path.write_text(json.dumps(labelme(seed)))
            elif match["text"] is None:
                save(path, pixels(match["kind"], seed))
            elif match["text"].startswith("COCO"):
                path.write_text(json.dumps(coco(match["text"].removeprefix("COCO").strip() + "a.jpg")))
            else:
                path.write_text(match["text"].replace("\\n", "\n"))
    return root


def save(path: Path, array: np.ndarray) -> None:
    if path.suffix.lower() in (".tif", ".tiff"):
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    else:
        Image.fromarray(array).save(path)


def pixels(kind: str | None, seed: int) -> np.ndarray:
    """A photo (H, W, 3), or labels with every class in each map, in blocks that differ from map to map."""
    rng = np.random.default_rng(seed)
    if kind is None:
        return rng.integers(0, 256, (H, W, 3), np.uint8)
    count = 2 if kind in ("bw", "jpeg") else 3
    ids = rng.integers(0, count, (H // 4, W // 4), np.uint8)
    ids[0, :count] = range(count)
    ids = ids.repeat(4, 0).repeat(4, 1)
    return COLORS[ids] if kind == "colors" else ids * np.uint8(255) if count == 2 else ids


def labelme(seed: int) -> dict[str, Any]:
    x = seed % 8
    points = [[x, 2], [x + 8, 2], [x + 8, 10], [x, 10]]
    shape = {"label": "car", "points": points, "shape_type": "polygon"}
    return {"imageWidth": W, "imageHeight": H, "shapes": [shape]}


def coco(file_name: str) -> dict[str, Any]:
    shape = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 9, 2, 9, 9]], "iscrowd": 0}
    return {
        "images": [{"id": 1, "file_name": file_name, "width": W, "height": H}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [shape],
    }


def expected(pairs: str) -> dict[str, dict[str, list[str]]]:
    """The labels of each image of each split."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in pairs.strip().splitlines():
        split, _, rest = line.partition(": ")
        images, _, labels = rest.partition(" -> ")
        every = [expanded(label) for label in labels.split(", ")]
        for k, image in enumerate(expanded(images)):
            found.setdefault(split, {})[image] = [own[k] for own in every]
    return found
