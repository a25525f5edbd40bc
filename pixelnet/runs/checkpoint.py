"""Writing models and runs so that a crash at any moment leaves what was there, and reading them back.

A model is a folder with config.json and model.safetensors. A run adds checkpoint.pt, from which training goes on.
"""

import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from pixelnet.config import ModelConfig, from_dict, read_json, to_dict
from pixelnet.errors import InputError, printable
from pixelnet.files import read_bytes, require_regular, write_atomic, write_json
from pixelnet.model import PixelNet
from pixelnet.tasks import AnyTask, split_names

CONFIG, WEIGHTS, CHECKPOINT = "config.json", "model.safetensors", "checkpoint.pt"
MOST_CONFIG, MOST_HEADER = 2**24, 10**8  # bytes; the second is safetensors' own bound
MOST_WIDE, MOST_LAYERS, MOST_LETTERS = 2**16, 64, 200  # of what config.json says: a width or size, how many, a name


def save(model: PixelNet, folder: Path, half: bool = False, **settings: Any) -> None:
    """Write a model to a folder.

    Args:
        model: what to write.
        folder: made if it is not there.
        half: write it half as large; see `save_weights`.
        settings: further JSON objects for config.json, for instance how it was trained.

    Raises:
        InputError: a weight that half precision cannot hold; nothing is written then.
    """
    save_weights(model, folder / WEIGHTS, half)
    save_config(model, folder, **settings)


def save_config(model: PixelNet, folder: Path, **settings: Any) -> None:
    """Write config.json alone."""
    write_json(folder / CONFIG, {"format": 1, "model": to_dict(model.config), **settings})


def save_weights(model: PixelNet, path: Path, half: bool = False) -> None:
    """Write the weights alone, in the precision they have.

    half: kernels and matrices as float16, for shipping; norms, biases and running statistics, which are few and
        may be large, as float32. Raises InputError for a kernel or matrix with a value beyond float16's.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    write_atomic(path, save_tensors(tensors, metadata={"format": "pt"}))


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    if tensor.ndim < 2:
        return tensor.float()
    halved = tensor.half()
    if not halved.isfinite().all():
        largest = torch.finfo(torch.float16).max
        raise InputError(
            f"{name} has values up to {tensor.abs().max():g}, and half precision ends at {largest:g}; save it whole"
        )
    return halved


def load_model(folder: Path, task: AnyTask | None = None, backbone: torch.nn.Module | None = None) -> PixelNet:
    """The model in a folder, on the CPU, in evaluation mode; see `pixelnet.runs.hub.load`."""
    config = load_config(folder)
    settings = dict(vars(config))
    given = {"task": task, "backbone": backbone}
    needed = settings.pop("objects")
    for name, value in given.items():
        if value is None and name in needed:
            raise InputError(
                f"the {name} of {folder} is an object of its maker's ({settings[name]}), which is not saved; give it "
                f"again: pixelnet.load({str(folder)!r}, {name}=...)"
            )
        if value is not None and name not in needed:
            raise InputError(f"the {name} of {folder} is the library's own {settings[name]}; leave {name} out")
        if value is not None:
            settings[name] = value
    if task is not None:
        names = ",".join(map(str, split_names(task)))
        if names != config.task:
            raise InputError(
                f"{folder} answers {config.task}, and {names} was given; give the same tasks in the same order"
            )
        settings |= {"num_classes": None, "class_names": (), "class_colors": ()}  # which the task knows
    shapes = read_shapes(folder / WEIGHTS)
    if not needed:
        _require_fit(settings, shapes, folder / WEIGHTS)
    model = PixelNet(**settings)
    load_weights(model, folder / WEIGHTS)
    return model.eval()


def load_config(folder: Path) -> ModelConfig:
    """What config.json says of the model in a folder.

    Raises InputError for a file of something else, one that is misspelt, and sizes or names that no model has.
    """
    path = folder / CONFIG
    settings = read_json(path, most=MOST_CONFIG)
    if "model" not in settings:
        raise InputError(f"{path} says nothing of a model; was it written by pixelnet?")
    config = from_dict(ModelConfig, settings["model"], f"{path}, model")
    widths = (*(config.hidden or ()), config.in_channels, config.image_size or 1)
    if max(widths) > MOST_WIDE or max(len(config.hidden or ()), len(config.taps or ())) > MOST_LAYERS:
        raise InputError(f"{path} asks for layers, channels or images that no model has; was it written by pixelnet?")
    names = (config.task, config.backbone, config.head, *config.class_names, *config.objects)
    odd = next((name for name in names if len(name) > MOST_LETTERS or printable(name) != name), None)
    if odd is not None:
        raise InputError(f"{path} has a name that cannot be shown: {odd[:40]!r}; was it written by pixelnet?")
    return config


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a .safetensors file, from its header alone.

    Raises:
        InputError: the file is not there, is no regular file, or is damaged.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MOST_HEADER:
                raise ValueError(f"a header of {size:,} bytes")
            header = json.loads(file.read(size))
        return {name: tuple(map(int, about["shape"])) for name, about in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); copy it again, or train again") from error


def _require_fit(settings: dict[str, Any], shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """Raise InputError unless a model of these settings has tensors of these shapes; neither is given any memory."""
    try:
        with torch.device("meta"):
            expected = {name: tuple(tensor.shape) for name, tensor in PixelNet(**settings).state_dict().items()}
    except InputError:
        raise
    except Exception:  # a network that looks at its own numbers while it is made: it is compared when it is loaded
        return
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            found = f"{name} of shape {list(shapes[name])}" if name in shapes else f"no {name}"
            raise InputError(f"{path} does not fit its {CONFIG}: it has {found}, expected shape {list(shape)}")
    if extra := next((name for name in shapes if name not in expected), None):
        raise InputError(f"{path} does not fit its {CONFIG}: it has {extra}, which the model has not")


def load_weights(model: PixelNet, path: Path) -> None:
    """Put the weights of a file into a model of the same shape, in the model's precision.

    Raises:
        InputError: the file is not there, damaged, or of another model; a weight that is not finite.
    """
    if not path.exists():
        raise InputError(f"{path} is not there; has the run written its first checkpoint?")
    try:
        most = MOST_HEADER + 8 * sum(tensor.numel() for tensor in model.state_dict().values())
        state = load_tensors(read_bytes(path, most))
    except (SafetensorError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}); copy it again, or train again") from error
    for name, tensor in state.items():
        if tensor.is_floating_point() and (wrong := int((~tensor.isfinite()).sum())):
            raise InputError(
                f"{path} holds NaN or infinity in {wrong} of the {tensor.numel()} numbers of {name}; the run that made "
                "it has diverged, or the file is damaged: train again, or copy it again"
            )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit its {CONFIG}: {str(error).splitlines()[1].strip()}") from error


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a run as one file: tensors, numbers, texts, and lists and dicts of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state of a run, or None if it has not written any.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever it is: the file is not what was written
        raise InputError(f"{path} is damaged ({error}); remove it to start this run afresh") from error


def is_model(folder: str | Path) -> bool:
    """Whether a path is a model's folder."""
    try:
        return (Path(folder) / CONFIG).is_file()
    except OSError:  # a name that no file can have
        return False
