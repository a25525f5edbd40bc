"""A feature pyramid: one more map, as fine as the finest tap, in which all taps and the neighbors have met.

A hypercolumn joins what the taps say at one point, and the head decides on it alone: that a vessel goes on, or that
two borders belong together, it can only know from the backbone, whose fine maps have seen little and whose coarse ones
are blurred. A decoder mends this at several times the price of the backbone. This one adds about a fifth to a step, for
its maps are narrow and the finest is no finer than the finest tap; and since it is a map among maps, points stay free
and sparse equals dense.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from pixelnet.errors import InputError
from pixelnet.nn.backbone import Backbone

WIDEST = 1024  # of which a decoder alone takes gigabytes


class Level(nn.Module):
    """One tap's place in the pyramid: its map, added to what comes from above, mixed among neighbors.

    Args:
        channels: of the tap. width: of what is given on.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.lateral = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
        # Whole: one that looks at one channel at a time, and then among them, takes longer, and learns less.
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )

    def forward(self, features: Tensor, above: Tensor | None) -> Tensor:
        """Map (N, C, H, W), and that of the coarser level (N, width, H', W') -> (N, width, H, W)."""
        own = self.lateral(features)
        if above is not None:
            own = own + F.interpolate(above, own.shape[-2:], mode="bilinear")
        mixed: Tensor = self.mix(F.relu(own))
        return mixed


class Pyramid(Backbone):
    """A backbone's maps and, behind them, the finest of a pyramid of so many channels (Lin et al., CVPR 2017).

    Its layers belong to no pretrained network and learn as the head does (`added`). Raises InputError for a width that
    is not 1 to 1024.
    """

    def __init__(self, network: Backbone, width: int):
        super().__init__()
        if not 1 <= width <= WIDEST:
            raise InputError(f"a pyramid cannot be {width} channels wide; give 1 to {WIDEST}, or 0 for none")
        self.set_normalization((0.0,), (1.0,), network.mean.shape[1])
        self.network = network
        # From the coarsest tap to the finest, whatever their order: several networks come one after another.
        self.order = sorted(range(len(network.strides)), key=lambda tap: -network.strides[tap])
        self.levels = nn.ModuleList(Level(network.channels[tap], width) for tap in self.order)
        self.channels = (*network.channels, width)
        self.strides = (*network.strides, min(network.strides))

    @property
    def core(self) -> Backbone:
        return self.network

    @property
    def added(self) -> nn.ModuleList:
        return self.levels

    def magnified(self, factor: float) -> "Backbone":
        self.network = self.network.magnified(factor)
        self.strides = (*self.network.strides, min(self.network.strides))
        return self

    def take_weights(self, other: Backbone) -> None:
        self.network.take_weights(other)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.network(images)
        finest: Tensor | None = None
        for tap, level in zip(self.order, self.levels, strict=True):
            finest = level(maps[tap], finest)
        assert finest is not None
        return [*maps, finest]
