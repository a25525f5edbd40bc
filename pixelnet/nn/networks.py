"""What a backbone's name stands for, and several networks that see one image together."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from pixelnet.errors import InputError
from pixelnet.nn.backbone import Backbone, ModuleBackbone, TimmBackbone, check_magnification
from pixelnet.nn.filters import Filters
from pixelnet.nn.pyramid import Pyramid
from pixelnet.nn.vgg import VGG16

FILTERS = "filters"
SEVERAL = "several networks are magnified each for itself: write it in the backbone's name, as in A@2+B+filters"


class Joined(Backbone):
    """Several backbones that see each image: the maps of all, in their order, each as it would give them alone.

    Args:
        members: each with a normalization and a magnification of its own.
        channels: of the images.
    """

    def __init__(self, members: Sequence[Backbone], channels: int):
        super().__init__()
        self.set_normalization((0.0,), (1.0,), channels)
        self.members = nn.ModuleList(members)
        self.channels = tuple(width for member in members for width in member.channels)
        self.strides = tuple(stride for member in members for stride in member.strides)

    @property
    def multiple(self) -> int:
        return 1  # each of them pads for itself

    @property
    def step(self) -> int:
        return math.lcm(*(member.step for member in cast("list[Backbone]", list(self.members))))

    def magnified(self, factor: float) -> "Backbone":
        """Raises InputError: each member is magnified by itself."""
        raise InputError(SEVERAL)

    def forward(self, images: Tensor) -> list[Tensor]:
        members = cast("list[Backbone]", list(self.members))
        return [features for member in members for features in member(member.padded(images))]


def make_backbone(
    backbone: str | nn.Module,
    *,
    taps: Sequence[int] | None = None,
    channels: int = 3,
    pretrained: bool = False,
    weights: str | Path | None = None,
    before_relu: bool = False,
    conv7: bool = False,
    magnify: float = 1,
    pyramid: int = 0,
) -> Backbone:
    """A backbone by name, or from a module.

    Args:
        backbone: `vgg16` for the paper's network, else any network of timm with `features_only`; `filters` for the
            pixel's own (see `Filters`). With `@2` after it, a network sees its images magnified by two (by a power of
            two); with `+` between them, several see each image, and all their maps are tapped. Or a `Backbone`, which
            is taken as it is; or a module that returns a list of maps, see `ModuleBackbone`.
        taps: which of its maps, by index from the shallowest; None for all.
        channels: of the input images.
        pretrained: take ImageNet's weights from an installed package (the extra `weights`), else from timm's hub.
        weights: take them from this file instead. `vgg16` takes Oxford's weights, in Caffe's scale, and torchvision's.
        before_relu, conv7: of `vgg16` only; see there.
        magnify: the factor by which one network, by name or given, sees its images magnified. A `Backbone` that is
            given stays as it is itself: what is returned shares its weights.
        pyramid: channels of the map that a `Pyramid` gives beside the taps'; 0 for none.

    Raises:
        InputError: an unknown network, a tap it has not, weights that are not its own; a magnification of several, of
            `filters`, or by another factor than a power of two.
    """
    path = None if weights is None else Path(weights)
    if pretrained and path:
        raise InputError("--pretrained and --backbone-weights both say where the weights come from; give one")
    if channels < 1:
        raise InputError(f"images have {channels} channels; there must be at least 1")
    if isinstance(backbone, nn.Module):
        made = _from_module(backbone, taps, channels, pretrained or path is not None, before_relu or conv7)
        made = made if magnify == 1 else copy.copy(made).magnified(magnify)
    else:
        options: dict[str, Any] = {"channels": channels, "pretrained": pretrained, "weights": path}
        options |= {"taps": taps, "before_relu": before_relu, "conv7": conv7}
        made = _from_name(*named(backbone, None if magnify == 1 else magnify), options)
    return Pyramid(made, pyramid) if pyramid else made


def _from_name(backbone: str, magnify: float, options: dict[str, Any]) -> Backbone:
    """One network, or several joined. options: of `_by_name`."""
    networks = network_names(backbone)
    own = ("taps", "weights", "before_relu", "conv7")
    if len(networks) != 1 and any(options[name] not in (None, False) for name in own):
        raise InputError(
            f"{backbone} has {len(networks)} networks; taps, weights from a file, before_relu and conv7 are of one "
            "alone"
        )
    parts = [_by_name(name, **options).magnified(factor * magnify) for name, factor in parts_of(backbone)]
    return parts[0] if len(parts) == 1 else Joined(parts, options["channels"])


def network_names(backbone: str) -> list[str]:
    """The networks in a backbone's name, without their magnifications."""
    return [name for name, _ in parts_of(backbone) if name != FILTERS]


def named(backbone: str, magnify: float | None = None) -> tuple[str, float]:
    """A backbone's name and its magnification, whether that was said in the name (NETWORK@2) or beside it.

    Of several networks it stays in the name, and what is returned is 1. Raises InputError for one that is said in both
    places, or is said of several or of `filters`.
    """
    parts = parts_of(backbone)
    if len(parts) > 1:
        if magnify is not None:
            raise InputError(f"{backbone} cannot be magnified as a whole; {SEVERAL}")
        return backbone, 1
    ((name, own),) = parts
    if magnify is None:
        return name, own
    if name != backbone:
        raise InputError(f"{backbone} says how it is magnified, and so does a magnification of {magnify:g}; give one")
    return parts_of(f"{name}@{magnify:g}")[0]


def parts_of(backbone: str) -> list[tuple[str, float]]:
    """The parts of a backbone's name, each with its magnification; raises InputError for one that cannot be."""
    parts = []
    for text in backbone.split("+"):
        name, at, factor = text.partition("@")
        if name == FILTERS and at:
            raise InputError(f"{text}: filters see the image as it is; write {FILTERS} alone")
        try:
            parts.append((name, check_magnification(float(factor if at else 1))))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            message = f"{text}: {factor!r} is no number; write {name}@2 for an image magnified by two"
            raise InputError(message) from error
    return parts


def _by_name(
    name: str,
    *,
    taps: Sequence[int] | None,
    channels: int,
    pretrained: bool,
    weights: Path | None,
    before_relu: bool,
    conv7: bool,
) -> Backbone:
    """One network by name, or `filters`."""
    if name == FILTERS:
        return Filters(channels)
    if name == "vgg16":
        return VGG16(taps, channels, pretrained, weights, before_relu, conv7)
    if before_relu or conv7:
        raise InputError(f"before_relu and conv7 belong to vgg16, not to {name}")
    return TimmBackbone(name, taps, channels, pretrained, weights)


def _from_module(
    module: nn.Module, taps: Sequence[int] | None, channels: int, weights: bool, options_of_vgg: bool
) -> Backbone:
    if weights or options_of_vgg:
        raise InputError(
            "pretrained, backbone_weights, before_relu and conv7 are for backbones by name; leave them out"
        )
    if not isinstance(module, Backbone):
        return ModuleBackbone(module, taps, channels)
    if taps is not None:
        raise InputError("taps are for backbones by name and for modules; choose them in the Backbone itself")
    return module
