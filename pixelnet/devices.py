"""Where a model works, on the processor or on an accelerator, and in which precision it sees."""

from contextlib import AbstractContextManager, nullcontext

import torch

from pixelnet.errors import InputError

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def seeing(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Within, a network sees images in mixed precision, bf16 or fp16; "no" for float32.

    Raises InputError for a precision that there is not.
    """
    if precision not in ("no", *TYPES):
        raise InputError(f"the precision is {precision!r}; give one of no, {', '.join(TYPES)}")
    return nullcontext() if precision == "no" else torch.autocast(device.type, TYPES[precision])


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
