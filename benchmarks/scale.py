"""Scenes: seconds and resident memory of `predict_files` against the size, beside peers that tile.

    python -m benchmarks.scale --sides 1024 2048 4096 --peers torchgeo terratorch --out docs/results/scale.json
    python -m benchmarks.scale --sides 20000 --out docs/results/scale.json    # rows of other sizes stay

A scene is a tiled GeoTIFF of four bands, uint16, of random blobs; the model is untrained, which costs the same. Every
size and way is a process of its own. Peers see the same windows (see `benchmarks.tiling`). `alone` is the model on
ready tensors: windows that are read and magnified already, some of them, evenly spread, before the scene is answered
and again after it, since a machine's pace drifts; the median of their seconds for each pixel that is seen, times the
pixels that all windows show. What halos cost is `seen`, the ratio of pixels seen to pixels
answered for.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import tyro

from benchmarks.memory import resident_peak
from benchmarks.networks import ours
from benchmarks.tiling import PEERS
from benchmarks.timing import keep_in
from pixelnet.files import write_atomic
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.encoded import encode_views
from pixelnet.inference.inputs import Item
from pixelnet.inference.scene import Plan, look
from pixelnet.inference.source import FileSource
from pixelnet.memory import keep_freed_memory, return_freed_memory
from pixelnet.rasters.ground import OnGround

TILE, BLOB = 512, 16  # pixels
WINDOWS = 6  # that are timed on ready tensors, before and after
WAYS = ("pixelnet", "kept", "usual", *PEERS)
WHAT = (
    "Scenes of side x side pixels, four bands of uint16, from the file to the map: seconds and the most resident "
    "memory of a process, beside peers that see the same windows by the same functions; `alone` is the model on ready "
    "windows, and `share` how much of the seconds it is. `before` is what the process had come to with its libraries, "
    "the model and one small prediction. `seen`: pixels in windows, halos included, over pixels answered for. "
    "`kept` and `usual` are our own way, where freed memory stays with the process, or where the C library is left to "
    "itself. `as ours`: the share of pixels in which a peer's map is as ours, by an untrained model, whose classes are "
    "close: torchgeo's windows hang over the scene's ends, and terratorch's means are over borders of windows, too."
)


@dataclass(frozen=True)
class Arguments:
    """Measure sizes, each in a process of its own."""

    sides: tuple[int, ...] = (1024, 2048, 4096)
    """Of square scenes, in pixels."""
    peers: tuple[Literal["torchgeo", "terratorch"], ...] = ()
    """Which ways stand beside ours."""
    freed: tuple[Literal["kept", "usual"], ...] = ()
    """What else our own way does with freed memory: keeps it, or what the C library does by itself."""
    network: str = "tf_efficientnet_lite0"
    memory: str = "2GB"
    """What each process of ours may come to."""
    out: Path | None = None
    """Write the rows to this file as well, where rows of other sizes stay, and a picture of them beside it."""


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


class Noting(Answerer):
    """An answerer that keeps its plan, and what the model alone takes on some windows before any is answered."""

    made: Plan  # made again later, when more memory is taken, it would be another one
    rates: list[float]
    spent: float  # seconds, on these

    def plan(self, item: Item, source: FileSource, ground: OnGround | None) -> Plan:
        self.made, start = super().plan(item, source, ground), time.perf_counter()
        self.rates = _rates(self.model, source, self.made)
        self.spent = time.perf_counter() - start
        return self.made


def one(way: str, side: int, folder: Path, network: str, memory: str, window: int, step: int) -> dict[str, Any]:
    """The row of one size and way. window, step: of a peer."""
    if way == "kept":
        keep_freed_memory()
    elif way != "usual":
        return_freed_memory()
    path = folder / "scene.tif"
    if not path.exists():
        write_scene(path, side)
    model = ours(network, in_channels=4).eval()
    model.predict(np.zeros((256, 256, 4), np.uint16))
    before, start = resident_peak(), time.perf_counter()
    answerer = Noting(model, folder / way, None, Asked(memory=memory))
    if way not in PEERS:
        answerer.answer(Item(PurePath("scene"), path, 0))
    else:
        PEERS[way](model, path, folder / f"{way}.tif", window, step)
    seconds, peak = time.perf_counter() - start, resident_peak()
    seconds -= 0.0 if way in PEERS else answerer.spent
    row = {
        "side": side, "way": way, "seconds": round(seconds, 2), "megapixels/s": round(side**2 / seconds / 1e6, 3),
        "resident MB": round(peak / 2**20), "before MB": round(before / 2**20),
    }  # fmt: skip
    if way == "pixelnet":
        with FileSource(path, model) as source:
            rates = answerer.rates + _rates(model, source, answerer.made)
        return row | _alone(rates, answerer.made, seconds) | {"memory": memory}
    if way in PEERS:
        row["as ours"] = round(_alike(folder / "pixelnet/segmentation/scene.tif", folder / f"{way}.tif"), 5)
    return row


def _alike(one: Path, other: Path) -> float:
    """The share of pixels in which two maps agree."""
    import rasterio

    with rasterio.open(one) as first, rasterio.open(other) as second:
        return float((first.read(1) == second.read(1)).mean())


def _rates(model: Any, source: FileSource, plan: Plan) -> list[float]:
    """Of some ready windows, the model's seconds for each pixel that it sees."""
    rates, tiling = [], plan.tiling
    for number in range(tiling.count)[:: -(-tiling.count // WINDOWS)]:
        views = look(model, source, plan, tiling.block(number)).views
        start = time.perf_counter()
        encode_views(model, views).answers()
        rates.append((time.perf_counter() - start) / tiling.seen(number))
    return rates


def _alone(rates: Sequence[float], plan: Plan, seconds: float) -> dict[str, Any]:
    """What the model takes on ready windows, and what the windows are."""
    tiling = plan.tiling
    all_seen = sum(map(tiling.seen, range(tiling.count)))
    alone = float(np.median(rates)) * all_seen
    return {
        "alone": round(alone, 2), "share": round(alone / seconds, 3), "halo": tiling.halo, "block": tiling.side,
        "blocks": tiling.count, "seen": round(all_seen / (tiling.height * tiling.width), 2),
        "error": plan.error,
    }  # fmt: skip


def draw(rows: Sequence[dict[str, Any]]) -> bytes:
    """A PNG of seconds and of memory against the pixels, both in logarithms."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for way in dict.fromkeys(row["way"] for row in rows):
        own = sorted((row for row in rows if row["way"] == way), key=lambda row: row["side"])
        pixels = [row["side"] ** 2 / 1e6 for row in own]
        left.loglog(pixels, [row["seconds"] for row in own], "o-", label=way)
        right.loglog(pixels, [row["resident MB"] for row in own], "o-", label=way)
        if way == "pixelnet":
            left.loglog(pixels, [row["alone"] for row in own], "k:", label="the model alone")
    left.set(xlabel="megapixels", ylabel="seconds")
    right.set(xlabel="megapixels", ylabel="resident, MB")
    left.legend(fontsize="small")
    content = BytesIO()
    figure.savefig(content, format="png", dpi=100)
    plt.close(figure)
    return content.getvalue()


def main(arguments: Arguments) -> None:
    rows: list[dict[str, Any]] = []
    for side in arguments.sides:
        with tempfile.TemporaryDirectory() as folder:
            window = step = side
            for way in ("pixelnet", *arguments.freed, *arguments.peers):
                options = [way, str(side), folder, arguments.network, arguments.memory, str(window), str(step)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.scale", *options],
                    cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
                if way == "pixelnet":
                    step = rows[-1]["block"]
                    window = step + 2 * rows[-1]["halo"]
    if arguments.out is not None:
        own = keep_in(
            arguments.out, "scale", rows, WHAT, "python -m benchmarks.scale", ("side", "way"),
            picture="seconds and resident memory against the size of a scene",
        )  # fmt: skip
        write_atomic(arguments.out.with_suffix(".png"), draw(own))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        way, side, folder, network, memory, *window = sys.argv[1:]
        print(json.dumps(one(way, int(side), Path(folder), network, memory, *map(int, window))))
    else:
        main(tyro.cli(Arguments, description=__doc__))
