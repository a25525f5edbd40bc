"""How the numbers of maps lie in memory."""

import torch
from torch import nn

FEWEST = 8  # channels from which on torch's kernel for a strided 1x1 convolution keeps to its memory


def memory_format(network: nn.Module) -> torch.memory_format:
    """Channels last, which takes half the time on a CPU, unless the network would crash in it.

    On a CPU the backward pass of a 1x1 convolution with a stride, of 2 to 7 channels, writes beyond its memory where
    channels come last (seen in torch 2.14). RepVGG, MobileOne and FastViT begin with one of three.
    """
    crashes = any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < FEWEST
        for layer in network.modules()
    )
    return torch.contiguous_format if crashes else torch.channels_last
