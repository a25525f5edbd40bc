"""`export`: a model traced, compared with the original, and only then written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from pixelnet.errors import InputError, needs
from pixelnet.export.graph import AtPoints, Dense, Encoder
from pixelnet.files import require_writable, write_atomic
from pixelnet.model import PixelNet
from pixelnet.runs.hub import card, load

if TYPE_CHECKING:
    from pixelnet.export.program import Signature
    from pixelnet.export.running import Run

Format = Literal["onnx", "torch"]
CLOSE = 1e-3  # of the largest logit: by how much an export may differ from the model
TRACED = (75, 107)  # height and width of the image that is traced, nothing special


class Exported(NamedTuple):
    """What was written.

    files: one, or with points the encoder and what answers at points. difference: the greatest between a logit of the
    file and the model's, as a share of the image's largest logit. images: how many sizes were compared.
    """

    files: tuple[Path, ...]
    difference: float
    images: int


def export(model: PixelNet | str | Path, out: str | Path, to: Format = "onnx", points: bool = False) -> Exported:
    """Write a model as a file that answers without this package.

    The file takes `pixels` (N, H, W, C), uint8 as they are stored, of any N, H and W; of a model with `ranges`, float32
    numbers as in the files that it was trained on. It gives, named by task, what `PixelNet.predict` gives for N images,
    and of classes TASK_probabilities (N, H, W, K); last, `logits` (N, H, W, K) of all tasks. What the model is stands
    in the metadata.

    Args:
        model: a model, its folder or its name.
        out: the file.
        to: onnx, or torch for a program that `torch.export.load` reads.
        points: write two files in its place: NAME.encoder takes `pixels` and gives `zoom` and the maps; NAME.points
            takes these and `points` (N, P, 2), (x, y) in pixels, and gives the answers there.

    Raises:
        InputError: a network that cannot be exported, or whose export differs from it by more than a
            thousandth of the largest logit: no file is left then. onnx or onnxruntime is not there.
    """
    require_writable(out)
    require_libraries()
    loaded = load(model) if isinstance(model, str | Path) else model
    files, runs = _made(loaded, to, points, Path(out))
    difference, tried = compare(loaded, runs, points)
    if not difference <= CLOSE:
        raise InputError(
            f"the export of {loaded.config.backbone} differs from the model by {difference:.1e} of the largest logit, "
            f"more than {CLOSE:g}; nothing was written"
        )
    for path, content in files.items():
        write_atomic(path, content)
    return Exported(tuple(files), difference, tried)


def require_libraries() -> None:
    """Raise InputError unless what exports is installed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise needs("export", name, "export") from error


def _made(model: PixelNet, to: Format, points: bool, out: Path) -> tuple[dict[Path, bytes], Sequence["Run"]]:
    """The files' contents by path, and what runs them."""
    from pixelnet.export.program import to_bytes, to_onnx, trace
    from pixelnet.export.running import run_onnx, run_torch

    what, known = f"the backbone {model.config.backbone}", metadata(model)
    contents, runs = {}, []
    for path, graph, example, signature in _graphs(model, points, out):
        program = trace(graph, example, signature, what)
        if to == "onnx":
            contents[path] = to_onnx(program, known, what).SerializeToString()
            runs.append(run_onnx(contents[path]))
        else:
            contents[path] = to_bytes(program, known)
            runs.append(run_torch(contents[path], signature.outputs))
    return contents, runs


