"""What is measured: PixelNet and its peers on the same network, views and points, and PixelNet on maps that stand."""

import copy
from itertools import pairwise
from typing import NamedTuple

import segmentation_models_pytorch as smp
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import pixelnet
from pixelnet.nn.backbone import Backbone

CLASSES = 11
# The same network to PixelNet and, as an encoder, to segmentation_models.pytorch.
NETWORKS = {"tf_efficientnet_lite0": "tu-tf_efficientnet_lite0", "resnet18": "tu-resnet18", "vgg16": "vgg16"}
PEERS = {"Unet": smp.Unet, "FPN": smp.FPN}
PIXELS = 2000
VIEWS = (8, 256, 320)
IMAGE = (360, 480)


class Batch(NamedTuple):
    """Random views, points and labels: what is in them costs nothing more or less."""

    images: Tensor  # (N, 3, H, W) in 0..1, channels last
    points: Tensor  # (N, P, 2) as (x, y), pixel centers
    labels: Tensor  # (N, H, W)

    @property
    def at_points(self) -> Tensor:
        """The labels (N, P) of the points."""
        x, y = self.points.long().unbind(-1)
        return self.labels[torch.arange(len(x))[:, None], y, x]


def make_batch(views: tuple[int, int, int] = VIEWS, pixels: int = PIXELS) -> Batch:
    count, height, width = views
    random = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, height, width, generator=random).contiguous(memory_format=torch.channels_last)
    chosen = torch.stack([torch.randperm(height * width, generator=random)[:pixels] for _ in range(count)])
    points = torch.stack([chosen % width, chosen // width], dim=-1).float()
    return Batch(images, points, torch.randint(CLASSES, (count, height, width), generator=random))


def ours(network: str, **options: object) -> pixelnet.PixelNet:
    torch.manual_seed(0)
    return pixelnet.PixelNet("segmentation", CLASSES, network, **options)


def peer(kind: str, network: str, layout: torch.memory_format = torch.channels_last) -> nn.Module:
    """smp's Unet or FPN on the same network. It comes channels first; last, as ours is, it is faster on a CPU."""
    torch.manual_seed(0)
    model: nn.Module = PEERS[kind](NETWORKS[network], encoder_weights=None, classes=CLASSES)
    return model.to(memory_format=layout)


class FixedMaps(Backbone):
    """Maps that stand, in a backbone's place: what a model then spends is all beyond the backbone.

    Args:
        backbone: whose channels and strides these are.
        maps: what it gave.
    """

    def __init__(self, backbone: Backbone, maps: list[Tensor]):
        super().__init__()
        self.channels, self.strides, self.standing = backbone.channels, backbone.strides, maps
        self.set_normalization((0.0,), (1.0,), backbone.mean.shape[1])

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.profiler.record_function("maps stand"):
            return list(self.standing)


def on_fixed_maps(model: pixelnet.PixelNet, images: Tensor, learn: bool) -> pixelnet.PixelNet:
    """The model with the maps of images fixed, whose H and W are multiples of the strides; `learn`: with gradients."""
    with torch.no_grad():
        maps = [features.detach().clone() for features in model.backbone(images)]
    model.backbone = FixedMaps(model.backbone, [features.requires_grad_(learn) for features in maps])
    return model


def clear(model: nn.Module) -> None:
    """Forget the gradients, those of fixed maps too."""
    model.zero_grad()
    for features in getattr(getattr(model, "backbone", None), "standing", ()):
        features.grad = None


def fused(network: nn.Module) -> nn.Module:
    """A copy for prediction, with every batch norm in the convolution before it: the best that a peer can be."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        names = [name for name, child in module.named_children() if not isinstance(child, nn.Identity)]
        for name, after in pairwise(names):
            convolution, norm = getattr(module, name), getattr(module, after)
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                # timm's batch norm has the activation in it.
                setattr(module, after, norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity())
    return network.to(memory_format=torch.channels_last)
