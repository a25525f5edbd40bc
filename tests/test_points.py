"""Samplers: the contract for each, and the quotas each promises."""

from collections import Counter

import numpy as np
import pytest
from contract_sampler import SamplerContract, pixels_of
from hypothesis import given
from hypothesis import strategies as st

from pixelnet import InputError
from pixelnet.points import SAMPLERS, Draw, TwoPhase, boundary_pixels, make_sampler, pixel_quota


class TestUniform(SamplerContract):
    name = "uniform"


class TestAll(SamplerContract):
    name = "all"
    takes_all = True


class TestStratified(SamplerContract):
    name = "stratified"


class TestProportional(SamplerContract):
    name = "stratified"
    options = {"quotas": "proportional"}  # noqa: RUF012


class TestStratifiedByColor(SamplerContract):
    """Edges and normals have no classes: the colors of the image stand in."""

    name = "stratified"

    def labels(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return rng.choice(np.array([0.0, 0.3, np.nan], np.float32), shape)

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        return ~np.isnan(labels)

    def scene(self, seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labelled, labels, image = super().scene(seed, shape)
        return labelled, labels, image // 128 * 128


class TestBalanced(SamplerContract):
    name = "balanced"

    def labels(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return rng.choice(np.array([0, 0, 0, 0, 0.5, 1, np.nan], np.float32), shape)

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        return ~np.isnan(labels)


class TestBoundary(SamplerContract):
    name = "boundary"


class TestBoundaryOfShares(SamplerContract):
    """The labels of edges, where some pixels take no part."""

    name = "boundary"

    def labels(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return rng.choice(np.array([0, 0, 0, 0, 0.5, 1, np.nan], np.float32), shape)

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        return ~np.isnan(labels)


class TestBoundaryOfNormals(SamplerContract):
    name = "boundary"

    def labels(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return rng.choice(np.array([[0, 0, -1], [0, 0, -1], [0, -1, 0], [0, 0, 0]], np.float32), shape)

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        return labels.any(axis=-1)


class TwoPhases:
    """Both draws of a sampler, of a model that makes of each pixel what its red is, or a little more.

    Were there ties, the earlier pixels would be taken first; a network leaves none.
    """

    def __init__(self, sampler: TwoPhase):
        self.sampler, self.noise = sampler, np.random.default_rng(0)

    def __call__(self, labelled, rng, labels, image) -> Draw:
        draw = self.sampler(labelled, rng, labels, image)
        rows = pixels_of(draw)
        measure = np.array([image[pixel][0] for pixel in rows], np.float32) + self.noise.random(len(rows)) / 2
        weights = self.sampler.narrow(measure, draw.weights, rng)
        return Draw(draw.points[weights > 0], weights[weights > 0])


class TwoPhaseContract(SamplerContract):
    def sampler(self, pixels: int | str = 4) -> TwoPhases:
        return TwoPhases(make_sampler(self.name, pixels, **self.options))


class TestHard(TwoPhaseContract):
    name = "hard"


class TestGradient(TwoPhaseContract):
    name = "gradient"


def test_every_sampler_is_under_contract() -> None:
    kinds = {*SamplerContract.__subclasses__(), *TwoPhaseContract.__subclasses__()} - {TwoPhaseContract}
    assert {kind.name for kind in kinds} == set(SAMPLERS)


# ------------------------------------------------------------------------------------------------------ quotas


def draw_classes(counts: dict[int, int], pixels: int | str = 2000, **options: object) -> tuple[Counter, dict]:
    """Stratified, on an image with `counts` pixels of each class: points and weight of each class drawn."""
    labels = np.repeat(list(counts), list(counts.values()))[None].astype(np.uint8)
    sampler = make_sampler("stratified", pixels, **options)
    draw = sampler(labels != 255, np.random.default_rng(0), labels)
    classes = [int(labels[pixel]) for pixel in pixels_of(draw)]
    return Counter(classes), dict(zip(classes, draw.weights.tolist(), strict=True))


def test_equal_quotas() -> None:
    drawn, weights = draw_classes({0: 900, 1: 60, 2: 40, 255: 500}, 30)
    assert drawn == {0: 10, 1: 10, 2: 10}
    assert weights == {0: 90, 1: 6, 2: 4}


def test_a_short_class_hands_its_quota_on_in_equal_parts() -> None:
    assert draw_classes({0: 900, 1: 60, 2: 4}, 30)[0] == {0: 13, 1: 13, 2: 4}
    assert draw_classes({0: 900, 1: 6, 2: 4}, 30)[0] == {0: 20, 1: 6, 2: 4}
    assert draw_classes({0: 9, 1: 6, 2: 4}, 30)[0] == {0: 9, 1: 6, 2: 4}


def test_what_cannot_be_split_goes_one_each() -> None:
    drawn, _ = draw_classes({0: 900, 1: 60, 2: 40}, 32)
    assert sorted(drawn.values()) == [10, 11, 11]


def test_proportional_quotas_leave_no_class_out() -> None:
    drawn, weights = draw_classes({0: 960, 1: 38, 2: 2}, 100, quotas="proportional")
    assert sum(drawn.values()) == 100
    assert drawn[2] >= 1
    assert abs(drawn[0] - 96) <= 2
    assert abs(drawn[1] - 3.8) <= 2
    assert sum(drawn[k] * weights[k] for k in drawn) == pytest.approx(1000)


def test_quotas_by_class_take_the_place_of_pixels() -> None:
    drawn, weights = draw_classes({0: 100, 1: 100, 2: 100, 3: 50}, 7, quotas={0: 10, 1: 5, 2: 2})
    assert drawn == {0: 10, 1: 5, 2: 2}
    assert weights == {0: 10, 1: 20, 2: 50}


def test_quotas_by_class_are_handed_on_to_the_others_named() -> None:
    drawn, _ = draw_classes({0: 100, 2: 1, 3: 50}, quotas={0: 10, 1: 5, 2: 2})
    assert drawn == {0: 16, 2: 1}
    assert draw_classes({3: 50}, quotas={0: 10})[0] == {}


def test_fewer_points_than_classes_are_drawn_from_all_alike() -> None:
    drawn, weights = draw_classes({0: 50, 1: 30, 2: 20}, 2)
    assert sum(drawn.values()) == 2
    assert set(weights.values()) == {50}


def test_a_photo_that_is_nearly_all_yellow_still_gives_blue_and_pink() -> None:
    image = np.full((100, 100, 3), (240, 220, 30), np.uint8)
    image[0, :], image[1:4, :] = (30, 60, 220), (250, 130, 180)
    labelled = np.ones((100, 100), bool)
    draw = make_sampler("stratified", 30)(labelled, np.random.default_rng(0), None, image)
    assert Counter(tuple(image[pixel].tolist()) for pixel in pixels_of(draw)) == {
        (240, 220, 30): 10, (30, 60, 220): 10, (250, 130, 180): 10
    }  # fmt: skip
    assert draw.weights.sum() == pytest.approx(10_000)


def test_normals_and_shares_are_no_classes() -> None:
    """Stratified looks at the image then, not at the labels."""
    image = np.zeros((4, 5, 3), np.uint8)
    image[0] = 255
    for labels in (np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32), np.eye(4, 5, dtype=np.float32)):
        draw = make_sampler("stratified", 4)(np.ones((4, 5), bool), np.random.default_rng(0), labels, image)
        assert sorted(draw.weights.tolist()) == [2.5, 2.5, 7.5, 7.5]


@pytest.mark.parametrize(("positives", "expected"), [(0.5, 20), (0.25, 10), (0.001, 1), (0.999, 39)])
def test_balanced_takes_its_share_of_positives(positives: float, expected: int) -> None:
    labels = np.zeros((50, 50), np.float32)
    labels[10, :] = 0.5
    labels[20, :] = 0.49
    draw = make_sampler("balanced", 40, positives=positives)(labels >= 0, np.random.default_rng(0), labels)
    drawn = [labels[pixel] for pixel in pixels_of(draw)]
    assert len(drawn) == 40
    assert sum(value >= 0.5 for value in drawn) == expected
    assert draw.weights[np.array(drawn) >= 0.5].sum() == pytest.approx(50)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (3, 3), (2498, 38), (2500, 40)])
def test_balanced_fills_up_with_the_other_kind(count: int, expected: int) -> None:
    labels = (np.arange(2500) < count).astype(np.float32).reshape(50, 50)
    draw = make_sampler("balanced", 40)(np.ones((50, 50), bool), np.random.default_rng(0), labels)
    positive = sum(bool(labels[pixel]) for pixel in pixels_of(draw))
    assert len(draw.points) == 40
    assert positive == (expected if count != 2498 else 38)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8), [[0, 1, 1, 0], [0, 1, 1, 0]]),
        (np.array([[7, 255, 3], [7, 7, 7]], np.uint8), [[0, 0, 1], [0, 0, 1]]),
        (np.array([[2, 2.05, 3, np.nan, 1]], np.float32), [[0, 1, 1, 0, 0]]),
        (np.array([[0, 0, 0.5, 0.5, 0]], np.float32), [[0, 1, 1, 1, 1]]),
        (np.array([[-1, -1.04, 1]], np.float32), [[0, 1, 1]]),
    ],
)
def test_boundaries_of_classes_and_of_values(labels: np.ndarray, expected: list) -> None:
    np.testing.assert_array_equal(boundary_pixels(labels), np.array(expected, bool))


