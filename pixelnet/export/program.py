"""A graph traced by torch.export for images of any size, and the same as ONNX."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import onnx
import torch
from torch import nn
from torch.fx.experimental import _config as symbolic

from pixelnet.errors import InputError

OPSET = 18
ANY = torch.export.Dim.DYNAMIC


class Signature(NamedTuple):
    """What a graph is asked and gives: names of its inputs, with names of their axes of any length, and outputs."""

    inputs: Mapping[str, Sequence[str | None]]
    outputs: Sequence[str]


class Program(NamedTuple):
    """A traced graph, and what it is called by."""

    traced: torch.export.ExportedProgram
    signature: Signature


def trace(module: nn.Module, example: tuple[Any, ...], signature: Signature, what: str) -> Program:
    """Trace a module on an example, with every axis that has a name of any length, 1 too.

    example: its arguments, of sizes that are nothing special; a list counts as several inputs. what: for the message.
    Raises InputError for a network that cannot be traced.
    """
    free = iter([{k: ANY for k, axis in enumerate(axes) if axis is not None} for axes in signature.inputs.values()])
    shapes = tuple([next(free) for _ in given] if isinstance(given, list) else next(free) for given in example)
    module = module.eval().requires_grad_(False)
    try:
        with torch.no_grad(), symbolic.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
            return Program(torch.export.export(module, example, dynamic_shapes=shapes), signature)
    except Exception as error:  # the tracer has many words for what it cannot follow
        raise InputError(
            f"{what} cannot be exported: torch.export says {_first_line(error)}; choose another backbone"
        ) from error


def to_onnx(program: Program, metadata: Mapping[str, str], what: str) -> onnx.ModelProto:
    """The program as ONNX, its inputs and outputs named, with texts beside it.

    Raises InputError where ONNX lacks something.
    """
    try:
        converted: Any = torch.onnx.export(
            program.traced,
            (),
            input_names=list(program.signature.inputs),
            output_names=list(program.signature.outputs),
            opset_version=OPSET,
            verbose=False,
        )
        model: onnx.ModelProto = converted.model_proto
    except Exception as error:
        raise InputError(
            f"{what} cannot be written as ONNX: {_first_line(error)}; try --to torch, or choose another backbone"
        ) from error
    _name_axes(model, program.signature)
    onnx.helper.set_model_props(model, dict(metadata))
    return model


def to_bytes(program: Program, metadata: Mapping[str, str]) -> bytes:
    """The program as torch.export.save writes it, with metadata.json beside it."""
    buffer = BytesIO()
    torch.export.save(program.traced, buffer, extra_files={"metadata.json": json.dumps(dict(metadata))})
    return buffer.getvalue()


def _name_axes(model: onnx.ModelProto, signature: Signature) -> None:
    """Axes of any length get their names in place of the tracer's symbols."""
    names = {}
    for value in model.graph.input:
        for axis, name in zip(value.type.tensor_type.shape.dim, signature.inputs[value.name], strict=True):
            if name is not None:
                names[axis.dim_param] = name
    for value in [*model.graph.input, *model.graph.output]:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names:
                axis.dim_param = names[axis.dim_param]
    del model.graph.value_info[:]  # which has the symbols, too, and which runtimes find for themselves


def _first_line(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return (str(cause).strip() or type(cause).__name__).splitlines()[0][:200]
