"""A training loop of your own: your arrays, a focal loss, gradient clipping and a moving average of the weights.

    python docs/own_loop.py [--picture FILE]

The arrays are generated here, by the data set `scenes`; any of yours will do.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import pixelnet
from pixelnet.points import make_sampler

STEPS, IMAGES, POINTS = 30, 4, 500


# --8<-- [start:focal]
def focal(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Lin et al. 2017, with gamma = 2: logits (M, K), labels (M,), weights (M,)."""
    loss = F.cross_entropy(logits, labels.long(), reduction="none")
    return (weights * (1 - (-loss).exp()) ** 2 * loss).sum() / weights.sum()
    # --8<-- [end:focal]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--picture", type=Path, help="write what was predicted to this PNG")
    picture = arguments.parse_args().picture
    torch.manual_seed(0)

    # --8<-- [start:arrays]
    scenes = pixelnet.open_dataset("scenes:48", "segmentation")
    images = np.stack([scenes.image(i) for i in range(48)])  # uint8 (48, 128, 160, 3)
    labels = np.stack([scenes.labels(i) for i in range(48)])  # uint8 (48, 128, 160): ids
    # --8<-- [end:arrays]

    # --8<-- [start:model]
    ships = pixelnet.load("pixelnet")
    model = pixelnet.PixelNet(
        "segmentation",
        backbone=ships.config.backbone,
        class_names=scenes.class_names,
        class_colors=scenes.class_colors,
    )
    model.start_from(ships)  # its backbone, and its head but for the last layer
    # --8<-- [end:model]

    # --8<-- [start:loop]
    rng, sampler = np.random.default_rng(0), make_sampler("uniform", POINTS)
    decay = get_ema_multi_avg_fn(0.8)
    averaged = AveragedModel(model, multi_avg_fn=decay, use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for step in range(STEPS):
        chosen = rng.choice(len(images), IMAGES, replace=False)
        draws = [sampler(labels[i] != 255, rng) for i in chosen]  # 255 is unlabelled
        points = np.stack([draw.points for draw in draws])  # (N, P, 2), x and y
        x, y = points.astype(int).transpose(2, 0, 1)
        truth = torch.from_numpy(labels[chosen[:, None], y, x])  # (N, P)
        batch = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2) / 255  # (N, 3, H, W)
        logits = model(batch, torch.from_numpy(points))  # (N, P, K)
        loss = focal(logits.flatten(0, 1), truth.flatten(), torch.ones(truth.numel()))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
        averaged.update_parameters(model)
        if (step + 1) % 10 == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    # --8<-- [end:loop]

    # --8<-- [start:use]
    best = averaged.module.eval()
    val = pixelnet.open_dataset("scenes:12", "segmentation", "val")
    for name, candidate in (("the last weights", model), ("their moving average", best)):
        print(f"{name}: mean IoU {pixelnet.evaluate(candidate, data=val)['miou']:.3f}")
    best.save("own-loop")  # for pixelnet.load("own-loop"), and every command
    # --8<-- [end:use]
    if picture:
        # Below each other: image, labels, answer.
        columns = [(val.image(i), *map(best.task.paint, (val.labels(i), best.predict(val.image(i))))) for i in range(4)]
        rows = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
        Image.fromarray(np.concatenate(rows)).save(picture, optimize=True)


if __name__ == "__main__":
    main()
