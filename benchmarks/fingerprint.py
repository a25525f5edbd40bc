"""Fingerprints of what the package answers and learns, to show that a rebuild changed neither: bit for bit.

    python -m benchmarks.fingerprint --out before.json      # in one checkout
    python -m benchmarks.fingerprint --against before.json  # in another, on the same machine

A fingerprint is the SHA-256 of an array's bytes: of the shipped models' answers (dense, at points, adaptive, mirrored)
for five photos of scikit-image and four scenes, and of the weights that short runs end with. They are equal on one
machine only: other processors round otherwise.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from skimage import data as photos

import pixelnet
from pixelnet.config import read_json
from pixelnet.files import write_json
from pixelnet.runs.hub import shipped

POINTS = [(3, 4), (50.5, 60.25), (100, 20)]
RUN: dict[str, Any] = {
    "backbone": "test_resnet", "max_steps": 8, "val_every": 4, "val_images": 2, "batch_size": 2, "pixels": 300,
    "crop": (96, 128), "num_workers": 0,
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "segmentation": {"head": "paper", "hidden": (8, 8), "dropout": 0.5},
    "normals": {"image_size": 100, "schedule": "poly"},
    "edges": {"sampler": "hard", "weighted": True},
    "regression": {"optimizer": "sgd", "schedule": "step", "sampler": "gradient"},
    "segmentation,normals,edges": {"loss": "cross-entropy,3*angular,soft"},
}


@dataclass(frozen=True)
class Arguments:
    """Print the fingerprints, keep them, or compare them with others."""

    out: Path | None = None
    """Keep them in this file."""
    against: Path | None = None
    """Compare them with those in this file; the exit code is 1 if any differs."""


def images() -> Iterator[tuple[str, np.ndarray]]:
    cat = photos.chelsea()
    yield from {"astronaut": photos.astronaut(), "coffee": photos.coffee(), "rocket": photos.rocket()}.items()
    yield from {"cat": cat, "small cat": np.ascontiguousarray(cat[::2, ::2])}.items()
    scenes = pixelnet.open_dataset("scenes:4", "segmentation", "val")
    for i in range(len(scenes)):
        yield scenes.names[i], scenes.image(i)


def answers(model: pixelnet.PixelNet, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    ways: dict[str, dict[str, Any]] = {
        "dense": {}, "points": {"points": POINTS}, "adaptive": {"adaptive": 0.3}, "mirrored": {"flip": True},
    }  # fmt: skip
    for way, options in ways.items():
        for task, answer in model.task.split(model.predict(image, **options)).items():
            yield f"{way}, {task}", answer


def fingerprints() -> Iterator[tuple[str, str]]:
    for name in shipped():
        model = pixelnet.load(name)
        for shown, image in images():
            for what, answer in answers(model, image):
                yield f"{name}: {shown}, {what}", digest(answer)
    with tempfile.TemporaryDirectory() as folder:
        for task, options in RUNS.items():
            model = pixelnet.train(task, "scenes:8", Path(folder) / task, **{**RUN, **options})
            for tensor, values in model.state_dict().items():
                yield f"run: {task}, {tensor}", digest(values.numpy())


def digest(values: np.ndarray) -> str:
    array = np.ascontiguousarray(values)
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def main() -> int:
    arguments = tyro.cli(Arguments, description=__doc__)
    found = dict(fingerprints())
    if arguments.out is not None:
        write_json(arguments.out, found)
    if arguments.against is None:
        print(f"{len(found)} fingerprints, together {digest(np.frombuffer(repr(found).encode(), np.uint8))}")
        return 0
    expected = read_json(arguments.against)
    differ = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    print(f"{len(found) - len(differ)} of {len(found)} fingerprints are the same", *differ, sep="\n")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
