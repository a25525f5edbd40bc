"""A model as a file that answers without this package: ONNX, for onnxruntime, or a program of torch.export.

done = pixelnet.export.export("model", "model.onnx")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelnet.export.writing import Exported, export

__all__ = ["Exported", "export"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pixelnet.export' has no attribute {name!r}")
    from pixelnet.export import writing

    return getattr(writing, name)
