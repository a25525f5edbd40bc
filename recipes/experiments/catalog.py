"""The experiments by name."""

from collections.abc import Callable

from recipes.experiments.across import across
from recipes.experiments.claims import pixels, samplers, table1, table4
from recipes.experiments.labelled import labelled
from recipes.experiments.predictors import predictors
from recipes.experiments.scale import Setup
from recipes.experiments.starts import geometry, scratch
from recipes.experiments.together import joint

EXPERIMENTS: dict[str, Callable[[Setup], None]] = {
    "table1": table1,
    "table4": table4,
    "pixels": pixels,
    "samplers": samplers,
    "predictors": predictors,
    "across": across,
    "scratch": scratch,
    "geometry": geometry,
    "labelled": labelled,
    "joint": joint,
}
WITH_FULL = ("table1", "table4", "pixels", "samplers", "predictors")  # which are run as in the paper, too
WITH_STEPS = ("scratch", "geometry", "joint")  # whose runs may be of any length
