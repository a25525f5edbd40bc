"""Rows of docs/results/measure.json: of each design and estimator, what its intervals hold, and its true error."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.measure.simulate import (
    ASSISTED,
    QUANTITIES,
    Estimates,
    Frame,
    Sample,
    estimate,
    two_stage,
)
from pixelnet.errors import InputError
from pixelnet.metrics.survey.accuracy import counted, expected, scores
from pixelnet.metrics.survey.assisted import residuals
from pixelnet.metrics.survey.bounds import INTERVALS, LEVEL
from pixelnet.metrics.survey.designs import Stratified
from pixelnet.metrics.survey.strata import ENOUGH

Row = dict[str, Any]
MAPS, IMAGES = "these maps", "images like these"
DEFAULT = ("confidence", "difference", "logit")
RESAMPLES = 400
TIMES = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16])  # uniform budgets, of the budget


def rows(frame: Frame, budgets: Sequence[int], designs: Sequence[str], surveys: int) -> Iterator[list[Row]]:
    """The rows of each budget, design and population, as soon as they are there."""
    for budget in budgets:
        for design in designs:
            yield rows_of(frame, budget, design, surveys, MAPS)
            if design in ("uniform", "confidence", "two-stage"):
                yield rows_of(frame, budget, design, surveys, IMAGES)


def rows_of(frame: Frame, budget: int, design: str, surveys: int, population: str) -> list[Row]:
    """All estimators and intervals of one design; none where the budget does not reach for the design's strata."""
    rng = np.random.default_rng((budget, len(design), population == IMAGES))
    staged, of_images = design == "two-stage", population == IMAGES
    try:
        strata = frame.stratified("uniform" if staged else design, budget)
    except InputError:
        return []
    averaged = strata.expected >= ENOUGH
    if staged:
        samples = two_stage(frame, budget, surveys, rng, of_images)
    else:
        samples = (strata.samples_of_images if of_images else strata.samples)(surveys, rng)
    ways = ["direct"] if staged else list(ASSISTED)
    found: dict[str, list[Estimates]] = {how: [] for how in ways}
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    for sample in samples:
        for how in ways:
            found[how].append(estimate(frame, sample, how, averaged, of_images))
        if design == DEFAULT[0] and not of_images:
            drawn.append(bootstrap(frame, sample, averaged, rng))
    uniform = curve(frame, budget, averaged)
    about = {"data": frame.population.name, "population": population, "design": design, "budget": budget}
    result = []
    for how, parts in found.items():
        bounds = {
            name: _joined([interval(own.values, *rest) for own, *rest in parts]) for name, interval in listed(design)
        }
        if drawn and how == DEFAULT[1]:
            bounds["bootstrap"] = _joined(drawn)
        values = np.concatenate([own.values for own, *_ in parts])
        result += _rows(frame, about, how, parts[0][0].names, values, bounds, averaged, uniform)
    return result


def listed(design: str) -> list[tuple[str, Any]]:
    """The intervals that are listed: all of the default's design, of the others the default one."""
    return [(name, own) for name, own in INTERVALS.items() if design == DEFAULT[0] or name == DEFAULT[2]]


def _joined(parts: Sequence[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return low, high


def _rows(
    frame: Frame,
    about: Row,
    how: str,
    names: Sequence[tuple[str, int | None]],
    values: np.ndarray,
    bounds: dict[str, tuple[np.ndarray, np.ndarray]],
    averaged: np.ndarray,
    uniform: tuple[np.ndarray, np.ndarray],
) -> list[Row]:
    truth = scores(frame.truth, np.zeros((1, len(frame.truth))), QUANTITIES, averaged).values
    result = []
    for q, (name, k) in enumerate(names):
        if np.isnan(truth[q]):
            continue
        own = values[:, q]
        error = float(np.sqrt(np.nanmean((own - truth[q]) ** 2))) if np.isfinite(own).any() else np.nan
        saved = _saved(error, uniform[1][:, q], uniform[0]) / about["budget"]
        for interval, (low, high) in bounds.items():
            held = (low[:, q] <= truth[q] + 1e-12) & (truth[q] - 1e-12 <= high[:, q])
            row = about | {
                "estimator": f"{how}, {interval}",
                "default": (about["design"], how, interval) == DEFAULT,
                "quantity": name if k is None else f"{name} of {frame.population.class_names[k]}",
                "rare": bool(k is not None and not averaged[k]),
                "coverage": round(float(held.mean()), 4),
                "half_width": _short(
                    np.nanmean(high[:, q] - low[:, q]) / 2 if np.isfinite(low[:, q]).any() else np.nan
                ),
                "rmse": _short(error),
                "saved": None if about["population"] == IMAGES else _short(saved),
            }
            result.append(row)
    return result


def _short(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


def curve(frame: Frame, budget: int, averaged: np.ndarray, surveys: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """(G,) budgets and (G, Q) the true errors of uniform sampling with them: scores of the sampled confusion matrix."""
    rng, classes = np.random.default_rng(budget), frame.classes
    truth = scores(frame.truth, np.zeros((1, len(frame.truth))), QUANTITIES, averaged).values
    budgets = np.unique(np.maximum(2, np.round(TIMES * budget).astype(int)))
    chances, errors = frame.confusion.ravel() / frame.confusion.sum(), []
    for number in budgets:
        found = rng.multinomial(number, chances, size=surveys).reshape(surveys, classes, classes).astype(np.float64)
        hits = np.einsum("skk->sk", found)
        totals = np.concatenate([hits, found.sum(2), found.sum(1), np.full((surveys, 1), float(number))], axis=1)
        own = scores(totals, np.zeros((surveys, 1, totals.shape[1])), QUANTITIES, averaged).values
        square = (own - truth) ** 2
        known = np.isfinite(square).sum(axis=0)
        errors.append(np.sqrt(np.where(known > 0, np.nansum(square, axis=0) / np.maximum(known, 1), np.nan)))
    return budgets, np.stack(errors)


def _saved(error: float, errors: np.ndarray, budgets: np.ndarray) -> float:
    """How many samples uniform sampling takes for that error, within what was tried."""
    if not (error > 0 and np.isfinite(errors).all() and (errors > 0).all()):
        return np.nan
    falling = np.minimum.accumulate(errors)
    return float(np.exp(np.interp(-np.log(error), -np.log(falling), np.log(budgets))))


def bootstrap(
    frame: Frame, sample: Sample, averaged: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of the stratified bootstrap, of n_h - 1 draws a stratum (Rao and Wu 1988)."""
    assert isinstance(sample.design, Stratified)
    found, design = frame.population, sample.design
    values = counted(found.mapped[sample.pixels], found.truth[sample.pixels], frame.classes)
    foreseen = expected(found.mapped[sample.pixels], found.probabilities[sample.pixels].astype(np.float64))
    _, left = residuals(values, foreseen, sample.foreseen, design)
    times = np.concatenate(
        [
            rng.multinomial(count - 1, np.full(count, 1 / count), RESAMPLES) * (count / (count - 1))
            for count in design.counts
        ],
        axis=1,
    )
    weights = (times * design.weights).astype(np.float32)
    low, high = [], []
    for own in left:
        totals = sample.foreseen + weights @ own.astype(np.float32)
        drawn = scores(totals, np.zeros((RESAMPLES, 1, totals.shape[1])), QUANTITIES, averaged).values
        ends = np.quantile(np.nan_to_num(drawn, nan=0.5), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        low.append(ends[0])
        high.append(ends[1])
    return np.stack(low), np.stack(high)
