"""PixelNet: a backbone, hypercolumns read at points, and a small predictor on each.

    images (N, C, H, W) --backbone--> maps (N, C_l, H_l, W_l) --read at points--> (N, P, D) --head--> (N, P, K)

N images, C channels, H W height and width, P points, D width of a hypercolumn, K outputs. Bansal, Chen, Russell,
Gupta, Ramanan: PixelNet (arXiv 1702.06506), section 3. Everything that a problem needs of its own is in its task.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pixelnet.config import BACKBONE, ModelConfig
from pixelnet.errors import InputError
from pixelnet.hypercolumn import every_pixel, hypercolumns
from pixelnet.nn.fuse import fused
from pixelnet.nn.head import NORMS, Head, Norms, head_shape
from pixelnet.nn.layout import memory_format
from pixelnet.nn.networks import make_backbone, named
from pixelnet.nn.projection import Band, Projection, count_points
from pixelnet.tasks import TASKS, AnyTask, make_task

if TYPE_CHECKING:
    import numpy as np

    from pixelnet.inference.encoded import Encoded, Image

# Of a dense prediction, the pixels that maps are projected for at once, and those whose descriptors exist at once: few
# enough that they stay near the processor, enough to keep its cores busy.
BAND, PIECE = 65536, 8192


@dataclass(frozen=True)
class FeatureMaps:
    """A backbone's maps of N images.

    features: (N, C_l, H_l, W_l), one per tap. zoom: the factor by which the images were resized before; points are in
    pixels of the images as they were. for_prediction: the taps' batch norms are still to be applied, and the head's
    first layer will have them in it; nothing is dropped.
    """

    features: tuple[Tensor, ...]
    zoom: float = 1.0
    for_prediction: bool = False

    def __len__(self) -> int:
        """N."""
        return len(self.features[0])

    def each(self) -> "Iterator[FeatureMaps]":
        """Those of one image after the other."""
        for k in range(len(self)):
            yield replace(self, features=tuple(own[k : k + 1] for own in self.features))


class PixelNet(nn.Module):
    """Dense prediction as a function of each pixel's hypercolumn.

    Args:
        task: "segmentation", "normals", "edges" or "regression"; a `Task` of your own; or several, in a list or with
            commas between them.
        num_classes: 2 to 255; of segmentation only (`class_names` gives it too).
        backbone: a timm network with `features_only`; "vgg16" for the paper's; NETWORK@2 for one that sees images
            magnified by two; several with "+" between them, "filters" among them (see `make_backbone`). Or a module
            that returns a list of maps, shallow to deep, with attributes `channels` and `strides` or without (see
            `ModuleBackbone`).
        pretrained: start from ImageNet's weights, of the extra `weights` where it is installed, else of timm's hub;
            otherwise from scratch.
        backbone_weights: start from this file instead (.safetensors, or a PyTorch file of plain tensors).
        taps: which maps of the backbone make the hypercolumn, by index from the shallowest; None for all.
        in_channels, channels: how many the images have; and their names, so that prediction finds them in a file, in
            this order: () for red, green and blue where they are three, and for as many without names.
        ranges: for each channel, the numbers that are brought to 0 and to 1 (and what lies beyond is cut); None for
            those of the images' type.
        before_relu, conv7: of "vgg16": take the taps before their ReLU; tap fc6 and fc7, made convolutions, as well.
        magnify: the network sees images magnified by this power of two, a module's maps, too; the same as NETWORK@2.
        pyramid: channels of one more map, in which all taps and the neighbors meet (see `Pyramid`); 0 for none.
        head: "linear", "linear-bn" (batch norm on the taps), "mlp" (for every day), "paper" (2 x 4096), or that of
            `pixelnet.fit`, "fitted".
        hidden: widths of the head's hidden layers, instead of the head's own.
        dropout: share of hidden units dropped in training, instead of the head's own.
        class_names, class_colors: one for each class; colors, for pictures, are RGB of 0..255.
        image_size: the longer side, in pixels, that `predict` brings images to, while answers are of their own pixels.
        pixel_size: the side of a pixel on the ground, in meters, when it learnt; `predict_files` brings images to it.
        threshold: of edges: the strength, 0..1, from which `predict(..., binary=True)` takes a thinned pixel for one.

    Raises:
        InputError: a name that is not known, or values that do not go together.
    """

    folder: Path | None = None  # that it was loaded from; scores ask it which images it learnt from
    precision: str = "no"  # in which it sees images for `predict`, `encode` and scores; answers are float32

    def __init__(
        self,
        task: AnyTask,
        num_classes: int | None = None,
        backbone: str | nn.Module = BACKBONE,
        *,
        pretrained: bool = False,
        backbone_weights: str | Path | None = None,
        taps: Sequence[int] | None = None,
        in_channels: int = 3,
        channels: Sequence[str] = (),
        ranges: Sequence[tuple[float, float]] | None = None,
        before_relu: bool = False,
        conv7: bool = False,
        magnify: float = 1,
        pyramid: int = 0,
        head: str = "mlp",
        hidden: Sequence[int] | None = None,
        dropout: float | None = None,
        class_names: Sequence[str] = (),
        class_colors: Sequence[tuple[int, int, int]] = (),
        image_size: int | None = None,
        pixel_size: float | None = None,
        threshold: float | None = None,
    ):
        super().__init__()
        self.task = make_task(task, num_classes, class_names, class_colors)
        own = {
            "task": any(TASKS.get(name) is not type(part) for name, part in self.task.parts.items()),
            "backbone": not isinstance(backbone, str),
        }
        if isinstance(backbone, str):
            backbone, magnify = named(backbone, None if magnify == 1 else magnify)
        shape = head_shape(head, hidden, dropout)
        self.config = ModelConfig(
            task=self.task.name,
            num_classes=self.task.num_classes,
            backbone=backbone if isinstance(backbone, str) else type(backbone).__name__,
            taps=None if taps is None else tuple(taps),
            in_channels=in_channels,
            channels=tuple(channels),
            ranges=None if ranges is None else tuple((float(low), float(high)) for low, high in ranges),
            before_relu=before_relu,
            conv7=conv7,
            magnify=float(magnify),
            pyramid=pyramid,
            head=head,
            hidden=shape.hidden,  # as it is: what a head's name stands for may change
            dropout=shape.dropout,
            class_names=self.task.class_names,
            class_colors=self.task.class_colors,
            image_size=image_size,
            pixel_size=pixel_size,
            threshold=threshold,
            objects=tuple(name for name, given in own.items() if given),
        )
        self.backbone = make_backbone(
            backbone,
            taps=taps,
            channels=in_channels,
            pretrained=pretrained,
            weights=backbone_weights,
            before_relu=before_relu,
            conv7=conv7,
            magnify=magnify,
            pyramid=pyramid,
        )
        self.norms = nn.Identity() if shape.normalize is None else NORMS[shape.normalize](self.backbone.channels)
        self.head = Head(self.backbone.channels, self.task.outputs, shape, lead=pyramid > 0)
        # With channels last a hypercolumn is one run of memory a map, and convolutions on a CPU take half the time.
        self.layout = memory_format(self.backbone)
        self.to(memory_format=self.layout)

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that it sees; "channel 0" and so on where they have none."""
        count = self.config.in_channels
        unnamed = ("red", "green", "blue") if count == 3 else tuple(f"channel {k}" for k in range(count))
        return self.config.channels or unnamed

    def forward(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        """Logits at points, or at every pixel.

        Args:
            images: (N, C, H, W), floats in 0..1, any H and W. They are seen as they are; only `predict` resizes.
            points: (N, P, 2) as (x, y) in pixels, (0, 0) the center of the first; None for all pixels. A point
                outside the image is read at the nearest place inside its maps.

        Returns:
            (N, P, K) at points; (N, K, H, W) without.
        """
        if torch.compiler.is_exporting():
            return self.by_definition(images, points)
        maps = self.maps(images)
        if points is not None:
            return self.read_head(maps, points)
        height, width = images.shape[-2:]
        return torch.cat(list(self.bands(maps, range(height), range(width))), dim=1).permute(0, 3, 1, 2)

    def by_definition(self, images: Tensor, points: Tensor | None = None) -> Tensor:
        """What `forward` computes, as the paper has it: the hypercolumns at the points, and the head on each.

        `forward` applies the head's first layer to the maps where that costs less, and holds few hypercolumns at once.
        """
        features = self.hypercolumns(images, every_pixel(images) if points is None else points)
        logits: Tensor = self.head(features)
        if points is not None:
            return logits
        return logits.transpose(1, 2).unflatten(2, images.shape[-2:])

    def hypercolumns(self, images: Tensor, points: Tensor) -> Tensor:
        """The descriptors themselves: images (N, C, H, W), points (N, P, 2) -> (N, P, D), as the head gets them."""
        maps = self.maps(images)
        return hypercolumns(maps.features, self._checked(maps, points), self.backbone.strides).to(images.dtype)

    def maps(self, images: Tensor, for_prediction: bool = False, zoom: float = 1.0) -> FeatureMaps:
        """The backbone's maps of images (N, C, H, W), padded right and below where it needs that.

        for_prediction: as in evaluation mode, whichever the model is in; batch norms are part of the layers beside
            them, the convolutions and the head's first. Quicker, and not for gradients.
        zoom: the factor by which the images were resized.
        """
        if images.ndim != 4 or images.shape[1] != self.config.in_channels or not images.is_floating_point():
            raise InputError(
                f"images are {images.dtype} {tuple(images.shape)}; "
                f"give floats in 0..1 of (N, {self.config.in_channels}, H, W), or call predict"
            )
        padded = self.backbone.padded(images).contiguous(memory_format=self.layout)
        if for_prediction:
            return FeatureMaps(tuple(fused(self.backbone, padded)(padded)), zoom, for_prediction=True)
        return FeatureMaps(tuple(self.norms(self.backbone(padded))), zoom)

    def bands(self, maps: FeatureMaps, rows: range, columns: range) -> Iterator[Tensor]:
        """Dense logits of those rows and columns from the top down, a few rows h at a time: (N, h, W, K) each.

        No more than a band's hypercolumns exist at once, whatever the size of the image.
        """
        for band in Band(rows, columns).split(max(1, BAND // len(columns))):
            first = self.project(maps, count_points(band), band.rows, columns)
            # Gradients are of a band's whole table, so they are taken once for all of it.
            pieces = [band] if torch.is_grad_enabled() else band.split(max(1, PIECE // len(columns)))
            outputs = [self.rest(maps, first(p)).view(len(maps), -1, len(columns), self.task.outputs) for p in pieces]
            yield torch.cat(outputs, dim=1)

    def read_head(self, maps: FeatureMaps, points: Tensor) -> Tensor:
        """Logits (N, P, K) at points (N, P, 2) of images whose maps are known: many cheap questions of one image."""
        points = self._checked(maps, points)
        logits = self.rest(maps, self.project(maps, points.shape[1])(points))
        return logits.view(*points.shape[:2], self.task.outputs)

    def project(
        self, maps: FeatureMaps, points: int, rows: range | None = None, columns: range | None = None
    ) -> Projection:
        """The head's first layer, ready to be read at so many points of each image; see `Projection`."""
        first: Any = self.head.first
        weight, bias = first.weight, first.bias
        if maps.for_prediction and isinstance(self.norms, Norms):
            weight, bias = self.norms.within(first)
        strides = [stride / maps.zoom for stride in self.backbone.strides]
        return Projection(maps.features, strides, weight, bias, points, rows, columns)

    def rest(self, maps: FeatureMaps, features: Tensor) -> Tensor:
        """The head's layers after the first, whose output is (..., D'): logits (..., K)."""
        return self.head.rest(features, drop=not maps.for_prediction)

    def _checked(self, maps: FeatureMaps, points: Tensor) -> Tensor:
        if points.ndim != 3 or points.shape[-1] != 2 or len(points) != len(maps):
            raise InputError(f"points are {tuple(points.shape)}; give ({len(maps)}, P, 2) as (x, y) in pixels")
        return points if points.is_floating_point() else points.to(torch.float32)

    def encode(self, image: "Image", flip: bool = False) -> "Encoded":
        """One image, seen once, that can then be asked often: `.at(points)`, `.dense()`, `.hypercolumns(points)`.

        Args:
            image: as for `predict`.
            flip: see the mirror image, too, and answer what the two say together; twice the time.

        Raises:
            InputError: an image that cannot be read, or has not the model's channels.
        """
        from pixelnet.inference.encoded import encode

        return encode(self, image, flip)

    def predict(
        self,
        image: "Image | list[Image] | tuple[Image, ...]",
        points: "np.ndarray | Sequence | None" = None,
        probabilities: bool = False,
        adaptive: float | None = None,
        binary: bool = False,
        flip: bool = False,
    ) -> Any:
        """What an image shows at each pixel, or at P points only.

        A model with a working size sees the image at that size and is asked at the image's own pixels. The model's mode
        and gradients do not matter and stay as they are.

        Args:
            image: a file, which has the model's channels; a PIL image; an array (H, W) or (H, W, C), uint8 (0..255),
                uint16 (0..65535) or real values in 0..1; a tensor (H, W) or (C, H, W) of the same; of any size. For a
                model with `ranges` they are numbers as in the files that it was trained on. Or a list of them, or a
                tensor (N, C, H, W): then the answer is a list. Of a model of red, green and blue, gray is repeated, and
                transparency is laid on white.
            points: (P, 2) as (x, y) in pixels; None for every pixel.
            probabilities: give the distribution instead; of segmentation and edges only.
            adaptive: 0..1, ask the head at few pixels and fill in between where neighbors agree; the nearer to 1, the
                nearer to the exact answer. None for every pixel. See `pixelnet.inference.adaptive`.
            binary: of edges: give lines one pixel wide: the strength suppressed, from the model's threshold on, and
                thinned, all as the BSDS protocol does it. It trusts no strength at the image's border.
            flip: ask the mirror image, too, and give what the two say together; twice the time. Not with adaptive.

        Returns:
            For every pixel, labels (H, W) uint8, or normals (H, W, 3) float32 unit vectors, or edge strength (H, W)
            float32 in 0..1, or values (H, W) float32; at points, P in place of H, W. With `probabilities`, of
            segmentation, (H, W, K) float32. With `binary`, bool (H, W), True on edges. Of a model of several tasks, a
            dict of these by task.

        Raises:
            InputError: an image that cannot be read or has not the model's channels; points of a wrong shape; options
                that do not go together, or not with the model.
        """
        self.check_options(points, probabilities, adaptive, binary, flip)
        if isinstance(image, list | tuple) or (isinstance(image, Tensor) and image.ndim == 4):
            return [self.predict(one, points, probabilities, adaptive, binary, flip) for one in image]
        encoded = self.encode(image, flip)
        if points is None:
            return encoded.dense(probabilities, adaptive, binary)
        return encoded.at(points, probabilities, adaptive, binary)

    def check_options(
        self, points: object, probabilities: bool, adaptive: float | None, binary: bool, flip: bool
    ) -> None:
        """Raise InputError for options of `predict` that do not go together, or not with the model."""
        if adaptive is not None and not 0 <= adaptive <= 1:
            raise InputError(f"adaptive is {adaptive}; give a number from 0 (quick) to 1 (every pixel asked)")
        if points is not None and (adaptive is not None or binary):
            name = "binary" if binary else "adaptive"
            raise InputError(f"{name} is for all pixels, but points were given; leave one of the two out")
        if flip and adaptive is not None:
            raise InputError("flip and adaptive do not go together; leave one of the two out")
        if not binary:
            return
        if "edges" not in self.task.parts:
            raise InputError(f"binary is of edges, but the model's task is {self.config.task}; leave it out")
        if probabilities:
            raise InputError("binary edges have no probabilities; leave one of the two out")
        if self.config.threshold is None:
            raise InputError(
                "the model has no threshold for binary edges; set `threshold` in its config.json, under model"
            )

    def only(self, task: str) -> "PixelNet":
        """A copy that answers one of the model's tasks. Raises InputError for one that it does not answer."""
        if task not in self.task.parts:
            raise InputError(f"the model answers {', '.join(self.task.parts)}, not {task}")
        one = deepcopy(self)
        one.task = one.task.parts[task]
        one.config = replace(self.config, task=task)
        if not one.task.categorical:
            one.config = replace(one.config, num_classes=None, class_names=(), class_colors=())
        rows, last = self.task.logit_slices[task], one.head.last
        last.weight, last.bias = nn.Parameter(last.weight[rows].clone()), nn.Parameter(last.bias[rows].clone())
        last.out_features = one.task.outputs
        return one

    def start_from(self, other: "PixelNet") -> bool:
        """Take the weights of a model whose backbone, taps and hidden layers are the same.

        Of the last layer, those for tasks that both answer, segmentation with classes of the same names; what only this
        one answers stays as it is. Returns whether that is nothing. Raises InputError for a model of another shape.
        """
        given = other.state_below_last_layer()
        shapes = {name: tensor.shape for name, tensor in given.items()}
        own_shapes = {name: tensor.shape for name, tensor in self.state_below_last_layer().items()}
        if own_shapes != shapes or self.head.last.in_features != other.head.last.in_features:
            raise InputError(
                f"a {other.config.backbone} with head {other.config.head} cannot start a {self.config.backbone} with "
                f"head {self.config.head}; their backbones, taps, hidden layers and channels must be the same"
            )
        self.load_state_dict(given, strict=False)
        both = self.task.parts.keys() & other.task.parts.keys()
        known = {name for name in both if self.task.parts[name].like(other.task.parts[name])}
        for name in known:
            rows, theirs = self.task.logit_slices[name], other.task.logit_slices[name]
            for layer, source in zip(self.head.last.parameters(), other.head.last.parameters(), strict=True):
                layer.data[rows] = source.data[theirs]
        return known == self.task.parts.keys()

    def state_below_last_layer(self) -> dict[str, Tensor]:
        """All weights and statistics but those of the last layer, which alone depends on the task."""
        last = f"head.{len(self.head) - 1}."
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(last)}

    def save(self, folder: str | Path, half: bool = False) -> None:
        """Write config.json and model.safetensors, each whole or not at all; see `pixelnet.runs.checkpoint.save`.

        half: kernels and matrices in half precision, for a file of half the size. It loads as any other.
        """
        from pixelnet.runs.checkpoint import save

        save(self, Path(folder), half)