def test_a_boundary_of_normals_is_a_bend_of_20_degrees() -> None:
    angles = np.radians([0, 19, 38, 59, 80])  # bends of 19, 19, 21 and 21 degrees
    normals = np.stack([np.sin(angles), 0 * angles, -np.cos(angles)], axis=-1)[None].astype(np.float32)
    np.testing.assert_array_equal(boundary_pixels(normals), [[False, False, True, True, True]])
    normals[0, 3] = 0  # unlabelled
    assert not boundary_pixels(normals).any()


@pytest.mark.parametrize(("near", "expected"), [(0.5, 20), (0.25, 10)])
def test_boundary_takes_its_share_within_three_pixels(near: float, expected: int) -> None:
    labels = np.zeros((50, 60), np.uint8)
    labels[:, 30:] = 1
    draw = make_sampler("boundary", 40, near=near)(labels < 255, np.random.default_rng(0), labels)
    beside = (draw.points[:, 0] >= 27) & (draw.points[:, 0] <= 32)
    assert (len(draw.points), int(beside.sum())) == (40, expected)
    assert draw.weights[beside].sum() == pytest.approx(50 * 6)
    assert draw.weights[~beside].sum() == pytest.approx(50 * 54)


def test_a_boundary_of_nothing_is_drawn_uniformly() -> None:
    labels = np.full((10, 10), 3, np.uint8)
    draw = make_sampler("boundary", 20)(labels < 255, np.random.default_rng(0), labels)
    assert set(draw.weights.tolist()) == {5}


