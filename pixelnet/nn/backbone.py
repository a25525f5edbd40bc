"""Backbones: images (N, C, H, W) in 0..1 -> feature maps, one per tap, with their channels and strides.

Any network of timm that offers `features_only` will do, and so will a module of your own that returns a list of maps;
the paper's VGG-16 is in `pixelnet.nn.vgg`, and what names stand for in `pixelnet.nn.networks`.
A backbone says three things of its taps: `channels`, `strides` (pixels per cell) and, through `forward`, the maps
(N, C_l, H / s_l, W / s_l). H and W must be multiples of its `multiple`; the model pads for that.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torch.nn import functional as F

from pixelnet.errors import InputError, errors_alone
from pixelnet.nn.pretrained import from_hub, installed_weights, read_weights

MAGNIFICATIONS = (0.125, 0.25, 0.5, 1, 2, 4, 8)  # strides stay whole, or halves
STATISTICS = (("mean", 0.0), ("std", 1.0))  # attributes of a module of one's own, and what stands for them


def check_magnification(factor: float) -> float:
    """A factor that images can be magnified by, as it is; raises InputError for another."""
    if factor not in MAGNIFICATIONS:
        known = ", ".join(f"{known:g}" for known in MAGNIFICATIONS)
        raise InputError(f"images cannot be magnified by {factor:g}; give a power of two: {known}")
    return factor


def places(length: Any, multiple: int) -> Tensor:
    """The places of so many pixels, and of what is added behind them up to a multiple: 0, 1, ...; for an export."""
    # As a number that nothing is known of: what a network makes of it stays short, and the tracer quick.
    steps = torch.full((), (length + multiple - 1) // multiple, dtype=torch.int64).item()
    torch._check(steps >= 1)
    return torch.arange(steps * multiple)


class Backbone(nn.Module):
    """What every backbone has. `mean` and `std` are saved with the weights: they belong to them."""

    channels: tuple[int, ...]
    strides: tuple[float, ...]
    mean: Tensor
    std: Tensor
    magnification: float = 1

    @property
    def multiple(self) -> int:
        """What the height and the width of images must be multiples of."""
        return math.lcm(*(int(stride) for stride in self.strides if stride > 1))

    @property
    def step(self) -> int:
        """What a part of an image begins at a multiple of, so that its cells are the whole image's."""
        return self.multiple

    def padded(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) of any size, padded right and below to what `forward` takes."""
        # The last row and column are repeated: zeros would draw an edge where there is none.
        if torch.compiler.is_exporting():
            for axis in (-2, -1):
                length = images.shape[axis]
                images = images.index_select(axis, places(length, self.multiple).clamp(max=length - 1))
            return images
        below, right = (-length % self.multiple for length in images.shape[-2:])
        return images if not right and not below else F.pad(images, (0, right, 0, below), mode="replicate")

    def magnified(self, factor: float) -> "Backbone":
        """Itself, made to see images magnified by a power of two; strides stay in pixels of the images as they come.

        What is finer than a network's first stride is lost to it, however it learns; magnified, an image has less
        that is so fine, and costs the square of the factor.
        """
        self.magnification *= check_magnification(factor)
        self.strides = tuple(_whole(stride / factor) for stride in self.strides)
        return self

    @property
    def core(self) -> "Backbone":
        """It without what is `added`: what pretrained weights are of, if of anything."""
        return self

    @property
    def added(self) -> nn.ModuleList:
        """Layers that no pretrained weights are of, and which learn as the head does."""
        return nn.ModuleList()

    def set_normalization(self, mean: Sequence[float], std: Sequence[float], channels: int) -> None:
        """Image statistics in 0..1, one per input channel; RGB figures serve other channel counts by their average."""
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                values = [sum(values) / len(values)] * channels
            self.register_buffer(name, torch.tensor(values).view(1, channels, 1, 1))

    def take_weights(self, other: "Backbone") -> None:
        """Those of a backbone of the same network; for images of other channels its first layer is fitted to them."""
        own, given = self.state_dict(), other.state_dict()
        for name in own.keys() - {"mean", "std"}:
            fits = given[name].shape == own[name].shape
            own[name] = given[name] if fits else adapt_input_conv(self.mean.shape[1], given[name].float())
        self.load_state_dict(own)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) in 0..1 -> maps, one per tap."""
        seen = images
        if self.magnification != 1:
            less = self.magnification < 1
            seen = F.interpolate(images, scale_factor=self.magnification, mode="bilinear", antialias=less)
        maps = self.maps((seen - self.mean) / self.std)
        height, width = images.shape[-2:]
        if torch.compiler.is_exporting():
            return maps
        for features, channels, stride in zip(maps, self.channels, self.strides, strict=True):
            found = tuple(features.shape[1:])
            expected = (channels, round(height / stride), round(width / stride))
            if found != expected:
                raise InputError(
                    f"{type(self).__name__} gave a map of {found} for an image of {height}x{width}, "
                    f"not {expected}: this network does not keep to its strides; choose other taps or another network"
                )
        return maps

    def maps(self, images: Tensor) -> list[Tensor]:
        """Normalized images -> maps, channels first."""
        raise NotImplementedError


