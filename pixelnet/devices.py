"""Where a model works, on the processor or on an accelerator, and in which precision it sees."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_native_id

import torch
from threadpoolctl import threadpool_limits

from pixelnet.errors import InputError

NICENESS = 10  # of what steps back
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def seeing(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Within, a network sees images in mixed precision, bf16 or fp16; "no" for float32.

    Raises InputError for a precision that there is not.
    """
    if precision not in ("no", *TYPES):
        raise InputError(f"the precision is {precision!r}; give one of no, {', '.join(TYPES)}")
    return nullcontext() if precision == "no" else torch.autocast(device.type, TYPES[precision])


@contextmanager
def repeatable(asked: bool) -> Iterator[None]:
    """Within, if it is asked for, torch takes only operations that give the same bits each time."""
    if not asked:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which CUDA's products of matrices need for it
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def find_device(name: str) -> torch.device:
    """A device by its name: auto for an accelerator where there is one, else cpu; or cpu, cuda, cuda:1, mps and so on.

    Raises:
        InputError: no such name, or no such device here.
    """
    there = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if name == "auto":
        return there or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"there is no device {name!r}; give auto, cpu, cuda, cuda:1 or mps") from error
    known = ["cpu"] if there is None else ["cpu", there.type]
    count = 1 if device.type == "cpu" or there is None else torch.accelerator.device_count()
    if device.type not in known or (device.index or 0) >= count:
        raise InputError(f"there is no {name} here; give auto, or one of {', '.join(known)}")
    return device


def step_back(process: int | None = None) -> None:
    """Have all others go first where the processor is short: this thread steps back, or a process by its number.

    Does nothing where processes have no priorities, or, but on Linux, threads none of their own.
    """
    if sys.platform == "linux" or (process is not None and hasattr(os, "setpriority")):
        os.setpriority(os.PRIO_PROCESS, get_native_id() if process is None else process, NICENESS)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within, or in a function that this decorates, numpy's products take one thread, whichever thread asks for them.

    Its threads turn on the spot for a while after each, as torch's do, and where both work in turn each is in the way
    of the other: on two cores `fit` had time for half as much.
    """
    with threadpool_limits(1, "blas"):
        yield


@contextmanager
def one_torch_thread(where: bool = True) -> Iterator[None]:
    """Within, what this thread asks of torch takes no others, if `where`.

    Small products in turn with Python's own work wait longer for threads than these save.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if where else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
