"""What a run's settings come to: defaults, the network of a model that it starts from, and numbers that will do."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixelnet.config import BACKBONE, TrainConfig
from pixelnet.errors import InputError
from pixelnet.nn.head import FITTED
from pixelnet.nn.networks import named, parts_of
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import folder_of

# Settings that a model brings with it which a run starts from; without one, those that have a value of their own.
NETWORK = ("backbone", "taps", "before_relu", "conv7", "magnify", "head", "hidden", "dropout", "image_size")
DEFAULTS: dict[str, Any] = {"backbone": BACKBONE, "head": "mlp", "before_relu": False, "conv7": False}
CROP = (256, 320)  # of what the network sees
# Learning rates of the head and of the backbone; and of a model that was fitted, which has little left to learn.
RATES = {"lr": 1e-3, "backbone_lr": 3e-4}
REFINING = {"lr": 3e-4, "backbone_lr": 3e-5}
SHARES = ("warmup", "ema")


def with_network(config: TrainConfig) -> TrainConfig:
    """The configuration with all that is settled of its network: defaults, or that of the model that it starts from.

    One network's magnification is `magnify` then, wherever it was said, and crop and rates are numbers.
    """
    if config.init_from is None:
        if config.head == FITTED:
            raise InputError(f"the head {FITTED} is that of a model of pixelnet fit; start from one: --init-from MODEL")
        config = _filled(config, DEFAULTS)
    if config.backbone is not None:
        name, magnify = named(config.backbone, config.magnify)
        config = replace(config, backbone=name, magnify=config.magnify if name == config.backbone else magnify)
    if config.init_from is not None:
        config = _with_theirs(config, folder_of(config.init_from))
    factor = max(own for _, own in parts_of(str(config.backbone))) * (config.magnify or 1)
    crop = (round(CROP[0] / factor), round(CROP[1] / factor)) if config.crop == "auto" else config.crop
    config = replace(config, crop=crop, magnify=None if config.magnify == 1 else config.magnify)
    return _filled(config, REFINING if config.head == FITTED else RATES)


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
    for name in ("max_steps", "batch_size", "val_every", "val_images", "checkpoint_every", "patience"):
        if getattr(config, name) is not None and getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(config, name)}; it must be at least 1")
    assert config.lr is not None  # which `with_network` has settled
    assert config.backbone_lr is not None
    if min(config.lr, config.backbone_lr, config.weight_decay, config.num_workers) < 0:
        raise InputError("rates, decay and workers cannot be negative")
    if not config.backbone_lr and not config.freeze:
        raise InputError("--backbone-lr is 0; leave it out and add --freeze, which leaves the backbone as it is")
    if not config.lr and config.freeze:
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
