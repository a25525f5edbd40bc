"""The paper's claims, measured: python -m recipes table1 | table4 | pixels | samplers [--full]

Reduced, as in `scale`, on CamVid, NYUv2 and BSDS500 in place of VOC2012, NYUv2 and BSDS500 at full size. --full is the
paper's: VGG-16 with conv-7, 2 x 4096, 5 views of 224x224, SGD, from the hub's weights, on voc2012:, nyudv2: and
bsds500: below --data, for a GPU.

Segmentation learns from cross-entropy alone, as in the paper; `samplers` has the default loss as well.

The four share runs where their settings are the same, so they are run one after the other, in this order: 1.8 hours of
2 cores in all, with three seeds.
"""

from typing import Any

from pixelnet import PixelNet
from pixelnet.data import open_dataset
from pixelnet.files import write_json
from recipes.experiments.correlation import correlation
from recipes.experiments.pictures import draw
from recipes.experiments.runs import Arm
from recipes.experiments.scale import SMALL, TASKS, Setup, common, conduct, worded
from recipes.results import RESULTS

PUBLISHED = {
    "all": "IoU 44.4; mean 25.6, median 19.9, RMSE 32.5, 29.1 / 54.9 / 66.8 %",
    "4%": "IoU 44.6; mean 25.7, median 20.1, RMSE 32.5, 28.9 / 54.7 / 66.7 %",
    "1 x 40,000": "IoU 7.9 at 10,000 steps, 15.5 at 20,000; mean 24.8, median 19.5, RMSE 31.6, 29.7 / 56.1 / 68.5 %",
    "5 x 2,000": "IoU 38.4 at 10,000 steps, 47.9 at 20,000; mean 23.4, median 17.2, RMSE 30.5, 33.9 / 60.6 / 71.8 %",
}


def published(name: str, task: str) -> str:
    """The paper's row for a task: IoU of VOC2012 val in percent, or NYUv2's angles in degrees."""
    iou, _, angles = PUBLISHED[name].partition("; ")
    return {"segmentation": iou, "normals": angles}[task]


def table1(setup: Setup) -> None:
    """All pixels against a random 4 %, segmentation and normals (the paper's table 1)."""
    tasks = TASKS[:2]
    arms = [
        arm
        for task in tasks
        for arm in (
            Arm(task, "all pixels", {"sampler": "all"}, published=published("all", task)),
            Arm(task, "random 4 %", {"pixels": "4%"}, "all pixels", published("4%", task)),
        )
    ]
    what = "All pixels of each image against 4 % of them, drawn uniformly."
    conduct("table1", setup, worded(what, setup), arms, common(setup, tasks))


def table4(setup: Setup) -> None:
    """Diversity: few images with many pixels, or more with fewer (the paper's table 4), one at a time.

    A view here has 20,480 pixels, the paper's 50,176, so pixels are the same share of a view.
    """
    tasks = TASKS[:2]
    shared = common(setup, tasks)
    arms = []
    for task in tasks:
        steps = 20_000 if setup.full else SMALL["max_steps"]
        for images, pixels in ((1, 2000), (1, 10_000), (1, 40_000), (5, 2000), (5, 8000)):
            name, longer = f"{images} x {pixels:,}", 5 // images  # so that all see as many images
            every = shared[task]["val_every"]
            own = {
                "batch_size": images,
                "pixels": str(pixels) if setup.full else f"{round(100 * pixels / 224**2)}%",
                "max_steps": steps * longer,
                "val_every": every * longer,
            }
            row = published(name, task) if name in PUBLISHED else ""
            arms.append(Arm(task, name, own, None if name == "5 x 2,000" else "5 x 2,000", row))
    what = (
        "Images x pixels of a step; arms of one image take five times as many steps, and all see as many images in the "
        "end." + ("" if setup.full else " Pixels are the same share of a view: 4, 16, 20 and 80 %.")
    )
    conduct("table4", setup, worded(what, setup), arms, shared, ("step", "images", "seconds", "end"))


def pixels(setup: Setup) -> None:
    """Score against pixels an image for three tasks, and how alike an image's pixels are."""
    arms = []
    for task in TASKS:
        for number in (10, 30, 100, 300, 1000, 3000):
            arms.append(Arm(task, f"{number:,} pixels", {"pixels": str(number)}, "all pixels"))
        arms.append(Arm(task, "all pixels", {"sampler": "all"}))
    what = (
        "Pixels of each image, drawn uniformly. Below, how alike two pixels of an image are, by their distance: their "
        "labels, their hypercolumns before training, and what a linear predictor learns from them."
    )
    shared = common(setup, TASKS)
    result = conduct("pixels", setup, worded(what, setup), arms, shared)
    if "correlation" not in result:
        result["correlation"] = {task: correlation(*_network(task, shared[task])) for task in TASKS}
        write_json(RESULTS / f"{result['name']}.json", result)
        draw(result, RESULTS / f"{result['name']}.png")


def _network(task: str, settings: dict[str, Any]) -> tuple[Any, PixelNet]:
    """A task's training images, and the network that its runs start from."""
    dataset = open_dataset(settings["data"], task, settings.get("split", "train"))
    names = ("backbone", "backbone_weights", "pretrained", "conv7")
    own = {name: settings[name] for name in names if name in settings}
    return dataset, PixelNet(task, len(dataset.class_names) or None, head="linear", **own).eval()


def samplers(setup: Setup) -> None:
    """Samplers at equal pixels, each without weights and with, on three tasks.

    Arms called "uniform, 30" and so on are the yardstick for pixels saved; `pixels` has run them already.
    """
    few = 2000 if setup.full else 100
    arms = [Arm(task, "uniform", {"pixels": str(few)}) for task in TASKS]
    for task in TASKS:
        kinds = {
            "segmentation": ("stratified", "boundary", "hard", "gradient"),
            "normals": ("stratified", "boundary", "gradient"),
            "edges": ("stratified", "balanced", "boundary", "hard", "gradient"),
        }[task]
        for kind in kinds:
            name = kind if kind != "stratified" else f"by {'class' if task == 'segmentation' else 'color'}"
            for weighted in (False, True):
                own = {"pixels": str(few), "sampler": kind, "weighted": weighted}
                arms.append(Arm(task, name + ", weighted" * weighted, own, "uniform"))
        arms += [
            Arm(task, f"uniform, {number:,}", {"pixels": str(number)})
            for number in (30, 100, 300, 1000, 3000)
            if number != few
        ]
    lovasz = {"loss": "cross-entropy+lovasz", "pixels": str(few)}
    arms.append(Arm("segmentation", "default loss, uniform", lovasz))
    for kind in ("stratified", "boundary"):
        name = "by class" if kind == "stratified" else kind
        arms.append(Arm("segmentation", f"default loss, {name}", {**lovasz, "sampler": kind}, "default loss, uniform"))
    what = (
        f"Which {few:,} pixels of each image: uniform; a quota for each class or color; half of them on edges "
        "(balanced), or within 3 pixels of a boundary; PointRend's hard points; quotas by the gradient's length. Hard "
        "and gradient look at three times as many candidates as they learn from."
    )
    conduct("samplers", setup, worded(what, setup), arms, common(setup, TASKS))
