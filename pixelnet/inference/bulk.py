"""From image files to files of answers."""

import csv
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from tqdm import tqdm

from pixelnet.data.images import to_array
from pixelnet.errors import InputError
from pixelnet.geometry import convert_normals
from pixelnet.inference.answers import POINTS, VIEW, write_dense, write_table
from pixelnet.memory import keep_freed_memory
from pixelnet.model import PixelNet
from pixelnet.rasters import IMAGE_EXTENSIONS
from pixelnet.runs.hub import load

# As tqdm's own, but for a rate that is images a second however slow they are.
PROGRESS = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


def predict(model: PixelNet | str | Path, image: Any, **options: Any) -> Any:
    """What an image shows, or each image of a list: `PixelNet.predict` of a model, its folder or its name.

    A model that is asked often is better loaded once (`pixelnet.load`).
    """
    loaded = load(model) if isinstance(model, str | Path) else model
    return loaded.predict(image, **options)


def predict_files(
    model: PixelNet | str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    points: str | Path | None = None,
    normals: str | None = None,
    adaptive: float | None = None,
    binary: bool = False,
    flip: bool = False,
) -> list[Path]:
    """Answer for images on disk, into a folder.

    Args:
        model: a model, its folder or its name.
        inputs: an image or a folder of images, or several; folders within are looked through as well.
        out: the folder; made if it is not there. An image's answer is OUT/TASK/relative/NAME.png (or .npy) for each of
            the model's tasks, and OUT/view/relative/NAME.png for people, `relative` being where the image lies in the
            folder that was named. OUT/TASK is what `evaluate(predictions=...)` reads.
        points: a CSV file of x, y; then only OUT/points/relative/NAME.csv of x, y and the answers is written.
        normals: the convention whose axes normals are written in (geometry.CONVENTIONS); None for x right, y down,
            z into the scene. Pictures for people always look the same.
        adaptive, binary, flip: see `PixelNet.predict`.

    Returns:
        The files written.

    Raises:
        InputError: no image, two of one name, or one that cannot be read, and what was written before stays; a
            convention that is not known, or given for another task; options that `predict` refuses.
    """
    model = load(model) if isinstance(model, str | Path) else model
    inputs = [inputs] if isinstance(inputs, str | Path) else inputs
    if normals is not None and "normals" not in model.task.parts:
        raise InputError(
            f"a convention of normals was given, but the model's task is {model.config.task}; leave it out"
        )
    model.check_options(points, False, adaptive, binary, flip)
    keep_freed_memory()
    axes = normals or "pixelnet"
    convert_normals(np.zeros(3), axes)  # an unknown name is refused before anything is written
    folder = Path(out)
    images = image_files(inputs, [folder / name for name in (*model.task.parts, VIEW, POINTS)])
    wanted = None if points is None else read_points(Path(points))
    written: list[Path] = []
    for name, path in tqdm(images.items(), bar_format=PROGRESS, unit=" image", disable=len(images) < 2):
        image = to_array(path)
        encoded = model.encode(image, flip)
        if wanted is not None:
            answers = encoded.answers(wanted)
            written.append(write_table(folder / POINTS / f"{name}.csv", wanted, answers, model.task, axes))
        else:
            answers = encoded.answers(adaptive=adaptive, binary=binary)
            written += write_dense(folder, name, image, answers, model.task, axes)
    return written


def image_files(inputs: Iterable[str | Path], answers: Iterable[Path] = ()) -> dict[PurePath, Path]:
    """The images that are named, and those in the folders that are named: by what their answers are called.

    That is where an image lies in its folder, without its ending: relative/NAME. Hidden files and folders are passed
    over, and so are the folders of answers. Raises InputError for two images of one such name, one that lies among
    the answers, and where there is none.
    """
    taken = [folder.resolve() for folder in answers]

    def is_answer(path: Path) -> bool:
        return any(path.resolve().is_relative_to(folder) for folder in taken)

    found: dict[PurePath, Path] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            images = [path for path in sorted(given.rglob("*")) if _is_image(path, given)]
            if not images:
                raise InputError(f"{given} holds no image ({', '.join(sorted(IMAGE_EXTENSIONS))})")
            here = [path for path in images if not is_answer(path)] or images[:1]  # which is then named
        elif given.is_file():
            here = [given]
        else:
            raise InputError(f"{given} is not there; give images, or folders of images")
        for path in here:
            if is_answer(path):
                raise InputError(f"{path} lies where answers are written, which would replace it; choose another --out")
            relative = path.relative_to(given) if given.is_dir() else Path(path.name)
            name = relative.with_name(relative.stem)
            if found.setdefault(name, path) != path:
                raise InputError(
                    f"{found[name]} and {path} would both be written as {name}; rename one, or predict them apart"
                )
    if not found:
        raise InputError("no image was given; name images, or folders of images")
    return found


def _is_image(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in IMAGE_EXTENSIONS and not hidden and not path.is_dir()


def read_points(path: Path) -> np.ndarray:
    """(P, 2) from a CSV file of x, y, with or without a line of titles."""
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if row]
    except (OSError, UnicodeDecodeError) as error:
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
