"""The BSDS protocol: how far apart are fast and exact matching, and what does each step cost?

    python -m benchmarks.boundaries [--data DIR] [--images 50] [--thresholds 99]

On images of BSDS500's val split, with the gradient's magnitude as the method (no network: the same for everybody), a
hard case, for it finds an edge nearly everywhere; then people, each against the others, which is binary, so that one
threshold does and AP means nothing. Times are processor seconds an image, and the share of each step in them.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.ndimage import gaussian_gradient_magnitude

from pixelnet.data import Dataset, open_dataset
from pixelnet.files import write_json
from pixelnet.metrics import boundaries, matching
from pixelnet.metrics.boundaries import boundary_counts, boundary_scores

RESULT = Path(__file__).parent.parent / "docs" / "results" / "boundaries.json"
STEPS = {
    "suppress": (boundaries, "thin"),
    "thin": (boundaries, "thin_mask"),
    "pairs": (matching.Matcher, "__init__"),
    "nearest": (matching, "_nearest_first"),
    "flow": (matching, "_augment"),
    "assign": (matching, "_shorten"),
}


@dataclass(frozen=True)
class Arguments:
    data: Path = Path("../shared/data")
    images: int = 50
    thresholds: int = 99
    workers: int = 2


def gradient(image: np.ndarray) -> np.ndarray:
    """Strength (H, W) in 0..1: how steep the grey image (H, W, 3) is at a scale of 2 pixels."""
    return (gaussian_gradient_magnitude(image.mean(axis=2), 2) / 40).clip(0, 1)


def timed(work: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @wraps(work)
    def measured(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return work(*arguments, **options)
        finally:
            seconds[name] += time.process_time() - start

    return measured


def gradient_counts(dataset: Dataset, index: int, thresholds: int, method: matching.Method) -> np.ndarray:
    return boundary_counts(gradient(dataset.image(index)), dataset.truth(index), thresholds, method=method)


def people_counts(dataset: Dataset, index: int, thresholds: int, method: matching.Method) -> np.ndarray:
    """Counts (1, 4) of each annotator's drawing, as it is, against those of the others, summed."""
    drawings = dataset.truth(index)
    others = [np.delete(drawings, k, axis=0) for k in range(len(drawings))]
    counts = [boundary_counts(a, b, 1, method=method, crisp=True) for a, b in zip(drawings, others, strict=True)]
    return np.sum(counts, axis=0)


WHAT = {"gradient": gradient_counts, "people": people_counts}


# Two drawings that all but coincide are what exact is slowest at, by far: people are matched by fast alone.
CASES: tuple[tuple[str, matching.Method], ...] = (("gradient", "fast"), ("gradient", "exact"), ("people", "fast"))


def one(index: int, what: str, dataset: Dataset, **options: Any) -> tuple[np.ndarray, dict[str, float]]:
    """Counts of one image, and the seconds of each step and of all."""
    seconds: dict[str, float] = defaultdict(float)
    originals = {name: getattr(*place) for name, place in STEPS.items()}
    for name, (owner, attribute) in STEPS.items():
        setattr(owner, attribute, timed(originals[name], name, seconds))
    try:
        counts = timed(WHAT[what], "all", seconds)(dataset, index, **options)
    finally:
        for name, (owner, attribute) in STEPS.items():
            setattr(owner, attribute, originals[name])
    return counts, dict(seconds)


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    dataset = open_dataset(f"bsds500:{arguments.data / 'bsds500'}", "edges", "val")
    chosen = np.linspace(0, len(dataset) - 1, arguments.images).round().astype(int).tolist()
    rows = []
    print("what      matching     ODS     OIS      AP     R50   s/image  share of each step")
    with ProcessPoolExecutor(arguments.workers) as pool:
        for what, method in CASES:
            work = partial(one, what=what, dataset=dataset, thresholds=arguments.thresholds, method=method)
            found = list(pool.map(work, chosen))
            seconds = {name: float(np.mean([times.get(name, 0) for _, times in found])) for name in (*STEPS, "all")}
            rows.append(row(what, method, np.stack([counts for counts, _ in found]), seconds))
            show(rows[-1])
    what = f"BSDS500 val, {len(chosen)} images, {arguments.thresholds} thresholds: fast and exact matching."
    command = f"python -m benchmarks.boundaries --images {len(chosen)} --thresholds {arguments.thresholds}"
    write_json(RESULT, {"name": "boundaries", "what": what, "command": command, "rows": rows})


def row(what: str, method: str, counts: np.ndarray, seconds: dict[str, float]) -> dict[str, Any]:
    scores = boundary_scores(counts.sum(axis=0))
    rounded = {name: scores[name] and round(scores[name], 5) for name in ("ods", "ois", "ap", "r50")}
    shares = {name: round(seconds[name] / seconds["all"], 3) for name in STEPS}
    return {"what": what, "matching": method} | rounded | {"seconds": round(seconds["all"], 3)} | shares


def show(row: dict[str, Any]) -> None:
    scores = "".join(f"{row[name]:8.4f}" for name in ("ods", "ois", "ap", "r50"))
    shares = ", ".join(f"{name} {row[name]:.0%}" for name in STEPS)
    print(f"{row['what']:10}{row['matching']:9}{scores}{row['seconds']:10.2f}  {shares}", flush=True)


if __name__ == "__main__":
    main()
