"""Peers that tile a scene, with our network and our windows: torchgeo's sampler, and terratorch's tiled inference.

Both ask for far more packages than what is measured here needs; without them:

    pip install --no-deps torchgeo==0.8.1 geopandas pandas pyproj einops terratorch==1.2.13

**torchgeo** has a sampler of windows, and leaves it to its user to put answers together: here class ids are, in an
array of the scene's size, the middle of each window, which is the least that anyone could hold. **terratorch** has a
function for it, which takes the scene as a tensor and adds up the windows' logits; its defaults are taken but for the
windows, their step and one window at a time. Either way the map is written as we write it: GeoTIFF, tiled, compressed,
with the scene's place. The network answers each window by the same functions as in our own way.
"""

import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pixelnet
from pixelnet.errors import InputError
from pixelnet.inference.encoded import Encoded, View, encode_views
from pixelnet.tasks.segmentation import UNLABELLED

HIGHEST = 2**16 - 1  # of uint16
TILE = 512  # pixels


def encoded(model: pixelnet.PixelNet, window: Tensor) -> Encoded:
    """A window (C, h, w) of raw numbers, seen."""
    height, width = window.shape[1:]
    return encode_views(model, [View(window / HIGHEST, 1.0, range(height), range(width))])


def by_torchgeo(model: pixelnet.PixelNet, scene: Path, out: Path, window: int, step: int) -> None:
    """RasterDataset, GridGeoSampler and a DataLoader, as torchgeo's tutorials have them."""
    try:
        from torchgeo.datasets import RasterDataset, stack_samples
        from torchgeo.samplers import GridGeoSampler
    except ImportError as error:
        raise InputError(f"torchgeo is not there ({error}); see benchmarks/tiling.py") from error
    data = RasterDataset(str(scene))
    left, top, (across, down) = data.bounds[0].start, data.bounds[1].stop, data.res
    height = round((top - data.bounds[1].start) / down)
    width = round((data.bounds[0].stop - left) / across)
    whole = np.full((height, width), UNLABELLED, np.uint8)
    loader = torch.utils.data.DataLoader(
        data, sampler=GridGeoSampler(data, size=window, stride=step), collate_fn=stack_samples
    )
    for batch in loader:
        x, y, *_ = batch["bounds"][0]
        first = round((top - y.stop) / down), round((x.start - left) / across)
        (answer,) = encoded(model, batch["image"][0]).answers().values()
        rows, own_rows = _middle(first[0], window, step, height)
        columns, own_columns = _middle(first[1], window, step, width)
        whole[rows, columns] = answer[own_rows, own_columns]
    write_map(whole, scene, out)


def _middle(first: int, window: int, step: int, length: int) -> tuple[slice, slice]:
    """Of a window along an axis, what it answers for, in the scene and in the window; at the scene's ends all of it."""
    halo = (window - step) // 2
    start = max(0, first if first <= 0 else first + halo)
    stop = min(length, first + window if first + window >= length else first + window - halo)
    return slice(start, stop), slice(start - first, stop - first)


def by_terratorch(model: pixelnet.PixelNet, scene: Path, out: Path, window: int, step: int) -> None:
    """`tiled_inference` of the whole scene."""
    import rasterio

    tiled_inference = _tiled_inference()
    with rasterio.open(scene) as file:
        pixels = torch.from_numpy(file.read().astype(np.float32))

    def forward(windows: Tensor) -> Tensor:
        found = [torch.cat(list(encoded(model, one).logits())).permute(2, 0, 1) for one in windows]
        return torch.stack(found)

    logits = tiled_inference(forward, pixels[None], crop=window, stride=step, batch_size=1)
    write_map(logits[0].argmax(dim=0).numpy().astype(np.uint8), scene, out)


def _tiled_inference() -> Callable[..., Any]:
    """It is in a file of its own; the packages around it import all models that there are."""
    found = find_spec("terratorch")
    if found is None or not found.submodule_search_locations:
        raise InputError("terratorch is not there; see benchmarks/tiling.py")
    home = Path(found.submodule_search_locations[0])
    for name in ("terratorch", "terratorch.models", "terratorch.tasks"):
        package = types.ModuleType(name)
        package.__path__ = [str(home.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    unused: Any = types.ModuleType("terratorch.models.utils")
    unused.pad_images = None  # which is imported, and not called
    sys.modules[unused.__name__] = unused
    from terratorch.tasks.tiled_inference import tiled_inference

    return tiled_inference


def write_map(labels: np.ndarray, scene: Path, out: Path) -> None:
    import rasterio

    with rasterio.open(scene) as file:
        profile = file.profile | {"count": 1, "dtype": "uint8", "nodata": UNLABELLED, "blockxsize": TILE}
    with rasterio.open(out, "w", **profile | {"blockysize": TILE}) as file:
        file.write(labels, 1)


PEERS = {"torchgeo": by_torchgeo, "terratorch": by_terratorch}
