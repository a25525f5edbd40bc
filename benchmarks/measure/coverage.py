"""Rows of docs/results/measure.json: of each design and estimator, what its intervals hold, and its true error."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.measure.quick import Quick
from benchmarks.measure.simulate import (
    ASSISTED,
    QUANTITIES,
    Estimates,
    Frame,
    Sample,
    answers,
    estimate,
    two_stage,
)
from pixelnet.errors import InputError
from pixelnet.metrics.survey.accuracy import scores
from pixelnet.metrics.survey.assisted import residuals
from pixelnet.metrics.survey.bounds import INTERVALS, LEVEL
from pixelnet.metrics.survey.designs import Stratified
from pixelnet.metrics.survey.strata import ENOUGH

Row = dict[str, Any]
MAPS, IMAGES = "these maps", "images like these"
DEFAULT = ("confidence", "difference", "wilson")
RESAMPLES = 400
TIMES = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16])  # uniform budgets, of the budget


def planned(
    budgets: Sequence[int], designs: Sequence[str], default_alone: bool = False
) -> Iterator[tuple[int, str, str]]:
    """The budgets, designs and populations whose rows are made together."""
    for budget in budgets:
        for design in [DEFAULT[0]] if default_alone else designs:
            yield budget, design, MAPS
            if design in ("uniform", "confidence", "two-stage"):
                yield budget, design, IMAGES


def rows_of(
    frame: Frame, budget: int, design: str, population: str, surveys: int, default_alone: bool = False
) -> list[Row]:
    """All estimators and intervals of one design; none where the budget does not reach for the design's strata."""
    rng = np.random.default_rng((budget, len(design), population == IMAGES))
    staged, of_images = design == "two-stage", population == IMAGES
    try:
        strata = frame.stratified("uniform" if staged else design, budget)
    except InputError:
        return []
    common = strata.expected >= ENOUGH
    if staged:
        samples = two_stage(frame, budget, surveys, rng, of_images)
    else:
        samples = (strata.samples_of_images if of_images else strata.samples)(surveys, rng)
    ways = ["direct"] if staged else list(ASSISTED)[: 2 if of_images else 3]
    ways = [DEFAULT[1]] if default_alone else ways
    told = {how: frame.union > 0 if (design, how) == DEFAULT[:2] else common for how in ways}
    quick = None if staged or of_images else Quick(frame, strata, told[DEFAULT[1]], common)
    found: dict[str, list[Estimates]] = {how: [] for how in ways}
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    for sample in samples:
        for how in ways:
            found[how].append(
                quick.of(sample.pixels)
                if quick and how == DEFAULT[1]
                else estimate(frame, sample, how, told[how], common, of_images)
            )
        if design == DEFAULT[0] and not of_images and not default_alone:
            drawn.append(bootstrap(frame, sample, common, rng))
    uniform = None if of_images else curve(frame, budget, common)
    about = {"data": frame.population.name, "population": population, "design": design, "budget": budget}
    result = []
    for how, parts in found.items():
        bounds = {
            name: _joined([interval(*part) for part in parts]) for name, interval in listed(design, default_alone)
        }
        values = np.concatenate([own for own, *_ in parts])
        result += _rows(frame, about, how, (told[how], common), values, bounds, uniform)
        if drawn and how == DEFAULT[1]:
            ends = {"bootstrap": _joined(drawn)}
            kept = _columns(told[how], common)
            result += _rows(frame, about, how, (common, common), values[:, kept], ends, uniform)
    return result


def _columns(told: np.ndarray, common: np.ndarray) -> list[int]:
    """Where the quantities of the common classes are among those of the classes that are told."""
    every = quantities(told)
    return [every.index(one) for one in quantities(common)]


def quantities(told: np.ndarray) -> list[tuple[str, int | None]]:
    """The columns of scores of these classes, the last, of all others, among them as class K."""
    classes = [*np.flatnonzero(told).tolist(), len(told)]
    return [("overall", None), ("miou", None), *(("iou", k) for k in classes), *(("area", k) for k in classes)]


def listed(design: str, default_alone: bool) -> list[tuple[str, Any]]:
    """The intervals that are listed: all of the default's design, of the others the default one."""
    every = design == DEFAULT[0] and not default_alone
    return [(name, own) for name, own in INTERVALS.items() if every or name == DEFAULT[2]]