class TimmBackbone(Backbone):
    """A timm network by name, tapped where timm's `features_only` taps it."""

    def __init__(self, name: str, taps: Sequence[int] | None, channels: int, pretrained: bool, weights: Path | None):
        super().__init__()
        if taps is not None and (not taps or list(taps) != sorted(set(taps))):
            raise InputError(f"taps are {list(taps)}; give at least one, from shallow to deep, each once")
        given = read_weights(weights) if weights else installed_weights(name) if pretrained else None
        try:
            with from_hub(name) if pretrained and given is None else nullcontext():
                self.network = _timm_features(name, taps, channels, pretrained, given)
        except RuntimeError as error:
            file = weights or ("the hub file" if given is None else "the installed file")
            what = f"{file} does not fit" if weights or pretrained else "there is no backbone in"
            raise InputError(f"{what} {name}: {mismatch(error)}") from error
        if given is not None:
            _same_names(self.network, given, weights or "the installed file", name)
        info: Any = self.network.feature_info
        self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())
        # Swin and its kin hand their maps out channels last.
        self.channels_last = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        statistics = timm.get_pretrained_cfg(name)
        if statistics is None:
            self.set_normalization((0.5,), (0.5,), channels)
        else:
            self.set_normalization(statistics.mean, statistics.std, channels)
        self._try(name, channels)

    @torch.no_grad()
    def _try(self, name: str, channels: int) -> None:
        """Raise InputError for a network that takes one size of images alone, before anything is made with it."""
        if self.mean.is_meta:
            return
        height, width = 3 * self.multiple, 5 * self.multiple
        try:
            self.eval()(torch.zeros(1, channels, height, width))
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"{name} does not take images of any size (of {width}x{height}: {str(error) or 'it fails'}); choose "
                "another network"
            ) from error
        self.train()

    def maps(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(images)
        return [features.permute(0, 3, 1, 2) for features in maps] if self.channels_last else maps


def _timm_features(
    name: str, taps: Sequence[int] | None, channels: int, pretrained: bool, given: dict[str, Tensor] | None
) -> nn.Module:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:6]
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise InputError(f"timm has no network {name!r}{hint}. `timm.list_models()` lists all")
    options: dict[str, Any] = {
        "features_only": True,
        "in_chans": channels,
        "pretrained": pretrained or given is not None,
    }
    if taps is not None:
        options["out_indices"] = tuple(taps)
    if given is not None:
        options["pretrained_cfg_overlay"] = {"state_dict": given}
    # A plain ViT and a Swin each have their own word for "images of any size"; other networks know neither.
    any_sizes: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
    for any_size in any_sizes:
        try:
            with errors_alone("timm"):  # which notes every tensor of a classifier that has no place here
                return timm.create_model(name, **options, **any_size)
        except InputError:
            raise
        except TypeError as error:
            if not any(word in str(error) for word in any_size):
                raise
        except (AssertionError, IndexError, ValueError) as error:
            raise InputError(f"{name} cannot be tapped at {taps}: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _whole(stride: float) -> float:
    return int(stride) if stride == int(stride) else stride


def mismatch(error: Exception) -> str:
    """The first mismatch that torch names; its first line only says that there are some."""
    return str(error).splitlines()[:2][-1].strip()


def _same_names(network: nn.Module, given: dict[str, Tensor], weights: Path | str, name: str) -> None:
    # timm loads a feature network leniently, so a file of another network would pass without a word.
    def flat(key: str) -> str:
        return key.removeprefix("model.").replace(".", "_")

    held = {flat(key) for key in given}
    missing = [key for key in network.state_dict() if flat(key) not in held and "num_batches_tracked" not in key]
    if missing:
        raise InputError(
            f"{weights} lacks {len(missing)} tensors of {name} ({missing[0]} first); "
            f"give a file saved from timm's {name}, or name the network it was saved from"
        )


class ModuleBackbone(Backbone):
    """A module of your own: images (N, C, H, W) -> a list of maps, (N, C_l, H / s_l, W / s_l) each, shallow to deep.

    Args:
        module: its attributes `channels` and `strides` say what the maps are, one number each; without them one image
            is tried. `mean` and `std` (one number a channel, of images in 0..1), if it has them, are taken off first.
        taps: which of its maps, by index; None for all.
        channels: of the images.

    Raises:
        InputError: it gives no list of maps, or maps whose sizes are no whole shares of the image's.
    """

    def __init__(self, module: nn.Module, taps: Sequence[int] | None, channels: int):
        super().__init__()
        self.module = module
        mean, std = (torch.as_tensor(getattr(module, name, default)).float() for name, default in STATISTICS)
        self.set_normalization(mean.flatten().tolist(), std.flatten().tolist(), channels)
        known: Any = getattr(module, "channels", None), getattr(module, "strides", None)
        widths, strides = self._tried(channels) if None in known else known
        every = range(len(widths))
        self.taps = tuple(every) if taps is None else tuple(taps)
        if not self.taps or not set(self.taps) <= set(every):
            raise InputError(f"{type(module).__name__} has taps 0 to {every[-1]}, not {list(self.taps)}")
        self.channels = tuple(int(widths[tap]) for tap in self.taps)
        self.strides = tuple(int(strides[tap]) for tap in self.taps)

    @torch.no_grad()
    def _tried(self, channels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Channels and strides, by what comes of an image of 128x192."""
        name, training = type(self.module).__name__, self.module.training
        try:
            maps = list(self.module.eval()(torch.zeros(1, channels, 128, 192)))
        finally:
            self.module.train(training)
        shapes = [tuple(features.shape) for features in maps if isinstance(features, Tensor)]
        if not maps or len(shapes) < len(maps) or any(len(shape) != 4 for shape in shapes):
            raise InputError(f"{name} gave no list of maps (N, C, H, W); return a list with one tensor a tap")
        if any(128 % height or 128 // height * width != 192 for *_, height, width in shapes):
            raise InputError(
                f"{name} gave maps of {', '.join(f'{h}x{w}' for *_, h, w in shapes)} for an image of 128x192, which "
                "are no whole shares of it; pad its convolutions, or give it `channels` and `strides`"
            )
        return tuple(shape[1] for shape in shapes), tuple(128 // shape[2] for shape in shapes)

    def maps(self, images: Tensor) -> list[Tensor]:
        found = list(self.module(images))
        return [found[tap] for tap in self.taps]
