"""PixelNet: a backbone, hypercolumns read at points, and a small predictor on each.

    images (N, C, H, W) --backbone--> maps (N, C_l, H_l, W_l) --read at points--> (N, P, D) --head--> (N, P, K)

N images, C channels, H W height and width, P points, D width of a hypercolumn, K outputs. Bansal, Chen, Russell,
Gupta, Ramanan: PixelNet (arXiv 1702.06506), section 3. Everything that a problem needs of its own is in its task.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelnet.backbone import make_backbone
from pixelnet.config import ModelConfig
from pixelnet.errors import InputError
from pixelnet.fuse import fused
from pixelnet.head import Head, TapNorms, head_shape
from pixelnet.hypercolumn import Band, Projection, hypercolumns, number
from pixelnet.tasks import Joint, make_task

if TYPE_CHECKING:
    import numpy as np

    from pixelnet.predict import Image

# Of a dense prediction, the pixels that maps are projected for at once, and those whose descriptors exist at once: few
# enough that they stay near the processor, enough to keep its cores busy.
BAND, PIECE = 65536, 8192


class Maps(list[Tensor]):
    """A backbone's maps, and what `PixelNet.project` is to know of them.

    zoom: the factor by which the images were resized before; points are in pixels of the images as they were.
    unnormed: the taps' batch norms are still to be applied; the head's first layer will have them in it.
    """

    def __init__(self, maps: Sequence[Tensor], zoom: float = 1.0, unnormed: bool = False):
        super().__init__(maps)
        self.zoom, self.unnormed = zoom, unnormed


class PixelNet(nn.Module):
    """Dense prediction as a function of each pixel's hypercolumn.

    Args:
        task: "segmentation", "normals", "edges" or "regression"; or several, with commas between them.
        classes: number of classes, 2 to 255; of segmentation only (`names` gives it too).
        backbone: a timm network with `features_only`, or "vgg16" for the paper's.
        pretrained: start from the weights of timm's hub; otherwise from scratch.
        backbone_weights: start from this file instead (.safetensors, or a PyTorch file of plain tensors).
        taps: which maps of the backbone make the hypercolumn, by index from the shallowest; None for all.
        channels: of the images.
        before_relu: of "vgg16": take the taps before their ReLU.
        conv7: of "vgg16": tap fc6 and fc7, made convolutions, as well.
        head: "linear", "linear-bn" (batch norm on the taps), "mlp" (for every day) or "paper" (2 x 4096).
        hidden: widths of the head's hidden layers, instead of the head's own.
        dropout: share of hidden units dropped in training, instead of the head's own.
        names: the classes' names.
        colours: the classes' colours for pictures, RGB of 0..255.
        size: the longer side, in pixels, that `predict` brings images to before the network sees them; answers are of
            the image's own pixels. None for images as they are.
        threshold: of edges: the strength, 0..1, from which on a thinned pixel is an edge; the best on val. Only
            `predict(..., binary=True)` uses it.

    Raises:
        InputError: a name that is not known, or values that do not go together.
    """

    def __init__(
        self,
        task: str,
        classes: int | None = None,
        backbone: str = "tf_efficientnet_lite0",
        *,
        pretrained: bool = False,
        backbone_weights: str | Path | None = None,
        taps: Sequence[int] | None = None,
        channels: int = 3,
        before_relu: bool = False,
        conv7: bool = False,
        head: str = "mlp",
        hidden: Sequence[int] | None = None,
        dropout: float | None = None,
        names: Sequence[str] = (),
        colours: Sequence[tuple[int, int, int]] = (),
        size: int | None = None,
        threshold: float | None = None,
    ):
        super().__init__()
        if classes is None and names:
            classes = len(names)
        shape = head_shape(head, hidden, dropout)
        self.config = ModelConfig(
            task=task,
            classes=classes,
            backbone=backbone,
            taps=None if taps is None else tuple(taps),
            channels=channels,
            before_relu=before_relu,
            conv7=conv7,
            head=head,
            hidden=shape.hidden,  # as it is: what a head's name stands for may change
            dropout=shape.dropout,
            names=tuple(names),
            colours=tuple((int(r), int(g), int(b)) for r, g, b in colours),
            size=size,
            threshold=threshold,
        )
        self.task = make_task(task, classes=classes, names=self.config.names, colours=self.config.colours)
        self.backbone = make_backbone(
            backbone,
            taps=taps,
            channels=channels,
            pretrained=pretrained,
            weights=backbone_weights,
            before_relu=before_relu,
            conv7=conv7,
        )
        self.norms = TapNorms(self.backbone.channels) if shape.normalise else nn.Identity()
        self.head = Head(sum(self.backbone.channels), self.task.outputs, shape)
        # With channels last a hypercolumn is one run of memory a map, and convolutions on a CPU take half the time.
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        """Logits at points, or at every pixel.

        Args:
            images: (N, C, H, W), floats in 0..1, any H and W. They are seen as they are; only `predict` resizes.
            points: (N, P, 2) as (x, y) in pixels, (0, 0) the centre of the first; None for all pixels. A point
                outside the image is read at the nearest place inside its maps.

        Returns:
            (N, P, K) at points; (N, K, H, W) without.
        """
        maps = self.maps(images)
        if points is not None:
            return self.read_head(maps, points)
        height, width = images.shape[-2:]
        return torch.cat(list(self.bands(maps, height, width)), dim=1).permute(0, 3, 1, 2)

    def hypercolumns(self, images: Tensor, points: Tensor) -> Tensor:
        """The descriptors themselves: images (N, C, H, W), points (N, P, 2) -> (N, P, D), as the head gets them."""
        maps = self.maps(images)
        return hypercolumns(maps, self._checked(maps, points), self.backbone.strides)

    def maps(self, images: Tensor, fuse: bool = False, zoom: float = 1.0) -> Maps:
        """The backbone's maps of images (N, C, H, W), padded right and below to a multiple of the largest stride.

        fuse: let batch norms be part of the layers beside them, the convolutions and the head's first: quicker, for
            prediction only.
        zoom: the factor by which the images were resized.
        """
        if images.ndim != 4 or images.shape[1] != self.config.channels or not images.is_floating_point():
            raise InputError(
                f"images are {images.dtype} {tuple(images.shape)}; "
                f"give floats in 0..1 of (N, {self.config.channels}, H, W), or call predict"
            )
        height, width = images.shape[-2:]
        below, right = -height % max(self.backbone.strides), -width % max(self.backbone.strides)
        # The last row and column are repeated: zeros would draw an edge where there is none.
        padded = F.pad(images, (0, right, 0, below), mode="replicate") if right or below else images
        padded = padded.contiguous(memory_format=torch.channels_last)
        if fuse:
            return Maps(fused(self.backbone, padded)(padded), zoom, unnormed=True)
        return Maps(self.norms(self.backbone(padded)), zoom)

    def bands(self, maps: Maps, height: int, width: int) -> Iterator[Tensor]:
        """Dense logits from the top down, a few rows at a time: (N, rows, W, K) each.

        No more than a band's hypercolumns exist at once, whatever the size of the image.
        """
        for band in Band(0, height, width).split(max(1, BAND // width)):
            first = self.project(maps, number(band), band.lines)
            # Gradients are of a band's whole table, so they are taken once for all of it.
            pieces = [band] if torch.is_grad_enabled() else band.split(max(1, PIECE // width))
            logits = [self.head.rest(first(piece)).view(len(maps[0]), -1, width, self.task.outputs) for piece in pieces]
            yield torch.cat(logits, dim=1)

    def read_head(self, maps: Maps, points: Tensor) -> Tensor:
        """Logits (N, P, K) at points (N, P, 2) of images whose maps are known: many cheap questions of one image."""
        points = self._checked(maps, points)
        logits: Tensor = self.head.rest(self.project(maps, points.shape[1])(points))
        return logits.view(*points.shape[:2], self.task.outputs)

    def project(self, maps: Maps, points: int, lines: range | None = None) -> Projection:
        """The head's first layer, ready to be read at so many points of each image; see `Projection`."""
        first = self.head.first
        weight: Tensor = first.weight
        bias: Tensor = first.bias
        if maps.unnormed and isinstance(self.norms, TapNorms):
            weight, bias = self.norms.within(first)
        strides = [stride / maps.zoom for stride in self.backbone.strides]
        return Projection(maps, strides, weight, bias, points, lines)

    def _checked(self, maps: Sequence[Tensor], points: Tensor) -> Tensor:
        if points.ndim != 3 or points.shape[-1] != 2 or len(points) != len(maps[0]):
            raise InputError(f"points are {tuple(points.shape)}; give ({len(maps[0])}, P, 2) as (x, y) in pixels")
        return points if points.is_floating_point() else points.to(torch.float32)

    def predict(
        self,
        image: "Image",
        points: "np.ndarray | Sequence | None" = None,
        probabilities: bool = False,
        adaptive: float | None = None,
        binary: bool = False,
        flip: bool = False,
    ) -> Any:
        """What the picture shows at each pixel, or at P points only; see `pixelnet.predict.predict`."""
        from pixelnet.predict import predict

        return predict(self, image, points, probabilities, adaptive, binary, flip)

    def only(self, task: str) -> "PixelNet":
        """Of a model of several tasks, a copy that answers one of them. Raises InputError for one it does not."""
        if not isinstance(self.task, Joint) or task not in self.task.parts:
            raise InputError(f"the model answers {self.config.task.replace(',', ', ')}, not {task}")
        one = deepcopy(self)
        one.config = replace(self.config, task=task)
        if task != "segmentation":
            one.config = replace(one.config, classes=None, names=(), colours=())
        one.task = self.task.parts[task]
        rows, last = self.task.of_logits[task], one.head.last
        last.weight, last.bias = nn.Parameter(last.weight[rows].clone()), nn.Parameter(last.bias[rows].clone())
        last.out_features = one.task.outputs
        return one

    def start_from(self, other: "PixelNet") -> None:
        """Take the weights of a model whose backbone, taps and hidden layers are the same.

        Of the last layer, those for tasks that both answer, segmentation with classes of the same names; what only this
        one answers stays as it is. Raises InputError, with nothing taken, for a model of another shape.
        """
        given, last = other.state_dict(), f"head.{len(self.head) - 1}."
        below = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(last)}
        if any(name not in given or given[name].shape != tensor.shape for name, tensor in below.items()):
            raise InputError(
                f"a {other.config.backbone} with head {other.config.head} cannot start a {self.config.backbone} with "
                f"head {self.config.head}; their backbones, taps, hidden layers and channels must be the same"
            )
        self.load_state_dict({name: given[name] for name in below}, strict=False)
        for name in self.task.parts.keys() & other.task.parts.keys():
            as_many = self.task.parts[name].outputs == other.task.parts[name].outputs
            if as_many and (name != "segmentation" or self.config.names == other.config.names):
                rows, theirs = self.task.of_logits[name], other.task.of_logits[name]
                for own, source in zip(self.head.last.parameters(), other.head.last.parameters(), strict=True):
                    own.data[rows] = source.data[theirs]

    def save(self, folder: str | Path, half: bool = False) -> None:
        """Write config.json and model.safetensors, each whole or not at all; see `pixelnet.checkpoint.save`.

        half: kernels and matrices in half precision, for a file of half the size. It loads as any other.
        """
        from pixelnet.checkpoint import save

        save(self, Path(folder), half)
