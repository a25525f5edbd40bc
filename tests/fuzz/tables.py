"""Lists, tables, and MATLAB's files of benchmarks."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from scipy.io import savemat

from pixelnet import open_dataset
from pixelnet.data.bsds500 import read_annotators
from pixelnet.data.check import check
from pixelnet.data.table import PointTable
from pixelnet.inference.inputs import read_points
from pixelnet.report.plots import draw_curves
from tests.fuzz.mutate import array, broken, changed, json_text, value

CELLS = ["1", "2.5", "-3", "x", "y", "", "nan", "inf", "1e400", "1,5", '"', "\x00", " 7 ", "0x10", "\u0661", "1;2"]

IMAGES = [
    "a",
    "s",
    "s.tif[9]",
    "s[-1]",
    "a[0]",
    "..",
    "/",
    ".",
    "labels.csv",
    "~",
    "a" * 300,
    "a\x00",
    "\udce9",
    "*",
    "[1]",
]


def points(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A CSV file of points."""
    rows = [",".join(rng.choice(CELLS, int(rng.integers(0, 4)))) for _ in range(rng.integers(0, 6))]
    text = "\n".join(["x,y", "1,2", *rows] if rng.random() < 0.5 else rows)
    path = folder / "points.csv"
    path.write_bytes(broken(rng, text.encode()) if rng.random() < 0.3 else text.encode())
    return lambda: read_points(path)


def labels(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A CSV file of labelled pixels, `--labels`, beside a picture and a stack."""
    Image.new("RGB", (8, 6)).save(folder / "a.png")
    tifffile.imwrite(folder / "s.tif", np.zeros((3, 6, 8), np.uint8), metadata={"axes": "ZYX"})
    mark = str(rng.choice([",", ";", "\t"]))
    own = [["image", "x", "y", "class"], ["a.png", "1", "2", "sky"], ["s[1]", "3", "4", "road"], ["a", "7.4", "0", "2"]]
    own += [[str(rng.choice([*IMAGES, *CELLS])) for _ in range(rng.integers(0, 6))] for _ in range(rng.integers(0, 2))]
    for _ in range(rng.integers(0, 3)):
        row = own[int(rng.integers(len(own)))]
        if row:
            row[int(rng.integers(len(row)))] = str(rng.choice([*IMAGES, *CELLS]))
    text = "\n".join(map(mark.join, own)).encode(errors="surrogateescape")
    path = folder / "labels.csv"
    path.write_bytes(broken(rng, text) if rng.random() < 0.4 else text)
    classes = ("sky", "road", "2") if rng.random() < 0.3 else ()

    def ask() -> object:
        data = PointTable(path, folder, class_names=classes)
        return str(check(data)), [(data.image(i), data.labels(i), data.files(i)) for i in range(len(data))]

    return ask


def metrics(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A run's metrics.jsonl."""
    lines: list[Any] = [{"step": k, "loss": 0.5, "pixels": 9, "seconds": 0.1} for k in range(1, 4)]
    lines.append({"step": 3, "scores": {"miou": 0.5, "pixel_accuracy": None}, "peak_memory_gib": 1.0})
    at = int(rng.integers(len(lines)))
    text = [json.dumps(line).encode() for line in lines]
    text[at] = json_text(rng, lines[at])
    content = b"\n".join(text) + b"\n"
    (folder / "metrics.jsonl").write_bytes(broken(rng, content) if rng.random() < 0.3 else content)
    return lambda: draw_curves(folder)


def names(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """The list of a split, as VOC's."""
    (folder / "JPEGImages").mkdir()
    (folder / "SegmentationClass").mkdir()
    Image.new("RGB", (8, 6)).save(folder / "JPEGImages" / "a.jpg")
    Image.new("L", (8, 6)).save(folder / "SegmentationClass" / "a.png")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    lines = [str(value(rng)) for _ in range(rng.integers(0, 3))] + ["a"]
    text = "\n".join(lines).encode(errors="surrogateescape")
    for split in ("train", "val", "trainval"):
        (lists / f"{split}.txt").write_bytes(broken(rng, text) if rng.random() < 0.5 else text)
    return lambda: str(check(open_dataset(f"voc2012:{folder}", "segmentation")))


def anything(rng: np.random.Generator, depth: int = 2) -> Any:
    """What a MATLAB variable may hold."""
    kind = int(rng.integers(6))
    if kind == 0 and depth:
        cells = np.empty((1, int(rng.integers(0, 3))), object)
        for k in range(cells.size):
            cells[0, k] = anything(rng, depth - 1)
        return cells
    if kind == 1 and depth:
        keys = rng.choice(["Boundaries", "Segmentation", "LabelMap", "a"], 2, replace=False)
        return {str(key): anything(rng, depth - 1) for key in keys}
    if kind == 2:
        return str(rng.choice(["", "text", "longer text"]))
    found = array(rng)
    return found if found.dtype.kind in "biufc" else np.zeros((2, 2))


def matlab(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A .mat of BSDS500, SBD, PASCAL-Context or NYUv2, broken or with other contents."""
    ids = rng.integers(0, 3, (6, 8)).astype(np.uint8)
    kind = str(rng.choice(["bsds500", "sbd", "context", "splits", "mapping"]))
    sound = {
        "bsds500": {"groundTruth": np.array([[{"Boundaries": ids > 1}]], object)},
        "sbd": {"GTcls": {"Segmentation": ids, "Boundaries": ids}},
        "context": {"LabelMap": ids.astype(np.uint16)},
        "splits": {"trainNdxs": np.array([[1], [2]]), "testNdxs": np.array([[3]])},
        "mapping": {"mapClass": 1 + np.arange(60.0)[None] % 40},
    }[kind]
    if rng.random() < 0.6:
        sound = {(key if rng.random() < 0.9 else "other"): anything(rng) for key in sound}
    content = io.BytesIO()
    savemat(content, sound, do_compression=bool(rng.random() < 0.5))
    data = content.getvalue()
    path = folder / "a.mat"
    path.write_bytes(broken(rng, data) if rng.random() < 0.5 else data)
    return lambda: _reader(kind)(path)


def _reader(kind: str) -> Callable[[Path], object]:
    from pixelnet.data.mat import field, integers, read_mat

    def of_sbd(path: Path) -> object:
        return integers(field(read_mat(path, "GTcls"), "Segmentation", str(path)), 0, 255, str(path))

    def of(name: str, high: int) -> Callable[[Path], object]:
        return lambda path: integers(read_mat(path, name), 0, high, str(path), None)

    return {
        "bsds500": read_annotators,
        "sbd": of_sbd,
        "context": of("LabelMap", 65535),
        "splits": of("trainNdxs", 3),
        "mapping": of("mapClass", 40),
    }[kind]


def nyudv2(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """NYUv2's classes.json."""
    for part in ("images", "labels40"):
        (folder / "train" / part).mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(folder / "train" / "images" / "a.png")
    Image.new("L", (8, 6), 3).save(folder / "train" / "labels40" / "a.png")
    numbers = list(map(str, range(41)))
    tree = {"labels40": numbers, "labels13": numbers[:14], "map40to13": [k % 14 for k in range(41)]}
    whole = json.dumps(changed(rng, tree)).encode() if rng.random() < 0.7 else json_text(rng, tree)
    (folder / "classes.json").write_bytes(whole)
    name = str(rng.choice(["nyudv2", "nyudv2-13"]))
    return lambda: str(check(open_dataset(f"{name}:{folder}", "segmentation")))
