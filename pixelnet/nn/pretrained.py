"""A backbone's weights: from a file, or from timm's hub, which says in a few seconds that there is no network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import constants, get_session
from safetensors.torch import load_file
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.files import require_regular

PATIENCE = 5.0  # seconds; the hub's own library tries for minutes


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file, or from a PyTorch file, which is read without running any code.

    Raises:
        InputError: the file is not there, or is neither.
    """
    path = Path(path)
    require_regular(path)
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both libraries have many words for "this is no such file"
        raise InputError(f"{path} cannot be read as a file of plain tensors ({error}); is it whole?") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path} holds no tensors by name; save it from network.state_dict()")
    return found


@contextmanager
def from_hub(name: str) -> Iterator[None]:
    """Within, the hub is asked if it can be reached, and else its cache alone.

    Raises InputError that says what works without it, if the weights of the network `name` are not to be had.
    """
    offline = constants.HF_HUB_OFFLINE
    try:
        if not offline:
            constants.HF_HUB_OFFLINE = not _reachable()
        yield
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError):  # timm's own words on the network
        raise
    except Exception as error:  # the hub and the libraries beneath it have many
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"--pretrained: the weights of {name} could not be fetched ({reason}); what works without a network is a "
            "file of them (--backbone-weights FILE), or a model that ships (--init-from NAME, see `pixelnet models`)"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline


def _reachable() -> bool:
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception:
        return False
    return True
