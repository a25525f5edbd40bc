"""How much of a gain is left in places that were not learnt from: python -m recipes across

CamVid's val neighbors its train, and so do many benchmarks' (the review's question 4). Its three drives of train are
told by the first part of their names. Here two are learnt from, but for every fifth block of five images (a second
apart), which are the streets that were seen; the third drive is unseen, each in its turn. NYUv2's release as pictures
does not say which room an image is of, but its rooms are numbered one after the other, and its test split has other
rooms than train: seen are images of train whose neighbors on both sides are learnt from, unseen is test.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pixelnet.data import Dataset, open_dataset
from pixelnet.data.dataset import evenly
from pixelnet.data.subset import Subset
from recipes.experiments.runs import Arm
from recipes.experiments.scale import Setup, conduct, reduced
from recipes.experiments.small import write_folder

DRIVES = ("0001TP", "0006R0", "0016E5")
BLOCK, EVERY = 5, 5  # images of a block, and one block of so many is held out
UNSEEN_ROOMS = 96  # images of NYUv2's test that are scored
Splits = Mapping[str, Sequence[Dataset]]
KINDS: dict[str, tuple[dict[str, Any], str]] = {  # settings, and what it is compared with
    "random weights": ({"backbone_weights": None}, ""),
    "ImageNet": ({}, "random weights"),
    "Lovasz": ({"loss": "cross-entropy+lovasz"}, "ImageNet"),
    "pyramid": ({"pyramid": 32}, "ImageNet"),
    "no augmentation": ({"scale": (1.0, 1.0), "flip": False, "color_jitter": 0.0}, "ImageNet"),
}


def across(setup: Setup) -> None:
    """Gains on places that were seen, and on unseen ones: of ImageNet, Lovasz's loss, a pyramid, augmentation.

    .8 hours of 2 cores with five seeds: 95 runs of 288 steps at .14 to .2 seconds, and a third more for scores.
    """
    arms = []
    for drive in DRIVES:
        splits = partial(streets, drive, setup.data)
        arms += _arms("segmentation", f"{drive} unseen", setup.out / f"across-{drive}", splits, 2)
    arms += _arms("normals", "rooms unseen", setup.out / "across-rooms", partial(rooms_by_number, setup.data), 1)
    shared = {task: {**reduced(setup, task, ""), "pixels": "4%"} for task in ("segmentation", "normals")}
    what = (
        "Reduced to 2 cores as the other experiments. Two of CamVid's drives are learnt from, and every arm is scored "
        "on streets of theirs that were held out, in blocks of five seconds (seen), and on the third drive (unseen), "
        "each drive in its turn; NYUv2's rooms likewise, seen where the images numbered before and after are learnt "
        "from, unseen in its test split. Scores of the first tables are of seen places, on the way."
    )
    conduct("across", setup, what, arms, shared, ("end",), seeds=5)


def _arms(task: str, place: str, folder: Path, splits: Callable[[], Splits], factor: int) -> list[Arm]:
    """All kinds at a place, on data that are written before the first of them."""

    def prepare(settings: dict[str, Any]) -> None:
        write_folder(folder, splits, factor)

    return [
        Arm(
            task,
            f"{kind}, {place}",
            {**own, "data": f"folder:{folder}"},
            f"{control}, {place}" if control else None,
            prepare=prepare,
            splits=("val", "test"),
        )
        for kind, (own, control) in KINDS.items()
        if task == "segmentation" or "loss" not in own
    ]


def streets(unseen: str, data: Path) -> Splits:
    """CamVid's train: blocks of two drives held out (val), the rest of these (train), and the third drive (test)."""
    whole = open_dataset(f"camvid:{data / 'camvid'}", "segmentation", "train")
    parts: dict[str, list[int]] = defaultdict(list)
    place = dict.fromkeys(DRIVES, 0)  # in its drive, of the next image: names are in order
    for item, name in enumerate(whole.names):
        drive = name.split("_")[0]
        held = place[drive] // BLOCK % EVERY == EVERY // 2
        parts["test" if drive == unseen else "val" if held else "train"].append(item)
        place[drive] += 1
    return {split: [Subset(whole, items, split)] for split, items in parts.items()}


def rooms_by_number(data: Path) -> Splits:
    """NYUv2's train: images between two that are learnt from (val), the others (train); and some of test (test)."""
    spec = f"nyudv2:{data / 'nyudv2'}"
    whole, test = open_dataset(spec, "normals", "train"), open_dataset(spec, "normals", "test")
    numbers = [int(name) for name in whole.names]
    held = [i for i, number in enumerate(numbers) if number % 4 == 0 and {number - 1, number + 1} <= set(numbers)]
    kept = sorted(set(range(len(numbers))) - set(held))
    unseen = Subset(test, evenly(len(test), UNSEEN_ROOMS), "test")
    return {"train": [Subset(whole, kept, "train")], "val": [Subset(whole, held, "val")], "test": [unseen]}