def test_hard_takes_the_least_certain_and_the_rest_uniformly() -> None:
    sampler, confidence = make_sampler("hard", 20), np.random.default_rng(3).permutation(60).astype(np.float32)
    first = np.full(60, 10, np.float32)  # 60 candidates of 600 pixels
    drawn = [sampler.narrow(confidence, first, np.random.default_rng(seed)) for seed in range(400)]
    for weights in drawn:
        assert (weights[confidence < 15] == 10).all()  # taken whole: each stands for what it stood for
        others = weights[confidence >= 15]
        assert sorted(others.tolist()) == [0] * 40 + [90] * 5  # 5 of 45
    counts = np.sum([weights > 0 for weights in drawn], axis=0)[confidence >= 15]
    assert abs(counts - 400 / 9).max() < 5 * np.sqrt(400 * 1 / 9 * 8 / 9)


def test_hard_asks_for_three_candidates_a_point_while_there_are() -> None:
    sampler = make_sampler("hard", 20)
    for labelled, candidates in ((1000, 60), (50, 50), (7, 7)):
        draw = sampler(np.ones((1, labelled), bool), np.random.default_rng(0))
        assert len(draw.points) == candidates
        taken = sampler.narrow(np.arange(candidates, dtype=np.float32), draw.weights, np.random.default_rng(0))
        assert (taken > 0).sum() == min(20, labelled)


