"""How wide should the everyday head be? python -m benchmarks.head [--data DIR] [--weights DIR]

The hypercolumns of CamVid (EfficientNet-lite0 as it comes from ImageNet, each channel scaled to mean 0 and deviation
1) are read once, at 400 random pixels of every image; each head then learns from this matrix alone, with three seeds.
Beside its mean IoU on val pixels stands what it costs: a training step on 16,000 pixels, and all pixels of a 480x360
image. The matrix is frozen, so the scores rank heads and say nothing of what the whole network reaches.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

import pixelnet
from pixelnet.data import Dataset, open_dataset
from pixelnet.files import write_json
from pixelnet.metrics.confusion import confusion, scores
from pixelnet.nn.head import Head, HeadShape
from pixelnet.points import Uniform

WIDTHS = ((), (128,), (256,), (512,), (128, 128), (256, 256), (512, 512))
SEEDS, STEPS, BATCH = (0, 1, 2), 300, 2048
RESULT = Path(__file__).parent.parent / "docs" / "results" / "head.json"


@dataclass(frozen=True)
class Arguments:
    data: Path = Path("../shared/data")
    weights: Path = Path("../shared/weights")
    pixels: int = 400
    """Of each image."""


@torch.inference_mode()
def matrix(dataset: Dataset, model: pixelnet.PixelNet, pixels: int) -> tuple[Tensor, Tensor]:
    """Hypercolumns (M, D) and labels (M,) at random labelled pixels of every image."""
    sampler, rng = Uniform(pixels), np.random.default_rng(0)
    features, answers = [], []
    for index in range(len(dataset)):
        labels = dataset.labels(index)
        points = sampler(labels != 255, rng).points
        image = torch.from_numpy(dataset.image(index).copy()).permute(2, 0, 1)[None].float() / 255
        features.append(model.hypercolumns(image, torch.from_numpy(points)[None])[0])
        answers.append(torch.from_numpy(labels[points[:, 1].astype(int), points[:, 0].astype(int)]).long())
    return torch.cat(features), torch.cat(answers)


def learn(shape: HeadShape, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], seed: int) -> float:
    """Mean IoU on val of a head that learnt from train."""
    torch.manual_seed(seed)
    head = Head([train[0].shape[1]], 11, shape)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(train[0]), (BATCH,))
        loss = torch.nn.functional.cross_entropy(head(train[0][rows]), train[1][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        predicted = head(val[0]).argmax(1).numpy()
    return scores(confusion(predicted[None], val[1].numpy()[None], 11))["miou"]


def median_seconds(work: Callable[[], object], runs: int = 3) -> float:
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    weights = arguments.weights / "tf_efficientnet_lite0_imagenet.safetensors"
    model = pixelnet.PixelNet("segmentation", 11, backbone_weights=weights, head="linear").eval()
    camvid = f"camvid:{arguments.data / 'camvid'}"
    splits = [open_dataset(camvid, "segmentation", split) for split in ("train", "val")]
    sets = [matrix(dataset, model, arguments.pixels) for dataset in splits]
    mean, deviation = sets[0][0].mean(0), sets[0][0].std(0) + 1e-6
    train, val = (((features - mean) / deviation, labels) for features, labels in sets)
    some, dense = train[0][:16000].clone(), torch.zeros(8192, train[0].shape[1])
    rows = []
    print("hidden        mIoU (mean, deviation of 3 seeds)   training step   dense 480x360")
    for hidden in WIDTHS:
        shape = HeadShape(hidden, 0.0, normalize="batch", sigma=None)
        found = [learn(shape, train, val, seed) for seed in SEEDS]
        head = Head([train[0].shape[1]], 11, shape)

        def step(head: Head = head) -> None:
            head(some).sum().backward()

        with torch.inference_mode():
            band = median_seconds(lambda head=head: head(dense))  # type: ignore[misc]
        row = {
            "hidden": list(hidden),
            "seeds": list(SEEDS),
            "miou": [round(value, 4) for value in found],
            "step_seconds": round(median_seconds(step), 4),
            "dense_seconds": round(band * 480 * 360 / len(dense), 4),
        }
        rows.append(row)
        print(
            f"{hidden!s:14}{np.mean(found):.4f} +- {np.std(found, ddof=1):.4f}{row['step_seconds']:24.3f} s"
            f"{row['dense_seconds']:13.3f} s"
        )
    what = "Heads on the frozen hypercolumns of CamVid: mean IoU on val pixels (one figure a seed), and their cost."
    write_json(RESULT, {"name": "head", "what": what, "command": "python -m benchmarks.head", "rows": rows})


if __name__ == "__main__":
    main()
