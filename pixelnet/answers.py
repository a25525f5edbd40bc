"""Answers on disk: a file for programs, a picture for people, or a table of points."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pixelnet.data.images import write_normals
from pixelnet.files import write_atomic, write_npy, write_png
from pixelnet.geometry import convert_normals
from pixelnet.tasks import Joint, Task
from pixelnet.tasks.segmentation import Segmentation

Answers = Mapping[str, np.ndarray]  # by task
SIDE = 640  # pixels, the longer side of a picture in an overview
GAP = 8
LEAST = 0.01  # share of the pixels from which on a class is in the legend


def write_dense(folder: Path, name: str, image: np.ndarray, answers: Answers, task: Task, axes: str) -> list[Path]:
    """Write what an image (H, W, 3) uint8 shows at every pixel.

    Of one task NAME.png (class ids; edge strength in 16 bits; bool as 0 and 255) or NAME.npy (normals float16
    (H, W, 3), values float32), and NAME.view.png; of several NAME.TASK.png or NAME.TASK.npy for each, and an overview
    of all as NAME.view.png. axes: the convention of normals. Returns the files written.
    """
    written = []
    for own, answer in answers.items():
        stem = f"{name}.{own}" if len(task.parts) > 1 else name
        path = folder / (f"{stem}.png" if own in ("segmentation", "edges") else f"{stem}.npy")
        if own == "segmentation":
            write_png(path, answer)
        elif own == "edges":
            lines = answer.dtype == bool
            write_png(path, (answer * (255 if lines else 65535)).round().astype(np.uint8 if lines else np.uint16))
        elif own == "normals":
            write_normals(path, answer, axes)
        else:
            write_npy(path, answer)
        written.append(path)
    view = folder / f"{name}.view.png"
    write_png(view, overview(image, answers, task) if isinstance(task, Joint) else task.paint(*answers.values()))
    return [*written, view]


def write_table(path: Path, points: np.ndarray, answers: Answers, task: Task, axes: str) -> Path:
    """Write CSV of x, y and the answers at points (P, 2): "prediction" of one task, the task's name of several."""
    titles, columns = ["x", "y"], []
    for own, answer in answers.items():
        values = convert_normals(answer, axes) if own == "normals" else answer
        title = own if len(task.parts) > 1 else "prediction"
        titles += ["x_normal", "y_normal", "z_normal"] if own == "normals" else [title]
        columns.append(values.reshape(len(points), -1).astype(np.float64))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    for point, row in zip(points, np.concatenate(columns, axis=1), strict=True):
        writer.writerow([*(f"{value:g}" for value in point), *(f"{value:.6g}" for value in row)])
    write_atomic(path, text.getvalue().encode())
    return path


def overview(image: np.ndarray, answers: Answers, task: Joint) -> np.ndarray:
    """The photo and each answer side by side, with their names and a legend of the classes: uint8 (h, w, 3)."""
    named = {"photo": image} | {name: task.parts[name].paint(answer) for name, answer in answers.items()}
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    font = ImageFont.load_default(16)
    entries = legend(answers["segmentation"], task.parts["segmentation"]) if "segmentation" in answers else []
    line, sheet_width = 28, len(named) * (size[0] + GAP) - GAP
    places, left, lines = [], 0.0, 1
    for name, colour in entries:
        length = font.getlength(name) + 36
        if left + length > sheet_width and left:
            left, lines = 0.0, lines + 1
        places.append((left, lines - 1, name, colour))
        left += length
    sheet = Image.new("RGB", (sheet_width, size[1] + line * (1 + (lines if entries else 0))), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (name, picture) in enumerate(named.items()):
        # Colours of classes have no mean, and thin strokes should stay: only photos are smoothed.
        smooth = name != "segmentation"
        shown = Image.fromarray(picture).resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)
        sheet.paste(shown, (place * (size[0] + GAP), 0))
        pen.text((place * (size[0] + GAP), size[1] + 5), name, "black", font)
    for left, row, name, colour in places:
        top = size[1] + line * (row + 1)
        pen.rectangle((left, top + 6, left + 16, top + 22), colour)
        pen.text((left + 22, top + 5), name, "black", font)
    return np.asarray(sheet)


def legend(labels: np.ndarray, task: Task) -> list[tuple[str, tuple[int, int, int]]]:
    """The classes that take up a share of an image worth naming, largest first, with their colours."""
    assert isinstance(task, Segmentation)
    counts = np.bincount(labels.ravel(), minlength=task.classes)[: task.classes]
    shown = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] >= LEAST * labels.size]
    return [(task.names[i] if task.names else str(i), task.colours[i]) for i in shown]
