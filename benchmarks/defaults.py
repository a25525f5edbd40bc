"""What each default costs, beside smp's Unet on the same network: a training step, a whole answer, and their memory.

Everything off is the hypercolumns alone with the cross-entropy; the defaults add the pyramid and the Lovasz loss;
magnified by two is what small or sharp images may get, whose training views are then half as high and as wide. Both
sides have channels last and, in answering, batch norms in their convolutions.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.dense import as_tensor, quietly, random_image, trained_long_ago
from benchmarks.memory import peak
from benchmarks.networks import IMAGE, VIEWS, clear, fused, make_batch, ours, peer
from benchmarks.timing import Row, alternate, row
from benchmarks.training import backbone_step, dense_step, sampled_step
from pixelnet import PixelNet
from pixelnet.runs.settings import DEFAULTS

Work = Callable[[], None]


def defaults(network: str, runs: int) -> list[Row]:
    """A row for each arm of `steps` and of `answers`: seconds over the Unet's, and what both hold at most."""
    rows = []
    sides = ("training step", steps(network), alternate), ("dense prediction", answers(network), quietly)
    for what, works, timed in sides:
        seconds = timed(works, runs)
        mebibytes = {name: round(peak(work) / 2**20, 1) for name, work in works.items()}
        rows += [
            row(
                f"{what}, {name} / smp Unet's",
                network,
                seconds[name] / seconds["Unet"],
                seconds={name: seconds[name], "Unet": seconds["Unet"]},
                mebibytes={name: mebibytes[name], "Unet": mebibytes["Unet"]},
            )
            for name in works
            if name != "Unet"
        ]
    return rows


def models(network: str) -> dict[str, PixelNet]:
    """What is compared, by name."""
    pyramid = DEFAULTS["pyramid"]
    return {
        "everything off": ours(network),
        "pyramid": ours(network, pyramid=pyramid),
        "pyramid, magnified by two": ours(f"{network}@2", pyramid=pyramid),
    }


def steps(network: str) -> dict[str, Work]:
    """Forward, loss and backward; gradients are left behind by none."""
    count, height, width = VIEWS
    whole, half = make_batch(), make_batch((count, height // 2, width // 2))
    off, pyramid, magnified = (model.train() for model in models(network).values())
    unet = peer("Unet", network).train()
    return {
        "backbone alone": _clean(off, lambda: backbone_step(off, whole)),
        "everything off": _clean(off, lambda: sampled_step(off, whole)),
        "pyramid": _clean(pyramid, lambda: sampled_step(pyramid, whole)),
        "defaults (pyramid, Lovasz)": _clean(pyramid, lambda: sampled_step(pyramid, whole, lovasz=True)),
        "defaults, magnified by two": _clean(magnified, lambda: sampled_step(magnified, half, lovasz=True)),
        "Unet": _clean(unet, lambda: dense_step(unet, whole)),
    }


def _clean(model: nn.Module, step: Work) -> Work:
    def work() -> None:
        step()
        clear(model)

    return work


def answers(network: str) -> dict[str, Work]:
    """Class ids of all pixels of one image."""
    pixels = random_image(*IMAGE)
    own = {name: trained_long_ago(model) for name, model in models(network).items()}
    unet, padded = fused(peer("Unet", network)), as_tensor(pixels, own["everything off"])
    works: dict[str, Work] = {name: _answer(model, pixels) for name, model in own.items()}

    def of_unet() -> None:
        with torch.inference_mode():
            unet(padded)[..., : pixels.shape[0], : pixels.shape[1]].argmax(1).to(torch.uint8).numpy()

    return works | {"Unet": of_unet}


def _answer(model: PixelNet, pixels: np.ndarray) -> Work:
    def work() -> None:
        model.predict(pixels)

    return work
