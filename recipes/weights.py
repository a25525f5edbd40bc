"""Get the trained backbones that recipes start from: python -m recipes.weights --out DIR

One file for each network, from timm's hub: tf_efficientnet_lite0, tf_efficientnet_lite2 (ImageNet, Apache-2.0) and
vgg16 (torchvision's; the published networks began with Oxford's, which `--backbone-weights` takes as well).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import timm
import tyro
from safetensors.torch import save

from pixelnet import InputError
from pixelnet.files import write_atomic

FILES = {
    "tf_efficientnet_lite0": "tf_efficientnet_lite0_imagenet.safetensors",
    "tf_efficientnet_lite2": "tf_efficientnet_lite2_imagenet.safetensors",
    "vgg16": "vgg16_imagenet_features_fp16.safetensors",
}


@dataclass(frozen=True)
class Arguments:
    """Write the weights that are not there yet."""

    out: Path
    """The folder that recipes are then given as --weights."""


def fetch(out: Path) -> None:
    """Write a file for each network. Raises InputError where the hub cannot be reached."""
    for name, file in FILES.items():
        if (out / file).exists():
            continue
        try:
            network = timm.create_model(name, pretrained=True)
        except Exception as error:  # the hub and the libraries beneath it have many words for a failed download
            raise InputError(
                f"{name} could not be fetched from timm's hub ({error}); go online, or copy {file}"
            ) from error
        tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
        if name == "vgg16":  # the convolutions alone
            tensors = {key: tensor.half() for key, tensor in tensors.items() if key.startswith("features.")}
        write_atomic(out / file, save(tensors, metadata={"format": "pt"}))
        print(out / file)


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        fetch(arguments.out)
    except InputError as error:
        print(f"recipes: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
