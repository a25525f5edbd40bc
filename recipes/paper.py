"""The paper's own configuration, for a few steps: does it run here, does the loss go down, what memory does it take?

VGG-16 with conv-7 (5,568 channels), an MLP of 2 x 4096 with dropout .5, 5 images x 2,000 pixels drawn uniformly,
224x224 views, SGD with momentum .9, rate 1e-3, weight decay 5e-4 (PixelNet, sections 3 and 4; the released solvers).
The 13 convolutions start from ImageNet and fc6 and fc7 at random, for want of their weights, so its scores are not
the paper's: the full run, with those weights from the hub, is the same call with pretrained=True, no
backbone_weights, and max_steps=96 * len(data) / 5.
"""

from pathlib import Path

import pixelnet
from recipes.results import keep

SETTINGS = {
    "backbone": "vgg16",
    "conv7": True,
    "pyramid": 0,
    "head": "paper",
    "loss": "cross-entropy",
    "pixels": "2000",
    "sampler": "uniform",
    "batch_size": 5,
    "crop": (224, 224),
    "scale": (1.0, 1.0),
    "color_jitter": 0.3,
    "optimizer": "sgd",
    "lr": 1e-3,
    "backbone_lr": 1e-3,
    "weight_decay": 5e-4,
    "schedule": "step",
}


def paper(data: Path, weights: Path, out: Path) -> None:
    """CamVid, 20 steps, about 15 minutes with its one validation image, 5 GB; the loss goes down from log 11 = 2.4."""
    source = f"camvid:{data / 'camvid'}"
    vgg16 = str(weights / "vgg16_imagenet_features_fp16.safetensors")
    model = pixelnet.train(
        "segmentation",
        source,
        out,
        backbone_weights=vgg16,
        max_steps=20,
        val_images=1,
        checkpoint_every=20,
        seed=0,
        resume=True,
        **SETTINGS,
    )
    keep(out, {"channels": sum(model.backbone.channels), "parameters": sum(p.numel() for p in model.parameters())})
