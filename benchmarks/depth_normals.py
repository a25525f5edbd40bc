"""Normals from depth: how near are they to the truth, as the depth gets coarser, and how long do they take?

    python -m benchmarks.depth_normals [--data DIR] [--every 1] [--scenes 8]

On generated scenes of 640x480, whose normals are exact, with the depth as it is, rounded as files and sensors round
it, and with a sensor's noise; and on NYUv2 at 280x212, where the normals beside the depth were computed by another
program from a finer copy of it. Errors in degrees over all pixels where both have a normal.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from pixelnet.config import from_dict, read_json
from pixelnet.data import open_dataset
from pixelnet.data.scenes import Scenes
from pixelnet.files import write_json
from pixelnet.geometry import Intrinsics, normals_from_depth
from pixelnet.metrics import angles
from pixelnet.metrics.intervals import add_up

RESULT = Path(__file__).parent.parent / "docs" / "results" / "depth_normals.json"
SIZE = (480, 640)
LEVEL = 0.00287  # 1/m between the levels of a Kinect: 1/8 pixel of disparity at 580 pixels and 7.5 cm
Pairs = Iterator[tuple[np.ndarray, Intrinsics, np.ndarray]]

DEPTHS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "as it is": lambda depth, _: depth,
    "rounded to 1 mm": lambda depth, _: depth.round(3),
    "rounded to 10 mm": lambda depth, _: depth.round(2),
    "8 bits of the farthest": lambda depth, _: (depth / depth.max() * 255).round() * (depth.max() / 255),
    "a Kinect's levels": lambda depth, _: 1 / ((1 / depth / LEVEL).round().clip(1) * LEVEL),
    "noise of 1.5 mm at 1 m, x z^2": lambda depth, rng: depth + rng.normal(0, 0.0015, depth.shape) * depth**2,
}


@dataclass(frozen=True)
class Arguments:
    data: Path = Path("../shared/data")
    every: int = 1
    """Take every so many-th image of NYUv2."""
    scenes: int = 8


def generated(count: int, degrade: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Pairs:
    scenes, rng = Scenes("normals", "val", count, SIZE), np.random.default_rng(0)
    for i in range(count):
        view, focal = scenes.view(i), scenes.scene(i).camera.focal * max(SIZE)
        known = np.isfinite(view.depth)
        depth = np.where(known, degrade(np.where(known, view.depth, 5.0).astype(np.float64), rng), np.nan)
        yield depth, Intrinsics(focal, focal, (SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2), view.normals


def nyudv2(root: Path, split: str, every: int) -> Pairs:
    camera = read_json(root / "classes.json")["intrinsics_small_280x212"]
    depths, normals = (open_dataset(f"nyudv2:{root}", task, split) for task in ("regression", "normals"))
    for i in range(0, len(depths), every):
        yield depths.labels(i), from_dict(Intrinsics, camera, "classes.json"), normals.labels(i)


def row(name: str, pairs: Pairs) -> dict[str, Any]:
    counts, seconds = [], 0.0
    for depth, intrinsics, truth in pairs:
        start = time.process_time()
        found = normals_from_depth(depth, intrinsics)
        seconds += time.process_time() - start
        both = np.where((found != 0).any(axis=-1, keepdims=True), truth, 0)
        counts.append(angles.tally(angles.angular_errors(found, both)))
    together = add_up(counts, angles.tally(np.empty(0)))
    scores = {key: round(value or 0, 2) for key, value in angles.tally_scores(together).items()}
    return {"depth": name, "images": len(counts)} | scores | {"seconds": round(seconds / len(counts), 2)}


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    work = {f"scenes, {name}": generated(arguments.scenes, degrade) for name, degrade in DEPTHS.items()}
    work |= {f"NYUv2 {split}": nyudv2(arguments.data / "nyudv2", split, arguments.every) for split in ("train", "test")}
    rows = []
    for name, pairs in work.items():
        rows.append(row(name, pairs))
        if len(rows) == 1:
            print("".join(f"{key:{40 if key == 'depth' else 8}}" for key in rows[0]))
        print("".join(f"{value:<{40 if key == 'depth' else 8}}" for key, value in rows[-1].items()), flush=True)
    what = "Normals from depth: angles in degrees, shares in percent, processor seconds an image."
    command = f"python -m benchmarks.depth_normals --every {arguments.every} --scenes {arguments.scenes}"
    write_json(RESULT, {"name": "depth_normals", "what": what, "command": command, "rows": rows})


if __name__ == "__main__":
    main()
