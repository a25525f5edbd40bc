"""One backbone and one set of defaults for three tasks, trained from sampled pixels only.

What a user gets who sets nothing: EfficientNet-lite0 from ImageNet, a feature pyramid, batch norm on the taps, one
hidden layer of 256, 2,000 points on each of 4 views of 256x320, AdamW. Only the number of steps is given, and the
task's own file says the rest (loss, sampler, score). Sizes and hours are for 2 cores without a GPU.
"""

from pathlib import Path

import pixelnet
from recipes.results import keep

BACKBONE = "tf_efficientnet_lite0_imagenet.safetensors"


def camvid(data: Path, weights: Path, out: Path) -> None:
    """CamVid, 11 classes, 480x360. Under an hour; mean IoU on val .70 or more."""
    _train(out, task="segmentation", data=f"camvid:{data / 'camvid'}", weights=weights, max_steps=5600)


def nyudv2(data: Path, weights: Path, out: Path) -> None:
    """NYUv2 surface normals, 280x212, 795 training images. Under ten minutes: three epochs, too few."""
    _train(out, task="normals", data=f"nyudv2:{data / 'nyudv2'}", weights=weights, max_steps=600)


def bsds500(data: Path, weights: Path, out: Path) -> None:
    """BSDS500 boundaries, 481x321, 200 training images. Under ten minutes."""
    _train(out, task="edges", data=f"bsds500:{data / 'bsds500'}", weights=weights, max_steps=600)


def _train(out: Path, task: str, data: str, weights: Path, max_steps: int) -> None:
    model = pixelnet.train(
        task, data, out, backbone_weights=str(weights / BACKBONE), max_steps=max_steps, seed=0, resume=True
    )
    keep(out, pixelnet.evaluate(model, data=data, split="val"))
