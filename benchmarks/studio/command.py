"""python -m benchmarks studio overlay | first | scene | load | survey | memory | person | picture: its promises.

overlay  end of a stroke -> new overlay on the screen, 1024 x 768 with 2,000 labelled pixels, in Chromium
first    the same of the first stroke on an image that was not made ready
scene    a view of a scene of 20,000 x 20,000 pixels with overviews, in Chromium
load     200 strokes a second from four clients, the server killed with -9 and started again in the middle
survey   300 pixels of a survey answered by keys, the server killed with -9 and started again in the middle
memory   of the server, with 1, 10 and 100 images
person   somebody simulated paints where it is wrong, at random, or where it is suggested; beside a forest
picture  what that came to -> docs/results/studio_person.png
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.studio.person import Person, measure
from benchmarks.studio.picture import Picture, draw
from benchmarks.studio.speed import first, load, memory, overlay, scene, survey
from benchmarks.timing import as_command, keep_in

RESULT = Path(__file__).parents[2] / "docs" / "results" / "studio.json"
COMMAND = "python -m benchmarks studio overlay | first | scene | load | survey | memory"
WHAT = (
    "The studio, in Chromium on the same machine. overlay: from the release of the pointer to the first frame that "
    "answers that stroke, 1024x768 with 2,000 labelled pixels. first: the same of the first stroke on an image that "
    "was not made ready, and the seconds until the networks answer for it. scene: from a move to the frame that shows"
    " the new view of 20,000 x 20,000 pixels with overviews. load: strokes of four clients, the server killed in the "
    "middle. survey: from a key that answers to the next pixel that can be answered, the server killed in the middle."
    " memory: megabytes of the server with so many images of 1024x768."
)


@dataclass(frozen=True)
class Overlay:
    """Milliseconds from the release of the pointer to the first frame that shows an answer to that stroke."""

    strokes: int = 30


@dataclass(frozen=True)
class First:
    """The same of the first stroke on an image that was not made ready, and until the networks answer for it."""

    images: int = 8


@dataclass(frozen=True)
class Scene:
    """Milliseconds from a move to the frame that shows the new view as finely as the screen does."""

    side: int = 20_000
    views: int = 10


@dataclass(frozen=True)
class Load:
    """How many strokes were acknowledged, and how many of them lost."""

    seconds: float = 60.0


@dataclass(frozen=True)
class Survey:
    """Milliseconds from a key that answers a pixel to the next one, and how many answers are kept."""

    samples: int = 300


@dataclass(frozen=True)
class Memory:
    """Megabytes of the server, once the image that is looked at is answered and quiet has come."""

    images: tuple[int, ...] = (1, 10, 100)


def work(arguments: Any) -> None:
    if isinstance(arguments, Person):
        measure(arguments)
    elif isinstance(arguments, Picture):
        draw(arguments)
    else:
        found: dict[type, Callable[..., dict[str, object]]]
        found = {Overlay: overlay, First: first, Scene: scene, Load: load, Survey: survey, Memory: memory}
        name = type(arguments).__name__.lower()
        row = found[type(arguments)](**vars(arguments))
        print(json.dumps(row))
        keep_in(RESULT, "studio", [{"measure": name} | row], WHAT, COMMAND, ("measure",))


def main(words: Sequence[str]) -> int:
    kinds = {
        "overlay": Overlay, "first": First, "scene": Scene, "load": Load, "survey": Survey, "memory": Memory,
        "person": Person, "picture": Picture,
    }  # fmt: skip
    arguments = tyro.extras.subcommand_cli_from_dict(
        kinds, args=list(words), prog="python -m benchmarks studio", description=__doc__
    )
    return as_command(lambda: work(arguments))
