"""The choice by folds, on features that are known: what informs wins, and what is told of it does not flatter."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pixelnet.learning import choose as module
from pixelnet.learning.choose import (
    HANDICAP,
    ROUGH,
    STRENGTHS,
    Choice,
    Table,
    Trial,
    choose,
    log_chances,
    recall,
    shares,
    warmth,
)
from pixelnet.learning.logistic import balanced
from pixelnet.nn.networks import FILTERS

NOISE = [(f"noise{k}",) for k in range(12)]


def table(labels: np.ndarray, informative: float = 2.0, folds: int = 5, seed: int = 0) -> Table:
    """Points whose part "good" lies apart by class, by so many deviations, and whose parts "noiseK" say nothing."""
    rng = np.random.default_rng(seed)
    parts = {own[0]: rng.normal(size=(len(labels), 6)) for own in NOISE}
    parts["good"] = rng.normal(size=(len(labels), 6)) + informative * np.eye(6)[labels]
    parts["good@2"] = parts["good"] + 0
    parts[FILTERS] = parts["noise0"]

    def describe(names: tuple[str, ...], points: np.ndarray) -> np.ndarray:
        return np.concatenate([parts[name][points] for name in names], axis=1)

    return Table(describe, labels, np.arange(len(labels)) % folds, int(labels.max()) + 1, lambda _: 0.0, lambda _: 6)


def labels_of(points: int, classes: int = 2, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.arange(points) % classes)


@pytest.mark.parametrize("order", [1, -1])
def test_what_informs_wins(order: int) -> None:
    own = table(labels_of(100, 3))
    candidates = [(("noise0",), STRENGTHS), (("good",), STRENGTHS), (("noise1",), STRENGTHS)][::order]
    found = choose(own, candidates, 100, [], most=1)
    assert [parts for parts, _ in found.members] == [("good",)]
    assert found.trials[0].parts == ("good",)
    assert [trial.score for trial in found.trials] == sorted((t.score for t in found.trials), reverse=True)
    assert len(found.trials) == 15
    assert np.mean(found.accuracy) > 0.7
    assert found.skill > 0.5


def test_of_one_image_they_are_the_filters_and_the_best_others() -> None:
    own = table(labels_of(100))
    candidates = [((name,), (0.1,)) for name in (FILTERS, "good", "good@2")]
    assert choose(own, candidates, 100, []).parts == ("good", "good@2")
    one = replace(own, one_image=True)
    assert choose(one, candidates, 100, []).parts == (FILTERS, "good", "good@2")
    assert choose(one, candidates, 100, [], most=2).parts == (FILTERS, "good@2")
    assert choose(one, candidates, 100, [], most=1).parts == ("good@2",)


def test_the_score_is_of_points_that_were_held_out() -> None:
    own = table(labels_of(60))
    (trial,) = choose(own, [(("good",), (0.1,))], 100, []).trials
    held = np.zeros((60, 2))
    for fold in range(5):
        out = own.folds == fold
        inside = np.flatnonzero(~out)
        held[out] = own.problem(("good",), inside).fit(0.1, ROUGH)(own.describe(("good",), np.flatnonzero(out)))
    np.testing.assert_allclose(trial.held, held, atol=1e-9)
    weights = balanced(own.labels, 2)
    expected = (weights * log_chances(held)[np.arange(60), own.labels]).sum() / weights.sum()
    assert trial.score == pytest.approx(expected - HANDICAP)
    assert choose(own, [(("good@2",), (0.1,))], 100, []).trials[0].score == pytest.approx(expected)


def test_what_is_told_of_random_labels_is_chance_where_the_best_of_many_is_above_it() -> None:
    nested, flattering = [], []
    for seed in range(6):
        own = table(labels_of(40, seed=seed + 10), seed=seed)
        found = choose(own, [(parts, (0.1,)) for parts in NOISE], 1000, [], most=1)
        nested.append(np.mean(found.accuracy))
        flattering.append(recall(found.trials[0].held, own.labels))
    assert np.mean(flattering) > 0.58
    assert abs(np.mean(nested) - 0.5) < 0.05


def test_several_members_are_in_the_order_of_the_candidates() -> None:
    """So that a choice given back as candidates comes to the same sum."""
    own = table(labels_of(80))
    candidates = [(parts, STRENGTHS) for parts in (*NOISE[:2], ("good",), ("good@2",))]
    found = choose(own, candidates, 100, [])
    assert len(found.members) == 2
    places = [[parts for parts, _ in candidates].index(parts) for parts, _ in found.members]
    assert places == sorted(places)
    assert found.trials[0].parts != found.members[0][0]
    again = choose(own, [(parts, (strength,)) for parts, strength in found.members], 100, [], None)
    assert again.members == found.members
    assert (again.warmth, again.skill) == (found.warmth, found.skill)


@pytest.mark.parametrize("folds", [np.zeros(20), np.arange(20) % 2])
def test_too_few_labels_leave_the_default(folds: np.ndarray) -> None:
    """All in one fold, or each class in one only."""
    labels = np.arange(20) % 2
    own = table(labels)
    default = [(("good",), 0.01)]
    found = choose(replace(own, folds=folds), [(NOISE[0], STRENGTHS)], 100, default)
    assert found == Choice(tuple(default))
    assert found.accuracy == ()


def test_two_folds_choose_and_cannot_tell() -> None:
    found = choose(table(labels_of(41), folds=2), [(("noise0",), STRENGTHS), (("good",), STRENGTHS)], 100, [], 1)
    assert found.members[0][0] == ("good",)
    assert found.accuracy == ()


def test_a_class_in_one_fold_alone_is_not_held_out() -> None:
    own = table(labels_of(60))
    labels = np.where(own.folds == 4, 2, own.labels)
    found = choose(replace(own, labels=labels, classes=3), [(("good",), (0.1,))], 100, [])
    assert len(found.accuracy) == 4
    assert not found.trials[0].held[own.folds == 4].any()


def test_without_time_one_candidate_is_tried() -> None:
    found = choose(table(labels_of(40)), [(("noise0",), (0.1,)), (("good",), (0.1,))], 0, [])
    assert [trial.parts for trial in found.trials] == [("noise0",)]


def test_no_candidate_begins_that_would_end_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Describing a pixel takes so many seconds here, and fits take a sixth of one for each of six features."""
    takes = {("noise0",): 9.0, ("noise1",): 12.0, ("noise2",): 2.0, ("noise3",): 3.0, ("noise4",): 1.0}
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    own = table(labels_of(40))

    def describe(parts: tuple[str, ...], points: np.ndarray) -> np.ndarray:
        now[0] += takes[parts]
        return own.describe(parts, points)

    tried = module._try

    def fitted(*given: Any) -> list[Trial]:
        now[0] += 1
        return tried(*given)

    monkeypatch.setattr(module, "_try", fitted)
    asked = replace(own, describe=describe, seconds=takes.__getitem__)
    found = choose(asked, [(parts, (0.1,)) for parts in takes], 16, [], most=1)
    # The first takes 10 in any case; the second would end at 23, the third at 13; the fourth a little after 16, since
    # what was chosen must be fitted once more; the fifth at 15.
    assert {trial.parts for trial in found.trials} == {("noise0",), ("noise2",), ("noise4",)}
    assert found.left == (("noise1",), ("noise3",))
    assert found.enough == pytest.approx(15 + (12 + 1) + (3 + 1))
    assert found.again == pytest.approx(1 / 15 / 40)
    late = choose(asked, [(parts, (0.1,)) for parts in takes], 1, [])
    assert {trial.parts for trial in late.trials} == {("noise0",)}
    assert late.left == tuple(takes)[1:]
    assert late.enough == pytest.approx(5 * 10)  # nobody asked what they would take: as much as the first, each


