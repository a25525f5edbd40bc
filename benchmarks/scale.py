"""Scenes: seconds and resident memory of `predict_files` against the size, beside the model on the same windows alone.

    python -m benchmarks.scale --sides 1024 2048 4096 --out scale.json
    python -m benchmarks.scale SIDE FOLDER NETWORK MEMORY    # a process of its own, of one size

A scene is a tiled GeoTIFF of four bands, uint16, of random blobs; the model is untrained, which costs the same. On
ready tensors means: windows that are read and magnified already, some of them, evenly spread; their seconds for each
pixel that is seen times the pixels that all windows show. What halos cost is the ratio of pixels seen to pixels
answered for.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import tyro

import pixelnet
from benchmarks.memory import resident_peak
from benchmarks.networks import ours
from benchmarks.timing import keep_in
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.encoded import encode_views
from pixelnet.inference.inputs import Item
from pixelnet.inference.scene import look
from pixelnet.inference.source import FileSource
from pixelnet.memory import keep_freed_memory

TILE, BLOB = 512, 16  # pixels
WINDOWS = 4  # that are timed on ready tensors


@dataclass(frozen=True)
class Arguments:
    """Measure sizes, each in a process of its own."""

    sides: tuple[int, ...] = (1024, 2048, 4096)
    """Of square scenes, in pixels."""
    network: str = "tf_efficientnet_lite0"
    memory: str = "2GB"
    """What each process may come to."""
    out: Path | None = None
    """Write the rows to this file as well."""


def write_scene(path: Path, side: int) -> None:
    import rasterio
    from rasterio.windows import Window

    profile: dict[str, Any] = {
        "driver": "GTiff", "width": side, "height": side, "count": 4, "dtype": "uint16", "tiled": True, "nodata": 0,
        "blockxsize": TILE, "blockysize": TILE, "compress": "deflate", "crs": "EPSG:32632", "interleave": "pixel",
        "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000), "bigtiff": "if_safer",
    }  # fmt: skip
    rng = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, side, TILE):
            rows = min(TILE, side - top)
            blobs = rng.integers(1, 2**16, (4, -(-rows // BLOB), -(-side // BLOB)), dtype=np.uint16)
            values = blobs.repeat(BLOB, axis=1).repeat(BLOB, axis=2)[:, :rows, :side]
            file.write(values, window=Window(0, top, side, rows))


def one(side: int, folder: Path, network: str, memory: str) -> dict[str, Any]:
    """The row of one size."""
    keep_freed_memory()
    path = folder / "scene.tif"
    write_scene(path, side)
    model = ours(network, in_channels=4).eval()
    model.predict(np.zeros((256, 256, 4), np.uint16))
    before = resident_peak()
    start = time.perf_counter()
    pixelnet.predict_files(model, path, folder / "out", memory=memory)
    seconds, peak = time.perf_counter() - start, resident_peak()
    asked = Asked(memory=memory)
    with FileSource(path, model) as source:
        plan = Answerer(model, folder, None, asked).plan(Item(PurePath("scene"), path, 0), source, False)
        tiling = plan.tiling
        sizes = {
            block.number: len(tiling.around(block.rows, side)) * len(tiling.around(block.columns, side))
            for block in tiling.blocks()
        }
        spent = seen = 0.0
        for number in sorted(sizes)[:: -(-tiling.count // WINDOWS)]:
            views = look(model, source, plan, tiling.block(number)).views
            start = time.perf_counter()
            encode_views(model, views).answers()
            spent, seen = spent + time.perf_counter() - start, seen + sizes[number]
    ready = spent / seen * sum(sizes.values())
    return {
        "side": side, "network": network, "memory": memory, "seconds": round(seconds, 2), "ready": round(ready, 2),
        "share": round(ready / seconds, 3), "halo": tiling.halo, "block": tiling.side, "blocks": tiling.count,
        "seen": round(sum(sizes.values()) / side**2, 2), "error": plan.error,
        "resident MB": round(peak / 2**20), "before MB": round(before / 2**20),
    }  # fmt: skip


def main(arguments: Arguments) -> None:
    rows = []
    for side in arguments.sides:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.scale", str(side), folder, arguments.network, arguments.memory]
            root = Path(__file__).parents[1]
            done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    keep_in(arguments.out, "scale", rows)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].isdecimal():
        print(json.dumps(one(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])))
    else:
        main(tyro.cli(Arguments, description=__doc__))
