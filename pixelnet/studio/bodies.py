"""What the page may ask, and how much of it."""

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from pixelnet.studio.canvas import Box

Key = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$", description="Names an operation; sent twice, it is done once.")
]
Coordinate = Annotated[float, Field(ge=-(2**20), le=2**20, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0, lt=2**31)]
ClassNumber = Annotated[int, Field(ge=0, le=254)]
Point = tuple[Coordinate, Coordinate]
Side = Annotated[int, Query(ge=1, lt=2**31)]
Step = Annotated[int, Query(ge=1, le=4096, description="Every how many pixels are wanted, across and down.")]


def named_part(x: Number = 0, y: Number = 0, width: Side = 2**30, height: Side = 2**30) -> Box:
    """The part of an image that a query names; more than the whole, where it names none."""
    return Box(x, y, width, height)


Part = Annotated[Box, Depends(named_part)]


class Asked(BaseModel):
    """The body of a request; keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", strict=False)


class Operation(Asked):
    id: Key


class Stroke(Operation):
    """A line of the brush, or the outline of an area, in pixels of the image, the first pixel's center at (0, 0)."""

    tool: Literal["brush", "polygon"]
    label: ClassNumber | None = Field(None, description="A class; without one, what is labelled there is erased.")
    points: list[Point] = Field(min_length=1, max_length=5000)
    radius: float = Field(1.0, ge=0.5, le=500, allow_inf_nan=False)


class Accept(Operation):
    """Take the answer for the truth: in a box, or in the connected region around a pixel."""

    tool: Literal["box", "fill"]
    serial: Number = Field(description="Of the answer that was seen; another one is not accepted.")
    x: Number
    y: Number
    width: Annotated[int, Field(ge=1, lt=2**31)] = 1
    height: Annotated[int, Field(ge=1, lt=2**31)] = 1


class Mark(Operation):
    done: bool


class NewClass(Operation):
    name: str = Field(min_length=1, max_length=200)
    color: str | None = Field(None, pattern=r"^#[0-9a-fA-F]{6}$")


class Merge(Operation):
    into: ClassNumber | None = Field(
        None, description="The class that takes the labels over; without one they are gone."
    )


class Look(Asked):
    """The part of an image that is on screen, in its pixels."""

    image: Number
    x: Number
    y: Number
    width: Annotated[int, Field(ge=1, lt=2**31)]
    height: Annotated[int, Field(ge=1, lt=2**31)]


class Finetune(Asked):
    """How long the network may learn."""

    minutes: float = Field(5.0, ge=0.05, le=1440, allow_inf_nan=False)


class AnswerBy(Asked):
    """Who is to answer: the fit, which follows the strokes, or the network that has learnt itself."""

    network: bool


class Export(Asked):
    """What is wanted beside the model."""

    predictions: bool = True
    polygons: list[Literal["geojson", "coco", "labelme"]] = []
    objects: bool = False
    onnx: bool = Field(False, description="The model as one file that answers without PixelNet; it takes minutes.")


class NewSurvey(Asked):
    budget: int = Field(100, ge=2, le=10_000, description="How many pixels are drawn.")


class Answered(Asked):
    """What a sample of the survey shows: a class by its name, "?" for cannot tell, nothing to take an answer back."""

    number: Annotated[int, Field(ge=1, lt=2**31)]
    answer: str | None = Field(None, max_length=200)
