"""Three tasks learnt from nothing by one network on generated scenes, in the time that there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelnet.config import read_json
from pixelnet.data import open_dataset
from pixelnet.data.dataset import Dataset, evenly
from pixelnet.demo.pictures import Color, edges_legend, labels_as_dots, normals_legend
from pixelnet.points import make_sampler
from pixelnet.report import page
from pixelnet.report.page import Picture, Score
from pixelnet.report.plots import read_metrics
from pixelnet.runs.checkpoint import CONFIG
from pixelnet.tasks.task import Task
from pixelnet.training import train

DATA = "scenes"
TASKS = ("segmentation", "normals", "edges")
SHOWN = 4  # val scenes on the page, evenly spread

# One set for all three tasks; beside it, a task's file is all that differs. The steps are those that fit into the time
# that a task has, and no more than learn what there is to learn. A network that starts from scratch learns as fast as
# its head, hence the one rate. The scenes' colors are random as they come, and all are seen from about as far, so views
# change by flips alone.
SETTINGS: dict[str, Any] = {
    "backbone": "test_resnet",
    "hidden": (128,),
    "pixels": "4%",
    "batch_size": 4,
    "crop": (128, 160),
    "scale": (1.0, 1.0),
    "color_jitter": 0.0,
    "max_steps": 1600,
    "lr": 4e-3,
    "backbone_lr": 4e-3,
    "val_every": 300,
    "val_images": 16,
    "checkpoint_every": 300,
}
TRAINING, SHORTEST = 0.8, 10.0  # of the seconds of a task, the share that training has, and the least of it
WATCHING = ("val_every", "val_images", "checkpoint_every")  # not part of the method

WHY_FEW = (
    "Each step of training looks at 4 % of an image's pixels only: neighboring pixels say nearly the same, so a few "
    "from each of many images teach as much as all of them from one, at a fraction of the work."
)
TEXTS = {
    "segmentation": (
        "Segmentation: what is it?",
        "Each pixel gets one of seven classes. Colors and textures are drawn alike for every surface, so shape alone "
        "tells a cone from a cylinder.",
    ),
    "normals": (
        "Surface normals: which way does it face?",
        "Each pixel gets the direction in which its surface faces, which shading and outline give away. The sky has no "
        "surface: it is black in the truth and counts nowhere, and what is predicted there means nothing.",
    ),
    "edges": (
        "Edges: where does one thing end?",
        "Each pixel gets the chance that a thing ends there: the darker, the surer. The stripes and checks of a "
        "texture are no edges, and neither are shadows.",
    ),
}
# Of each task: the score's key, its name, how it is written, what it means.
SCORES: dict[str, list[tuple[str, str, str, str]]] = {
    "segmentation": [
        ("miou", "mean IoU", "{:.2f}", "area shared by prediction and truth over their union, per class; 1 is best"),
        ("pixel_accuracy", "pixel accuracy", "{:.0%}", "of the pixels have the right class"),
        ("mean_accuracy", "mean accuracy", "{:.0%}", "the mean of that over the classes: rare ones count as much"),
    ],
    "normals": [
        ("mean", "mean error", "{:.1f}°", "between the predicted and the true direction, on average"),
        ("median", "median error", "{:.1f}°", "half of the pixels are closer than this"),
        ("11.25", "within 11.25°", "{:.0f} %", "of the pixels are that close to the truth"),
        ("30", "within 30°", "{:.0f} %", "of the pixels are that close to the truth"),
    ],
    "edges": [
        ("quick_f", "F-measure", "{:.2f}", "balance of edges found and edges invented; 1 is perfect"),
        ("threshold", "threshold", "{:.2f}", "strength from which on a pixel is called an edge to reach that"),
    ],
}  # fmt: skip


class Learnt(NamedTuple):
    """What a run has come to: the scores of the weights kept, its best on val; its steps, and the seconds they took."""

    scores: dict[str, Any]
    steps: int
    seconds: float


def part(name: str, folder: Path, seconds: float) -> str:
    """The card of one task, which is trained first, or its training finished, in the folder of its name."""
    minutes = minutes_of(folder / name, max(SHORTEST, TRAINING * seconds))
    model = train(name, DATA, folder / name, resume=True, minutes=minutes, **SETTINGS)
    learnt = read_run(folder / name, model.task)
    print("   " + ", ".join(f"{one.name} {one.value}" for one in score_lines(name, learnt.scores)), flush=True)
    data, paint = open_dataset(DATA, name, "val"), model.task.paint
    rows = []
    for item in _shown(data):
        image = data.image(item)
        rows.append(
            [
                Picture(image, f"Scene {data.names[item]}", "photo"),
                Picture(paint(data.labels(item)), f"True {name} of {data.names[item]}"),
                Picture(paint(model.predict(image)), f"Predicted {name} of {data.names[item]}"),
            ]
        )
    title, text = TEXTS[name]
    images = min(SETTINGS["val_images"], len(data))
    return page.section(
        title,
        page.paragraph(text),
        page.comparison(("Input", "Truth", "Prediction"), rows),
        LEGENDS[name](model.task, learnt.scores),
        *([page.heading("Where it looked"), _balanced_draw(data)] if name == "edges" else []),
        page.heading(f"How good is it? Scores on {images} val scenes"),
        page.score_table(score_lines(name, learnt.scores)),
        page.heading(
            f"How did it learn? {learnt.steps} step{'s' * (learnt.steps > 1)} in {learnt.seconds:.0f} seconds"
        ),
        page.paragraph(_time_it_had(learnt.steps)),
        page.image(Picture((folder / name / "curves.png").read_bytes(), "Loss and scores on val, by step", "plot")),
        page.heading("The same on your own data"),
        page.command(command_line(name, learnt.steps)),
    )


def _time_it_had(steps: int) -> str:
    """Why it is so many steps, for people who see a network that could know more."""
    each = f"Each step learnt from {SETTINGS['batch_size']} images."
    if steps >= SETTINGS["max_steps"]:
        return each
    return f"{each} That is what fitted into the demo's three minutes on this machine; after more steps it knows more."


def minutes_of(run: Path, seconds: float) -> float | None:
    """The time that a run may take: that which it began with, if it goes on."""
    begun = run / CONFIG
    return read_json(begun).get("train", {}).get("minutes") if begun.is_file() else round(seconds / 60, 2)


def read_run(run: Path, task: Task) -> Learnt:
    """What a run's records say of it."""
    lines = read_metrics(run)
    name, more_is_better = task.headline
    noted = [line["scores"] for line in lines if "scores" in line]
    usable = [scores for scores in noted if scores[name] is not None] or noted[-1:]
    best = max(usable, key=lambda scores: (scores[name] or 0) * (1 if more_is_better else -1))
    steps = [line for line in lines if "loss" in line]
    return Learnt(best, len(steps), sum(line["seconds"] for line in steps))