def _graphs(model: PixelNet, points: bool, out: Path) -> Iterator[tuple[Path, nn.Module, tuple[Any, ...], "Signature"]]:
    """What is to be traced: where it is written to, the module, examples of its inputs, and their names."""
    from pixelnet.export.program import Signature

    names = answer_names(model)
    maps = {f"map{tap}": ("N", f"H{tap}", f"W{tap}", None) for tap in range(len(model.backbone.channels))}
    dtype = torch.uint8 if model.config.ranges is None else torch.float32
    pixels = (torch.zeros((2, *TRACED, model.config.in_channels), dtype=dtype),)
    image = {"pixels": ("N", "H", "W", None)}
    if not points:
        yield out, Dense(model), pixels, Signature(image, names)
        return
    yield beside(out, "encoder"), Encoder(model), pixels, Signature(image, ["zoom", *maps])
    # Of sizes that all differ: those that are the same the tracer takes for one.
    sizes = [(2, 2 * tap + 11, 2 * tap + 12, width) for tap, width in enumerate(model.backbone.channels)]
    example = (torch.zeros(2, 5, 2), torch.ones(()), [torch.zeros(size) for size in sizes])
    yield (
        beside(out, "points"),
        AtPoints(model),
        example,
        Signature({"points": ("N", "P", None), "zoom": (), **maps}, names),
    )


def beside(path: Path, part: str) -> Path:
    """NAME.PART.SUFFIX."""
    return path.with_name(f"{path.stem}.{part}{path.suffix}")


def answer_names(model: PixelNet) -> list[str]:
    """The outputs of a model's file, in order."""
    names = []
    for name, task in model.task.parts.items():
        names += [name, f"{name}_probabilities"] if task.categorical else [name]
    return [*names, "logits"]


def compare(model: PixelNet, runs: Sequence["Run"], points: bool) -> tuple[float, int]:
    """The greatest difference of logits, as a share of an image's largest, and the number of sizes tried.

    Images of one pixel, smaller than a stride, and of random odd sizes; two of the same size at once.
    """
    rng = np.random.default_rng(0)
    larger = (
        () if model.config.image_size is None else ((model.config.image_size + 5, model.config.image_size * 9 // 8),)
    )
    sizes = [(1, 1), (3, 5), *(2 * rng.integers(8, 80, (3, 2)) + 1).tolist(), (64, 96), *larger]
    worst = 0.0
    for height, width in sizes:
        count = 1 + (height == 64)
        pixels = np.stack([_image(model, height, width, rng) for _ in range(count)])
        asked = rng.uniform(-0.5, np.array([width, height]) - 0.5, (count, 20, 2)).astype(np.float32)
        if points:
            seen = runs[0](pixels)
            found = runs[1](asked, *seen.values())["logits"]
        else:
            found = runs[0](pixels)["logits"]
        for one, own, at in zip(pixels, found, asked, strict=True):
            encoded = model.encode(one)
            with torch.inference_mode():
                expected = torch.cat(list(encoded.logits(torch.from_numpy(at)[None] if points else None))).numpy()
            difference = float(np.abs(own - expected).max() / np.abs(expected).max())
            worst = difference if not difference <= worst else worst  # NaN is the worst of all
    return worst, len(sizes)


def _image(model: PixelNet, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    if model.config.ranges is None:
        return rng.integers(0, 256, (height, width, model.config.in_channels), dtype=np.uint8)
    low, high = np.array(model.config.ranges).T
    return rng.uniform(low, high, (height, width, model.config.in_channels)).astype(np.float32)


def metadata(model: PixelNet) -> Mapping[str, str]:
    """What a file says of its model: texts by name."""
    config = model.config
    known = {} if model.folder is None else card(model.folder)
    beyond = ["The whole image is seen at once, and memory grows with it: pixelnet answers large images in windows."]
    if "edges" in model.task.parts:
        beyond.append(
            "Edges are strengths; pixelnet suppresses what is no maximum, takes those from the threshold on and thins "
            "them for lines one pixel wide."
        )
    return {
        "pixelnet": version("pixelnet"), "task": config.task, "channels": json.dumps(model.channels),
        "class_names": json.dumps(config.class_names), "class_colors": json.dumps(config.class_colors),
        "image_size": json.dumps(config.image_size), "ranges": json.dumps(config.ranges),
        "threshold": json.dumps(config.threshold), "license": str(known.get("license", "")),
        "summary": str(known.get("summary", "")), "beyond_the_network": " ".join(beyond),
    }  # fmt: skip
