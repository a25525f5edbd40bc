"""python -m benchmarks export [MODEL ...]: exported models in onnxruntime -> docs/results/export.json. One thread.

Beside `predict` of the same models, all that ship if none is named, and beside smp's Unet on the same network, exported
too, of the size that the model works at. The Unet is given floats of that size, and that size alone, which its
exporter may make the most of; the models take a photo's bytes, and any photo's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import tyro
from torch import nn

import pixelnet
from benchmarks import timing
from benchmarks.dense import random_image
from benchmarks.networks import CLASSES, IMAGE, PEERS
from pixelnet.export import export
from pixelnet.export.running import run_onnx
from pixelnet.files import write_json
from pixelnet.runs.hub import shipped

RESULT = timing.RESULT.with_name("export.json")
STEP = 32  # a Unet takes whole multiples of it
WHAT = (
    "Exported models in onnxruntime: seconds of a 480x360 picture on one thread, start-up aside, and ratios; medians "
    "over rounds, in which every arm ran once. The Unet is smp's, on the same network, exported for the one size that "
    "the model works at, which it is given as floats. A difference is the greatest between logits of the file and the "
    "model's, as a share of the largest."
)


@dataclass(frozen=True)
class Arguments:
    models: tyro.conf.Positional[tuple[str, ...]] = ()
    """Which; all that ship if none is named."""
    rounds: int = 15
    note: str = ""
    """What else is to be known of the machine meanwhile; a sentence."""


class Classes(nn.Module):
    """A Unet's likeliest classes: (N, 3, H, W) in 0..1 -> uint8 (N, H, W)."""

    def __init__(self, network: str) -> None:
        super().__init__()
        self.unet = PEERS["Unet"](f"tu-{network}", encoder_weights=None, classes=CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.unet(images).argmax(1).to(torch.uint8)


def unet(network: str, size: tuple[int, int]) -> Callable[[], object]:
    """What runs an exported Unet on an image of floats of that height and width."""
    images = torch.zeros(1, 3, *size)
    converted: Any = torch.onnx.export(Classes(network).eval(), (images,), verbose=False)
    return partial(run_onnx(converted.model_proto.SerializeToString(), threads=1), images.numpy())


def working_size(longer: int | None) -> tuple[int, int]:
    """Height and width that the picture has where a model works on it, as a Unet takes them."""
    factor = 1.0 if longer is None else longer / max(IMAGE)
    height, width = (-(-round(side * factor) // STEP) * STEP for side in IMAGE)
    return height, width


def row(name: str, spent: Mapping[str, np.ndarray], difference: float) -> dict[str, Any]:
    """One model's: seconds by arm, "predict", "exported" and "Unet", of the same rounds."""

    def median(values: np.ndarray, digits: int) -> str:
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return f"{middle:.{digits}f} ({low:.{digits}f} .. {high:.{digits}f})"

    own = spent["exported"]
    return {
        "model": name,
        **{f"{arm}, s": median(seconds, 4) for arm, seconds in spent.items()},
        "exported / predict": median(own / spent["predict"], 2),
        "exported / Unet": median(own / spent["Unet"], 2),
        "difference": f"{difference:.1e}",
    }


def measure(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    picture, names = random_image(*IMAGE), arguments.models or shipped()
    works: dict[str, Callable[[], object]] = {}
    peers, differences = {}, {}
    for name in names:
        model = pixelnet.load(name)
        with TemporaryDirectory() as folder:
            done = export(model, Path(folder) / "model.onnx")
            exported = run_onnx(str(done.files[0]), threads=1, outputs=list(model.task.parts))
        differences[name] = done.difference
        peers[name] = f"{model.config.backbone} {model.config.image_size}"
        works[f"{name}, predict"], works[f"{name}, exported"] = (
            partial(model.predict, picture), partial(exported, picture[None])
        )  # fmt: skip
        if peers[name] not in works:
            works[peers[name]] = unet(model.config.backbone, working_size(model.config.image_size))
        print(f"{name} is exported", flush=True)
    seconds = timing.alternate(works, arguments.rounds)
    rows = []
    for name in names:
        own = {arm: seconds[f"{name}, {arm}"] for arm in ("predict", "exported")} | {"Unet": seconds[peers[name]]}
        rows.append(row(name, own, differences[name]))
        print(*rows[-1].values(), flush=True)
    what = " ".join(filter(None, [WHAT, arguments.note]))
    head = {"name": "export", "what": what, "command": "python -m benchmarks export", "machine": timing.machine()}
    write_json(RESULT, head | {"rows": rows})


def main(given: Sequence[str]) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks export", description=__doc__, args=given)
    return timing.as_command(lambda: measure(arguments))
