"""From image files to files of answers."""

import csv
import io
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from pixelnet.errors import InputError
from pixelnet.files import read_text, write_atomic
from pixelnet.geometry import convert_normals
from pixelnet.inference.answerer import Answerer, Asked, Item
from pixelnet.inference.answers import POINTS, VIEW
from pixelnet.inference.objects import OBJECTS, POLYGONS
from pixelnet.memory import keep_freed_memory
from pixelnet.model import PixelNet
from pixelnet.rasters import IMAGE_EXTENSIONS, check_axes, is_image, read_header
from pixelnet.runs.checkpoint import is_model
from pixelnet.runs.hub import folder_of, load, shipped

STACKS = (".tif", ".tiff", ".gif", ".npy", ".zarr")  # endings of files that may hold many images
FAILURES = "failures.csv"

# As tqdm's own, but for a rate that is images a second however slow they are.
PROGRESS = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


def predict(model: PixelNet | str | Path, image: Any, **options: Any) -> Any:
    """What an image shows, or each image of a list: `PixelNet.predict` of a model, its folder or its name.

    A model that is asked often is better loaded once (`pixelnet.load`).
    """
    loaded = load(model) if isinstance(model, str | Path) else model
    return loaded.predict(image, **options)


class Failure(NamedTuple):
    """An image that could not be answered: what its answers would have been called, its file, and why."""

    name: str
    file: Path
    reason: str


class Unanswered(InputError):
    """Some images could not be answered, and all others were.

    written: the files of those. failures: the others, which OUT/failures.csv lists as well.
    """

    def __init__(self, written: list[Path], failures: list[Failure], images: int, table: Path) -> None:
        self.written, self.failures = written, failures
        super().__init__(
            f"{len(failures)} of {images} images could not be answered, and {table} says why; the first: "
            f"{failures[0].reason}"
        )


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
    probabilities: bool = False,
    scale: float | None = None,
    memory: str | int | None = None,
    exact: bool = False,
    cog: bool = False,
    polygons: bool = False,
    objects: bool = False,
) -> list[Path]:
    """Answer for images on disk, into a folder.

    An image that does not fit the memory is answered in windows (see `pixelnet.inference.scene`), and if that is
    stopped, the next call goes on from the last whole block. Answers are of the kind that the image is: GeoTIFF for
    GeoTIFF and for TIFF of many windows, with its place, 255 or NaN where nothing was measured, and overviews.

    Args:
        model: a model, its folder or its name.
        inputs: an image or a folder of images, or several; folders within are looked through as well.
        out: the folder; made if it is not there. An image's answer is OUT/TASK/relative/NAME.png (or .npy) for each of
            the model's tasks, and OUT/view/relative/NAME.png for people, `relative` being where the image lies in the
            folder that was named. OUT/TASK is what `evaluate(predictions=...)` reads. The images of a stack are
            NAME[0], NAME[1] and so on.
        points: a CSV file of x, y; then only OUT/points/relative/NAME.csv of x, y and the answers is written.
        normals: the convention whose axes normals are written in (geometry.CONVENTIONS); None for x right, y down,
            z into the scene. Pictures for people always look the same.
        adaptive, binary, flip: see `PixelNet.predict`.
        axes: of files that do not say what theirs are: a letter each, such as "ZYX"; see `rasters.read_header`.
        keep: files that no answer may replace; so are the images, and the model's where it is not given as an object.
        probabilities: write distributions (.npy or bands of a GeoTIFF, 16 bits) in place of classes.
        scale: by how much the network sees images magnified, 1 for their own pixels; None for the model's working size,
            or 1 where it has none.
        memory: bytes that the process may come to, or as text, "2GB"; None for 4 GB, or half of what is free.
        exact: windows show all that an answer depends on. Where that is more than 128 pixels around it, by default
            they show so much less that no logit is moved by more than a thousandth of the largest.
        cog: write cloud-optimized GeoTIFF.
        polygons: of segmentation, write OUT/polygons/NAME.geojson as well; see `objects.write_polygons`.
        objects: of segmentation, write OUT/objects/NAME.csv as well; see `objects.write_objects`.

    Returns:
        The files written.

    Raises:
        Unanswered: at the end, where some of the images could not be read or have not the model's channels.
        InputError: no image, two of one name, or the only one cannot be read; an answer that would replace an image or
            a file to keep; a convention that is not known, or given for another task; options that `predict` refuses.
    """
    if isinstance(model, str | Path):
        keep = [*keep, *(path for path in folder_of(model).iterdir() if path.is_file())]
        model = load(model)
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if normals is not None and "normals" not in model.task.parts:
        raise InputError(
            f"a convention of normals was given, but the model's task is {model.config.task}; leave it out"
        )
    model.check_options(points, probabilities, adaptive, binary, flip)
    if (polygons or objects) and (probabilities or points is not None or "segmentation" not in model.task.parts):
        raise InputError("polygons and objects are of maps of classes; leave them, or what is in their place, out")
    convention = normals or "pixelnet"
    convert_normals(np.zeros(3), convention)  # an unknown name is refused before anything is written
    asked = Asked(convention, adaptive, binary, flip, axes, probabilities, scale, memory, exact, cog, polygons, objects)
    answerer = Answerer(model, Path(out), None if points is None else read_points(Path(points)), asked)
    keep_freed_memory()
    folder = Path(out)
    images = image_files(inputs, [folder / name for name in (*model.task.parts, VIEW, POINTS, POLYGONS, OBJECTS)])
    items, failures = find_pages(images, axes)
    alone = len(inputs) == 1 and len(images) == 1 and list(images.values()) == [Path(inputs[0])]
    if alone and failures:
        raise InputError(failures[0].reason)
    spare_files(folder, items, model, points is not None, [*images.values(), *keep, *([points] if points else [])])
    written: list[Path] = []
    for item in tqdm(items, bar_format=PROGRESS, unit=" image", disable=len(items) < 2):
        try:
            written += answerer(item)
        except InputError as error:
            if alone and len(items) == 1:
                raise
            reason = str(error) if str(item.path) in str(error) else f"{item.path}: {error}"
            failures.append(Failure(str(item.name), item.path, reason))
    if failures:
        count = len(items) + len({*images.values()} - {item.path for item in items})
        raise Unanswered(written, failures, count, write_failures(folder / FAILURES, failures))
    return written


