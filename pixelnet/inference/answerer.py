"""One image from its file to its answers' files: source -> windows -> model -> sink.

A photo goes in three steps, which `stream` takes at once for several: `read`, `see`, `write`. What is no photo, as it
is of many windows or has a place on the ground, is answered by way of parts: `answer`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pixelnet.data.images import view_of
from pixelnet.errors import InputError
from pixelnet.inference.answers import (
    POINTS,
    PROBABILITIES,
    USUAL,
    VIEW,
    confidence_of,
    place_in,
    write_dense,
    write_table,
)
from pixelnet.inference.budget import parse_bytes
from pixelnet.inference.encoded import encode_batch, points_inside
from pixelnet.inference.inputs import Item, page_name
from pixelnet.inference.objects import (
    OBJECTS,
    POLYGONS,
    maps_of_classes,
    require_held,
    splitters,
    write_objects,
    write_polygons,
)
from pixelnet.inference.parts import HOME, Parts, only_process
from pixelnet.inference.scene import Look, Plan, Planner, answer_points, look, without
from pixelnet.inference.sinks import (
    CONFIDENCE,
    answer_into,
    begun_plan,
    fingerprint,
    open_parts,
    write_preview,
    write_scene,
    write_stack,
)
from pixelnet.inference.source import ArraySource, FileSource, Source
from pixelnet.memory import resident_bytes, usual_bytes
from pixelnet.model import PixelNet
from pixelnet.rasters.geotiff import rasterio, read_place
from pixelnet.rasters.ground import Area, OnGround, on_ground, pixel_area
from pixelnet.rasters.guard import is_zarr
from pixelnet.rasters.omezarr import require_label_group
from pixelnet.rasters.vectors import packages


@dataclass(frozen=True)
class Asked:
    """What is asked for, of every image; see `predict_files`."""

    normals: str | None = None
    adaptive: float | None = None
    binary: bool = False
    flip: bool = False
    axes: str | None = None
    outputs: tuple[str, ...] = USUAL
    scale: float | None = None
    memory: str | int | None = None
    exact: bool = False
    cog: bool = False
    polygons: bool = False
    objects: bool = False
    split: bool = False
    gpkg: bool = False
    precision: str = "no"
    label_group: str | None = None

    @property
    def probabilities(self) -> bool:
        return PROBABILITIES in self.outputs

    @property
    def distributions(self) -> bool:
        """Whether classes are answered by distributions: to be written, or for how sure objects are."""
        return self.probabilities or self.objects

    @property
    def convention(self) -> str:
        return self.normals or "pixelnet"

    def noted(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"outputs": list(self.outputs)}


class Photo(NamedTuple):
    """An image of one window, read and ready to be seen.

    points: (P, 2), those that are asked for; None for all. area: of a pixel, where objects are asked for.
    """

    item: Item
    image: ArraySource
    look: Look
    points: np.ndarray | None
    area: Area | None

    @property
    def form(self) -> Any:
        """Images of one form can be seen in one pass."""
        return tuple((view.seen.shape, view.zoom) for view in self.look.views)

    @property
    def pixels(self) -> int:
        """How many are seen."""
        return self.look.views[0].seen[0].numel()


Answers = dict[str, np.ndarray]


class Answerer:
    """Answers for images by one model, into a folder. points: (P, 2), or None for every pixel."""

    def __init__(self, model: PixelNet, folder: Path, points: np.ndarray | None, asked: Asked) -> None:
        self.model, self.folder, self.points, self.asked = model, folder, points, asked
        memory = parse_bytes(str(asked.memory)) if asked.memory is not None else usual_bytes()
        self._planner = Planner(model, asked.scale, memory, asked.exact, resident_bytes())
        self._fingerprint = ""

    def read(self, item: Item) -> Photo | None:
        """An image, if it is a photo; None of any other, which `answer` is for. From any thread.

        Raises InputError for an image that cannot be answered.
        """
        if self.asked.label_group is not None and (item.pages > 1 or item.archive is not None):
            raise InputError(f"{item.path} is one of a stack or an archive; label groups are of OME-Zarr images here")
        if item.pages > 1:
            return None
        with self._opened(item) as (source, ground):
            labels = self.asked.label_group is not None
            if ground or labels or is_zarr(source.path) or place_in(self.folder, HOME, item.name, "").exists():
                return None
            plan = self._planner.whole(*self._to_plan(item, source, ground))
            if plan is None:
                return None
            image = ArraySource(source.read(range(source.height), range(source.width)), source.header.nodata)
            points = None if self.points is None else points_inside(self.points, source.width, source.height)
            return Photo(item, image, look(self.model, image, plan, plan.tiling.block(0)), points, self._area(source))

    @torch.inference_mode()
    def see(self, photos: Sequence[Photo]) -> list[Answers]:
        """What photos of one form show, by task."""
        asked, found = self.asked, []
        for photo, encoded in zip(photos, encode_batch(self.model, [one.look.views for one in photos]), strict=True):
            if photo.points is not None:
                found.append(encoded.answers(photo.points))
                continue
            answers = encoded.answers(None, asked.distributions and not asked.binary, asked.adaptive, asked.binary)
            found.append(answers if asked.binary else without(self.model, answers, photo.look.measured))
        return found

    def write(self, photo: Photo, answers: Answers) -> list[Path]:
        """Returns the files written. From any thread. Raises InputError for what cannot be written."""
        asked, task, name = self.asked, self.model.task, photo.item.name
        if photo.points is not None:
            table = place_in(self.folder, POINTS, name, ".csv")
            return [write_table(table, photo.points, answers, task, asked.convention)]
        shown = view_of(photo.image.pixels, self.model.config.ranges, self.model.channels)
        written = write_dense(self.folder, name, shown, answers, task, asked.convention, asked.outputs)
        sure = confidence_of(answers, task) if asked.objects else None
        return [*written, *self._objects(photo.item, photo.image, sure, photo.area, written)]

    def answer(self, item: Item) -> list[Path]:
        """One image, from its file to those of its answers, which it returns.

        Raises InputError for an image that cannot be answered, or that another process answers.
        """
        photo = self.read(item)
        if photo is not None:
            (answers,) = self.see([photo])
            return self.write(photo, answers)
        if item.pages > 1:
            with item.file() as path, only_process(place_in(self.folder, HOME, item.name, "")) as folder:
                return list(self._stack(item, path, folder))
        with self._opened(item) as (source, ground):
            if self.points is not None:
                return [self._answer_points(item, source, self.plan(item, source, ground))]
            with only_process(place_in(self.folder, HOME, item.name, "")) as folder:
                return self._scene(item, source, ground, folder)

    def plan(self, item: Item, source: FileSource, ground: OnGround | None) -> Plan:
        """How an image is to be answered for. ground: where it lies, if its file says so."""
        return self._planner.plan(*self._to_plan(item, source, ground))

    def _to_plan(self, item: Item, source: FileSource, ground: OnGround | None) -> tuple[Any, ...]:
        return source, source.header.dtype, self.asked.flip, self.asked.distributions, ground, str(item.path)

    @contextmanager
    def _opened(self, item: Item) -> Iterator[tuple[FileSource, OnGround | None]]:
        """The image, and its place on the ground, if its file says so."""
        with item.file() as path, FileSource(path, self.model, item.page, self.asked.axes) as source:
            ground = on_ground(path)
            if ground or self.asked.polygons:
                rasterio()  # before the work for what only it can write
            if self.asked.gpkg:
                packages()
            self._require_objects(item, source)
            yield source, ground

    def _answer_points(self, item: Item, source: FileSource, plan: Plan) -> Path:
        points = points_inside(self.points, source.width, source.height)
        answers = answer_points(self.model, source, plan, points)
        table = place_in(self.folder, POINTS, item.name, ".csv")
        return write_table(table, points, answers, self.model.task, self.asked.convention)

    def _scene(self, item: Item, source: FileSource, ground: OnGround | None, folder: Path) -> list[Path]:
        """By way of parts, in a folder of their own."""
        asked = self.asked
        if asked.binary or asked.adaptive is not None:
            name = "binary" if asked.binary else "adaptive"
            raise InputError(f"{name} is of images in one window, and {item.path} is a scene; leave it out")
        if asked.label_group is not None:
            require_label_group(source.path, asked.label_group)  # before the work
        place = read_place(source.path) if ground else None
        parts = self._parts(item, source, ground, folder)
        written = write_scene(
            parts, self.folder, item.name, self.model.task, source, place, asked.convention, asked.cog, asked.outputs,
            asked.label_group,
        )  # fmt: skip
        sure = parts.read(CONFIDENCE, range(source.height)) if asked.objects else None
        written += self._objects(item, source, sure, self._area(source), written)
        parts.remove()
        return written

    def _parts(self, item: Item, source: FileSource, ground: OnGround | None, folder: Path) -> Parts:
        """All answers for an image, in a folder of their own."""
        self._fingerprint = self._fingerprint or fingerprint(self.model)
        parts = open_parts(folder, source, self._fingerprint, self.asked.noted())
        plan = begun_plan(parts) or self.plan(item, source, ground)
        answer_into(parts, self.model, source, plan, self.asked.convention, self.asked.outputs)
        return parts

    def _stack(self, item: Item, path: Path, folder: Path) -> Iterator[Path]:
        """Page by page into parts, from which one file is written; what is for one page, NAME[k], at once."""
        asked, task, pages = self.asked, self.model.task, []
        for k in range(item.pages):
            name = page_name(item.name, k)
            with FileSource(path, self.model, k, asked.axes) as source:
                self._require_objects(item, source)
                parts = self._parts(item, source, None, folder / str(k))
                pages.append(parts)
                if VIEW in asked.outputs:
                    yield from write_preview(parts, self.folder, name, task, source, asked.convention)
                if asked.objects:
                    own, part = next((own, part) for own, part in task.parts.items() if part.categorical)
                    labels, sure = (parts.read(kind, range(source.height)) for kind in (own, CONFIDENCE))
                    table = place_in(self.folder, OBJECTS, name, ".csv")
                    yield write_objects(table, labels, sure, part, source, self._area(source), asked.split)
        yield from write_stack(pages, self.folder, item.name, task, asked.outputs)

    def _require_objects(self, item: Item, source: FileSource) -> None:
        """Raise InputError, before the work, if objects are asked for and cannot be had."""
        if self.asked.objects:
            require_held(source.height * source.width, str(item.path))
        if self.asked.split:
            splitters()

    def _area(self, source: FileSource) -> Area | None:
        return pixel_area(source.path) if self.asked.objects else None

    def _objects(
        self, item: Item, source: Source, confidence: np.ndarray | None, area: Area | None, written: list[Path]
    ) -> list[Path]:
        """Of the maps of classes that were written, what else is asked for."""
        more = []
        for task, path in maps_of_classes(written, self.folder, self.model.task):
            if self.asked.polygons:
                ending = ".gpkg" if self.asked.gpkg else ".geojson"
                more.append(write_polygons(place_in(self.folder, POLYGONS, item.name, ending), path, task))
            if self.asked.objects:
                labels = task.read(path)
                table = place_in(self.folder, OBJECTS, item.name, ".csv")
                assert confidence is not None
                more.append(write_objects(table, labels, confidence, task, source, area, self.asked.split))
        return more
