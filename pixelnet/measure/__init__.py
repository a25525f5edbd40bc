"""A survey of pixels: how good a map is, and how much of each class there is, from a few hundred that are looked at.

survey = pixelnet.measure.plan("model", "images", out="survey", budget=300)
while (sample := pixelnet.measure.next_sample("survey")) is not None: ...
    pixelnet.measure.label("survey", sample.number, "road")
found = pixelnet.measure.report("survey")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelnet.measure.labelling import label, next_sample
    from pixelnet.measure.planning import plan
    from pixelnet.measure.reporting import report

__all__ = ["label", "next_sample", "plan", "report"]
_HOME = {"label": "labelling", "next_sample": "labelling", "plan": "planning", "report": "reporting"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pixelnet.measure' has no attribute {name!r}")
    return getattr(import_module(f"pixelnet.measure.{_HOME[name]}"), name)
