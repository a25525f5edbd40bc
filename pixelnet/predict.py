"""From an image to what it shows at each pixel, or at a few points; and from files to files."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from tqdm import tqdm

from pixelnet.adaptive import adaptive_strips
from pixelnet.answers import write_dense, write_table
from pixelnet.data.images import IMAGE_EXTENSIONS, to_array
from pixelnet.data.transforms import bring_to
from pixelnet.errors import InputError
from pixelnet.geometry import convert_normals
from pixelnet.memory import keep_freed_memory
from pixelnet.metrics.boundaries import binarise

if TYPE_CHECKING:
    from pixelnet.model import PixelNet

Image = str | Path | PIL.Image.Image | np.ndarray

# As tqdm's own, but for a rate that is images a second however slow they are.
PROGRESS = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


@torch.inference_mode()
def predict(
    model: "PixelNet",
    image: Image,
    points: np.ndarray | Sequence | None = None,
    probabilities: bool = False,
    adaptive: float | None = None,
    binary: bool = False,
    flip: bool = False,
) -> Any:
    """What an image shows.

    A model with a working size sees the image at that size and is asked at the image's own pixels: a map of stride t
    of an image resized by the factor z has the stride t / z in these.

    Args:
        model: used in evaluation mode, and left in the mode it was in.
        image: a file, a PIL image, or uint8 (H, W, 3) RGB; of any size. For a model of C channels that are not
            RGB: uint8 (H, W, C).
        points: (P, 2) as (x, y) in pixels; None for every pixel.
        probabilities: give the distribution instead; of segmentation and edges only.
        adaptive: 0..1, ask the head at few pixels and fill in between where neighbours leave no doubt; the nearer to
            1, the nearer to the exact answer. None for every pixel. See `pixelnet.adaptive`.
        binary: of edges: give lines one pixel wide: the strength suppressed, from the model's threshold on, and
            thinned, all as the BSDS protocol does it. It trusts no strength at the image's border.
        flip: ask the mirror image, too, and give what the two say together; twice the time. Not with adaptive.

    Returns:
        For every pixel, labels (H, W) uint8, or normals (H, W, 3) float32 unit vectors, or edge strength (H, W)
        float32 in 0..1, or values (H, W) float32; at points, P in place of H, W. With `probabilities`, of
        segmentation, (H, W, K) float32. With `binary`, bool (H, W), True on edges. Of a model of several tasks, a dict
        of these by task.

    Raises:
        InputError: an image that cannot be read or has not the model's channels; points of a wrong shape; options
            that do not go together, or not with the model.
    """
    check_options(model, points, probabilities, adaptive, binary, flip)
    pixels = _pixels(image, model.config.channels)
    wanted = None if points is None else _points(points, model.backbone.mean.device)
    learning = [module for module in model.modules() if module.training]  # a frozen backbone has a mode of its own
    for module in learning:
        module.training = False
    try:
        logits = _of_both(model, pixels, wanted) if flip else _logits(model, pixels, wanted, adaptive)
        answers = _answers(model, logits, probabilities)
    finally:
        for module in learning:
            module.training = True
    if binary:
        assert model.config.threshold is not None
        answers["edges"] = binarise(answers["edges"], model.config.threshold)
    return answers if len(model.task.parts) > 1 else answers[model.task.name]


def _logits(model: "PixelNet", pixels: np.ndarray, points: Tensor | None, adaptive: float | None) -> Iterator[Tensor]:
    """At points (1, P, 2), (P, K) in one part; of all pixels, (rows, W, K) from the top down."""
    seen, zoom = bring_to(pixels, model.config.size)
    maps = model.maps(seen.to(model.backbone.mean.device)[None].float() / 255, fuse=True, zoom=zoom)
    height, width = pixels.shape[:2]
    if points is not None:
        yield model.read_head(maps, points)[0]
    elif adaptive is not None:
        yield from adaptive_strips(model, maps, height, width, adaptive)
    else:
        yield from (band[0] for band in model.bands(maps, height, width))


def _of_both(model: "PixelNet", pixels: np.ndarray, points: Tensor | None) -> Iterator[Tensor]:
    """`_logits` of an image and its mirror image together."""
    across = points
    if points is not None:  # where the points lie in the mirror image
        across = torch.stack([pixels.shape[1] - 1 - points[..., 0], points[..., 1]], dim=-1)
    mirror_image = np.ascontiguousarray(pixels[:, ::-1])
    sides = _logits(model, pixels, points, None), _logits(model, mirror_image, across, None)
    for own, other in zip(*sides, strict=True):
        yield model.task.with_mirror(own, other if points is not None else other.flip(1))


def check_options(
    model: "PixelNet", points: object, probabilities: bool, adaptive: float | None, binary: bool, flip: bool
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
    if "edges" not in model.task.parts:
        raise InputError(f"binary is of edges, but the model's task is {model.config.task}; leave it out")
    if probabilities:
        raise InputError("binary edges have no probabilities; leave one of the two out")
    if model.config.threshold is None:
        raise InputError("the model has no threshold for binary edges; set `threshold` in its config.json, under model")


def _answers(model: "PixelNet", bands: Iterable[Tensor], probabilities: bool) -> dict[str, np.ndarray]:
    """Bands of logits (rows, ..., K), from the top down -> the answers for all of them, by task."""
    parts: dict[str, list[np.ndarray]] = {}
    for band in bands:
        for name, answer in by_task(model, model.task.decode(band.float(), probabilities=probabilities)).items():
            values = answer.cpu().numpy()
            # Class ids, a band at a time: an image of 64-bit integers never exists.
            parts.setdefault(name, []).append(
                values.astype(np.uint8) if np.issubdtype(values.dtype, np.integer) else values
            )
    return {name: np.concatenate(values) for name, values in parts.items()}


def _pixels(image: Image, channels: int) -> np.ndarray:
    if channels == 3:
        return np.ascontiguousarray(to_array(image))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (channels,):
        raise InputError(f"this model takes {channels} channels; give a uint8 array (H, W, {channels})")
    return np.ascontiguousarray(image)


def _points(points: np.ndarray | Sequence, device: torch.device) -> Tensor:
    array = np.asarray(points, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise InputError(f"points are an array {array.shape}; give (P, 2), x and y in pixels, all finite")
    return torch.tensor(array, device=device)[None]


def predict_files(
    model: "PixelNet",
    inputs: Iterable[str | Path],
    out: str | Path,
    points: str | Path | None = None,
    normals: str | None = None,
    adaptive: float | None = None,
    binary: bool = False,
    flip: bool = False,
) -> list[Path]:
    """Answer for images on disk, into a folder.

    Args:
        model: see `predict`.
        inputs: images, and folders of images.
        out: the folder; made if it is not there. For an image NAME it gets a file for programs and NAME.view.png for
            people; see `pixelnet.answers.write_dense`.
        points: a CSV file of x, y; then only NAME.csv of x, y and the answer is written.
        normals: the convention whose axes normals are written in (geometry.CONVENTIONS); None for x right, y down,
            z into the scene. Pictures for people always look the same.
        adaptive, binary, flip: see `predict`.

    Returns:
        The files written.

    Raises:
        InputError: no image, two of one name, or one that cannot be read, and what was written before stays; a
            convention that is not known, or given for another task; options that `predict` refuses.
    """
    if normals is not None and "normals" not in model.task.parts:
        raise InputError(
            f"a convention of normals was given, but the model's task is {model.config.task}; leave it out"
        )
    check_options(model, points, False, adaptive, binary, flip)
    keep_freed_memory()
    axes = normals or "pixelnet"
    convert_normals(np.zeros(3), axes)  # an unknown name is refused before anything is written
    images, folder = image_files(inputs), Path(out)
    if any(path.resolve().parent == folder.resolve() for path in images):
        raise InputError(f"{folder} holds the images themselves, which answers would replace; choose another --out")
    wanted = None if points is None else read_points(Path(points))
    written: list[Path] = []
    for path in tqdm(images, bar_format=PROGRESS, unit=" image", disable=len(images) < 2):
        if wanted is not None:
            table = by_task(model, model.predict(path, wanted, flip=flip))
            written.append(write_table(folder / f"{path.stem}.csv", wanted, table, model.task, axes))
        else:
            image = to_array(path)
            dense = by_task(model, model.predict(image, adaptive=adaptive, binary=binary, flip=flip))
            written += write_dense(folder, path.stem, image, dense, model.task, axes)
    return written


def by_task(model: "PixelNet", answer: Any) -> dict[str, Any]:
    """What `predict` gave, or a task decoded, as a dict by task, which it is of several tasks only."""
    return answer if len(model.task.parts) > 1 else {model.task.name: answer}


def image_files(inputs: Iterable[str | Path]) -> list[Path]:
    """The images that are named, and those in the folders that are named, each stem once."""
    found: dict[str, Path] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            here = sorted(path for path in given.iterdir() if path.suffix.lower() in IMAGE_EXTENSIONS)
            if not here:
                raise InputError(f"{given} holds no image ({', '.join(sorted(IMAGE_EXTENSIONS))})")
        elif given.is_file():
            here = [given]
        else:
            raise InputError(f"{given} is not there; give images, or folders of images")
        for path in here:
            if found.setdefault(path.stem, path) != path:
                raise InputError(f"{found[path.stem]} and {path} would both be written as {path.stem}; rename one")
    if not found:
        raise InputError("no image was given; name images, or folders of images")
    return list(found.values())


def read_points(path: Path) -> np.ndarray:
    """(P, 2) from a CSV file of x, y, with or without a line of titles."""
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["x", "y"]:
        rows = rows[1:]
    try:
        table = np.array([[float(row[0]), float(row[1])] for row in rows], np.float32)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}; each line is x,y in pixels") from error
    if not len(table) or not np.isfinite(table).all():
        raise InputError(f"{path} holds no points, or some that are not finite; each line is x,y in pixels")
    return table
