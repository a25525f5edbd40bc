"""From an image to what it shows at each pixel, or at a few points; and from files to files."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from tqdm import tqdm

from pixelnet.adaptive import adaptive_strips
from pixelnet.data.images import IMAGE_EXTENSIONS, to_array, write_normals
from pixelnet.data.transforms import bring_to
from pixelnet.errors import InputError
from pixelnet.files import write_atomic
from pixelnet.geometry import convert_normals
from pixelnet.memory import keep_freed_memory
from pixelnet.metrics.boundaries import binarise

if TYPE_CHECKING:
    from pixelnet.model import PixelNet

Image = str | Path | PIL.Image.Image | np.ndarray


@torch.inference_mode()
def predict(
    model: "PixelNet",
    image: Image,
    points: np.ndarray | Sequence | None = None,
    probabilities: bool = False,
    adaptive: float | None = None,
    binary: bool = False,
) -> np.ndarray:
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

    Returns:
        For every pixel, labels (H, W) uint8, or normals (H, W, 3) float32 unit vectors, or edge strength (H, W)
        float32 in 0..1, or values (H, W) float32; at points, P in place of H, W. With `probabilities`, of
        segmentation, (H, W, K) float32. With `binary`, bool (H, W), True on edges.

    Raises:
        InputError: an image that cannot be read or has not the model's channels; points of a wrong shape; options
            that do not go together, or not with the model.
    """
    check_options(model, points, probabilities, adaptive, binary)
    pixels = _pixels(image, model.config.channels)
    device = model.backbone.mean.device
    seen, zoom = bring_to(pixels, model.config.size)
    batch = seen.to(device)[None].float() / 255
    learning = [module for module in model.modules() if module.training]  # a frozen backbone has a mode of its own
    for module in learning:
        module.training = False
    try:
        maps = model.maps(batch, fuse=True, zoom=zoom)
        if points is not None:
            return _answer(model, model.read_head(maps, _points(points, device))[0], probabilities)
        height, width = pixels.shape[:2]
        if adaptive is not None:
            bands = adaptive_strips(model, maps, height, width, adaptive)
        else:
            bands = (band[0] for band in model.bands(maps, height, width))
        answer = np.concatenate([_answer(model, band, probabilities) for band in bands])
        if binary:
            assert model.config.threshold is not None
            return binarise(answer, model.config.threshold)
        return answer
    finally:
        for module in learning:
            module.training = True


def check_options(model: "PixelNet", points: object, probabilities: bool, adaptive: float | None, binary: bool) -> None:
    """Raise InputError for options of `predict` that do not go together, or not with the model."""
    if adaptive is not None and not 0 <= adaptive <= 1:
        raise InputError(f"adaptive is {adaptive}; give a number from 0 (quick) to 1 (every pixel asked)")
    if points is not None and (adaptive is not None or binary):
        name = "binary" if binary else "adaptive"
        raise InputError(f"{name} is for all pixels, but points were given; leave one of the two out")
    if not binary:
        return
    if model.config.task != "edges":
        raise InputError(f"binary is of edges, but the model's task is {model.config.task}; leave it out")
    if probabilities:
        raise InputError("binary edges have no probabilities; leave one of the two out")
    if model.config.threshold is None:
        raise InputError("the model has no threshold for binary edges; set `threshold` in its config.json, under model")


def _answer(model: "PixelNet", logits: Tensor, probabilities: bool) -> np.ndarray:
    answer = model.task.decode(logits.float(), probabilities=probabilities).cpu().numpy()
    return answer.astype(np.uint8) if np.issubdtype(answer.dtype, np.integer) else answer


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
) -> list[Path]:
    """Answer for images on disk, into a folder.

    Args:
        model: see `predict`.
        inputs: images, and folders of images.
        out: the folder; made if it is not there. For an image NAME it gets NAME.png (class ids; edge strength in
            16 bits, binary ones 0 and 255) or NAME.npy (normals float16 (H, W, 3), values float32), and NAME.view.png
            for people.
        points: a CSV file of x, y; then only NAME.csv of x, y and the answer is written.
        normals: the convention whose axes normals are written in (geometry.CONVENTIONS); None for x right, y down,
            z into the scene. Pictures for people always look the same.
        adaptive, binary: see `predict`.

    Returns:
        The files written.

    Raises:
        InputError: no image, two of one name, or one that cannot be read, and what was written before stays; a
            convention that is not known, or given for another task; options that `predict` refuses.
    """
    if normals is not None and model.config.task != "normals":
        raise InputError(
            f"a convention of normals was given, but the model's task is {model.config.task}; leave it out"
        )
    check_options(model, points, False, adaptive, binary)
    keep_freed_memory()
    axes = normals or "pixelnet"
    convert_normals(np.zeros(3), axes)  # an unknown name is refused before anything is written
    images, folder = image_files(inputs), Path(out)
    if any(path.resolve().parent == folder.resolve() for path in images):
        raise InputError(f"{folder} holds the images themselves, which answers would replace; choose another --out")
    wanted = None if points is None else read_points(Path(points))
    written: list[Path] = []
    for path in tqdm(images, unit="image", disable=len(images) < 2):
        if wanted is not None:
            answer = model.predict(path, wanted)
            answer = convert_normals(answer, axes) if model.config.task == "normals" else answer
            written.append(_write_table(folder / f"{path.stem}.csv", wanted, answer))
        else:
            written += _write_dense(
                folder, path.stem, model.predict(path, adaptive=adaptive, binary=binary), model, axes
            )
    return written


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


def _write_table(path: Path, points: np.ndarray, answers: np.ndarray) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    answers = answers.reshape(len(points), -1)
    titles = ["prediction"] if answers.shape[1] == 1 else ["x_normal", "y_normal", "z_normal"]
    writer.writerow(["x", "y", *titles])
    for point, answer in zip(points, answers, strict=True):
        writer.writerow([*(f"{value:g}" for value in point), *(f"{value:.6g}" for value in answer)])
    write_atomic(path, text.getvalue().encode())
    return path


def _write_dense(folder: Path, name: str, answer: np.ndarray, model: "PixelNet", axes: str) -> list[Path]:
    task = model.config.task
    if task in ("segmentation", "edges"):
        result = folder / f"{name}.png"
        if answer.dtype == bool:
            write_png(result, answer.astype(np.uint8) * 255)
        else:
            write_png(result, answer if task == "segmentation" else (answer * 65535).round().astype(np.uint16))
    elif task == "normals":
        result = folder / f"{name}.npy"
        write_normals(result, answer, axes)
    else:
        result = folder / f"{name}.npy"
        content = io.BytesIO()
        np.save(content, answer)
        write_atomic(result, content.getvalue())
    view = folder / f"{name}.view.png"
    write_png(view, model.task.paint(answer))
    return [result, view]


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W) or (H, W, 3), or uint16 (H, W), whole or not at all."""
    content = io.BytesIO()
    PIL.Image.fromarray(pixels).save(content, format="PNG")
    write_atomic(path, content.getvalue())
