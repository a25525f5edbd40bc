"""PixelNet: representation of the pixels, by the pixels, and for the pixels (arXiv 1702.06506)."""

from pixelnet.checkpoint import load
from pixelnet.errors import InputError
from pixelnet.evaluate import evaluate
from pixelnet.model import PixelNet
from pixelnet.train import train

__all__ = ["InputError", "PixelNet", "evaluate", "load", "train"]
