"""Predictions for CamVid's val images that need no model: its labels, shifted and with noise.

`python docs/shifted_labels.py CAMVID DIR`; README.md shows their scores.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pixelnet.data import open_dataset

if __name__ == "__main__":
    data, out = open_dataset(f"camvid:{sys.argv[1]}", "segmentation", "val"), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i, name in enumerate(data.names):
        ids = np.roll(data.labels(i), (rng.integers(0, 25), rng.integers(0, 25)), (0, 1))
        ids[ids == 255] = 0
        ids[rng.random(ids.shape) < 0.05] = 3
        Image.fromarray(ids).save(out / f"{name}.png")
