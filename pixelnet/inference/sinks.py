"""Where answers go: as the kind of file that the image came from. GeoTIFF to GeoTIFF, with its place; photo to PNG.

An image of many windows is answered into parts, block by block, and its files are written from them once all are there:
they are the same files however often the work was stopped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from tqdm import tqdm

from pixelnet.config import to_dict
from pixelnet.data.images import view_of
from pixelnet.files import write_npy, write_png
from pixelnet.geometry import convert_normals
from pixelnet.inference.answers import (
    LABELS,
    PROBABILITIES,
    VIEW,
    confidence_of,
    is_distribution,
    likeliest,
    overview,
    place_in,
    write_answer,
)
from pixelnet.inference.parts import Parts
from pixelnet.inference.scene import Plan, ahead, answered
from pixelnet.inference.source import FileSource
from pixelnet.inference.windows import Block, Tiling
from pixelnet.model import PixelNet
from pixelnet.rasters import TIFF
from pixelnet.rasters.geotiff import Map, Place, write_geotiff
from pixelnet.rasters.guard import is_zarr
from pixelnet.rasters.omezarr import write_label_group, write_omezarr
from pixelnet.rasters.tiff import write_pages
from pixelnet.runs.lock import held
from pixelnet.tasks import Task

PREVIEW = 2000  # pixels, the longer side of a scene's picture for people, at most
STRIP = 256  # rows that are in memory at once
CONFIDENCE = "confidence"  # what parts call the probability of the likeliest class
HALF = ("edges", "normals")  # tasks whose values need no more than 16 bits


def fingerprint(model: PixelNet) -> str:
    """A hash of a model's weights and configuration."""
    found = blake2b(repr(sorted(to_dict(model.config).items())).encode(), digest_size=16)
    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().double().numpy().tobytes())
    return found.hexdigest()


def open_parts(folder: Path, source: FileSource, model: str, options: Mapping[str, Any]) -> Parts:
    """The parts of an image's answers, those of before if they are of the same file, model and options.

    model: its fingerprint.
    """
    stat = source.path.stat()
    image = [str(source.path.resolve()), source.page, stat.st_size, stat.st_mtime_ns]
    return Parts(folder, {"image": image, "model": model, "options": dict(options)})


def begun_plan(parts: Parts) -> Plan | None:
    """How the image of some parts was cut, when they were begun."""
    if parts.begun is None:
        return None
    known = dict(parts.begun)
    scale = known.pop("scale")
    return Plan(Tiling(**known.pop("tiling")), None if scale is None else Fraction(scale), **known)


def answer_into(
    parts: Parts, model: PixelNet, source: FileSource, plan: Plan, convention: str, outputs: Sequence[str]
) -> None:
    """Answer for the blocks that are missing among the parts; says on the way how many pixels are done."""
    scale = None if plan.scale is None else str(plan.scale)
    parts.begin(plan.tiling, asdict(plan) | {"scale": scale})
    missing = parts.missing()
    left = sum(plan.tiling.block(number).size for number in missing)
    pixels = plan.tiling.height * plan.tiling.width

    def put(found: tuple[Block, dict[str, np.ndarray]]) -> Block:
        block, answers = found
        parts.put(block.number, _stored(model.task, answers, convention, outputs))
        return block

    with tqdm(total=pixels, initial=pixels - left, unit=" pixels", unit_scale=True, disable=plan.whole) as bar:
        for block in ahead(put, answered(model, source, plan, missing)):
            bar.update(block.size)


def _stored(
    task: Task, answers: Mapping[str, np.ndarray], convention: str, outputs: Sequence[str]
) -> dict[str, np.ndarray]:
    """Answers as parts and files hold them: probabilities, strengths and normals in 16 bits."""
    stored = {}
    for own, answer in answers.items():
        part = task.parts[own]
        if PROBABILITIES in outputs and is_distribution(part, answer):
            stored[PROBABILITIES] = answer.astype(np.float16)
        values = convert_normals(answer, convention) if own == "normals" else likeliest(part, answer)
        stored[own] = values.astype(np.float16) if own in HALF else values
    if (sure := confidence_of(answers, task)) is not None:
        stored[CONFIDENCE] = sure.astype(np.float16)
    return stored


