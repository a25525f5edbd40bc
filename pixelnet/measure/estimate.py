"""From answers to scores with intervals, of these maps and of images like these."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.measure.survey import Survey
from pixelnet.metrics.intervals import FEWEST
from pixelnet.metrics.survey.accuracy import NAMES, Scores, counted, doubts, expected, scores
from pixelnet.metrics.survey.allocation import merged
from pixelnet.metrics.survey.assisted import residuals
from pixelnet.metrics.survey.bounds import plain, wilson
from pixelnet.metrics.survey.designs import ENDLESS, Stratified, TwoStage, between_images
from pixelnet.metrics.survey.errors import confidence_scores, counted_errors, error_scores
from pixelnet.metrics.survey.strata import ENOUGH, UNSURE, mistrusted, softened

SIGNED = ("rmse", "bias", "overconfidence")  # scores that are no shares
MAPS, IMAGES = "these_maps", "images_like_these"


@dataclass(frozen=True)
class Known:
    """The samples that were answered: what they are, their design, and what was done for it.

    values: (n,) class ids or values. rows: (n,) which of the survey's samples. notes: which strata were merged.
    """

    survey: Survey
    values: np.ndarray
    rows: np.ndarray
    design: Stratified | TwoStage
    notes: tuple[str, ...]

    @property
    def image(self) -> np.ndarray:
        return self.survey.drawn.image[self.rows]

    @property
    def mapped(self) -> np.ndarray:
        return self.survey.drawn.mapped[self.rows].astype(np.int64)


def known(survey: Survey, values: np.ndarray, there: np.ndarray) -> Known:
    """The answered samples. Strata with too few of them are merged with a neighbor, which the notes name.

    Raises InputError for fewer than 2 answers.
    """
    rows = np.flatnonzero(there)
    if len(rows) < 2:
        raise InputError(f"{len(rows)} of {len(there)} samples of {survey.folder} have an answer; label some first")
    strata = survey.plan["strata"]
    sizes = np.array([one["pixels"] for one in strata], np.float64)
    counts = np.bincount(survey.drawn.stratum[rows], minlength=len(sizes))
    staged = survey.plan["design"] == "two-stage"
    used = np.flatnonzero(counts) if staged else np.arange(len(sizes))  # an image without an answer tells nothing
    into = used[merged(counts[used], sizes[used])]
    notes = [
        f"{strata[h]['name']} ({counts[h]} answered) is taken together with {strata[own]['name']}"
        for h, own in zip(used, into, strict=True)
        if h != own
    ]
    kept, place = np.unique(into, return_inverse=True)
    of_stratum = np.zeros(len(sizes), int)
    of_stratum[used] = place
    stratum = of_stratum[survey.drawn.stratum[rows]]
    whole = np.bincount(place, sizes[used], len(kept))
    images = len(survey.plan["images"])
    design = TwoStage(images, whole, stratum) if staged else Stratified(whole, stratum)
    return Known(survey, values[rows], rows, design, tuple(notes))


def estimated(found: Known, tolerance: float | None) -> list[dict[str, Any]]:
    """Every score: name, class, value, error, and its interval of these maps and of images like these."""
    if found.survey.plan["task"] == "regression":
        values = counted_errors(found.survey.drawn.values[found.rows], found.values, _tolerance(found, tolerance))
        own = error_scores(found.design.total(values), values)
        return _rows(found, own, own.influences, None, None)
    return _rows(found, *_of_classes(found))


def _tolerance(found: Known, tolerance: float | None) -> float:
    """What counts as within: a tenth of the references' standard deviation, if nothing is said."""
    return float(np.std(found.values) / 10) if tolerance is None else tolerance


def how(found: Known) -> str:
    """The estimator: with the model's probabilities where there are some and all pixels were seen."""
    plan = found.survey.plan
    return "difference" if plan["probable"] and len(found.survey.drawn.foreseen) else "direct"


