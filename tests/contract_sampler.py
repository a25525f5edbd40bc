"""What every sampler must keep: a sampler's test inherits this class and says how to make one."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixelnet.points import Draw, make_sampler

Draws = Callable[..., Draw]  # a sampler, or two phases of one


class Undecided(Exception):
    """Raised where a choice is asked for that has not been made yet."""

    def __init__(self, members: int, quota: int):
        self.subsets = list(combinations(range(members), quota))


class Picks:
    """In place of a random generator: hands out the subsets it was given, one a call."""

    def __init__(self, subsets: tuple[tuple[int, ...], ...]):
        self.subsets = list(subsets)

    def choice(self, members: np.ndarray, quota: int, replace: bool, shuffle: bool = True) -> np.ndarray:
        assert not replace
        if not self.subsets:
            raise Undecided(len(members), quota)
        return np.asarray(members)[list(self.subsets.pop(0))]


def every_draw(sampler: Draws, labelled: np.ndarray, labels: np.ndarray, image: np.ndarray) -> list[tuple[float, Draw]]:
    """All draws there are, and the chance of each."""
    found, undecided = [], [((), 1.0)]
    while undecided:
        made, chance = undecided.pop()
        try:
            found.append((chance, sampler(labelled, Picks(made), labels, image)))
        except Undecided as choice:
            undecided += [((*made, subset), chance / len(choice.subsets)) for subset in choice.subsets]
    assert sum(chance for chance, _ in found) == pytest.approx(1)
    return found


def pixels_of(draw: Draw) -> list[tuple[int, int]]:
    """The (row, column) of each point."""
    assert draw.points.dtype == draw.weights.dtype == np.float32
    assert draw.points.shape == (len(draw.weights), 2)
    return [(int(y), int(x)) for x, y in draw.points]


class SamplerContract:
    """Inherit and give `name` and `options`. Labels are shares for `balanced`, class ids for the others."""

    name: str
    options: dict = {}  # noqa: RUF012
    takes_all = False

    def sampler(self, pixels: int | str = 4) -> Draws:
        return make_sampler(self.name, pixels, **self.options)

    def labels(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Class ids 0 to 2, some of them unlabelled."""
        return rng.choice(np.array([0, 0, 0, 1, 2, 255], np.uint8), shape)

    def labelled(self, labels: np.ndarray) -> np.ndarray:
        return labels != 255

    def scene(self, seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """labelled, labels and image."""
        rng = np.random.default_rng(seed)
        labels = self.labels(rng, shape)
        return self.labelled(labels), labels, rng.integers(0, 256, (*shape, 3), dtype=np.uint8)

    @pytest.mark.parametrize("pixels", [1, 2, 3, 5])
    @pytest.mark.parametrize("seed", range(4))
    def test_the_expected_weighted_gradient_is_the_dense_one(self, pixels: int, seed: int) -> None:
        """Every draw there is, of 8 pixels; gradients of a squared loss, linear in three features of a pixel."""
        labelled, labels, image = self.scene(seed, (2, 4))
        rng = np.random.default_rng(seed + 100)
        features, targets, theta = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4)), rng.normal(size=3)
        gradient = 2 * (features @ theta - targets)[..., None] * features
        dense = gradient[labelled].mean(axis=0)
        draws = every_draw(self.sampler(pixels), labelled, labels, image)
        if not self.takes_all and labelled.sum() > pixels:
            assert len(draws) > 1
        expected = np.zeros(3)
        for chance, draw in draws:
            chosen = np.array([gradient[pixel] for pixel in pixels_of(draw)])
            expected += chance * (draw.weights @ chosen) / draw.weights.sum()
        np.testing.assert_allclose(expected, dense, atol=1e-6)

    @settings(max_examples=40, suppress_health_check=[HealthCheck.differing_executors])
    @given(
        pixels=st.one_of(st.integers(1, 60), st.sampled_from(["0.5%", "4%", "37.5%", "100%"])),
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        seed=st.integers(0, 2**16),
    )
    def test_weights_sum_to_the_labelled_pixels_each_chosen_once(self, pixels, height, width, seed) -> None:
        labelled, labels, image = self.scene(seed, (height, width))
        draw = self.sampler(pixels)(labelled, np.random.default_rng(seed), labels, image)
        chosen, available = pixels_of(draw), int(labelled.sum())
        assert len(set(chosen)) == len(chosen)
        assert all(labelled[pixel] for pixel in chosen)
        assert (draw.weights >= 1).all()
        assert draw.weights.sum() == pytest.approx(available, rel=1e-5)
        if self.takes_all:
            assert len(chosen) == available
        elif isinstance(pixels, int):
            assert len(chosen) == min(pixels, available)
        else:
            wanted = float(pixels[:-1]) / 100 * available
            assert len(chosen) == 0 if not available else abs(len(chosen) - max(1, wanted)) <= 0.5

    def test_a_seed_gives_the_same_draw_and_another_another(self) -> None:
        scene = self.scene(0, (20, 30))
        first, same, other = (self.sampler(50)(scene[0], np.random.default_rng(s), *scene[1:]) for s in (1, 1, 2))
        np.testing.assert_array_equal(first.points, same.points)
        np.testing.assert_array_equal(first.weights, same.weights)
        assert (set(pixels_of(first)) != set(pixels_of(other))) != self.takes_all

    def test_nothing_labelled_is_no_point(self) -> None:
        _, labels, image = self.scene(0, (3, 5))
        draw = self.sampler()(np.zeros((3, 5), bool), np.random.default_rng(0), labels, image)
        assert draw.points.shape == (0, 2)
        assert pixels_of(draw) == []

    def test_inputs_are_left_alone(self) -> None:
        scene = self.scene(0, (6, 7))
        before = [array.copy() for array in scene]
        self.sampler()(scene[0], np.random.default_rng(0), *scene[1:])
        for array, kept in zip(scene, before, strict=True):
            np.testing.assert_array_equal(array, kept)

    def test_chance_favors_no_pixel_of_a_stratum(self) -> None:
        """5,000 draws of 3 of 9 like pixels: each is chosen 1,667 times, give or take 5 deviations."""
        labels = self.labels(np.random.default_rng(0), (3, 3))
        labels[...] = labels[self.labelled(labels)][0]
        labelled, image, rng = np.ones((3, 3), bool), np.zeros((3, 3, 3), np.uint8), np.random.default_rng(0)
        sampler, counts = self.sampler(3), np.zeros((3, 3))
        for _ in range(5000):
            for pixel in pixels_of(sampler(labelled, rng, labels, image)):
                counts[pixel] += 1
        if self.takes_all:
            assert (counts == 5000).all()
        else:
            assert abs(counts - 5000 / 3).max() < 5 * np.sqrt(5000 * 1 / 3 * 2 / 3)
