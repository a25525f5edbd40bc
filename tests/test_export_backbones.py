"""Families of backbones in ONNX: each gives there the maps that it gives, of any size."""

import numpy as np
import pytest
import torch

from pixelnet import PixelNet
from pixelnet.export.graph import Encoder

pytest.importorskip("onnxruntime")

from pixelnet.export.program import Signature, to_onnx, trace
from pixelnet.export.running import run_onnx


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "mobilenetv3_small_050", "vgg16"])
def test_maps_are_those_of_the_backbone(name: str) -> None:
    torch.manual_seed(0)
    model = PixelNet("edges", backbone=name, hidden=(8,)).eval()
    encoder, maps = Encoder(model), [f"map{tap}" for tap in range(len(model.backbone.channels))]
    signature = Signature({"pixels": ("N", "H", "W", None)}, ["zoom", *maps])
    program = trace(encoder, (torch.zeros(2, 75, 107, 3, dtype=torch.uint8),), signature, name)
    run = run_onnx(to_onnx(program, {}, name).SerializeToString())
    for shape in [(1, 1, 1, 3), (2, 37, 90, 3)]:
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        found = run(pixels)
        with torch.inference_mode():
            _, expected = encoder(torch.from_numpy(pixels))
        for tap, one in zip(maps, expected, strict=True):
            np.testing.assert_allclose(found[tap], one.numpy(), atol=1e-4 * float(one.abs().max()))
