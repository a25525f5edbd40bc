"""The processes that a launcher started together (accelerate launch, torchrun): how many, which, on which device."""

import os
from typing import Any

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