def model_and_images(inputs: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """What `predict` is given: a model, or None where none is named, and the images.

    The first is a model if it is a model's folder, or has the name of one that ships and images follow it (a folder
    of images of that name is ./NAME). If it is something else on disk, or is called as an image is, it is an image; if
    it is neither, the name of a model.
    """
    if not inputs:
        return None, inputs
    first = Path(inputs[0])
    a_model = is_model(first) or (len(inputs) > 1 and inputs[0] in shipped())
    an_image = first.exists() or first.suffix.lower() in IMAGE_EXTENSIONS
    if an_image and not a_model:
        return None, inputs
    return inputs[0], inputs[1:]


def find_pages(images: Mapping[PurePath, Path], axes: str | None) -> tuple[list[Item], list[Failure]]:
    """The images in files that may hold many, and the files whose headers cannot be read."""
    if axes is not None:
        check_axes(axes)
    items, failures = [], []
    for name, path in images.items():
        pages = 1
        if path.suffix.lower() in STACKS:
            try:
                pages = read_header(path, axes).pages
            except InputError as error:
                failures.append(Failure(str(name), path, str(error)))
                continue
        names = [name] if pages == 1 else [name.with_name(f"{name.name}[{page}]") for page in range(pages)]
        items += [Item(own, path, page) for page, own in enumerate(names)]
    check_names((item.name, item.path) for item in items)
    return items, failures


def check_names(named: Iterable[tuple[PurePath, Path]]) -> None:
    """Raise InputError for two images whose answers would be one file, as some systems tell no a from A."""
    found: dict[str, Path] = {}
    for name, path in named:
        other = found.setdefault(unicodedata.normalize("NFC", str(name)).casefold(), path)
        if other != path:
            raise InputError(f"{other} and {path} would both be written as {name}; rename one, or predict them apart")


def spare_files(folder: Path, items: list[Item], model: PixelNet, table: bool, keep: Iterable[str | Path]) -> None:
    """Raise InputError for answers that would replace a file to keep."""
    kept = {os.path.realpath(path).casefold(): path for path in keep}
    ends = [(own, part.suffix) for own, part in model.task.parts.items()]
    ends = [(POINTS, ".csv")] if table else [*ends, (VIEW, ".png"), (POLYGONS, ".geojson"), (OBJECTS, ".csv")]
    answers = (folder / own / f"{item.name}{suffix}" for item in items for own, suffix in ends)
    for answer in (folder / FAILURES, *answers):
        if (path := os.path.realpath(answer).casefold()) in kept:
            raise InputError(f"{answer} would be written over {kept[path]}; choose another --out")


def write_failures(path: Path, failures: Iterable[Failure]) -> Path:
    """CSV of name, file, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Failure._fields)
    writer.writerows(failures)
    write_atomic(path, text.getvalue().encode(errors="backslashreplace"))
    return path


def image_files(inputs: Iterable[str | Path], answers: Iterable[Path] = ()) -> dict[PurePath, Path]:
    """The images that are named, and those in the folders that are named: by what their answers are called.

    That is where an image lies in its folder, without its ending: relative/NAME. Hidden files and folders are passed
    over, and so are the folders of answers. Raises InputError for two images of one such name, one that lies among
    the answers, and where there is none.
    """
    taken = [folder.resolve() for folder in answers]

    def is_answer(path: Path) -> bool:
        return any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in taken)

    found: dict[PurePath, Path] = {}
    for given in map(Path, inputs):
        within = given.is_dir() and not is_image(given)
        if within:
            images = images_in(given)
            if not images:
                raise InputError(f"{given} holds no image ({', '.join(sorted(IMAGE_EXTENSIONS))})")
            here = [path for path in images if not is_answer(path)] or images[:1]  # which is then named
        elif given.exists():
            here = [given]
        else:
            raise InputError(f"{given} is not there; give images, or folders of images")
        for path in here:
            if is_answer(path):
                raise InputError(f"{path} lies where answers are written, which would replace it; choose another --out")
            relative = path.relative_to(given) if within else Path(path.name)
            name = relative.with_name(relative.stem)
            check_names([(name, found.get(name, path)), (name, path)])
            found[name] = path
    if not found:
        raise InputError("no image was given; name images, or folders of images")
    check_names(found.items())
    return found


def images_in(folder: Path) -> list[Path]:
    """The images in a folder and those within it, but for hidden ones and what macOS leaves beside them.

    An array (.npy) beside a picture of its name is something about that picture, and no other image.
    """
    found = []
    for here, folders, files in os.walk(folder):
        paths = [Path(here, name) for name in (*folders, *files)]
        folders[:] = [path.name for path in paths[: len(folders)] if _is_searched(path)]
        images = [path for path in paths if is_image(path)]
        pictures = {path.stem for path in images if path.suffix.lower() != ".npy"}
        found += [path for path in images if path.suffix.lower() != ".npy" or path.stem not in pictures]
    return sorted(found)


def _is_searched(folder: Path) -> bool:
    return not folder.name.startswith(".") and folder.name != "__MACOSX" and not is_image(folder)


def read_points(path: Path) -> np.ndarray:
    """(P, 2) from a CSV file of x, y, with or without a line of titles."""
    try:
        rows = [row for row in csv.reader(read_text(path).splitlines()) if row]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["x", "y"]:
        rows = rows[1:]
    try:
        table = np.array([[float(row[0]), float(row[1])] for row in rows], np.float32)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}; each line is x,y in pixels") from error
    if not len(table) or not np.isfinite(table).all():
        raise InputError(f"{path} holds no points, or some that are not finite; each line is x,y in pixels")
    return table
