"""Running what was exported: in onnxruntime, or as the program of torch that it is."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils._pytree import tree_leaves

Run = Callable[..., dict[str, np.ndarray]]  # inputs, in the order of the signature -> outputs by name


def run_onnx(content: bytes | str, threads: int = 0, outputs: Sequence[str] = ()) -> Run:
    """An ONNX file, its bytes or its path, on a CPU. threads: 0 for as many as there are cores. outputs: () for all."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    inputs, named = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))

    def run(*given: np.ndarray) -> dict[str, np.ndarray]:
        answers: list[Any] = session.run(outputs or named, dict(zip(inputs, map(np.asarray, given), strict=True)))
        return dict(zip(outputs or named, answers, strict=True))

    return run


def run_torch(content: bytes, outputs: Sequence[str]) -> Run:
    """A file of `torch.export.save`, its bytes, whose outputs have these names."""
    module = torch.export.load(BytesIO(content)).module()

    @torch.inference_mode()
    def run(*given: np.ndarray) -> dict[str, np.ndarray]:
        first, maps = [torch.as_tensor(one) for one in given[:2]], [torch.as_tensor(one) for one in given[2:]]
        answers = tree_leaves(module(*first, *([maps] if maps else [])))
        return {name: answer.numpy() for name, answer in zip(outputs, answers, strict=True)}

    return run
