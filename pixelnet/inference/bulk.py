"""From image files to files of answers."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from pixelnet.errors import InputError
from pixelnet.files import require_writable
from pixelnet.geometry import convert_normals
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.answers import LABELS, POINTS, PROBABILITIES, USUAL, VIEW, parse_outputs
from pixelnet.inference.fleet import Work, stream_with_ray
from pixelnet.inference.inputs import Archives, Failure, Item, find_pages, image_files, is_many, read_points
from pixelnet.inference.journal import FAILURES, NOTE, Journal, Notes, notes_of, require_same, write_note
from pixelnet.inference.objects import OBJECTS, POLYGONS
from pixelnet.inference.remote import is_place
from pixelnet.inference.sinks import fingerprint
from pixelnet.inference.stream import Result, batch_size_on, stream
from pixelnet.memory import return_freed_memory
from pixelnet.model import PixelNet
from pixelnet.runs.hub import folder_of, load
from pixelnet.runs.processes import Processes

Course = Callable[[Sequence[Item]], Iterable[Result]]  # from images to their answers, in any order
# What an answer does not hang on, to more than rounding.
FREE = ("memory",)

# As tqdm's own, but for a rate that is images a second however slow they are.
PROGRESS = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


def predict(model: PixelNet | str | Path, image: Any, **options: Any) -> Any:
    """What an image shows, or each image of a list: `PixelNet.predict` of a model, its folder or its name.

    A model that is asked often is better loaded once (`pixelnet.load`).
    """
    loaded = load(model) if isinstance(model, str | Path) else model
    return loaded.predict(image, **options)


class Unanswered(InputError):
    """Some images could not be answered, and all others were.

    written: the files of those. failures: the others, which OUT/failures.csv lists as well.
    """

    def __init__(self, outcome: "Outcome", table: Path) -> None:
        failures = outcome.failures
        self.written, self.failures = outcome.written, failures
        super().__init__(
            f"{len(failures)} of {outcome.images} images could not be answered, and {table} says why; the first: "
            f"{failures[0].reason}"
        )


class Outcome(NamedTuple):
    """What came of many images.

    written: the files of the answers, those of before among them. images: how many there are. before: how many of them
    were answered before. failures: those that are not.
    """

    written: list[Path]
    images: int
    before: int
    failures: list[Failure]


def predict_files(
    model: PixelNet | str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    points: str | Path | None = None,
    normals: str | None = None,
    adaptive: float | None = None,
    binary: bool = False,
    flip: bool = False,
    axes: str | None = None,
    keep: Iterable[str | Path] = (),
    *,
    outputs: str | Sequence[str] = USUAL,
    scale: float | None = None,
    memory: str | int | None = None,
    exact: bool = False,
    cog: bool = False,
    polygons: bool = False,
    objects: bool = False,
    split: bool = False,
    gpkg: bool = False,
    label_group: str | None = None,
    batch_size: int | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "no",
    engine: Literal["ray"] | None = None,
    workers: int | None = None,
) -> list[Path]:
    """Answer for images on disk, into a folder.

    An image that does not fit the memory is answered in windows (see `pixelnet.inference.scene`), and if that is
    stopped, the next call goes on from the last whole block. Answers are of the kind that the image is: GeoTIFF for
    GeoTIFF and for TIFF of many windows, with its place, 255 or NaN where nothing was measured, and overviews.

    Of folders, lists and archives the folder of answers notes the model and the options (see
    `pixelnet.inference.journal`): the next call leaves out what is answered already, and one of another model or other
    options is refused. Processes that a launcher started together share the images.

    Args:
        model: a model, which answers on the device that it is on; or its folder or its name.
        inputs: an image, a folder of images, a list of them (.txt, a path in each line, from the list's folder on), an
            archive (.tar, .zip), or several of these; folders within are looked through as well.
        out: the folder; made if it is not there; with an engine perhaps elsewhere, s3://bucket/day or gs://. An
            image's answer is OUT/TASK/relative/NAME.png (or .npy) for each of the model's tasks, and
            OUT/view/relative/NAME.png for people, `relative` being where the image lies in the folder or archive that
            was named, or as its list has it, without ways up and out. OUT/TASK is what `evaluate(predictions=...)`
            reads. A stack in TIFF is answered as one, OUT/TASK/NAME.tif, unless there are points, or it is adaptive,
            binary or in polygons; the images of any other are NAME[0], NAME[1] and so on.
            Two images that differ only in their endings keep these in the names of their answers.
        points: a CSV file of x, y; then only OUT/points/relative/NAME.csv of x, y and the answers is written.
        normals: the convention whose axes normals are written in (geometry.CONVENTIONS); None for x right, y down,
            z into the scene. Pictures for people always look the same.
        adaptive, binary, flip: see `PixelNet.predict`.
        axes: of files that do not say what theirs are: a letter each, such as "ZYX"; see `rasters.read_header`.
        keep: files that no answer may replace; so are the images, and the model's where it is not given as an object.
        outputs: what is written: "labels", the answers of each task; "view", the pictures; "probabilities", of
            segmentation, OUT/probabilities/NAME.npy (or bands of a GeoTIFF), in 16 bits.
        scale: by how much the network sees images magnified, 1 for their own pixels; None for what makes pixels as
            large on the ground as those that the model learnt from, where both are known, else its working size, or 1.
        memory: bytes that the process may come to, or as text, "2GB"; None for 4 GB, or half of what is free.
        exact: windows show all that an answer depends on. Where that is more than 128 pixels around it, by default
            they show so much less that no logit is moved by more than a thousandth of the largest.
        cog: write cloud-optimized GeoTIFF.
        polygons: of segmentation, write OUT/polygons/NAME.geojson as well; see `objects.write_polygons`.
        objects: of segmentation, write OUT/objects/NAME.csv as well; see `objects.write_objects`.
        split: of objects, tell those apart that touch; see `objects.split_touching`.
        gpkg: write polygons as OUT/polygons/NAME.gpkg, a GeoPackage in the image's own CRS, and not as GeoJSON.
        label_group: of OME-Zarr images: write the map of classes into the image as well, as its group labels/NAME, with
            levels as its own (see `omezarr.write_label_group`). One of this name that was not written here is refused.
        batch_size: how many images of one size are seen in one pass, at most; None for 8 on a GPU and 1 on a CPU, where
            more would gain nothing. With 1 the bits of an answer hang on no other image.
        overwrite: begin anew: what the folder notes of another model or other options is taken away.
        device, precision: where, and in which precision, a model that is given by its folder or name sees images; see
            `pixelnet.load`.
        engine: "ray" for actors of Ray Data, on the machines of its cluster (see `pixelnet.inference.fleet`); None for
            this process.
        workers: of an engine: how many actors; None for one a GPU, or where there is none one a core.

    Returns:
        The files of the answers.

    Raises:
        Unanswered: at the end, where some of the images could not be read or have not the model's channels.
        InputError: no image, two of one name, or the only one cannot be read; an answer that would replace an image or
            a file to keep; a convention that is not known, or given for another task; options that `predict` refuses; a
            folder that holds other answers; a disk that is full.
    """
    asked = Asked(
        normals,
        adaptive,
        binary,
        flip,
        axes,
        parse_outputs(outputs),
        scale,
        memory,
        exact,
        cog,
        polygons,
        objects,
        split,
        gpkg,
        precision,
        label_group,
    )
    outcome = answer_files(
        model, inputs, out, asked, points, keep, batch_size, overwrite, device, engine=engine, workers=workers
    )
    if outcome.failures:
        raise Unanswered(outcome, Path(out) / FAILURES)
    return outcome.written


def answer_files(
    model: PixelNet | str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    asked: Asked,
    points: str | Path | None = None,
    keep: Iterable[str | Path] = (),
    batch_size: int | None = None,
    overwrite: bool = False,
    device: str = "auto",
    engine: Literal["ray"] | None = None,
    workers: int | None = None,
) -> Outcome:
    """`predict_files`, which tells more of what came of it, and leaves failures to who asks."""
    return_freed_memory()
    folder = Path(out)
    check_engine(folder, engine, workers, batch_size)
    processes = Processes("cpu" if engine else device)
    if isinstance(model, str | Path):
        keep = [*keep, *(path for path in folder_of(model).iterdir() if path.is_file())]
        model = load(model, device=str(processes.device), precision=asked.precision)
    asked = replace(asked, precision=model.precision)
    check_asked(model, asked, points is not None)
    if asked.label_group is not None and engine is not None:
        raise InputError("label groups are written by this process, not by an engine; leave one of the two out")
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    table = None if points is None else read_points(Path(points))
    with ExitStack() as stack:
        archives: Archives = {}
        stack.callback(_close, archives)
        answers = [folder / name for name in (*model.task.parts, VIEW, POINTS, PROBABILITIES, POLYGONS, OBJECTS)]
        images = image_files(inputs, answers, archives)
        apart = points is not None or asked.binary or asked.adaptive is not None or asked.polygons
        items, failures = find_pages(images, asked.axes, archives, stacks=not apart)
        alone = len(inputs) == 1 and len(images) == 1 and not is_many(inputs[0])
        if alone and failures:
            raise InputError(failures[0].reason)
        spare_files(folder, items, model, points is not None, [*images.values(), *keep, *([points] if points else [])])
        journal, notes = None, stack.enter_context(notes_of(folder))
        many = any(map(is_many, inputs))
        if many or notes.are_there():
            journal = begun(notes, noted(model, asked, table), processes, overwrite, many)
            stack.enter_context(journal.noting())
        if engine is None:
            course = _here(Answerer(model, folder, table, asked), batch_size, journal)
        else:
            course = _with_ray(Work(model, folder, table, asked, batch_size, device), workers, journal)
        own = Outcome([], 0, 0, failures if processes.rank == 0 else [])
        own = _answered(course, items[processes.rank :: processes.world], own, journal, alone)
        parts = processes.gather(own)
        count = len(items) + len({*images.values()} - {item.path for item in items})
        outcome = Outcome(
            [path for part in parts for path in part.written], count, sum(part.before for part in parts),
            [failure for part in parts for failure in part.failures],
        )  # fmt: skip
        if processes.rank == 0 and (outcome.failures or journal is not None):
            notes.write_failures(outcome.failures)
    return outcome


def _close(archives: Archives) -> None:
    for archive in archives.values():
        archive.close()


def check_engine(folder: Path, engine: str | None, workers: int | None, batch_size: int | None) -> None:
    """Raise InputError for options of who answers that do not go together, before anything is loaded."""
    if batch_size is not None and batch_size < 1:
        raise InputError(f"the batch size is {batch_size}; give 1 or more")
    if engine not in (None, "ray"):
        raise InputError(f"there is no engine {engine!r}; give ray, or leave it out")
    if workers is not None and (engine is None or workers < 1):
        what = "they are of an engine; add --engine ray, or leave them out" if engine is None else "give 1 or more"
        raise InputError(f"the workers are {workers}: {what}")
    if engine is None and is_place(folder):
        raise InputError(f"{folder} is elsewhere, where only --engine ray writes; add it, or give a folder here")
    if engine is not None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("--engine ray starts its own processes; call pixelnet without a launcher")


def check_asked(model: PixelNet, asked: Asked, points: bool) -> None:
    """Raise InputError for options that do not go together, or not with the model, before anything is written."""
    if asked.normals is not None and "normals" not in model.task.parts:
        raise InputError(
            f"a convention of normals was given, but the model's task is {model.config.task}; leave it out"
        )
    classes = sum(part.categorical for part in model.task.parts.values())
    if asked.probabilities and (points or classes != 1):
        what = "points were given" if classes else f"the model's task is {model.config.task}"
        raise InputError(
            f"probabilities are of one task of classes, at every pixel, and {what}; leave them out of the outputs"
        )
    model.check_options(points or None, asked.probabilities, asked.adaptive, asked.binary, asked.flip)
    if (asked.polygons or asked.objects) and (points or LABELS not in asked.outputs or not classes):
        raise InputError("polygons and objects are of maps of classes; leave them, or what is in their place, out")
    if asked.split and not asked.objects:
        raise InputError("split is of objects; add --objects, or leave it out")
    if asked.label_group is not None:
        if not re.fullmatch(r"\w[\w.-]*", asked.label_group, re.ASCII):
            raise InputError(f"the label group is {asked.label_group!r}; give a name of letters, digits, ., _ and -")
        if points or classes != 1:
            raise InputError("label groups are maps of one task of classes, at every pixel; leave it out")
    if asked.gpkg and not asked.polygons:
        raise InputError("gpkg is of polygons; add --polygons, or leave it out")
    convert_normals(np.zeros(3), asked.convention)  # an unknown name is refused before anything is written


def noted(model: PixelNet, asked: Asked, table: np.ndarray | None) -> dict[str, Any]:
    """What decides the answers in a folder."""
    options = {name: value for name, value in asked.noted().items() if name not in FREE}
    points = None if table is None else blake2b(table.tobytes(), digest_size=16).hexdigest()
    return {"model": fingerprint(model), "task": model.config.task, "options": options | {"points": points}}


def begun(notes: Notes, about: dict[str, Any], processes: Processes, overwrite: bool, many: bool) -> Journal:
    """The journal of a folder, which goes on or begins anew; of `many` images, the folder notes what answers them."""
    require_writable(notes.folder, folder=True)
    if processes.rank == 0:
        journal = notes.journal()
        if overwrite:
            journal.begin_anew()
        require_same(notes.folder, about)
        if many:
            write_note(notes.folder, about)
    processes.wait()
    return notes.journal(processes.rank)


def _here(answerer: Answerer, batch_size: int | None, journal: Journal | None) -> Course:
    """In this process."""
    if batch_size is None:
        batch_size = batch_size_on(answerer.model.backbone.mean.device)
    return lambda items: stream(answerer, items, batch_size, None if journal is None else journal.note)


def _with_ray(work: Work, workers: int | None, journal: Journal | None) -> Course:
    return lambda items: stream_with_ray(work, items, workers, None if journal is None else journal.note_names)


def _answered(course: Course, items: Sequence[Item], begun: Outcome, journal: Journal | None, alone: bool) -> Outcome:
    """Of some images, all that is not answered yet. alone: of the only image that is named, errors are raised."""
    written, failures, missing = list(begun.written), list(begun.failures), []
    for item in items:
        files = None if journal is None else journal.answered(item)
        written += files or []
        if files is None:
            missing.append(item)
    before = len(items) - len(missing)
    with tqdm(
        total=len(items), initial=before, bar_format=PROGRESS, unit=" image", disable=len(items) < 2
    ) as bar:  # fmt: skip
        for item, found in course(missing):
            bar.update()
            if isinstance(found, InputError):
                if alone and len(items) == 1:
                    raise found
                reason = str(found) if str(item.path) in str(found) else f"{item.path}: {found}"
                failures.append(Failure(str(item.name), item.path, reason))
                continue
            written += found
    return Outcome(written, len(items), before, failures)


def spare_files(folder: Path, items: list[Item], model: PixelNet, table: bool, keep: Iterable[str | Path]) -> None:
    """Raise InputError for answers that would replace a file to keep."""
    kept = {os.path.realpath(path).casefold(): path for path in keep}
    ends = [(own, part.suffix) for own, part in model.task.parts.items()]
    ends += [(VIEW, ".png"), (PROBABILITIES, ".npy"), (POLYGONS, ".geojson"), (OBJECTS, ".csv")]
    ends = [(POINTS, ".csv")] if table else ends
    homes = [(folder / own, os.path.realpath(folder / own), suffix) for own, suffix in ends]
    answers = ((home / f"{item.name}{end}", f"{real}/{item.name}{end}") for item in items for home, real, end in homes)
    notes = ((folder / name, os.path.realpath(folder / name)) for name in (FAILURES, NOTE))
    for answer, real in (*notes, *answers):
        if (path := os.path.normcase(real).casefold()) in kept:
            raise InputError(f"{answer} would be written over {kept[path]}; choose another --out")
