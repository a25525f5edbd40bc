"""Convolutions in 8 bits: onnxruntime's static quantization, with what it costs in score and saves in time."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from pixelnet.data import Dataset, first_task, has_split, open_dataset
from pixelnet.data.dataset import evenly
from pixelnet.data.images import to_array
from pixelnet.errors import InputError, errors_alone
from pixelnet.export.running import Run, run_onnx
from pixelnet.export.writing import export
from pixelnet.files import read_bytes, require_writable, write_atomic
from pixelnet.inference.methods import of_one_task
from pixelnet.model import PixelNet
from pixelnet.runs.hub import load
from pixelnet.tasks import Task

SHOWN = 32  # images, evenly spread over the split, whose values the ranges are taken from
SCORED = 200


class Cost(NamedTuple):
    """The headline of the scored images, and the seconds that an image takes."""

    score: float | None
    seconds: float


class Quantized(NamedTuple):
    """What came of it: the file, what was scored on how many images, and the costs before and after."""

    file: Path
    task: Task
    images: int
    before: Cost
    after: Cost

    def __str__(self) -> str:
        name = self.task.headline[0]
        rows = [
            f"{word}: {'-' if cost.score is None else self.task.format_score(name, cost.score, 3)}, "
            f"{cost.seconds:.3f} s an image"
            for word, cost in (("float", self.before), ("int8", self.after))
        ]
        label = self.task.score_label(name)
        return "\n".join([f"{self.file}: {label} on {self.images} images, seconds on this processor", *rows])


def export_int8(model: PixelNet | str | Path, out: str | Path, data: Any) -> Quantized:
    """Write a model as ONNX whose convolutions are in 8 bits.

    Args:
        model, out: as for `export`.
        data: images with labels: those of train show the values that occur, those of val are scored; of data with one
            split that serves for both.

    Raises:
        InputError: as for `export`; data that has none of the model's tasks.
    """
    require_writable(out)
    loaded = load(model) if isinstance(model, str | Path) else model
    task = first_task(data)
    one = of_one_task(loaded, task)
    shown, scored = (open_dataset(data, one.task, _split(data, task, name)) for name in ("train", "val"))
    with TemporaryDirectory() as folder:
        plain, small = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        export(loaded, plain)
        with errors_alone(None):  # by whose logger onnxruntime says what else it would like to be given
            quantize_static(
                plain, small, _Shown(loaded, shown), per_channel=True, op_types_to_quantize=["Conv"],
                weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
            )  # fmt: skip
        small.write_bytes(_with_maps_in_floats(onnx.load(small)).SerializeToString())
        costs = [_cost(run_onnx(str(path), outputs=[task]), loaded, one.task, scored) for path in (plain, small)]
        write_atomic(out, read_bytes(small))
    return Quantized(Path(out), one.task, min(SCORED, len(scored)), *costs)


def _with_maps_in_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    """The head reads what a layer gave before it was brought to 8 bits.

    That is nearer to the truth; and a process dies in which onnxruntime 1.32 loads a loop that reads 8 bits.
    """
    made = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        given = made.get(node.input[0]) if node.op_type == "Transpose" else None
        if given is not None and given.op_type == "DequantizeLinear":
            node.input[0] = made[given.input[0]].input[0]
    return model


def _split(data: Any, task: str, name: str) -> str:
    other = {"train": "val", "val": "train"}[name]
    found = next((split for split in (name, other) if has_split(data, task, split)), None)
    if found is None:
        raise InputError(f"{data} has neither train nor val; give images with labels")
    return found


def _pixels(model: PixelNet, image: np.ndarray) -> np.ndarray:
    """One image as a file takes it: (1, H, W, C)."""
    pixels = to_array(image, model.channels, model.config.ranges)
    if model.config.ranges is not None:
        return pixels[None].astype(np.float32)
    if pixels.dtype != np.uint8:
        raise InputError(f"an image is {pixels.dtype}, and the file takes uint8; give images of 8 bits")
    return pixels[None]


class _Shown(CalibrationDataReader):
    def __init__(self, model: PixelNet, data: Dataset):
        items = evenly(len(data), SHOWN)
        self.images: Iterator[dict[str, np.ndarray]] = ({"pixels": _pixels(model, data.image(i))} for i in items)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.images, None)


def _cost(run: Run, model: PixelNet, task: Task, data: Dataset) -> Cost:
    seconds = []

    def answer(i: int) -> np.ndarray:
        pixels = _pixels(model, data.image(i))
        begun = perf_counter()
        found = run(pixels)[task.name][0]
        seconds.append(perf_counter() - begun)
        return found

    scorer = task.scorer()
    for i in evenly(len(data), SCORED):
        scorer.update(answer(i), data.truth(i))
    return Cost(scorer.result()[task.headline[0]], float(np.median(seconds)))
