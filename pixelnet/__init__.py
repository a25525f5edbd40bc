"""PixelNet: representation of the pixels, by the pixels, and for the pixels (arXiv 1702.06506)."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelnet.data import Dataset, open_dataset
    from pixelnet.errors import InputError
    from pixelnet.evaluation import evaluate
    from pixelnet.inference.bulk import predict, predict_files
    from pixelnet.learning.fit import fit
    from pixelnet.learning.session import Session
    from pixelnet.model import PixelNet
    from pixelnet.nn.backbone import Backbone
    from pixelnet.points import Sampler
    from pixelnet.runs.hub import load
    from pixelnet.tasks import Task
    from pixelnet.training import train

__version__ = version("pixelnet")
__all__ = [
    "Backbone",
    "Dataset",
    "InputError",
    "PixelNet",
    "Sampler",
    "Session",
    "Task",
    "__version__",
    "evaluate",
    "fit",
    "load",
    "open_dataset",
    "predict",
    "predict_files",
    "train",
]

# Each is imported when it is first asked for, so that what needs no torch, such as --help, does not wait for it.
_HOME = {
    "Backbone": "nn.backbone",
    "Dataset": "data",
    "InputError": "errors",
    "PixelNet": "model",
    "Sampler": "points",
    "Session": "learning.session",
    "Task": "tasks",
    "evaluate": "evaluation",
    "fit": "learning.fit",
    "load": "runs.hub",
    "open_dataset": "data",
    "predict": "inference.bulk",
    "predict_files": "inference.bulk",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name in ("export", "measure"):  # rooms with functions of their own: measure.plan, measure.label, measure.report
        return import_module(f"pixelnet.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'pixelnet' has no attribute {name!r}")
    return getattr(import_module(f"pixelnet.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