def score_lines(name: str, scores: dict[str, Any]) -> list[Score]:
    """A task's scores as people read them."""
    return [
        Score(title, "none" if scores[key] is None else form.format(scores[key]), meaning)
        for key, title, form, meaning in SCORES[name]
    ]


def command_line(name: str, steps: int) -> str:
    """What trains a task in the same way on somebody's own data."""
    words = [f"pixelnet train --task {name} --data folder:MY_DATA --out runs/{name}"]
    for key, value in {**SETTINGS, "max_steps": steps}.items():
        if key not in WATCHING:
            values = value if isinstance(value, tuple) else (value,)
            words.append(f"--{key.replace('_', '-')} " + " ".join(str(item) for item in values))
    return " ".join(words)


def _class_legend(task: Any, scores: dict[str, Any]) -> str:
    ious = [f", IoU {iou:.2f}" if iou is not None else "" for iou in scores["iou_per_class"]]
    return page.legend([(color, n + iou) for color, n, iou in zip(task.palette, task.class_names, ious, strict=True)])


LEGENDS: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "segmentation": _class_legend,
    "normals": lambda task, _: normals_legend(task),
    "edges": lambda task, _: edges_legend(task),
}


def sampling_part() -> str:
    """The card that shows two draws from one scene."""
    data = open_dataset(DATA, "segmentation", "val")
    captions = {
        "uniform": "Uniform: every pixel has the same chance, so large surfaces take nearly all of the dots.",
        "stratified": "Stratified: look first, and take as many of each class, however small it is.",
    }
    pictures = [_drawn(name, caption, data, data.class_names, data.class_colors) for name, caption in captions.items()]
    return page.section(
        "Where training looks",
        page.paragraph(WHY_FEW),
        page.figures(pictures),
        page.legend([(color, name) for color, name in zip(data.class_colors, data.class_names, strict=True)]),
        page.paragraph("Segmentation and normals learn from uniform draws here, edges from balanced ones (below)."),
    )


def _balanced_draw(data: Dataset) -> str:
    """A draw for edges, on the scene that the other draws are on."""
    caption = "Balanced: edges are few, so half of the dots are put on one (red), half off (blue)."
    return page.figures([_drawn("balanced", caption, data, ("off", "on"), ((70, 130, 230), (225, 50, 50)))])


def _drawn(sampler: str, caption: str, data: Dataset, names: tuple[str, ...], colors: tuple[Color, ...]) -> Picture:
    """A sampler's points on the first scene shown, each in the color of its label, an index into names and colors."""
    item = _shown(data)[0]
    image, labels = data.image(item), data.labels(item)
    everywhere = np.ones(labels.shape, bool)
    points = make_sampler(sampler, SETTINGS["pixels"])(everywhere, np.random.default_rng(0), labels, image).points
    x, y = points.astype(int).T
    return labels_as_dots(caption, image, points, labels[y, x].astype(int), names, colors)


def _shown(data: Dataset) -> list[int]:
    return evenly(len(data), SHOWN)
