"""Answers on disk: a file for programs, a picture for people, or a table of points."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixelnet.config import read_list
from pixelnet.errors import InputError
from pixelnet.files import inside, write_atomic, write_npy, write_png
from pixelnet.geometry import convert_normals
from pixelnet.tasks import Task
from pixelnet.tasks.task import RGB

Answers = Mapping[str, np.ndarray]  # by task
VIEW, POINTS = "view", "points"  # the folders of pictures for people and of tables, beside one for each task
LABELS, PROBABILITIES = "labels", "probabilities"  # what a task's folder holds; the folder of distributions
OUTPUTS = (LABELS, VIEW, PROBABILITIES)
USUAL = (LABELS, VIEW)
SIDE = 640  # pixels, the longer side of a picture in an overview
GAP = 8
LINE = 28  # pixels, of text in an overview


def parse_outputs(outputs: str | Sequence[str]) -> tuple[str, ...]:
    """Which files are wanted, in their usual order. Raises InputError for what is none."""
    wanted = read_list(outputs, "--outputs") if isinstance(outputs, str) else list(outputs)
    if not wanted or set(wanted) - set(OUTPUTS):
        raise InputError(f"the outputs are {', '.join(wanted) or 'none'}; give some of {', '.join(OUTPUTS)}")
    return tuple(name for name in OUTPUTS if name in wanted)


def write_dense(
    folder: Path, name: PurePath, image: np.ndarray, answers: Answers, task: Task, axes: str,
    outputs: Sequence[str] = USUAL,
) -> list[Path]:  # fmt: skip
    """Write what an image (H, W, 3) uint8 shows at every pixel.

    Of labels, FOLDER/TASK/NAME.png or .npy for each task, as the task writes it; of probabilities,
    FOLDER/probabilities/NAME.npy; of view, FOLDER/view/NAME.png: the picture of one task, an overview of several.

    Args:
        answers: by task; of probabilities, distributions.
        axes: the convention of normals.
        outputs: which of these.

    Returns the files written.
    """
    written = []
    for own, answer in answers.items():
        part = task.parts[own]
        if PROBABILITIES in outputs and is_distribution(part, answer):
            path = place_in(folder, PROBABILITIES, name, ".npy")
            write_npy(path, answer.astype(np.float16))
            written.append(path)
        if LABELS in outputs:
            values = convert_normals(answer, axes) if own == "normals" else likeliest(part, answer)
            written.append(write_answer(folder, own, name, part, values))
    if VIEW in outputs:
        view = place_in(folder, VIEW, name, ".png")
        shown = [likeliest(task.parts[own], answer) for own, answer in answers.items()]
        write_png(view, overview(image, answers, task) if len(answers) > 1 else task.paint(*shown))
        written.append(view)
    return written


def write_answer(folder: Path, own: str, name: PurePath, task: Task, answer: np.ndarray) -> Path:
    """Write a task's answer (H, W) or (H, W, L) into FOLDER/OWN, as the task writes it."""
    path = place_in(folder, own, name, task.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A picture has no number for what is not known.
    task.write(path, np.nan_to_num(answer) if task.suffix == ".png" and answer.dtype.kind == "f" else answer)
    return path


def place_in(folder: Path, kind: str, name: PurePath, suffix: str) -> Path:
    """FOLDER/KIND/NAME with its ending. Raises InputError if a link lies on the way, which might lead elsewhere."""
    return inside(folder, kind, str(name.with_name(name.name + suffix)))


def write_table(path: Path, points: np.ndarray, answers: Answers, task: Task, axes: str) -> Path:
    """Write CSV of x, y and the answers at points (P, 2), under the titles that their tasks give."""
    titles, columns = ["x", "y"], []
    for own, answer in answers.items():
        titles += task.parts[own].columns()
        values = convert_normals(answer, axes) if own == "normals" else answer
        columns.append(values.reshape(len(points), -1).astype(np.float64))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    for point, row in zip(points, np.concatenate(columns, axis=1), strict=True):
        writer.writerow([*(f"{value:g}" for value in point), *(f"{value:.6g}" for value in row)])
    write_atomic(path, text.getvalue().encode())
    return path


def overview(image: np.ndarray, answers: Answers, task: Task) -> np.ndarray:
    """The photo and each answer side by side, with their names and a legend of the classes: uint8 (h, w, 3)."""
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    font = ImageFont.load_default(16)
    sheet_width = (1 + len(answers)) * (size[0] + GAP) - GAP
    answers = {own: likeliest(task.parts[own], answer) for own, answer in answers.items()}
    entries = [entry for own, answer in answers.items() for entry in task.parts[own].legend(answer)]
    rows = _rows(entries, font, sheet_width)
    sheet = Image.new("RGB", (sheet_width, size[1] + LINE * (1 + len(rows))), "white")
    pen = ImageDraw.Draw(sheet)
    pictures = [("photo", image, True)]
    # Colors of classes have no mean, and thin strokes should stay: only the others are smoothed.
    pictures += [
        (own, task.parts[own].paint(answer), not task.parts[own].categorical) for own, answer in answers.items()
    ]
    for place, (name, picture, smooth) in enumerate(pictures):
        thumbnail = Image.fromarray(picture).resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)
        sheet.paste(thumbnail, (place * (size[0] + GAP), 0))
        pen.text((place * (size[0] + GAP), size[1] + 5), name, "black", font)
    for number, row in enumerate(rows, start=1):
        top = size[1] + LINE * number
        for left, name, color in row:
            pen.rectangle((left, top + 6, left + 16, top + 22), color)
            pen.text((left + 22, top + 5), name, "black", font)
    return np.asarray(sheet)


def is_distribution(task: Task, answer: np.ndarray) -> bool:
    """Whether an answer is (H, W, K), of each class how likely it is."""
    return task.categorical and answer.ndim == 3


def likeliest(task: Task, answer: np.ndarray) -> np.ndarray:
    """Class ids (H, W) of an answer that is a distribution (H, W, K), unlabelled where that is NaN; others as is."""
    if not is_distribution(task, answer):
        return answer
    found = answer.argmax(axis=2).astype(np.uint8)
    found[np.isnan(answer[..., 0])] = task.unlabelled
    return found


def confidence_of(answers: Answers, task: Task) -> np.ndarray | None:
    """The probability (H, W) of the likeliest class, of the answers of which one is a distribution; None of others."""
    distributions = (own for name, own in answers.items() if is_distribution(task.parts[name], own))
    return next((own.max(axis=2) for own in distributions), None)


def _rows(
    entries: list[tuple[str, RGB]], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[list[tuple[float, str, RGB]]]:
    """A legend's entries in rows no wider than the sheet, each with the place of its left edge."""
    rows: list[list[tuple[float, str, RGB]]] = []
    left = float(width)
    for name, color in entries:
        length = font.getlength(name) + 36
        if left + length > width:
            rows.append([])
            left = 0.0
        rows[-1].append((left, name, color))
        left += length
    return rows