@pytest.mark.parametrize(("seconds", "tried"), [(6.0, {(FILTERS,), ("good", FILTERS)}), (5.0, {(FILTERS,)})])
def test_one_network_is_tried_a_little_late(
    monkeypatch: pytest.MonkeyPatch, seconds: float, tried: set[tuple[str, ...]]
) -> None:
    """Filters take 4 seconds; the quickest network 6.8 more, by what is known: in twice 6, not in twice 5."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    own = table(labels_of(40))

    def describe(parts: tuple[str, ...], points: np.ndarray) -> np.ndarray:
        now[0] += 4 * module.cost(parts)
        return own.describe(parts, points)

    asked = replace(own, describe=describe, seconds=lambda parts: 4 * module.cost(parts))
    candidates = [(parts, (0.1,)) for parts in [(FILTERS,), ("good@2", FILTERS), ("good", FILTERS)]]
    found = choose(asked, candidates, seconds, [])
    assert {trial.parts for trial in found.trials} == tried
    assert set(found.left) == {parts for parts, _ in candidates} - tried
    assert not choose(asked, candidates, 1000, []).left


def test_a_member_far_behind_is_left_out_unless_it_was_asked_for() -> None:
    trials = [Trial((name,), 0.1, score, np.zeros((1, 2))) for name, score in (("a", -0.4), ("b", -0.5), ("c", -0.6))]
    assert [trial.parts for trial in module._best(trials, 3)] == [("a",), ("b",)]
    assert len(module._best(trials, None)) == 3


def test_a_choice_is_made_on_so_many_points_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_POINTS", 50)
    assert len(choose(table(labels_of(120)), [(("good",), (0.1,))], 10, []).trials[0].held) == 50


def posteriors(points: int, priors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of Gaussian classes as common as that -> by a predictor that holds all to be alike, (M, K); and ids."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(priors), points, p=priors)
    places = rng.normal(size=(points, len(priors))) + 2 * np.eye(len(priors))[labels]
    return np.exp(log_chances(2 * places)), labels  # the log density of class k is 2 x_k and what all share


@pytest.mark.parametrize("rare", [0.05, 0.2, 0.5, 0.9])
def test_shares_of_two_classes_are_found(rare: float) -> None:
    chances, labels = posteriors(20_000, np.array([1 - rare, rare]))
    found = shares(chances, floor=0.0)
    np.testing.assert_allclose(found, np.bincount(labels) / len(labels), atol=0.02)
    assert abs(shares(chances) - found).max() < 0.02


def test_of_more_classes_the_shares_are_the_mean() -> None:
    chances, _ = posteriors(5000, np.array([0.7, 0.2, 0.1]))
    found = shares(chances)
    np.testing.assert_allclose(found, 0.98 * chances.mean(axis=0) + 0.02 / 3)
    assert found.sum() == pytest.approx(1)
    assert found.argmax() == 0
    never = shares(np.array([[1.0, 0.0, 0.0]] * 9))
    np.testing.assert_allclose(never[1:], 0.02 / 3)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_warmth_is_what_logits_lack(factor: float) -> None:
    chances, labels = posteriors(20_000, np.full(3, 1 / 3))
    found = warmth(np.log(chances) / factor, labels, np.ones(len(labels)))
    assert found == pytest.approx(factor, rel=0.03)
    assert warmth(np.log(chances) * 100, labels, np.ones(len(labels))) == pytest.approx(0.25, rel=0.01)


def test_recall_is_a_mean_over_classes() -> None:
    logits = np.eye(3)[[0, 0, 0, 1, 0]]
    assert recall(logits, np.array([0, 0, 0, 1, 1])) == pytest.approx((1 + 0.5) / 2)
