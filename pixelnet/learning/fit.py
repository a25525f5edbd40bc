"""`pixelnet fit`: a model in seconds, from labelled pixels; the networks beneath it stay as they are.

    pixelnet fit --data DATA --out MODEL

What describes a pixel, and how strongly the head is held back, is chosen for the data by honest folds (`choose`); how
common the classes are is told from the images themselves (`choose.shares`); and what comes out is an ordinary model.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pixelnet.data import Dataset, as_dataset
from pixelnet.data.subset import Subset
from pixelnet.data.table import PointTable
from pixelnet.errors import InputError
from pixelnet.files import require_writable
from pixelnet.learning.assemble import assemble, joined, toward
from pixelnet.learning.choose import STRENGTHS, Choice, Parts, Table, choose, log_chances, shares
from pixelnet.learning.described import Described, Reader
from pixelnet.learning.folds import folds_of_images, folds_of_points
from pixelnet.learning.labels import MOST_POINTS, Labels, anywhere, labelled_points, spread, unlabelled_points
from pixelnet.learning.parts import Maps, known_sources, split
from pixelnet.model import PixelNet
from pixelnet.nn.networks import FILTERS
from pixelnet.runs import checkpoint
from pixelnet.runs.learnt import Images, known_images

Priors = Literal["estimated", "labels", "equal"]

TO_READ, FOR_CHOICE = 0.2, 0.8  # of the time: until when labels are read, and what describes them is chosen
STRENGTH = 0.01  # where nothing can be chosen


@dataclass(frozen=True)
class Fitted:
    """A model, and how it came about.

    choice: what was chosen for it. priors, shares: how common it holds its classes to be, and by what. labels: points
    that it has learnt from. images: those that they are of, by number. left: labelled images that no time was for.
    enough: seconds in which all would have been seen, for_all: in which all candidates would have been tried; 0 where
    that cannot be told. blocks: the folds are of one image. questions: what only a person can know of the data.
    in_one_image: classes that one of several images alone has labels of.
    """

    model: PixelNet
    choice: Choice
    priors: Priors
    shares: np.ndarray
    labels: int
    images: tuple[int, ...]
    left: int
    enough: float
    for_all: float
    blocks: bool
    questions: tuple[str, ...] = ()
    in_one_image: tuple[str, ...] = ()


def candidates() -> list[Parts]:
    """What may describe a pixel, in the order in which it is tried: a quick one first, and then the best on average."""
    sources = known_sources()
    return [(FILTERS,), *((f"{source}@2", FILTERS) for source in sources), *((source, FILTERS) for source in sources)]


def default() -> list[tuple[Parts, float]]:
    """What is taken where labels are too few to choose by: the best on average over the development sets."""
    return [*(((f"{source}@2", FILTERS), STRENGTH) for source in known_sources()[:2]), ((FILTERS,), STRENGTH)]


def fit(
    data: Any,
    out: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    split: str = "train",
    seconds: float = 30.0,
    features: str | Sequence[str] | None = None,
    strength: float | str | Sequence[float] | None = None,
    priors: Priors | None = None,
    class_names: Sequence[str] = (),
) -> PixelNet:
    """Fit a model of segmentation to labelled pixels, in about so many seconds.

    Args:
        data: the path of a folder, "camvid:PATH" and so on; a `Dataset`; or a list of (image, labels), labels (H, W)
            of class ids, 255 where there is none. Few labels or many, strokes or whole maps.
        out: the model's folder, made if it is not there; None for none.
        labels: a CSV file of image, x, y, class, a labelled pixel in each line, in place of the data's own labels; the
            data may then be a folder of images alone. See `pixelnet.data.table.PointTable`.
        class_names: of `labels`, in the order of their numbers; not given, those of the table, in their own.
        split: of the data, where they are named.
        seconds: for choosing and fitting; more try more, and see more of many images. One network is tried even
            where that takes up to twice as long.
        features: what describes a pixel, as in "edges@2+filters", in place of a choice; or several, whose mean is
            taken (a list, or with commas between them).
        strength: of the prior, for each of the features (a list, or with commas between them); the larger, the closer
            a fit.
        priors: how common the classes are: "estimated" from the images, whatever share of the labels each has;
            "labels", as among the labels, where these are a sample of the pixels; or all "equal". Not given, "labels"
            where most pixels are labelled, else "estimated".

    Returns:
        The model, in evaluation mode. With `out` it is saved, with a note in config.json of what was chosen.

    Raises:
        InputError: data that cannot be read, of another task or with fewer than two classes labelled; features that
            are none.
    """
    return fit_noted(data, out, split, seconds, features, strength, priors, labels, class_names).model


def fit_noted(
    data: Any,
    out: str | Path | None = None,
    part: str = "train",
    seconds: float = 30.0,
    features: str | Sequence[str] | None = None,
    strength: float | str | Sequence[float] | None = None,
    priors: Priors | None = None,
    labels: str | Path | None = None,
    class_names: Sequence[str] = (),
    maps: Reader | None = None,
    begun: float | None = None,
) -> Fitted:
    """`fit`, and what it found out on the way.

    maps: of the images by their number, where they are at hand. begun: when, by `time.monotonic`, the seconds began;
    None for now.
    """
    if out is not None:
        _require_new(Path(out))
    if not seconds > 0:
        raise InputError(f"--seconds is {seconds:g}; give a time above 0")
    if priors is not None and priors not in get_args(Priors):
        raise InputError(f"--priors is {priors!r}; give one of {', '.join(get_args(Priors))}")
    given = given_members(features, strength)
    if class_names and labels is None:
        raise InputError("--classes are of --labels; of a folder's own labels, `pixelnet check --classes` names them")
    start = time.monotonic() if begun is None else begun
    dataset = as_dataset(data, "segmentation", part) if labels is None else PointTable(labels, data, part, class_names)
    known, dense = labelled_points(dataset, TO_READ * seconds - (time.monotonic() - start))
    # Points are described once, so no maps are kept.
    maps = maps or Maps(dataset.image, dataset.size, len(dataset.channels), dataset.ranges, most=0)
    fitted = _fit(dataset, known, given, seconds, priors or ("labels" if dense else "estimated"), start, maps)
    if out is not None:
        checkpoint.save(fitted.model, Path(out), fit=note(fitted, dataset))
        Images(known_images(Subset(dataset, fitted.images, part))).write(Path(out))
    return fitted


def _require_new(out: Path) -> None:
    if checkpoint.is_model(out):
        raise InputError(f"{out} holds a model already; choose another --out")
    require_writable(out / checkpoint.CONFIG)


def given_members(
    features: str | Sequence[str] | None, strength: float | str | Sequence[float] | None
) -> list[tuple[Parts, float]] | None:
    """The members that were asked for; None where they are to be chosen. Raises InputError for what is none."""
    if features is None:
        if strength is not None:
            raise InputError("--strength is of --features; give both, or neither")
        return None
    texts = features.split(",") if isinstance(features, str) else list(features)
    members = [split(text) for text in texts]
    if not members or len(set(members)) < len(members):
        raise InputError(f"--features has {', '.join(texts) or 'nothing'}; give what describes a pixel, each once")
    numbers = _numbers(strength)
    if len(numbers) not in (1, len(texts)) or any(not 0 < number < np.inf for number in numbers):
        raise InputError(f"--strength has {numbers}; give a number above 0 for each of the {len(texts)} features")
    return [(own, float(number)) for own, number in zip(members, numbers * len(members), strict=False)]


def _numbers(strength: float | str | Sequence[float] | None) -> list[float]:
    if isinstance(strength, str):
        try:
            return [float(text) for text in strength.split(",")]
        except ValueError as error:
            raise InputError(f"--strength is {strength!r}; give numbers above 0 with commas between them") from error
    return [STRENGTH] if strength is None else [strength] if isinstance(strength, int | float) else list(strength)


def _fit(
    data: Dataset,
    labels: Labels,
    given: list[tuple[Parts, float]] | None,
    seconds: float,
    priors: Priors,
    start: float,
    maps: Reader,
) -> Fitted:
    """Choose on a few of the images, then fit on as many as there is time for."""
    order = [i for i in range(len(data)) if len(labels.ids[i])]
    first = spread(order)
    rest = [i for i in order if i not in first]
    seen = first + rest
    classes = len(data.class_names)
    # Behind each image's labelled points come some that nobody labelled, described by the same maps.
    few = unlabelled_points(len(seen))
    others = [anywhere(data.size(i))[:few] for i in seen]
    places = [np.concatenate([labels.points[i], own]) for i, own in zip(seen, others, strict=True)]
    described = Described(maps, places[: len(first)], seen)
    table = table_of(data, labels, first, described, classes)
    before = time.monotonic() - start
    left = FOR_CHOICE * seconds - before
    if given is None:
        choice = choose(table, [(parts, STRENGTHS) for parts in candidates()], left, default())
    else:
        choice = choose(table, [(parts, (own,)) for parts, own in given], np.inf, given, None)
    spent = time.monotonic() - start
    last = choice.again * min(MOST_POINTS, labels.count)  # which the last fits take
    more = described.add_within(places[len(first) :], choice.parts, seconds - spent - last)
    used = seen[: len(first) + more]
    for_rest = (time.monotonic() - start - spent) / more * (len(rest) + labels.unread) if more else 0.0
    enough = max(spent + for_rest, 0.0 if given else for_rest / (1 - FOR_CHOICE)) if more else 0.0

    table = table_of(data, labels, used, described, classes)
    every = np.arange(len(table.labels))
    if len(every) > MOST_POINTS:
        every = np.sort(np.random.default_rng(0).choice(every, MOST_POINTS, replace=False))
    members = [(own, table.problem(own, every).fit(strength)) for own, strength in choice.members]
    widths = {part: described.of(part)[0].shape[1] for part in choice.parts}
    parts, linear = joined(members, widths)
    behind = np.concatenate(
        [
            np.arange(first + len(labels.ids[i]), first + size)
            for i, first, size in zip(used, _firsts(described.sizes), described.sizes, strict=True)
        ]
    )
    common = shares_by(priors, labels.counts, choice.warmth, lambda: linear(described(parts, behind)))
    model = assemble(parts, toward(linear, choice, common), data)
    return Fitted(
        model,
        choice,
        priors,
        common,
        len(every),
        tuple(sorted(used)),
        len(rest) - more + labels.unread,
        enough,
        (before + choice.enough) / FOR_CHOICE if choice.left else 0.0,
        len(first) == 1,
        tuple(data.questions),
        tuple(data.class_names[k] for k in labels.in_one_image()),
    )


def _firsts(sizes: Sequence[int]) -> np.ndarray:
    """Where each of several begins that follow one another."""
    return np.cumsum([0, *sizes[:-1]])


def table_of(data: Dataset, labels: Labels, images: list[int], described: Described, classes: int) -> Table:
    """The labelled points of some images, which come first among the points described of each."""
    counts = [len(labels.ids[i]) for i in images]
    own = np.concatenate([first + np.arange(n) for first, n in zip(_firsts(described.sizes), counts, strict=True)])
    return Table(
        lambda parts, chosen: described(parts, own[chosen]),
        np.concatenate([labels.ids[i] for i in images]),
        folds_of(data, labels, images),
        classes,
        described.seconds,
        described.width,
        len(images) == 1,
    )


def folds_of(data: Dataset, labels: Labels, images: list[int]) -> np.ndarray:
    """The fold of each labelled point of some images, (M,): by image, or by block where there is only one."""
    if len(images) == 1:
        return folds_of_points(labels.points[images[0]], labels.ids[images[0]])
    groups = [data.groups[i] for i in images] if data.groups else ()
    counts = [len(labels.ids[i]) for i in images]
    return np.repeat(folds_of_images([data.names[i] for i in images], groups), counts)


def shares_by(priors: Priors, counts: np.ndarray, warmth: float, unlabelled: Callable[[], np.ndarray]) -> np.ndarray:
    """How common each class is, (K,): as was asked for.

    counts: (K,), of pixels labelled as each class. unlabelled: gives the logits (M, K) of pixels that nobody labelled,
    which are then multiplied by the warmth.
    """
    classes = len(counts)
    if priors == "equal":
        return np.full(classes, 1 / classes)
    if priors == "labels":
        return (counts + 1.0) / (counts + 1.0).sum()
    return shares(np.exp(log_chances(warmth * unlabelled())))


def note(fitted: Fitted, data: Dataset) -> dict[str, Any]:
    """What config.json keeps of a fit: enough to do it again, and what it was judged by."""
    choice = fitted.choice
    return {
        "data": data.source,
        "features": ["+".join(parts) for parts, _ in choice.members],
        "strength": [strength for _, strength in choice.members],
        "priors": fitted.priors,
        "warmth": choice.warmth,
        "skill": choice.skill,
        "shares": [float(share) for share in fitted.shares],
        "labels": fitted.labels,
        "images": len(fitted.images),
        "left_out": ["+".join(parts) for parts in choice.left],
        "accuracy": list(choice.accuracy),
    }