def _joined(parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return low, high


def _rows(
    frame: Frame,
    about: Row,
    how: str,
    told: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    bounds: dict[str, tuple[np.ndarray, np.ndarray]],
    uniform: tuple[np.ndarray, np.ndarray] | None,
) -> list[Row]:
    """told: the classes that values are of, and the common ones among them, which alone have a mean IoU."""
    names, result = quantities(told[0]), []
    truth = _truth(frame, told[1])
    for q, (name, k) in enumerate(names):
        if k == frame.classes or np.isnan(truth[name, k]):
            continue
        own, real = values[:, q], truth[name, k]
        error = float(np.sqrt(np.nanmean((own - real) ** 2)))
        for interval, (low, high) in bounds.items():
            held = (low[:, q] <= real + 1e-12) & (real - 1e-12 <= high[:, q])
            saved = None if uniform is None or (k is not None and not told[1][k]) else _saved(error, uniform, (name, k))
            row = about | {
                "estimator": f"{how}, {interval}",
                "default": (about["design"], how, interval) == DEFAULT,
                "quantity": name if k is None else f"{name} of {frame.population.class_names[k]}",
                "rare": bool(k is not None and not told[1][k]),
                "coverage": round(float(held.mean()), 4),
                "half_width": _short(np.nanmean(high[:, q] - low[:, q]) / 2),
                "rmse": _short(error),
                "saved": None if saved is None else _short(saved / about["budget"]),
                "surveys": len(own),
            }
            result.append(row)
    return result


def _truth(frame: Frame, common: np.ndarray) -> dict[tuple[str, int | None], float]:
    found = scores(frame.truth, np.zeros((1, len(frame.truth))), QUANTITIES, common)
    return dict(zip(found.names, found.values.tolist(), strict=True))


def _short(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


Curve = tuple[np.ndarray, dict[tuple[str, int | None], np.ndarray]]


def curve(frame: Frame, budget: int, common: np.ndarray, surveys: int = 500) -> Curve:
    """(G,) budgets and, by quantity, (G,) the true errors of uniform sampling: of the sampled confusion matrix."""
    rng, classes = np.random.default_rng(budget), frame.classes
    truth = np.array(list(_truth(frame, common).values()))
    budgets = np.unique(np.maximum(2, np.round(TIMES * budget).astype(int)))
    chances, errors = frame.confusion.ravel() / frame.confusion.sum(), []
    for number in budgets:
        found = rng.multinomial(number, chances, size=surveys).reshape(surveys, classes, classes).astype(np.float64)
        hits = np.einsum("skk->sk", found)
        totals = np.concatenate([hits, found.sum(2), found.sum(1), np.full((surveys, 1), float(number))], axis=1)
        own = scores(totals, np.zeros((surveys, 1, totals.shape[1])), QUANTITIES, common)
        square = (own.values - truth) ** 2
        known = np.isfinite(square).sum(axis=0)
        errors.append(np.sqrt(np.where(known > 0, np.nansum(square, axis=0) / np.maximum(known, 1), np.nan)))
    return budgets, dict(zip(own.names, np.stack(errors, axis=1), strict=True))


def _saved(error: float, uniform: Curve, name: tuple[str, int | None]) -> float:
    """How many samples uniform sampling takes for that error, within what was tried."""
    budgets, errors = uniform[0], uniform[1][name]
    if not (error > 0 and np.isfinite(errors).all() and (errors > 0).all()):
        return np.nan
    falling = np.minimum.accumulate(errors)
    return float(np.exp(np.interp(-np.log(error), -np.log(falling), np.log(budgets))))


def bootstrap(
    frame: Frame, sample: Sample, told: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of the stratified bootstrap, of n_h - 1 draws a stratum (Rao and Wu 1988)."""
    assert isinstance(sample.design, Stratified)
    design = sample.design
    values, foreseen, over_all = answers(frame, sample, told)
    _, left = residuals(values, foreseen, over_all, design)
    times = np.concatenate(
        [
            rng.multinomial(count - 1, np.full(count, 1 / count), RESAMPLES) * (count / max(1, count - 1))
            for count in design.counts
        ],
        axis=1,
    )
    weights = (times * design.weights).astype(np.float32)
    averaged, low, high = np.arange(told.sum() + 1) < told.sum(), [], []
    for own in left:
        totals = over_all + weights @ own.astype(np.float32)
        drawn = scores(totals, np.zeros((RESAMPLES, 1, totals.shape[1])), QUANTITIES, averaged).values
        ends = np.quantile(np.nan_to_num(drawn, nan=0.5), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        low.append(ends[0])
        high.append(ends[1])
    return np.stack(low), np.stack(high)
