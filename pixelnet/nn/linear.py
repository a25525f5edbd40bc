"""A linear layer on rows, by the quickest way that torch has for it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows (M, C), weight (D, C), bias (D,) -> (M, D), as torch's own `linear`, differentiable.

    On a CPU it is a 1x1 convolution over an image of M pixels, channels last, which is the same memory: convolutions
    are oneDNN's, which uses the widest vectors of any processor, where products of matrices may be of a library that
    does not. With one thread torch takes another convolution, which is no gain. An exported model leaves it to whoever
    runs it.
    """
    if torch.compiler.is_exporting():
        return F.linear(rows, weight, bias)
    if rows.device.type != "cpu" or rows.dtype == torch.float64 or not len(rows) or torch.get_num_threads() == 1:
        return F.linear(rows, weight, bias)
    image = rows.contiguous().view(1, len(rows), 1, -1).permute(0, 3, 1, 2)
    return F.conv2d(image, weight[:, :, None, None], bias).permute(0, 2, 3, 1).view(len(rows), -1)


class Linear(nn.Linear):
    """torch's layer for rows (..., C), quicker on some CPUs."""

    def forward(self, rows: Tensor) -> Tensor:
        return linear(rows.reshape(-1, self.in_features), self.weight, self.bias).view(
            *rows.shape[:-1], self.out_features
        )