def test_gradient_draws_in_proportion_to_what_a_pixel_has_to_say() -> None:
    """80 candidates; the gradients of the upper half are nine times as long, so they are due nine tenths of 24."""
    sampler, order = make_sampler("gradient", 24), np.random.default_rng(0).permutation(80)
    lengths = np.where(order < 40, 1, 9).astype(np.float32)
    taken = sampler.narrow(lengths, np.full(80, 5, np.float32), np.random.default_rng(1))
    steep = taken[lengths == 9]
    assert ((taken > 0).sum(), taken.sum()) == (24, pytest.approx(400))
    assert 18 <= (steep > 0).sum() <= 20  # four strata of one point each at least are left to the others
    assert steep.sum() == pytest.approx(200)


def test_gradients_of_nothing_are_drawn_uniformly() -> None:
    taken = make_sampler("gradient", 8).narrow(np.zeros(24), np.ones(24, np.float32), np.random.default_rng(0))
    assert sorted(taken.tolist()) == [0] * 16 + [3] * 8


def test_the_estimate_by_gradients_varies_less_than_the_uniform_one() -> None:
    """Of the mean of 900 values that are mostly small: 2,000 estimates of each kind, from 30 values."""
    rng = np.random.default_rng(0)
    values = rng.exponential(1, 900) ** 2 * rng.choice([-1, 1], 900)
    labelled, estimates = np.ones((30, 30), bool), {}
    for name in ("uniform", "gradient"):
        sampler, found = make_sampler(name, 30), []
        for _ in range(2000):
            draw = sampler(labelled, rng)
            at = values.reshape(30, 30)[draw.points[:, 1].astype(int), draw.points[:, 0].astype(int)]
            weights = sampler.narrow(abs(at), draw.weights, rng) if name == "gradient" else draw.weights
            found.append(weights @ at / 900)
        estimates[name] = np.array(found)
        error = estimates[name].std() / np.sqrt(2000)
        assert abs(estimates[name].mean() - values.mean()) < 5 * error
    assert estimates["gradient"].std() < 0.8 * estimates["uniform"].std()


@given(st.integers(1, 10**6))
def test_a_share_is_rounded_and_never_none(available: int) -> None:
    assert pixel_quota("4%", available) == max(1, round(0.04 * available))
    assert pixel_quota("100%", available) == available
    assert pixel_quota(" 2000 ", available) == pixel_quota(2000, available) == min(2000, available)


# --------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("pixels", [0, -3, "0", "0%", "101%", "-4%", "four", "%", "4 %%", "nan%", 0.04, "", None])
def test_nonsense_numbers_of_pixels_are_refused(pixels: object) -> None:
    with pytest.raises(InputError, match="give a count"):
        make_sampler("uniform", pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("random", {}, "uniform, stratified, balanced, boundary, hard, gradient, all"),
        ("uniform", {"quotas": "equal"}, "quotas"),
        ("stratified", {"positives": 0.5}, "positives"),
        ("stratified", {"quotas": "fair"}, "equal, proportional"),
        ("stratified", {"quotas": {}}, "equal, proportional"),
        ("stratified", {"quotas": {0: -1}}, "equal, proportional"),
        ("stratified", {"quotas": {0: 0}}, "equal, proportional"),
        ("balanced", {"positives": 0.0}, "above 0"),
        ("balanced", {"positives": 1.0}, "below 1"),
        ("boundary", {"near": 1.0}, "below 1"),
        ("hard", {"hardest": 0.0}, "above 0"),
    ],
)
def test_unknown_samplers_and_options_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_sampler(name, 10, **options)


def test_samplers_say_what_they_need_to_see() -> None:
    labelled, rng = np.ones((2, 2), bool), np.random.default_rng(0)
    with pytest.raises(InputError, match="image"):
        make_sampler("stratified")(labelled, rng)
    with pytest.raises(InputError, match="classes"):
        make_sampler("stratified", quotas={0: 5})(labelled, rng, None, np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(InputError, match="edges"):
        make_sampler("balanced")(labelled, rng, np.zeros((2, 2, 3), np.float32))
    with pytest.raises(InputError, match="labels"):
        make_sampler("boundary")(labelled, rng)
