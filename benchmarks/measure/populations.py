"""Maps whose truth is known, as populations of pixels to draw surveys from: what a model said, and what is there.

camvid: the val split, by `street`. nyudv2: val, by `indoor`. bsds500: val, by `edges` at its own threshold, an edge
being what any annotator drew. acdc: val, and scenes: val, each by a network that `python -m benchmarks measure train`
teaches for 150 steps. Every STEP-th row and column is taken, and of these the pixels whose truth is known.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from tqdm import tqdm

from pixelnet.config import TrainConfig
from pixelnet.data import open_dataset
from pixelnet.errors import InputError
from pixelnet.files import write_atomic
from pixelnet.runs.hub import load
from pixelnet.training import run

SetName = Literal["camvid", "nyudv2", "acdc", "bsds500", "scenes"]
SETS: tuple[SetName, ...] = get_args(SetName)
DATA = Path(os.environ.get("PIXELNET_DATA", "../shared/data"))
RUNS = Path("runs") / "measure"
STEP = 4  # pixels; of acdc, whose images are few and small, each one counts
STEPS = 150  # of training
FOLDERS = {"camvid": "camvid:{}/camvid", "nyudv2": "nyudv2:{}/nyudv2", "bsds500": "bsds500:{}/bsds500"}
FOLDERS |= {"acdc": "{}/acdc-scribbles", "scenes": "scenes"}
MODELS = {"camvid": "street", "nyudv2": "indoor", "bsds500": "edges"}


@dataclass(frozen=True)
class Population:
    """N pixels of M images. mapped, truth: (N,) class ids. probabilities: (N, K). image: (N,) which of them, from 0."""

    name: str
    class_names: tuple[str, ...]
    mapped: np.ndarray
    truth: np.ndarray
    probabilities: np.ndarray
    image: np.ndarray

    @property
    def classes(self) -> int:
        return len(self.class_names)

    def of_images(self, images: np.ndarray) -> "Population":
        """Of these images alone, one that is named twice counting twice, as another."""
        order = np.argsort(self.image, kind="stable")
        starts = np.searchsorted(self.image[order], np.arange(self.image.max() + 2))
        own = [order[starts[image] : starts[image + 1]] for image in images]
        pixels = np.concatenate(own)
        numbers = np.repeat(np.arange(len(images)), [len(one) for one in own])
        return Population(
            self.name, self.class_names, self.mapped[pixels], self.truth[pixels], self.probabilities[pixels], numbers
        )


def train(name: SetName, data: Path, folder: Path) -> Path:
    """The folder of a model for a set; taught first, or to the end, where none ships."""
    out = folder / name
    run(
        TrainConfig(
            task="segmentation", data=FOLDERS[name].format(data), out=out, pretrained=True, max_steps=STEPS,
            num_workers=0, resume=True,
        )
    )  # fmt: skip
    return out


def population(name: SetName, data: Path = DATA, most: int | None = None, folder: Path = RUNS) -> Population:
    """A set's pixels; from the file that an earlier call left in the folder, where it is there.

    most: images, the first of them; all if not given.
    """
    cached = folder / f"{name}{'' if most is None else f'-{most}'}.npz"
    if not cached.exists():
        if not data.is_dir():
            raise InputError(f"there is no folder {data}; give the folder of the data (--data)")
        _ask(name, data, most, folder, cached)
    found = np.load(cached)
    names = tuple(map(str, found["class_names"]))
    return Population(name, names, found["mapped"], found["truth"], found["probabilities"], found["image"])


def _ask(name: SetName, data: Path, most: int | None, folder: Path, cached: Path) -> None:
    model = load(MODELS[name] if name in MODELS else train(name, data, folder))
    dataset = open_dataset(FOLDERS[name].format(data), model.config.task, "val")
    merge = dataset.merge(model.config.class_names)
    step = 1 if name == "acdc" else STEP
    mapped, truths, probabilities, images = [], [], [], []
    for i in tqdm(range(len(dataset) if most is None else min(most, len(dataset))), name, unit="image"):
        if model.task.categorical:
            said = model.predict(dataset.image(i), probabilities=True)[::step, ::step]
            said = said if merge is None else said @ merge
            truth = dataset.labels(i)[::step, ::step]
        else:
            share = model.predict(dataset.image(i))[::step, ::step]
            said = np.stack([1 - share, share], axis=-1)
            truth = (dataset.labels(i)[::step, ::step] > 0).astype(np.uint8)
        own = said.argmax(axis=-1) if model.task.categorical else said[..., 1] >= (model.config.threshold or 0.5)
        known = truth != 255
        mapped.append(own[known].astype(np.uint8))
        truths.append(truth[known].astype(np.uint8))
        probabilities.append(said[known].astype(np.float16))
        images.append(np.full(int(known.sum()), i, np.int32))
    names = dataset.class_names or ("none", "edge")
    write_atomic(
        cached,
        lambda file: np.savez(
            file,
            class_names=np.array(names),
            mapped=np.concatenate(mapped),
            truth=np.concatenate(truths),
            probabilities=np.concatenate(probabilities),
            image=np.concatenate(images),
        ),
    )
