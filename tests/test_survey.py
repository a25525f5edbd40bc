"""Surveys of pixels: the published worked examples to their printed digits, and draws against what is so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from pixelnet.errors import InputError
from pixelnet.metrics.confusion import scores as dense_scores
from pixelnet.metrics.survey import strata as survey_strata
from pixelnet.metrics.survey.accuracy import counted, expected, scores
from pixelnet.metrics.survey.allocation import allocate, merged, sample_size
from pixelnet.metrics.survey.assisted import residuals
from pixelnet.metrics.survey.bounds import INTERVALS
from pixelnet.metrics.survey.designs import Stratified, TwoStage, between_images, draw
from pixelnet.metrics.survey.errors import confidence_scores, counted_errors, error_scores
from pixelnet.metrics.survey.strata import cell_of, cells, planned, softened

Z = 1.96


def of_matrix(matrix, sizes):
    """Each score and 1.96 of its standard errors, of an error matrix whose rows are the map's classes, the strata."""
    matrix = np.array(matrix)
    mapped, truth = (np.repeat(ids.ravel(), matrix.ravel()) for ids in np.indices(matrix.shape))
    return estimated(Stratified(np.array(sizes, float), mapped), mapped, truth, len(matrix))


def estimated(design, mapped, truth, classes):
    values = counted(mapped, truth, classes)
    found = scores(design.total(values), values)
    errors = np.sqrt(design.variance(found.influences))
    return {name: (value, error) for name, value, error in zip(found.names, found.values, errors, strict=True)}


def test_olofsson_2014_table_8():
    matrix = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    sizes = [200_000, 150_000, 3_200_000, 6_450_000]
    found = of_matrix(matrix, sizes)
    value, error = found["overall", None]
    assert (round(value, 4), round(Z * error, 4)) == (0.9465, 0.0185)
    users = [(0.880, 0.074), (0.733, 0.101), (0.927, 0.040), (0.963, 0.021)]
    # The paper prints .23 and .01 for the last two of the first and the fourth; these follow from its equation 7.
    producers = [(0.7487, 0.2133), (0.8472, 0.2544), (0.9345, 0.0343), (0.9616, 0.0184)]
    hectares = [(21158, 6158), (11686, 3756), (285770, 15510), (581386, 16282)]
    for k in range(4):
        value, error = found["users", k]
        assert (round(value, 3), round(Z * error, 3)) == users[k]
        value, error = found["producers", k]
        assert (round(value, 4), round(Z * error, 4)) == producers[k]
        value, error = (number * sum(sizes) * 0.09 for number in found["area", k])
        assert value == pytest.approx(hectares[k][0], abs=0.6)
        assert Z * error == pytest.approx(hectares[k][1], abs=1)  # the paper takes no part of the pixels as known


def test_olofsson_2014_sample_size():
    shares = np.array([0.02, 0.015, 0.32, 0.645])
    assert sample_size(shares, [0.7, 0.6, 0.9, 0.95], 0.01) == 641
    with pytest.raises(InputError, match="standard error"):
        sample_size(shares, [0.7, 0.6, 0.9, 0.95], 0)


def test_olofsson_2013_example_1():
    sizes = [22_353, 1_122_543, 610_228]
    found = of_matrix([[97, 0, 3], [3, 279, 18], [2, 1, 97]], sizes)
    value, error = (number * sum(sizes) for number in found["area", 0])
    assert value == pytest.approx(45_112, abs=1)
    assert Z * error == pytest.approx(21_073, rel=1e-3)  # printed from rounded shares, and without what is known


def test_stehman_2014():
    strata, mapped, truth = (
        np.array([ord(letter) - ord("A") for letter in letters])
        for letters in (
            "A" * 10 + "B" * 10 + "C" * 10 + "D" * 10,
            "AAAAAAABBB" + "A" + "B" * 9 + "BB" + "C" * 6 + "BB" + "D" * 10,
            "AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB",
        )
    )
    found = estimated(Stratified(np.array([40_000.0, 30_000, 20_000, 10_000]), strata), mapped, truth, 4)
    printed = {
        ("area", 0): (0.35, 0.0822), ("area", 2): (0.20, 0.0643), ("overall", None): (0.63, 0.0846),
        ("users", 1): (0.574, 0.1248), ("producers", 1): (0.794, 0.1165),
    }  # fmt: skip
    for name, (value, error) in printed.items():
        assert found[name][0] == pytest.approx(value, abs=5e-4)
        assert found[name][1] == pytest.approx(error, abs=1e-4)


