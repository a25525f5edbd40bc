"""What a prediction at every pixel costs, beside the naive one: upsample every map, concatenate, ask the head."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pixelnet
from benchmarks.memory import peak_beyond_maps
from benchmarks.networks import IMAGE, fused, on_fixed_maps, ours
from benchmarks.timing import Row, alternate, row

CLOSE = 1e-4  # how near the naive prediction's probabilities must be


def dense(network: str, runs: int) -> list[Row]:
    """Exact dense prediction with one hidden layer and with two, in seconds and in memory."""
    pixels = random_image(*IMAGE)
    return one_layer(network, pixels, runs) + two_layers(network, pixels, runs) + memory(network, pixels)


def one_layer(network: str, pixels: np.ndarray, runs: int) -> list[Row]:
    model = trained_long_ago(ours(network, hidden=(256,)))
    check(model, pixels)
    backbone, padded = fused(model.backbone), as_tensor(pixels, model)
    works = {
        "naive": lambda: naive(model, pixels),
        "naive, our linear layers": lambda: naive(model, pixels, plain=False),
        "ours": lambda: model.predict(pixels),
        "backbone": lambda: backbone(padded),
    }
    seconds = quietly(works, runs)
    ceiling = float(np.median(seconds["naive"] / seconds["backbone"]))
    measure = "dense prediction, naive{} / ours, one hidden layer"
    ratio, stricter = (seconds[name] / seconds["ours"] for name in ("naive", "naive, our linear layers"))
    return [
        row(measure.format(""), network, ratio, "at least", 5.0, ceiling, seconds),
        row(measure.format(" with our linear layers"), network, stricter),
    ]


def two_layers(network: str, pixels: np.ndarray, runs: int) -> list[Row]:
    model = trained_long_ago(ours(network, hidden=(256, 256)))
    check(model, pixels)
    backbone, padded = fused(model.backbone), as_tensor(pixels, model)
    works = {
        "naive": lambda: naive(model, pixels),
        "ours": lambda: model.predict(pixels),
        "backbone": lambda: backbone(padded),
        "later layers": later_layers(model, pixels.shape[0] * pixels.shape[1]),
        "later layers, torch's": later_layers(model, pixels.shape[0] * pixels.shape[1], plain=True),
    }
    seconds = quietly(works, runs)
    beyond = (seconds["ours"] - seconds["backbone"]) / seconds["later layers"]
    looser = (seconds["ours"] - seconds["backbone"]) / seconds["later layers, torch's"]
    measure = "dense prediction, (ours - backbone) / later layers alone"
    ratio = seconds["naive"] / seconds["ours"]
    whole = seconds["backbone"] + seconds["later layers"]
    ceiling = float(np.median(seconds["naive"] / whole))
    return [
        row(measure, network, beyond, "at most", 1.2, 1.0, seconds),
        row(f"{measure}, torch's linear layers", network, looser),
        row("dense prediction, naive / ours, two hidden layers", network, ratio, floor=ceiling, seconds=seconds),
    ]


def memory(network: str, pixels: np.ndarray) -> list[Row]:
    """Bytes beyond what is held when the maps are there."""
    model = trained_long_ago(ours(network))
    on_fixed_maps(model, as_tensor(pixels, model), learn=False)
    mine, theirs = (peak_beyond_maps(work) for work in (lambda: model.predict(pixels), lambda: naive(model, pixels)))
    mebibytes = {"mebibytes": {"ours": round(mine / 2**20, 2), "naive": round(theirs / 2**20, 2)}}
    measure = "dense prediction, memory beyond the maps, ours / naive"
    return [row(measure, network, mine / theirs, "at most", 0.1, **mebibytes)]


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def trained_long_ago(model: pixelnet.PixelNet) -> pixelnet.PixelNet:
    """The model in evaluation mode with batch norms that have seen maps of its own, as trained ones have."""
    model.train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain mean
    with torch.no_grad():
        model(torch.rand(2, 3, 96, 96), torch.zeros(2, 1, 2))
    return model.eval()


def as_tensor(pixels: np.ndarray, model: pixelnet.PixelNet) -> Tensor:
    """The image as the backbone gets it: (1, 3, H', W') in 0..1, H' and W' multiples of the largest stride."""
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    height, width = pixels.shape[:2]
    stride = max(model.backbone.strides)
    padded = F.pad(image, (0, -width % stride, 0, -height % stride), mode="replicate")
    return padded.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def naive(model: pixelnet.PixelNet, pixels: np.ndarray, probabilities: bool = False, plain: bool = True) -> np.ndarray:
    """The textbook's dense prediction: whole hypercolumns of all pixels, then the head on each.

    plain: with torch's linear layers, as anyone would write it; else with ours.
    """
    image = as_tensor(pixels, model)
    height, width = pixels.shape[:2]
    upsampled = [
        F.interpolate(features, size=image.shape[-2:], mode="bilinear", align_corners=False)
        for features in model.maps(image).features
    ]
    columns = torch.cat(upsampled, dim=1).permute(0, 2, 3, 1)[0, :height, :width]
    logits = columns
    for layer in model.head:
        logits = (as_torchs(layer) if plain else layer)(logits)
    return logits.softmax(-1).numpy() if probabilities else logits.argmax(-1).to(torch.uint8).numpy()


def as_torchs(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """A linear layer as torch has it; any other as it is."""
    return partial(F.linear, weight=layer.weight, bias=layer.bias) if isinstance(layer, nn.Linear) else layer


def check(model: pixelnet.PixelNet, pixels: np.ndarray) -> None:
    """Raise where the two predictions differ: a ratio of unlike answers says nothing."""
    apart = np.abs(naive(model, pixels, probabilities=True) - model.predict(pixels, probabilities=True)).max()
    if not apart <= CLOSE:
        raise AssertionError(f"the naive prediction's probabilities are up to {apart} from ours; they must be the same")


def later_layers(model: pixelnet.PixelNet, count: int, plain: bool = False) -> Callable[[], None]:
    """The layers after the first, and nothing else, on so many pixels: in bands of the size that is fastest here.

    plain: with torch's linear layers; else with ours.
    """
    layers = [as_torchs(layer) if plain else layer for layer in list(model.head)[1:]]
    width = model.head.first.out_features

    def run(band: Tensor) -> None:
        for top in range(0, count, len(band)):
            logits = band[: count - top]
            for layer in layers:
                logits = layer(logits)

    bands = [torch.rand(size, width) for size in (512, 1024, 2048, 4096, 8192, 16384)]
    tried = quietly({str(len(band)): lambda band=band: run(band) for band in bands}, 3)
    best = min(bands, key=lambda band: tried[str(len(band))].min())
    return lambda: run(best)


def quietly(works: dict[str, Callable[[], object]], runs: int) -> dict[str, np.ndarray]:
    """`alternate` without gradients."""
    with torch.inference_mode():
        return alternate(works, runs)
