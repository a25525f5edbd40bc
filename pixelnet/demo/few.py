"""A few labelled pixels: models fitted in seconds, of a photograph and of scenes."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from pixelnet.data import open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import UNLABELLED, Dataset
from pixelnet.data.table import PointTable
from pixelnet.demo.photographs import FOLDER, POINTS
from pixelnet.demo.pictures import Color, labels_as_dots
from pixelnet.learning.fit import Fitted, fit_noted
from pixelnet.learning.told import judged, told
from pixelnet.points import make_sampler
from pixelnet.report import page
from pixelnet.report.page import Picture

FITTING: dict[str, Any] = {"seconds": 6.0}  # of the photograph
FEATURES = "edges@2+filters"  # of the scenes, for which there is no time to choose
SCENES, LABELLED, ASKED = "scenes", 4, 4  # how many scenes are labelled, and how many others are answered
POINTS_EACH = 60  # of a labelled scene

WHY = (
    "With few labels nothing of a network is changed: the networks that ship, and simple filters, describe a pixel, "
    "and only what is read from that is learnt. Which of them serve, and how closely to believe the labels, is chosen "
    "by folds that hold labels out."
)
OTHERS = (
    "One photograph cannot say how well the next will do. Several images can: of four generated scenes a few pixels "
    "are labelled, and what came of them answers for scenes that it has not seen."
)


def part(folder: Path, seconds: float) -> str:
    """The card of both fits; of the first alone, where that took the time already.

    The table of points is the one in the demo's folder.
    """
    end = perf_counter() + seconds
    parts = _photograph(folder)
    if perf_counter() < end:
        parts += _scenes()
    return page.section("A few labelled pixels", page.paragraph(WHY), *parts)


def _photograph(folder: Path) -> list[str]:
    table = PointTable(folder / POINTS, folder / FOLDER)
    fitted, seconds = _fitted(table, FITTING)
    image = table.image(0)
    answer = Picture(fitted.model.task.paint(fitted.model.predict(image)), "What it says of every pixel.", "photo")
    report = told(fitted, {"data": FOLDER, "labels": POINTS, "out": "quick", **FITTING}).splitlines()[:-1]
    return [
        page.heading(f"{fitted.labels} clicks on a photograph, fitted in {seconds:.0f} seconds"),
        page.figures([_dots("What was labelled.", table, 0, fitted), answer]),
        _legend(fitted),
        page.paragraph("What pixelnet fit says of it:"),
        page.command("\n".join(report)),  # but for its last line, where the model is: it is kept in memory alone
    ]


def _scenes() -> list[str]:
    few = sparse(open_dataset(SCENES, "segmentation", "train"))
    fitted, seconds = _fitted(few, {"features": FEATURES})
    others = open_dataset(SCENES, "segmentation", "val")
    paint = fitted.model.task.paint
    rows, right = [], []
    for item in range(min(ASKED, len(others))):
        image, truth = others.image(item), others.labels(item)
        found = fitted.model.predict(image)
        right.append((found == truth)[truth != UNLABELLED].mean())
        rows.append(
            [
                Picture(image, f"Scene {others.names[item]}", "photo"),
                Picture(paint(truth), f"True classes of {others.names[item]}"),
                Picture(paint(found), f"What it says of {others.names[item]}"),
            ]
        )
    return [
        page.heading(f"{fitted.labels} pixels of {len(few)} scenes, fitted in {seconds:.0f} seconds"),
        page.paragraph(OTHERS),
        page.figures([_dots(f"Labelled scene {item + 1}.", few, item, fitted) for item in range(min(2, len(few)))]),
        _legend(fitted),
        page.comparison(("Another scene", "Truth", "Answer"), rows),
        page.paragraph(
            f"What pixelnet fit says of it, from its labels alone: {judged(fitted.choice, fitted.blocks)}. Of all "
            f"pixels of the scenes above, {np.mean(right):.0%} are right."
        ),
    ]


def sparse(data: Dataset) -> Dataset:
    """The first images of a data set, with the labels of a few of their pixels, as many of each class."""
    pairs = []
    for item in range(min(LABELLED, len(data))):
        labels = data.labels(item)
        draw = make_sampler("stratified", POINTS_EACH)
        points = draw(labels != UNLABELLED, np.random.default_rng(item), labels, None).points.astype(int)
        own = np.full_like(labels, UNLABELLED)
        own[points[:, 1], points[:, 0]] = labels[points[:, 1], points[:, 0]]
        pairs.append((data.image(item), own))
    few = Arrays(pairs, "segmentation", data.class_names)
    few.class_colors = data.class_colors
    return few


def _fitted(data: Dataset, options: dict[str, Any]) -> tuple[Fitted, float]:
    start = perf_counter()
    fitted = fit_noted(data, **options)
    return fitted, perf_counter() - start


def _dots(caption: str, data: Dataset, item: int, fitted: Fitted) -> Picture:
    """The labelled pixels of an image."""
    labels = data.labels(item)
    rows, columns = np.nonzero(labels != UNLABELLED)
    points = np.stack([columns, rows], axis=1)
    names, colors = zip(*_classes(fitted), strict=True)
    return labels_as_dots(caption, data.image(item), points, labels[rows, columns], names, colors)


def _legend(fitted: Fitted) -> str:
    return page.legend([(color, name) for name, color in _classes(fitted)])


def _classes(fitted: Fitted) -> list[tuple[str, Color]]:
    task: Any = fitted.model.task
    return list(zip(task.class_names, task.palette, strict=True))
