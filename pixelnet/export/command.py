"""`pixelnet export` on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pixelnet.errors import InputError


@dataclass(frozen=True)
class Export:
    """Write a model as a file that answers without this package, in onnxruntime or in torch."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """Folder of a model, or the name of one (see `pixelnet models`)."""
    out: Path
    """The file; with --points its name with .encoder and with .points before the ending."""
    to: Literal["onnx", "torch"] = "onnx"
    """onnx, or torch for a program of torch.export."""
    points: bool = False
    """Two files: one sees an image, the other answers at points of it."""
    int8: bool = False
    """Of ONNX: convolutions in 8 bits, by ranges that the images of --data show; its score and speed are printed."""
    data: str | None = None
    """Of --int8: images with labels, a folder, camvid:PATH and so on: train shows the ranges, val is scored."""

    def __call__(self) -> int:
        from pixelnet.export import export

        if self.int8 != (self.data is not None):
            raise InputError("--int8 and --data go together: images with labels show its ranges and what it costs")
        if self.int8 and (self.points or self.to != "onnx"):
            raise InputError("--int8 is of one ONNX file; leave out --points and --to torch")
        if self.data is not None:
            from pixelnet.export.int8 import export_int8

            print(export_int8(self.model, self.out, self.data))
            return 0
        done = export(self.model, self.out, self.to, self.points)
        print(
            f"{' and '.join(map(str, done.files))}: on images of {done.images} sizes no logit is farther from the "
            f"model's than {done.difference:.1e} of the largest"
        )
        return 0
