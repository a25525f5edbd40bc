"""The BSDS protocol on known methods: does it say what others say, how far are fast and exact apart, what does it cost?

    python -m benchmarks.boundaries [--hed DIR] [--images 100] [--thresholds 99]

On images of BSDS500's val split, each a method without training, so the same for everybody: the gradient's magnitude,
a hard case for the matching, for it finds an edge nearly everywhere; Canny (1986) with its high threshold for the
strength; HED, if `benchmarks.hed` has left its maps in DIR; and people, each against the others, which is binary, so
that one threshold does and AP means nothing. Seconds are a processor's for an image, with each step's share of them,
and a clock's for all images on all workers.
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
from skimage.feature import canny

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.images import read_share
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
    hed: Path | None = None
    """Folder with HED's maps, NAME.png each; see benchmarks/hed.py."""
    exact: bool = True
    """Match the gradient and HED exactly as well, which takes six times as long."""
    images: int = 100
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


CANNY_SIGMA = 3.0  # of 1.5, 2 and 3 the best on every eighth of these images
CANNY_LOW = 0.4  # share of the high threshold
CANNY_HIGHEST = 0.4  # of a grey image in 0..1: above it next to nothing is left


def canny_strength(image: np.ndarray) -> np.ndarray:
    """Strength (H, W) in 0..1: the highest of 33 high thresholds at which Canny's detector keeps a pixel."""
    grey, strength = image.mean(axis=2) / 255, np.zeros(image.shape[:2])
    for level in np.arange(1, 34) / 34:
        high = level * CANNY_HIGHEST
        strength[canny(grey, CANNY_SIGMA, CANNY_LOW * high, high)] = level
    return strength


def gradient_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    return boundary_counts(gradient(dataset.image(index)), dataset.truth(index), **options)


def canny_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    return boundary_counts(canny_strength(dataset.image(index)), dataset.truth(index), thinned=True, **options)


def hed_counts(dataset: Dataset, index: int, folder: Path, **options: Any) -> np.ndarray:
    return boundary_counts(read_share(folder / f"{dataset.names[index]}.png"), dataset.truth(index), **options)


def people_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    """Counts (drawings, 2, 4) of each annotator's drawing, as it is, against those of the others."""
    drawings = dataset.truth(index)
    others = [np.delete(drawings, k, axis=0) for k in range(len(drawings))]
    options["thresholds"] = 1
    return np.stack([boundary_counts(a, b, crisp=True, **options) for a, b in zip(drawings, others, strict=True)])


WHAT = {"gradient": gradient_counts, "canny": canny_counts, "hed": hed_counts, "people": people_counts}


def cases(arguments: Arguments) -> list[tuple[str, matching.Method]]:
    """What is scored. Two drawings that all but coincide are what exact is slowest at: people by fast alone."""
    found: list[tuple[str, matching.Method]] = [("gradient", "fast"), ("canny", "fast"), ("people", "fast")]
    if arguments.hed is not None:
        found.insert(2, ("hed", "fast"))
    if arguments.exact:
        found += [(what, "exact") for what in ("gradient", "hed") if (what, "fast") in found]
    return found


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
    print("what      matching     ODS     OIS      AP     R50   s/image   all  share of each step")
    with ProcessPoolExecutor(arguments.workers) as pool:
        for what, method in cases(arguments):
            work = partial(one, what=what, dataset=dataset, thresholds=arguments.thresholds, method=method)
            if what == "hed":
                work = partial(work, folder=arguments.hed)
            start = time.perf_counter()
            found = list(pool.map(work, chosen))
            clock = time.perf_counter() - start
            seconds = {name: float(np.mean([times.get(name, 0) for _, times in found])) for name in (*STEPS, "all")}
            rows.append(row(what, method, [counts for counts, _ in found], seconds, clock))
            show(rows[-1])
    what = f"BSDS500 val, {len(chosen)} images, {arguments.thresholds} thresholds, {arguments.workers} workers."
    options = "--hed DIR " if arguments.hed is not None else ""
    options += "" if arguments.exact else "--no-exact "
    command = f"python -m benchmarks.boundaries {options}--images {len(chosen)} --thresholds {arguments.thresholds}"
    write_json(RESULT, {"name": "boundaries", "what": what, "command": command, "rows": rows})


def row(what: str, method: str, counts: list[np.ndarray], seconds: dict[str, float], clock: float) -> dict[str, Any]:
    summed = sum(drawings.reshape(-1, *drawings.shape[-2:]).sum(axis=0) for drawings in counts)
    scores = boundary_scores(summed)
    rounded = {name: scores[name] and round(scores[name], 4) for name in ("ods", "ois", "ap", "r50")}
    if what == "people":  # one point, of two ways to average it
        each = [boundary_scores(drawing)["ods"] for drawings in counts for drawing in drawings]
        recall, precision = scores["curve"]["recall"][0], scores["curve"]["precision"][0]
        rounded = {"ods": rounded["ods"], "precision": round(precision, 4), "recall": round(recall, 4)}
        rounded["mean_f_of_drawings"] = round(float(np.mean(each)), 4)
    shares = {name: round(seconds[name] / seconds["all"], 3) for name in STEPS}
    times = {"seconds": round(seconds["all"], 3), "clock": round(clock, 1)}
    return {"what": what, "matching": method} | rounded | times | shares


def show(row: dict[str, Any]) -> None:
    if row["what"] == "people":
        scores = f"  F {row['ods']}, P {row['precision']}, R {row['recall']}; mean F {row['mean_f_of_drawings']}"
    else:
        scores = "".join(f"{row[name]:8.4f}" for name in ("ods", "ois", "ap", "r50"))
    shares = ", ".join(f"{name} {row[name]:.0%}" for name in STEPS)
    print(f"{row['what']:10}{row['matching']:9}{scores}{row['seconds']:10.2f}{row['clock']:6.0f}  {shares}", flush=True)


if __name__ == "__main__":
    main()
