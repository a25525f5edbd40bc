"""One image from its file to its answers' files: source -> windows -> model -> sink."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import torch

from pixelnet.data.images import view_of
from pixelnet.errors import InputError
from pixelnet.inference.answers import POINTS, place_in, write_dense, write_table
from pixelnet.inference.budget import parse_bytes
from pixelnet.inference.encoded import encode_views, points_inside
from pixelnet.inference.objects import OBJECTS, POLYGONS, maps_of_classes, write_objects, write_polygons
from pixelnet.inference.parts import HOME
from pixelnet.inference.scene import Plan, Planner, answer_points, look, without
from pixelnet.inference.sinks import TIFF, answer_into, begun_plan, fingerprint, open_parts, write_scene
from pixelnet.inference.source import ArraySource, FileSource
from pixelnet.memory import resident_bytes, usual_bytes
from pixelnet.model import PixelNet
from pixelnet.rasters.geotiff import is_placed, rasterio, read_place


class Item(NamedTuple):
    """One image to be answered: what its answers are called, the file, and which of the file's images it is."""

    name: PurePath
    path: Path
    page: int


@dataclass(frozen=True)
class Asked:
    """What is asked for, of every image; the options of `predict_files`."""

    convention: str = "pixelnet"
    adaptive: float | None = None
    binary: bool = False
    flip: bool = False
    axes: str | None = None
    probabilities: bool = False
    scale: float | None = None
    memory: str | int | None = None
    exact: bool = False
    cog: bool = False
    polygons: bool = False
    objects: bool = False


class Answerer:
    """Answers for one image after the other by one model, into a folder. points: (P, 2), or None for every pixel."""

    def __init__(self, model: PixelNet, folder: Path, points: np.ndarray | None, asked: Asked) -> None:
        self.model, self.folder, self.points, self.asked = model, folder, points, asked
        memory = parse_bytes(str(asked.memory)) if asked.memory is not None else usual_bytes()
        self._planner = Planner(model, asked.scale, memory, asked.exact, resident_bytes())
        self._fingerprint = ""

    def __call__(self, item: Item) -> list[Path]:
        """Returns the files written. Raises InputError for an image that cannot be answered."""
        with FileSource(item.path, self.model, item.page, self.asked.axes) as source:
            placed = item.path.suffix.lower() in TIFF and is_placed(item.path)
            if placed or self.asked.polygons:
                rasterio()  # before the work for what only it can write
            if self.points is not None:
                return [self._answer_points(item, source, self._plan(source, placed))]
            parts = place_in(self.folder, HOME, item.name, "")
            plan = None if parts.exists() else self._plan(source, placed)
            if plan is not None and plan.whole and not placed:
                written = self._photo(item, source, plan)
            else:
                written = self._scene(item, source, placed, parts, plan)
            return [*written, *self._objects(item, source, placed, written)]

    def _plan(self, source: FileSource, placed: bool) -> Plan:
        return self._planner.plan(
            source, source.header.dtype, self.asked.flip, self.asked.probabilities, placed, str(source.path)
        )

    def _answer_points(self, item: Item, source: FileSource, plan: Plan) -> Path:
        points = points_inside(self.points, source.width, source.height)
        answers = answer_points(self.model, source, plan, points)
        table = place_in(self.folder, POINTS, item.name, ".csv")
        return write_table(table, points, answers, self.model.task, self.asked.convention)

    def _scene(self, item: Item, source: FileSource, placed: bool, folder: Path, plan: Plan | None) -> list[Path]:
        """By way of parts: what has a place on the ground, or is of many windows. plan: unless it is begun already."""
        asked = self.asked
        self._fingerprint = self._fingerprint or fingerprint(self.model)
        parts = open_parts(folder, source, self._fingerprint, asdict(asked))
        plan = begun_plan(parts) or plan or self._plan(source, placed)
        if plan.whole and not placed:
            return self._photo(item, source, plan)
        if asked.binary or asked.adaptive is not None:
            name = "binary" if asked.binary else "adaptive"
            raise InputError(f"{name} is of images in one window, and {item.path} is a scene; leave it out")
        answer_into(parts, self.model, source, plan, asked.convention)
        place = read_place(item.path) if placed else None
        return write_scene(parts, self.folder, item.name, self.model.task, source, place, asked.convention, asked.cog)

    def _objects(self, item: Item, source: FileSource, placed: bool, written: list[Path]) -> Iterator[Path]:
        """Of the maps of classes that were written, what else is asked for."""
        for task, path in maps_of_classes(written, self.folder, self.model.task):
            if self.asked.polygons:
                yield write_polygons(place_in(self.folder, POLYGONS, item.name, ".geojson"), path, task)
            if self.asked.objects:
                place = read_place(item.path) if placed else None
                labels = task.read(path)
                yield write_objects(place_in(self.folder, OBJECTS, item.name, ".csv"), labels, task, source, place)

    def _photo(self, item: Item, source: FileSource, plan: Plan) -> list[Path]:
        """At once: what is one window."""
        asked, model = self.asked, self.model
        image = source.read(range(source.height), range(source.width))
        held = ArraySource(image, source.header.nodata)
        _, views, measured = look(model, held, plan, plan.tiling.block(0))
        with torch.inference_mode():
            encoded = encode_views(model, views)
            answers = encoded.answers(None, asked.probabilities and not asked.binary, asked.adaptive, asked.binary)
        if not asked.binary:
            answers = without(model, answers, measured)
        shown = view_of(image, model.config.ranges)
        return write_dense(self.folder, item.name, shown, answers, model.task, asked.convention)
