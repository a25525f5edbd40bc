r"""A peer: napari-convpaint, by its Python interface: the first layer of VGG-16 at three scales, and CatBoost.

It needs neither napari nor Qt here, but asks for both; without them:

    pip install --no-deps napari-convpaint==1.2.0 catboost six pandas einops omegaconf antlr4-python3-runtime==4.9.3 \
        dask toolz

Its defaults are taken: `ConvpaintModel()` has VGG-16's first convolution at scales 1, 2 and 4, and CatBoost of 100
iterations; gray images are of channel mode single, others rgb. Convpaint downloads torchvision's weights; these are
Oxford's, in the file VGG, with the scale of their input in the first layer, so that they take what torchvision's do.
"""

import contextlib
import io
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import vgg16

from benchmarks.learner.few import Answer
from pixelnet.errors import InputError
from pixelnet.metrics.confusion import UNLABELLED

VGG = Path(os.environ.get("PIXELNET_WEIGHTS", "../shared/weights")) / "vgg16_imagenet_features_fp16.safetensors"
CAFFE = (123.68, 116.779, 103.939)  # means of red, green and blue in 0..255 that Oxford's network takes away
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of 0..1


def learn(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> Answer:
    with quiet():
        model = make_model(gray=all(map(is_gray, images)))
        annotations = [np.where(labelled == UNLABELLED, 0, labelled.astype(np.int32) + 1) for labelled in maps]
        model.train([prepared(image, model) for image in images], annotations)

    def answer(image: np.ndarray) -> np.ndarray:
        with quiet():
            return (np.asarray(model.segment(prepared(image, model))).reshape(image.shape[:2]) - 1).astype(np.uint8)

    return answer


def make_model(gray: bool) -> Any:
    """A ConvpaintModel with its defaults."""
    # The package's __init__ imports its window, which imports napari.
    window: Any = types.ModuleType("napari_convpaint.convpaint_widget")
    window.ConvpaintWidget = None
    sys.modules.setdefault(window.__name__, window)
    try:
        from napari_convpaint import ConvpaintModel
        from napari_convpaint.feature_extractors import nnlayers
    except ImportError as error:
        raise InputError(f"napari-convpaint is not there ({error}); see benchmarks/learner/convpaint.py") from error
    nnlayers.Hookmodel.create_model = staticmethod(lambda name: network())
    model = ConvpaintModel()
    model.set_params(channel_mode="single" if gray else "rgb", ignore_warnings=True)
    return model


def network() -> torch.nn.Module:
    """torchvision's VGG-16 with Oxford's convolutions, for images that torchvision's transform has normalized."""
    model = vgg16().eval()
    model.load_state_dict(of_torchvision(load_file(VGG)), strict=False)
    return model


def of_torchvision(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that take x 255 - CAFFE -> weights that take (x - MEAN) / STD, x in 0..1, inside of the image."""
    found = {name: tensor.float() for name, tensor in weights.items()}
    kernel = found["features.0.weight"]
    shift = torch.tensor(MEAN) * 255 - torch.tensor(CAFFE)
    found["features.0.bias"] = found["features.0.bias"] + (kernel.sum((2, 3)) * shift).sum(1)
    found["features.0.weight"] = kernel * (torch.tensor(STD) * 255)[:, None, None]
    return found


def is_gray(image: np.ndarray) -> bool:
    return bool((image == image[..., :1]).all())


def prepared(image: np.ndarray, model: Any) -> np.ndarray:
    """(H, W) for a model of gray images, else (3, H, W)."""
    return image[..., 0] if model.get_param("channel_mode") == "single" else np.moveaxis(image, -1, 0)


@contextlib.contextmanager
def quiet() -> Any:
    """CatBoost prints each iteration."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