def test_a_survey_of_all_pixels_is_the_confusion_matrix():
    rng = np.random.default_rng(0)
    mapped, truth = rng.integers(0, 3, (2, 500))
    found = estimated(Stratified(np.array([500.0]), np.zeros(500, int)), mapped, truth, 3)
    expected_scores = dense_scores(np.bincount(truth * 3 + mapped, minlength=9).reshape(3, 3))
    for name, key in (("iou", "iou_per_class"), ("dice", "dice_per_class")):
        assert [found[name, k][0] for k in range(3)] == pytest.approx(expected_scores[key])
    assert found["miou", None] == (pytest.approx(expected_scores["miou"]), pytest.approx(0, abs=1e-9))
    assert found["overall", None][0] == pytest.approx(expected_scores["pixel_accuracy"])


def population(seed=0, pixels=6000, classes=3):
    """A map, its truth, and a model's probabilities that are nearly right of themselves."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.25] * classes, pixels)
    truth = (probabilities.cumsum(1) > rng.random((pixels, 1))).argmax(1)
    return probabilities.argmax(1), truth, probabilities, np.sort(rng.integers(0, 20, pixels))


@pytest.mark.parametrize("how", ["direct", "difference", "tuned"])
def test_totals_are_unbiased_and_variances_are_those_of_the_draws(how):
    mapped, truth, probabilities, _ = population()
    found = cells(mapped, probabilities)
    of_cell, counts, averaged = planned(found, 120)
    assert averaged.all()
    stratum = of_cell.ravel()[cell_of(mapped, probabilities)]
    order, sizes = np.argsort(stratum, kind="stable"), np.bincount(stratum)
    starts, rng = np.cumsum(sizes) - sizes, np.random.default_rng(1)
    picked = np.stack([
        order[np.concatenate([a + b for a, b in zip(starts, draw(sizes, counts, rng), strict=True)])]
        for _ in range(600)
    ])  # fmt: skip
    design = Stratified(sizes.astype(float), np.repeat(np.arange(len(counts)), counts))
    values = counted(mapped[picked], truth[picked], 3)
    totals, left = design.total(values), values
    if how != "direct":
        foreseen = expected(mapped[picked], probabilities[picked])
        totals, left = residuals(values, foreseen, found.foreseen, design, how == "tuned")
    every = counted(mapped, truth, 3).sum(axis=0)
    assert found.foreseen == pytest.approx(expected(mapped, probabilities).sum(axis=0))
    spread = totals.std(axis=0)
    slack = 0.05 * spread * (how == "tuned")  # whose factor is found from the same sample
    assert np.all(np.abs(totals.mean(axis=0) - every) <= 5 * spread / np.sqrt(600) + slack + 1e-6)
    own, whole = scores(totals, left), scores(every, counted(mapped, truth, 3))
    variance = design.variance(own.influences)
    assert np.sqrt(variance.mean(axis=0)) == pytest.approx(own.values.std(axis=0), rel=0.15)
    low, high = INTERVALS["wilson"](own.values, variance, design.freedom)
    held = ((low <= whole.values) & (whole.values <= high)).mean(axis=0)
    assert held.min() > 0.91
    assert held.max() < 0.995


def test_a_variance_is_that_of_the_strata_and_one_foreseen_observation_more():
    rng, sizes, stratum = np.random.default_rng(5), np.array([900.0, 40.0, 6.0]), np.repeat([0, 1, 2], [7, 4, 6])
    values, doubts = rng.normal(size=(17, 2)), rng.random((17, 2))
    design = Stratified(sizes, stratum)
    plain, doubted = np.zeros(2), np.zeros(2)
    for h, size in enumerate(sizes):
        own = values[stratum == h]
        factor = size**2 * (1 - len(own) / size) / len(own)
        squares = ((own - own.mean(axis=0)) ** 2).sum(axis=0)
        plain += factor * own.var(axis=0, ddof=1)
        doubted += factor * (squares + doubts[stratum == h].mean(axis=0)) / len(own)
    assert design.variance(values) == pytest.approx(plain)
    assert design.variance(values, doubts) == pytest.approx(doubted)
    assert design.freedom == 17 - 3
    assert TwoStage(20, sizes, stratum).freedom == 3 - 1


def test_softened_probabilities_are_half_those_of_halved_logits():
    logits = np.random.default_rng(6).normal(scale=4, size=(50, 5))
    expected_half = special.softmax(logits / survey_strata.TEMPERATURE, axis=1)
    assert softened(special.softmax(logits, axis=1)) == pytest.approx(
        (special.softmax(logits, axis=1) + expected_half) / 2
    )
    assert softened(np.zeros((1, 5))).sum() == 0  # of a cell without pixels


def test_softening_makes_errors_of_a_model_that_is_too_sure_cheaper(monkeypatch):
    rng = np.random.default_rng(7)
    probabilities = special.softmax(rng.normal(scale=6, size=(200_000, 3)), axis=1)
    honest = np.sqrt(probabilities) / np.sqrt(probabilities).sum(axis=1, keepdims=True)
    truth = (honest.cumsum(axis=1) > rng.random((len(honest), 1))).argmax(axis=1)
    mapped, found = probabilities.argmax(axis=1), cells(probabilities.argmax(axis=1), probabilities)
    off = (truth == mapped) - probabilities.max(axis=1)

    def exact_variance():
        of_cell, counts, _ = planned(found, 300)
        stratum = of_cell.ravel()[cell_of(mapped, probabilities)]
        sizes = np.bincount(stratum)
        return sum(
            n**2 * (1 - m / n) / m * off[stratum == h].var(ddof=1)
            for h, (n, m) in enumerate(zip(sizes, counts, strict=True))
        )

    softer = exact_variance()
    monkeypatch.setattr(survey_strata, "TEMPERATURE", 1.0)
    assert softer < 0.98 * exact_variance()


def test_two_stages_and_images_like_these():
    mapped, truth, _, image = population(pixels=4000)
    wrong = image < 5  # in some images the map is worse
    truth = np.where(wrong, np.random.default_rng(2).integers(0, 3, len(truth)), truth)
    sizes, rng = np.bincount(image), np.random.default_rng(3)
    starts = np.cumsum(sizes) - sizes
    index, found = np.repeat(np.arange(8), 12), []
    for _ in range(500):
        chosen = rng.choice(20, 8, replace=False)
        pixels = np.concatenate([starts[one] + rng.choice(sizes[one], 12, replace=False) for one in chosen])
        design = TwoStage(20, sizes[chosen].astype(float), index)
        values = counted(mapped[pixels], truth[pixels], 3)
        own = scores(design.total(values), values, ("overall",))
        found.append((own.values[0], design.variance(own.influences)[0]))
    values, variances = np.array(found).T
    assert values.mean() == pytest.approx((mapped == truth).mean(), abs=0.01)
    assert np.sqrt(variances.mean()) == pytest.approx(values.std(), rel=0.12)
    with pytest.raises(InputError, match="at least 2"):
        TwoStage(20, np.array([5.0]), np.zeros(3, int))


def test_what_images_add_is_the_variance_between_them():
    rng, truths, added = np.random.default_rng(4), [], []
    for _ in range(600):
        quality = rng.beta(4, 2, 30)  # of images of 1,000 pixels each
        image = np.repeat(np.arange(30), 6)
        right = rng.random(180) < quality[image]
        design = Stratified(np.array([30_000.0]), np.zeros(180, int))
        influence = ((right - right.mean()) / 30_000)[:, None]
        truths.append(quality.mean())
        added.append(between_images(influence, design, image)[0])
    assert np.mean(added) == pytest.approx(np.var(truths), rel=0.25)


def test_what_a_model_foresees_of_images_counts_beside_what_was_found():
    rng = np.random.default_rng(5)
    image, design = rng.integers(0, 4, 20), Stratified(np.array([100.0, 300.0]), np.repeat([0, 1], 10))
    values, each = rng.normal(size=(20, 2)), rng.normal(size=(4, 2))
    weighed = design.weights[:, None] * values
    for q in range(2):
        pairs = sum(
            weighed[i, q] * weighed[j, q] for i in range(20) for j in range(20) if i != j and image[i] == image[j]
        )
        foreseen = sum(one**2 for one in each[:, q])
        alone, both = (between_images(values, design, image, *given)[q] for given in ((), (each,)))
        assert alone == pytest.approx(max(pairs, 0))
        assert both == pytest.approx(0.5 * max(pairs, 0) + 0.75 * foreseen)


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 100)), min_size=1, max_size=12), st.integers(2, 400))
def test_an_allocation_is_the_budget_and_keeps_its_bounds(strata, budget):
    sizes, weights = np.array([own[0] for own in strata]), np.array([own[1] for own in strata])
    if np.minimum(2, sizes).sum() > budget:
        with pytest.raises(InputError, match="budget"):
            allocate(budget, sizes, weights)
        return
    counts = allocate(budget, sizes, weights)
    assert counts.sum() == min(budget, sizes.sum())
    assert (counts >= np.minimum(2, sizes)).all()
    assert (counts <= sizes).all()


def test_allocations_of_the_books():
    sizes = np.array([8000, 1000, 1000])
    assert allocate(100, sizes, np.ones(3)).tolist() == [34, 33, 33]
    assert allocate(100, sizes, sizes).tolist() == [80, 10, 10]
    assert allocate(100, sizes, sizes * [0.1, 0.5, 0.3]).tolist() == [50, 31, 19]  # Neyman
    assert allocate(100, sizes, sizes, 25).tolist() == [50, 25, 25]  # good practice


def test_strata_of_few_are_merged_with_a_neighbor():
    assert merged(np.array([5, 1, 4, 0]), np.full(4, 100)).tolist() == [0, 0, 2, 2]
    assert merged(np.array([1, 5]), np.array([100, 100])).tolist() == [1, 1]
    assert merged(np.array([1, 5]), np.array([1, 100])).tolist() == [0, 1]  # all of its pixels are known
    with pytest.raises(InputError, match="1 samples; 2 at least"):
        Stratified(np.array([100.0, 100]), np.array([0, 0, 1]))


def test_intervals_agree_with_the_textbooks_where_these_speak():
    n, share = 400, 0.3
    value, variance, freedom = np.array([share]), np.array([share * (1 - share) / n]), np.array([1e9])
    wilson = stats.binomtest(120, n).proportion_ci(method="wilson")
    assert np.concatenate(INTERVALS["wilson"](value, variance, freedom)) == pytest.approx([wilson.low, wilson.high])
    reach = 1.959964 * np.sqrt(variance[0])
    assert np.concatenate(INTERVALS["wald"](value, variance, freedom)) == pytest.approx([0.3 - reach, 0.3 + reach])
    for interval in INTERVALS.values():
        low, high = interval(np.array([0.0, 1.0]), np.zeros(2), np.array([30.0, 30.0]))
        assert ((low >= 0) & (high <= 1)).all()
    n = 50  # none found, where one find would have been worth a 50th
    low, high = INTERVALS["wilson"](np.array([-0.01, 1.02]), np.full(2, n**-2.0), np.full(2, 1e9))
    none = stats.binomtest(0, n - 1).proportion_ci(method="wilson")
    assert (low[0], high[0], low[1], high[1]) == pytest.approx((0, none.high, 1 - none.high, 1), abs=1e-6)
    near = INTERVALS["wilson"](np.linspace(0, 0.3, 200), np.full(200, n**-2.0), np.full(200, 60.0))
    assert max(np.abs(np.diff(end)).max() for end in near) < 0.003  # no step where an end begins
    low, high = INTERVALS["logit"](np.array([1.0]), np.zeros(1), np.array([30.0]))
    assert 0.8 < low[0] < 0.92  # 31 right of 31 leave room for doubt


def test_errors_of_values_and_of_confidence():
    prediction, reference = np.array([1.0, 2, 3, 4]), np.array([1.0, 2.5, 2, 8])
    design = Stratified(np.array([4.0]), np.zeros(4, int))
    values = counted_errors(prediction, reference, 0.5)
    found = error_scores(design.total(values), values)
    assert found.values == pytest.approx([np.sqrt((0.25 + 1 + 16) / 4), -3.5 / 4, 0.5])
    assert design.total(found.influences) == pytest.approx(np.zeros(3), abs=1e-12)
    found = confidence_scores(np.array([0.9, 0.9, 0.4, 0.6]), np.array([1, 0, 0, 1]), np.array([1.0, 1, 1, 3]))
    assert found.values == pytest.approx(
        [(0.9 - 1 + 0.9 + 0.4 + 3 * (0.6 - 1)) / 6, 0.4, -0.4, 0.4, np.nan], nan_ok=True
    )
