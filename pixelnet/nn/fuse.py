"""A backbone for prediction: batch norms are part of the convolutions before them, which spares a pass a layer."""

import copy
import math
from typing import Any, cast
from weakref import WeakKeyDictionary

from timm.layers import Conv2dSame, ScaledStdConv2dSame, StdConv2dSame, to_2tuple
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pixelnet.nn.backbone import Backbone
from pixelnet.nn.layout import memory_format

TRIED = 256  # pixels, the side of what norms are looked for on; more would take as long as several predictions
CLOSE = 1e-3  # share of a map's largest value by which rounding may move it; a wrong network is off by far more
# Layers whose padding hangs on the image's size, and what they are besides.
SAME: dict[type[nn.Module], type[nn.Module]] = {
    Conv2dSame: nn.Conv2d,
    MaxPool2dSame: nn.MaxPool2d,
    AvgPool2dSame: nn.AvgPool2d,
    StdConv2dSame: StdConv2dSame,
    ScaledStdConv2dSame: ScaledStdConv2dSame,
}
# One for each backbone that has predicted, beside the state of the weights that it was made from.
_made: "WeakKeyDictionary[Backbone, tuple[Any, Backbone]]" = WeakKeyDictionary()


def fused(backbone: Backbone, images: Tensor) -> Backbone:
    """A backbone that gives the maps of this one in evaluation mode, to rounding; made anew when weights have changed.

    images: any that it takes, (N, C, H, W) in 0..1; the first time, they show which norm follows which convolution.
    """
    tensors = [*backbone.parameters(), *backbone.buffers()]
    if any(tensor.is_inference() for tensor in tensors):  # whose changes are not counted
        return copy.deepcopy(backbone).eval() if any(module.training for module in backbone.modules()) else backbone
    state = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    if backbone not in _made or _made[backbone][0] != state:
        side = -(-TRIED // backbone.multiple) * backbone.multiple
        _made[backbone] = state, _fuse(backbone, images[:1, :, :side, :side])
    return _made[backbone][1]


def _fuse(backbone: Backbone, images: Tensor) -> Backbone:
    backbone = copy.deepcopy(backbone).eval()
    expected, pairs = _watch(backbone, images)
    unfused = copy.deepcopy(backbone)
    for convolution, norm in pairs:
        joint = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = joint.weight, joint.bias
        # timm's batch norms have the activation in them, which stays.
        after = nn.Sequential(*(getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)))
        for module in list(backbone.modules()):
            for name, child in module.named_children():
                if child is norm:
                    setattr(module, name, after)
    backbone.to(memory_format=memory_format(backbone))
    # A network may use what a convolution gave in another place, too, and then the norm cannot be in it.
    same = all(
        float((one - other).abs().max()) <= CLOSE * float(one.abs().max())
        for one, other in zip(expected, backbone(images), strict=True)
    )
    return backbone if same else unfused


def _watch(backbone: Backbone, images: Tensor) -> tuple[list[Tensor], list[tuple[nn.Conv2d, nn.BatchNorm2d]]]:
    """The maps, and the batch norms that were given just what a convolution gave, each with that convolution."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    found = []

    def gave(module: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(output)] = module, output  # held, so that no other gets its id

    def gets(module: nn.Module, given: Any) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if id(given[0]) in made and module.track_running_stats:
            found.append((made.pop(id(given[0]))[0], module))

    hooks = [module.register_forward_hook(gave) for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(gets) for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        maps = backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    convolutions, norms = ([id(pair[k]) for pair in found] for k in (0, 1))
    # A layer that works twice has no one partner.
    return maps, [(c, n) for c, n in found if convolutions.count(id(c)) == norms.count(id(n)) == 1]


def evenly_padded(backbone: Backbone) -> Backbone:
    """A copy whose layers of TensorFlow's "same" padding all add a border that no image's size decides.

    That padding fills up what a stride leaves of a size. Images are multiples of all strides, which leave nothing, so
    that it is as much as the kernel is longer than the stride. Who traces the network for sizes that are not known is
    spared a remainder of a remainder for each layer, and of pooling could not go on.
    """
    backbone = copy.deepcopy(backbone)
    for module in list(backbone.modules()):
        for name, child in module.named_children():
            plain = next((plain for same, plain in SAME.items() if isinstance(child, same)), None)
            if plain is not None:
                setattr(module, name, _EvenlyPadded(child, plain))
    return backbone


class _EvenlyPadded(nn.Module):
    """A layer of "same" padding: an even border, and then what the plain layer does that it was made from."""

    def __init__(self, own: Any, plain: type[nn.Module]) -> None:
        super().__init__()
        self.own, self.plain = own, plain
        if hasattr(own, "same_pad"):
            own.same_pad = False
        sides = zip(*(to_2tuple(getattr(own, name, 1)) for name in ("kernel_size", "stride", "dilation")), strict=True)
        down, across = (max(0, dilation * (kernel - 1) + 1 - stride) for kernel, stride, dilation in sides)
        self.border = (across // 2, across - across // 2, down // 2, down - down // 2)
        self.value = -math.inf if plain is nn.MaxPool2d else 0.0

    def forward(self, images: Tensor) -> Tensor:
        padded = nn.functional.pad(images, self.border, value=self.value)
        return cast(Tensor, self.plain.forward(self.own, padded))
