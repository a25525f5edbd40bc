"""The processes that a launcher started together (accelerate launch, torchrun): how many, which, on which device."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from pixelnet.devices import find_device
from pixelnet.errors import InputError


class Processes:
    """This process among those that were started with it; the only one where there are no others.

    rank: its number, from 0. world: how many there are. device: what its models belong on: what was asked for (see
    `find_device`), or of several processes its own GPU where there are some, unless cpu was asked for.
    """

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world, self._state = 0, int(os.environ.get("WORLD_SIZE", "1")), None
        self.device = find_device(device)
        if self.world > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=self.device.type == "cpu")
            if self._state.num_processes != self.world:
                raise InputError(
                    f"{self.world} processes were started (WORLD_SIZE), and accelerate knows of "
                    f"{self._state.num_processes}; start them with accelerate launch or torchrun"
                )
            self.rank, self.device = self._state.process_index, self._state.device

    def wait(self) -> None:
        """Until all have come here."""
        if self._state is not None:
            self._state.wait_for_everyone()

    def gather(self, own: Any) -> list[Any]:
        """What each of them gives, in their order."""
        if self._state is None:
            return [own]
        from accelerate.utils import gather_object

        return gather_object([own])


def of_all(tensors: Sequence[Tensor], accelerator: Accelerator) -> list[Tensor]:
    """Each tensor (M, ...) with those of the other processes, which may have other lengths, in their order.

    Gradients go to this process's own part.
    """
    if accelerator.num_processes == 1:
        return list(tensors)
    lengths = accelerator.gather(torch.tensor([len(tensors[0])], device=accelerator.device)).tolist()
    found = []
    for own in tensors:
        alike = accelerator.gather(accelerator.pad_across_processes(own.detach()))
        parts = [part[:length] for part, length in zip(alike.chunk(len(lengths)), lengths, strict=True)]
        parts[accelerator.process_index] = own
        found.append(torch.cat(parts))
    return found


@contextmanager
def peers() -> Iterator[None]:
    """Within, a process that waits for another one which has ended says so in a line, and ends too.

    Raises InputError in place of what gloo and NCCL say of a connection.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
            raise
        raise InputError(
            "another process of this run has ended, and what it said tells why; the last checkpoint is kept: give the "
            "same command with --resume"
        ) from error
