"""Images, label maps and arrays: small ones of every format, broken, through every reader."""

import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from pixelnet import rasters
from pixelnet.data.images import read_image
from pixelnet.tasks.edges import read_share
from pixelnet.tasks.normals import read_normals
from pixelnet.tasks.regression import read_values
from pixelnet.tasks.segmentation import read_labels
from tests.fuzz.mutate import array, broken, with_sums

WHOLE: Sequence[Callable[[Path], object]] = [
    read_image, rasters.read_size, rasters.read_stored, read_labels, read_normals, read_share, read_values,
    *(getattr(rasters, name) for name in ("read_header", "read_pixels") if hasattr(rasters, name)),
]  # fmt: skip


@cache
def pictures() -> list[tuple[str, bytes]]:
    """(ending, content) of sound files."""
    rng = np.random.default_rng(0)
    gray, color = rng.integers(0, 5, (11, 14), np.uint8), rng.integers(0, 256, (11, 14, 3), np.uint8)
    deep, real = rng.integers(0, 9000, (11, 14)).astype(np.uint16), rng.normal(size=(11, 14)).astype(np.float32)
    palette = Image.fromarray(gray, "L").convert("P")
    turned = Image.Exif()
    turned[0x0112] = 6
    found = [
        *(("png", saved("PNG", picture)) for picture in (gray, color, deep, gray > 2, np.dstack([color, gray]))),
        ("png", saved("PNG", palette, transparency=1)),
        ("png", saved("PNG", color, exif=turned)),
        *(("jpg", saved("JPEG", picture)) for picture in (gray, color)),
        ("jpg", saved("JPEG", color, exif=turned, progressive=True)),
        *(("bmp", saved("BMP", picture)) for picture in (gray, color)),
        ("webp", saved("WEBP", color)),
        ("webp", saved("WEBP", color, lossless=True)),
        ("gif", saved("GIF", palette, save_all=True, append_images=[palette])),
        ("ppm", saved("PPM", color)),
        ("jp2", saved("JPEG2000", color)),
        ("tif", saved("TIFF", color, compression="tiff_lzw")),
        ("tif", saved("TIFF", gray, exif=turned)),
    ]
    for pixels, options in (
        (deep, {}),
        (real, {"compression": "zlib", "predictor": True}),
        (np.stack([deep, deep]), {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}),
        (np.tile(color, (4, 4, 1)), {"tile": (16, 16), "compression": "jpeg"}),
        (np.dstack([color, gray]), {"photometric": "rgb", "extrasamples": ["unspecified"]}),
        (np.stack([deep, deep]), {"ome": True}),
        (np.stack([gray, gray]), {"imagej": True}),
        (np.moveaxis(color, 2, 0), {"bigtiff": True, "planarconfig": "separate", "photometric": "rgb"}),
    ):
        content = io.BytesIO()
        tifffile.imwrite(content, pixels, **options)
        found.append(("tif", content.getvalue()))
    for values in (gray, color, deep, real, gray > 2):
        content = io.BytesIO()
        np.save(content, values)
        found.append(("npy", content.getvalue()))
    return found


def saved(form: str, picture: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(content, form, **options)
    return content.getvalue()


def decode(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A broken picture, under its own ending or another's."""
    files = pictures()
    ending, content = files[int(rng.integers(len(files)))]
    data = broken(rng, content, [other for _, other in files])
    if ending == "png" and rng.random() < 0.6:
        data = with_sums(data)
    if rng.random() < 0.15:
        ending = files[int(rng.integers(len(files)))][0]
    path = folder / f"a.{ending}"
    path.write_bytes(data)
    reader = WHOLE[int(rng.integers(len(WHOLE)))]
    return lambda: reader(path)


def arrays(rng: np.random.Generator, folder: Path) -> Callable[[], object]:
    """A sound .npy of anything, or one of objects."""
    path = folder / "a.npy"
    values = array(rng) if rng.random() < 0.95 else np.array([{}, None], object)
    np.save(path, values, allow_pickle=True)
    reader = WHOLE[int(rng.integers(len(WHOLE)))]
    return lambda: reader(path)
