"""Networks that crash with channels last do not get them."""

import subprocess
import sys

import torch
from torch import nn

from pixelnet import PixelNet
from pixelnet.nn.layout import memory_format

STEPS = """
import torch
from pixelnet import PixelNet
for name in ("repvgg_a0", "mobileone_s0", "fastvit_t8"):
    model = PixelNet("edges", backbone=name, hidden=(4,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for step in range(3):
        loss = model(torch.rand(2, 3, 32, 64), torch.rand(2, 9, 2) * 30).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(name)
"""


def test_networks_with_a_strided_convolution_of_few_channels_learn() -> None:
    """In torch's own backward pass they wrote beyond their memory, which ends a process sooner or later."""
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.split() == ["repvgg_a0", "mobileone_s0", "fastvit_t8"]


def test_the_layer_tells() -> None:
    for channels, kernel, stride, last in ((3, 1, 2, False), (3, 3, 2, True), (3, 1, 1, True), (8, 1, 2, True)):
        network = nn.Sequential(nn.Conv2d(channels, 4, kernel, stride))
        assert (memory_format(network) == torch.channels_last) == last
    model = PixelNet("edges", backbone="test_resnet", hidden=(4,))
    assert model.layout == torch.channels_last
