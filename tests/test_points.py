"""Samplers: the contract for each, and the quotas each promises."""

from collections import Counter

import numpy as np
import pytest
from contract_sampler import SamplerContract, pixels_of
from hypothesis import given
from hypothesis import strategies as st

from pixelnet import InputError
from pixelnet.points import SAMPLERS, make_sampler, pixel_quota


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


class TestStratifiedByColour(SamplerContract):
    """Edges and normals have no classes: the colours of the image stand in."""

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


def test_every_sampler_is_under_contract() -> None:
    tested = {kind.name for kind in SamplerContract.__subclasses__()}
    assert tested == set(SAMPLERS)


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
        ("random", {}, "uniform, stratified, balanced, all"),
        ("uniform", {"quotas": "equal"}, "quotas"),
        ("stratified", {"positives": 0.5}, "positives"),
        ("stratified", {"quotas": "fair"}, "equal, proportional"),
        ("stratified", {"quotas": {}}, "equal, proportional"),
        ("stratified", {"quotas": {0: -1}}, "equal, proportional"),
        ("stratified", {"quotas": {0: 0}}, "equal, proportional"),
        ("balanced", {"positives": 0.0}, "above 0"),
        ("balanced", {"positives": 1.0}, "below 1"),
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
