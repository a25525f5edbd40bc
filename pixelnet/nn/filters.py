"""A pixel's own filter channels: the scale space around it, which no network has to be trained for.

What is fine, a vessel two pixels wide, is blurred in a network's maps; here each pixel has what derivatives of
Gaussians say of it. The channels are those that pixel classifiers have long used (ilastik: Sommer, Straehle, Koethe,
Hamprecht, ISBI 2011), less those that a linear head can make of the others.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelnet.nn.backbone import Backbone

# Standard deviations of the Gaussians, in pixels, by the stride of the map that holds them: what is smooth needs fewer
# cells. Half of the largest is as much as a map's own cells blur, or less.
SCALES = {1: (0.7, 1.0, 1.6), 2: (3.5,), 4: (5.0, 10.0)}
KINDS = 6  # of numbers at each scale
REACH = 3  # standard deviations at which a Gaussian is cut off


class Filters(Backbone):
    """Gaussian scale space of images (N, C, H, W): three maps, of strides 1, 2 and 4. It has no weights.

    At each scale s, of each channel, in units of the image: the image smoothed; the eigenvalues of s^2 times the
    Hessian; the gradient's length s |g|; and the roots of the eigenvalues of the structure tensor s^2 g g', smoothed
    once more by s. Of eigenvalues the larger comes first. The first map begins with the image itself.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.set_normalization((0.0,), (1.0,), channels)
        self.strides = tuple(SCALES)
        self.channels = tuple(channels * ((stride == 1) + len(scales) * KINDS) for stride, scales in SCALES.items())

    def maps(self, images: Tensor) -> list[Tensor]:
        if torch.compiler.is_exporting():  # all channels as images: a graph then is a third as long
            own = self._of_channel(images.flatten(0, 1).unsqueeze(1))
            return [torch.cat(parts, dim=1).unflatten(0, images.shape[:2]).flatten(1, 2) for parts in own]
        # One channel after the other: what is made of it then stays near the processor.
        each = [self._of_channel(plane) for plane in images.split(1, dim=1)]
        return [torch.cat([part for parts in own for part in parts], dim=1) for own in zip(*each, strict=True)]

    def _of_channel(self, plane: Tensor) -> list[list[Tensor]]:
        """What is made of a channel (N, 1, H, W): for each map its parts."""
        found = []
        for stride, scales in SCALES.items():
            # The mean of s x s pixels lies where a map of stride s has its cell; it is a blur of variance (s^2 - 1)/12.
            level = F.avg_pool2d(plane, stride) if stride > 1 else plane
            parts = [plane] if stride == 1 else []
            for scale in scales:
                parts += _at_scale(level, math.sqrt(scale**2 - (stride**2 - 1) / 12) / stride)
            found.append(parts)
        return found


def _at_scale(level: Tensor, scale: float) -> list[Tensor]:
    smooth = _blur(level, scale)
    across, down = _gradient(smooth)
    (xx, xy), (_, yy) = _gradient(across), _gradient(down)
    hessian = _eigenvalues(*(second * scale**2 for second in (xx, xy, yy)))
    products = [first * second * scale**2 for first, second in ((across, across), (across, down), (down, down))]
    tensor = _eigenvalues(*_blurred(products, scale))
    # A root has no gradient at 0, where an image is flat.
    lengths = [value.clamp(min=1e-12).sqrt() for value in (products[0] + products[2], *tensor)]
    return [smooth, *hessian, *lengths]


def _blurred(several: list[Tensor], scale: float) -> list[Tensor]:
    if torch.compiler.is_exporting():
        return list(_blur(torch.cat(several, dim=1), scale).split(1, dim=1))
    return [_blur(maps, scale) for maps in several]


def _blur(maps: Tensor, scale: float) -> Tensor:
    """A Gaussian of so many cells over maps (N, 1, h, w), which are repeated beyond their borders."""
    reach = math.ceil(REACH * scale)
    kernel = [math.exp(-(at**2) / (2 * scale**2)) for at in range(-reach, reach + 1)]
    for axis, pad in ((-1, (reach, reach, 0, 0)), (-2, (0, 0, reach, reach))):
        padded, length = F.pad(maps, pad, mode="replicate"), maps.shape[axis]
        if torch.compiler.is_exporting():  # which would write down every shift
            gaussian = torch.tensor(kernel).div(sum(kernel)).view(1, 1, *((1, -1) if axis == -1 else (-1, 1)))
            maps = F.conv2d(padded, gaussian.repeat(maps.shape[1], 1, 1, 1), groups=maps.shape[1])
            continue
        # Shifted and added, which is quicker than a convolution of one channel.
        maps = padded.narrow(axis, 0, length) * (kernel[0] / sum(kernel))
        for shift, weight in enumerate(kernel[1:], start=1):
            maps = maps.add_(padded.narrow(axis, shift, length), alpha=weight / sum(kernel))
    return maps


def _gradient(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of maps (N, C, h, w), along x and along y."""
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return across / 2, down / 2


def _eigenvalues(xx: Tensor, xy: Tensor, yy: Tensor) -> list[Tensor]:
    """Of symmetric matrices, one a pixel: the larger and the smaller."""
    middle = (xx + yy) / 2
    apart = (((xx - yy) / 2) ** 2 + xy**2).clamp(min=1e-12).sqrt()
    return [middle + apart, middle - apart]