def _of_classes(found: Known) -> tuple[Scores, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Scores with what is left of influences beside the model, the influences whole, how unsure the model is, and what
    it expects of each image's part."""
    classes = len(found.survey.class_names)
    values = counted(found.mapped, found.values.astype(np.int64), classes)
    totals, left = found.design.total(values), values
    chances, of_images = found.survey.drawn.probabilities[found.rows].astype(np.float64), found.survey.drawn.foreseen
    over_all = of_images.sum(axis=0)
    if how(found) == "difference" and isinstance(found.design, Stratified):
        totals, left = residuals(values, expected(found.mapped, chances), over_all, found.design)
    averaged = in_the_mean(found)
    own = scores(totals, left, NAMES, averaged)
    unsure = each = None
    if len(of_images):
        likely = mistrusted(softened(chances), over_all, UNSURE)
        unsure = doubts(totals, found.mapped, likely, NAMES, averaged)
        if found.survey.plan["probable"]:
            each = scores(totals, of_images, NAMES, averaged).influences
    return own, scores(totals, values, NAMES, averaged).influences, unsure, each


def in_the_mean(found: Known) -> np.ndarray:
    """(K,) bool: the classes of the mean IoU: those that the plan tells of, or all, but none without a sample."""
    told = np.array(found.survey.plan["told"])
    return (told if told.any() else np.ones(told.shape, bool)) & (samples_of(found) > 0)


def _rows(
    found: Known, own: Scores, whole: np.ndarray, unsure: np.ndarray | None, each: np.ndarray | None
) -> list[dict[str, Any]]:
    variance, freedom = found.design.variance(own.influences, unsure), float(found.design.freedom)
    variance, draws = np.maximum(variance, _least(found, own)), _draws(found, own)
    low, high = _ends(own, variance, freedom, draws)
    ends: dict[str, tuple[np.ndarray, np.ndarray] | None] = {MAPS: (low, high), IMAGES: None}
    images = len(found.survey.plan["images"])
    if len(np.unique(found.image)) >= FEWEST:
        if isinstance(found.design, TwoStage):
            design = replace(found.design, images=ENDLESS)
            totals = own.influences * found.design.images / ENDLESS
            ends[IMAGES] = _ends(own, design.variance(totals), design.freedom, draws)
        else:
            between = between_images(whole, found.design, found.image, each)
            more = variance + between
            parts = variance**2 / freedom + between**2 / max(1, images - 1)
            free = np.divide(more**2, parts, out=np.full(parts.shape, freedom), where=parts > 0)
            wide = _ends(own, more, free, draws)
            ends[IMAGES] = np.minimum(wide[0], low), np.maximum(wide[1], high)  # which know no more than these maps'
    rows = []
    for q, (name, k) in enumerate(own.names):
        value = float(own.values[q])
        if np.isnan(value):
            continue
        rows.append(
            {
                "name": name,
                "class": None if k is None else found.survey.class_names[k],
                "value": value if name in SIGNED else min(1.0, max(0.0, value)),
                "error": float(np.sqrt(variance[q])),
                **{who: None if one is None else [float(end[q]) for end in one] for who, one in ends.items()},
            }
        )
    return rows


def _draws(found: Known, own: Scores) -> np.ndarray:
    """(Q,): how many samples a score is of; of a class those that are it, or called it, whichever it counts."""
    if found.survey.plan["task"] == "regression":
        return np.full(len(own.names), len(found.rows))
    called, true = (
        np.bincount(ids.astype(np.int64), minlength=len(found.survey.class_names))
        for ids in (found.mapped, found.values)
    )
    either = samples_of(found)
    of = {"users": called, "producers": true, "iou": either, "dice": either}
    return np.array([of[name][k] if name in of and k is not None else len(found.rows) for name, k in own.names])


def _least(found: Known, own: Scores) -> np.ndarray:
    """(Q,): the least variance: of the area of a class that no sample is, or is called, as if all were drawn anywhere.

    How much there is of it the model alone says, which is sure of what nobody has looked at.
    """
    if found.survey.plan["task"] == "regression":
        return np.zeros(len(own.names))
    seen, values = samples_of(found), np.clip(own.values, 0, 1)
    unseen = np.array([name == "area" and k is not None and not seen[k] for name, k in own.names])
    return np.where(unseen, values * (1 - values) / len(found.rows), 0)


def _ends(
    own: Scores, variance: np.ndarray, freedom: float | np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    signed = np.array([name in SIGNED for name, _ in own.names])
    values = np.nan_to_num(own.values, nan=0.5)
    shares, numbers = wilson(values, variance, freedom, draws), plain(values, variance, freedom)
    low, high = (np.where(signed, number, share) for number, share in zip(numbers, shares, strict=True))
    return low, high


def samples_of(found: Known) -> np.ndarray:
    """(K,): how many answered samples are of each class, or called it."""
    ids = np.arange(len(found.survey.class_names))
    return ((found.mapped[:, None] == ids) | (found.values[:, None] == ids)).sum(axis=0)


def calibrated(found: Known) -> list[dict[str, Any]]:
    """How much surer the model is than it is right: in all, and in bins of its confidence; [] without probabilities."""
    if not found.survey.plan["probable"] or found.survey.plan["task"] == "regression":
        return []
    chances = found.survey.drawn.probabilities[found.rows].astype(np.float64)
    confidence = np.take_along_axis(chances, found.mapped[:, None], axis=1)[:, 0]
    own = confidence_scores(confidence, found.mapped == found.values, found.design.weights)
    low, high = plain(own.values, found.design.variance(own.influences), found.design.freedom)
    labels = ["all", "below .5", ".5 to .8", ".8 to .95", "from .95 on"]
    return [
        {"confidence": label, "overconfidence": float(value), MAPS: [float(low[q]), float(high[q])]}
        for q, (label, value) in enumerate(zip(labels, own.values, strict=True))
        if np.isfinite(value)
    ]


def compared(found: Known, other: np.ndarray) -> list[dict[str, Any]]:
    """The scores of these maps less those of others (n,), by the same samples: what is hard for both widens nothing."""
    classes, averaged = len(found.survey.class_names), in_the_mean(found)
    sides: Sequence[Scores] = [
        scores(found.design.total(values), values, ("overall", "miou", "iou"), averaged)
        for values in (counted(mapped, found.values.astype(np.int64), classes) for mapped in (found.mapped, other))
    ]
    influences = sides[0].influences - sides[1].influences
    difference = sides[0].values - sides[1].values
    low, high = plain(difference, found.design.variance(influences), found.design.freedom)
    return [
        {"name": name, "class": None if k is None else found.survey.class_names[k], "difference": float(difference[q]),
         MAPS: [float(low[q]), float(high[q])]}
        for q, (name, k) in enumerate(sides[0].names)
        if np.isfinite(difference[q])
    ]  # fmt: skip


def few(found: Known) -> list[str]:
    """The classes with fewer than ENOUGH samples, in truth or map, whose scores are not to be leant on."""
    return [name for name, number in zip(found.survey.class_names, samples_of(found), strict=True) if number < ENOUGH]
