"""How time and memory grow with the image, the pixels sampled and the channels read; with a plot of all."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np

import pixelnet
from benchmarks.dense import as_tensor, random_image, trained_long_ago
from benchmarks.memory import peak_beyond_maps
from benchmarks.networks import Batch, make_batch, on_fixed_maps, ours
from benchmarks.timing import RESULT, Row, alternate, row
from benchmarks.training import sampled_step
from pixelnet.files import write_atomic

LINEAR = 1.05  # the steepest slope in logarithms that passes for linear
SIDES = (256, 512, 1024, 2048, 4096)
SAMPLED = (100, 500, 2000, 10_000, 50_000)
FEW = 3  # runs of what takes long
HEIGHTS = (512, 1024, 2048)


def growth(runs: int, network: str = "tf_efficientnet_lite0") -> list[Row]:
    """Slopes of log seconds against log size, over the upper half of the sizes, where what is constant has gone."""
    at_points = by_image(network, SIDES, runs, points=True)
    every_pixel = by_image(network, SIDES, runs, points=False)
    curves = {
        ("prediction at 2,000 points", "image pixels", network): at_points,
        ("prediction at every pixel", "image pixels", network): every_pixel,
        ("step of head and read", "pixels sampled", network): by_pixels(network, runs),
        ("step of head and read", "channels", "vgg16"): by_channels(runs),
    }
    peaks = memory_by_height(network)
    draw(curves, network, peaks)
    rows = [
        row(f"growth: {what}, by {by}", owner, slope(*curve), "at most", LINEAR, seconds=as_arms(curve))
        for (what, by, owner), curve in curves.items()
    ]
    tallest, least = peaks[HEIGHTS[-1]], peaks[HEIGHTS[0]]
    measure = f"dense prediction, memory beyond the maps, height {HEIGHTS[-1]} / {HEIGHTS[0]}"
    bar = {"must_be": "at most", "bar": LINEAR}  # what is held does not grow with the height
    return [
        *rows,
        row(measure, network, tallest / least, **bar, mebibytes={f"{h:,}": peak for h, peak in peaks.items()}),
    ]


Curve = tuple[Sequence[int], list[np.ndarray]]


def by_image(network: str, sides: Sequence[int], runs: int, points: bool) -> Curve:
    model = trained_long_ago(ours(network))
    some = make_batch((1, 256, 256)).points[0].numpy()
    seconds = []
    for side in sides:
        pixels = random_image(side, side)
        work = partial(model.predict, pixels, some * (side / 256) if points else None)
        seconds.append(alternate({"ours": work}, runs if side <= 1024 else FEW)["ours"])
    return [side * side for side in sides], seconds


def by_pixels(network: str, runs: int) -> Curve:
    model, whole = ours(network).train(), make_batch((1, 256, 320), max(SAMPLED))
    on_fixed_maps(model, whole.images, learn=True)
    works = {str(count): step_at(model, whole, count) for count in SAMPLED}
    return SAMPLED, list(alternate(works, runs).values())


def by_channels(runs: int) -> Curve:
    """Taps of VGG-16 one after another, from conv1's 64 channels to conv-7's 5,568 in all."""
    whole, works = make_batch((1, 256, 320)), {}
    for last in range(6):
        model = ours("vgg16", conv7=last == 5, taps=range(last + 1)).train()
        on_fixed_maps(model, whole.images, learn=True)
        works[str(sum(model.backbone.channels))] = step_at(model, whole, whole.points.shape[1])
    return [int(channels) for channels in works], list(alternate(works, runs).values())


def step_at(model: pixelnet.PixelNet, whole: Batch, count: int) -> Callable[[], None]:
    return partial(sampled_step, model, whole._replace(points=whole.points[:, :count]))


def memory_by_height(network: str) -> dict[int, float]:
    """Peak mebibytes of a dense prediction beyond the maps, of images of 480 columns."""
    plain, peaks = trained_long_ago(ours(network)), {}
    for height in HEIGHTS:
        pixels = random_image(height, 480)
        model = copy.deepcopy(plain)
        on_fixed_maps(model, as_tensor(pixels, model), learn=False)
        peaks[height] = round(peak_beyond_maps(partial(model.predict, pixels)) / 2**20, 2)
    return peaks


def slope(sizes: Sequence[int], seconds: Sequence[np.ndarray]) -> float:
    """Of log median seconds against log size, by least squares over the upper half of the sizes, at least three."""
    upper = slice(-max(3, (len(sizes) + 1) // 2), None)
    medians = np.log([np.median(spent) for spent in seconds])
    return float(np.polyfit(np.log(sizes)[upper], medians[upper], 1)[0])


def as_arms(curve: Curve) -> dict[str, np.ndarray]:
    return {f"{size:,}": spent for size, spent in zip(*curve, strict=True)}


def draw(curves: dict[tuple[str, str, str], Curve], network: str, peaks: dict[int, float]) -> None:
    """A panel a curve, in logarithms, with a line of slope 1 through its last point; and the memory."""
    count = len(curves) + 1
    figure, panels = plt.subplots(1, count, figsize=(3.6 * count, 3.4), layout="constrained")
    panels[-1].loglog(peaks.keys(), peaks.values(), "o-", label=network)
    panels[-1].set(xlabel="height of the image", ylabel="MiB", title="memory beyond the maps")
    panels[-1].legend(fontsize="small")
    for panel, ((what, by, owner), (sizes, seconds)) in zip(panels[:-1], curves.items(), strict=True):
        medians = [float(np.median(spent)) for spent in seconds]
        panel.loglog(sizes, medians, "o-", label=f"{owner}, slope {slope(sizes, seconds):.2f}")
        panel.loglog(sizes, [medians[-1] * size / sizes[-1] for size in sizes], ":", color="gray", label="linear")
        panel.set(xlabel=by, title=what)
        panel.legend(fontsize="small")
    panels[0].set_ylabel("seconds")
    content = BytesIO()
    figure.savefig(content, format="png", dpi=100)
    plt.close(figure)
    write_atomic(RESULT.with_suffix(".png"), content.getvalue())