def write_scene(
    parts: Parts, folder: Path, name: PurePath, task: Task, source: FileSource, place: Place | None, convention: str,
    cog: bool, outputs: Sequence[str], label_group: str | None = None,
) -> list[Path]:  # fmt: skip
    """Write what the parts hold, as `write_dense` does, but FOLDER/TASK/NAME.tif of TIFF, and NAME.zarr of Zarr.

    place: where a TIFF's image lies. convention: of normals. cog: a cloud-optimized GeoTIFF. label_group: the name of
    that in the image itself, OME-Zarr, which gets the map of classes, too. Returns the files.
    """
    written = []
    for own, part in _wanted(task, outputs).items():
        if source.path.suffix.lower() in TIFF:
            path = place_in(folder, own, name, ".tif")
            write_geotiff(path, _map(parts, own, part), place, cog)
            written.append(path)
            continue
        if is_zarr(source.path):
            path = place_in(folder, own, name, ".zarr")
            write_omezarr(path, _map(parts, own, part), source.path)
            written.append(path)
            continue
        whole = parts.read(own, range(parts.tiling.height))
        if own == PROBABILITIES:
            path = place_in(folder, own, name, ".npy")
            write_npy(path, whole)
            written.append(path)
        else:
            whole = whole.astype(np.float32) if whole.dtype == np.float16 else whole
            written.append(write_answer(folder, own, name, part, whole))
    written += write_preview(parts, folder, name, task, source, convention) if VIEW in outputs else []
    if label_group is not None:
        own, part = next((own, part) for own, part in task.parts.items() if part.categorical)
        with held(source.path.with_name(f".{source.path.name}.lock")):
            written.append(write_label_group(source.path, label_group, _map(parts, own, part)))
    return written


def _wanted(task: Task, outputs: Sequence[str]) -> dict[str, Task]:
    """The answers that are written, by their folders, and whose they are."""
    wanted = {own: part for own, part in task.parts.items() if LABELS in outputs}
    if PROBABILITIES in outputs:
        wanted[PROBABILITIES] = next(part for part in task.parts.values() if part.categorical)
    return wanted


def write_stack(pages: Sequence[Parts], folder: Path, name: PurePath, task: Task, outputs: Sequence[str]) -> list[Path]:
    """Write what the parts of a stack's images hold: FOLDER/TASK/NAME.tif, a page each. Returns the files."""
    written = []
    for own in _wanted(task, outputs):
        path = place_in(folder, own, name, ".tif")
        write_pages(path, partial(_page, pages, own), len(pages))
        written.append(path)
    for parts in pages:
        parts.remove()
    return written


def _page(pages: Sequence[Parts], own: str, k: int) -> np.ndarray:
    return pages[k].read(own, range(pages[k].tiling.height))


def write_preview(
    parts: Parts, folder: Path, name: PurePath, task: Task, source: FileSource, convention: str
) -> list[Path]:
    """Write the picture for people, FOLDER/view/NAME.png."""
    view = place_in(folder, VIEW, name, ".png")
    write_png(view, _preview(parts, task, source, convention))
    return [view]


def _map(parts: Parts, own: str, part: Task) -> Map:
    sample = parts.read(own, range(1))
    bands = sample.shape[2] if sample.ndim == 3 else 1
    labels = part.categorical and sample.ndim == 2
    nodata = 255 if labels else None if own == "normals" else math.nan
    titles = part.columns() if own == "normals" else part.class_names if sample.ndim == 3 else ()
    colors = getattr(part, "palette", ()) if labels else ()

    def read(rows: range, band: int) -> np.ndarray:
        return parts.read(own, rows, band)

    tiling = parts.tiling
    names = part.class_names if labels else ()
    return Map(tiling.height, tiling.width, bands, sample.dtype, read, nodata, names, colors, titles)


def _preview(parts: Parts, task: Task, source: FileSource, convention: str) -> np.ndarray:
    """A picture for people: of every n-th pixel of every n-th row."""
    height, width = parts.tiling.height, parts.tiling.width
    every = -(-max(height, width) // PREVIEW)
    tops = range(0, height, every * max(1, STRIP // every))
    strips = [range(top, min(top + tops.step, height)) for top in tops]
    answers = {}
    for name in task.parts:
        found = np.concatenate([parts.read(name, rows)[::every, ::every] for rows in strips])
        # Every convention is a change of signs, and so undoes itself.
        found = convert_normals(found.astype(np.float32), convention) if name == "normals" else found
        answers[name] = found
    if len(answers) == 1:
        return task.paint(*answers.values())
    image = np.concatenate([source.read(rows, range(width))[::every, ::every] for rows in strips])
    return overview(view_of(image, source.ranges, source.channels), answers, task)
