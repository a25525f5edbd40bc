"""Reading maps at points, against interpolate, grid_sample, a plain loop and hand-worked numbers."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pixelnet import hypercolumn
from pixelnet.hypercolumn import hypercolumns, read

STRIDES = st.sampled_from([1, 2, 3, 4, 8, 16, 32])
REAL_STRIDES = STRIDES | st.floats(0.3, 40)  # of images that were resized
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
INHERITED = [HealthCheck.differing_executors]  # one test serves several classes


def random_map(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def random_points(seed: int, count: int, number: int, width: int, height: int, beyond: float = 0.0) -> torch.Tensor:
    """(N, P, 2) between the outer corners of the image, and `beyond` of its size outside on every side."""
    low, high = -0.5 - beyond * np.array([width, height]), np.array([width, height]) * (1 + beyond) - 0.5
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, (count, number, 2)))


def every_pixel(width: int, height: int) -> torch.Tensor:
    """(1, H * W, 2), row by row."""
    return torch.tensor([[[x, y] for y in range(height) for x in range(width)]], dtype=torch.float64)


def read_by_loop(features: np.ndarray, points: np.ndarray, stride: float) -> np.ndarray:
    """The definition, one point at a time: clamp, then blend along x, then along y."""
    count, channels, height, width = features.shape
    result = np.zeros((count, points.shape[1], channels))
    for n in range(count):
        for p, (x, y) in enumerate(points[n]):
            u = min(max((x + 0.5) / stride - 0.5, 0), width - 1)
            v = min(max((y + 0.5) / stride - 0.5, 0), height - 1)
            j, i = int(u), int(v)
            k, l = min(j + 1, width - 1), min(i + 1, height - 1)  # noqa: E741
            above = features[n, :, i, j] + (u - j) * (features[n, :, i, k] - features[n, :, i, j])
            below = features[n, :, l, j] + (u - j) * (features[n, :, l, k] - features[n, :, l, j])
            result[n, p] = above + (v - i) * (below - above)
    return result


class ReadingContract:
    """What every way of reading keeps. Inherit and say how to `read` one map (N, C, h, w) at points: (N, P, C)."""

    def read(self, features: Tensor, points: Tensor, stride: float) -> Tensor:
        raise NotImplementedError

    @settings(max_examples=40, suppress_health_check=INHERITED)
    @given(shape=SIZES, stride=REAL_STRIDES, seed=st.integers(0, 2**16), beyond=st.sampled_from([0.0, 0.7]))
    def test_reading_is_the_definition(self, shape, stride, seed, beyond) -> None:
        features = random_map(seed, shape)
        points = random_points(seed, shape[0], 7, shape[3] * stride, shape[2] * stride, beyond)
        expected = read_by_loop(features.numpy(), points.numpy(), stride)
        np.testing.assert_allclose(self.read(features, points, stride).numpy(), expected, atol=1e-12)

    @settings(max_examples=40, suppress_health_check=INHERITED)
    @given(
        shape=SIZES, stride=STRIDES, seed=st.integers(0, 2**16), cut=st.tuples(st.integers(0, 31), st.integers(0, 31))
    )
    def test_reading_every_pixel_is_interpolate_cut_back(self, shape, stride, seed, cut) -> None:
        features = random_map(seed, shape)
        count, channels, rows, columns = shape
        height, width = (length * stride - c % stride for length, c in zip((rows, columns), cut, strict=True))
        found = self.read(features, every_pixel(width, height).expand(count, -1, -1), stride)
        expected = F.interpolate(features, scale_factor=stride, mode="bilinear", align_corners=False)
        found = found.permute(0, 2, 1).reshape(count, channels, height, width)
        torch.testing.assert_close(found, expected[:, :, :height, :width], atol=1e-12, rtol=0)

    @settings(max_examples=40, suppress_health_check=INHERITED)
    @given(shape=SIZES, stride=STRIDES, seed=st.integers(0, 2**16), beyond=st.sampled_from([0.0, 1.5]))
    def test_reading_between_pixels_is_grid_sample(self, shape, stride, seed, beyond) -> None:
        features = random_map(seed, shape).requires_grad_()
        width, height = shape[3] * stride, shape[2] * stride
        points = random_points(seed, shape[0], 9, width, height, beyond)
        grid = (2 * points + 1) / torch.tensor([width, height]) - 1
        expected = F.grid_sample(features, grid[:, None], mode="bilinear", padding_mode="border", align_corners=False)
        expected = expected[:, :, 0].permute(0, 2, 1)
        found = self.read(features, points, stride)
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
        upstream = random_map(seed + 1, tuple(found.shape))
        (own,) = torch.autograd.grad((found * upstream).sum(), features)
        (theirs,) = torch.autograd.grad((expected * upstream).sum(), features)
        torch.testing.assert_close(own, theirs, atol=1e-10, rtol=0)

    @settings(max_examples=30, suppress_health_check=INHERITED)
    @given(stride=STRIDES, rows=st.integers(2, 5), columns=st.integers(2, 5), seed=st.integers(0, 2**16))
    def test_constants_everywhere_and_ramps_inside_are_exact(self, stride, rows, columns, seed) -> None:
        """A cell's value is that of the image at the cell's center, so a ramp over the image must be read as it was."""
        x = (torch.arange(columns, dtype=torch.float64) + 0.5) * stride - 0.5
        y = (torch.arange(rows, dtype=torch.float64) + 0.5) * stride - 0.5
        ramp = 3 + 2 * x[None, :] - 5 * y[:, None]
        features = torch.stack([torch.full_like(ramp, 7.0), ramp])[None]
        points = random_points(seed, 1, 30, columns * stride, rows * stride, beyond=0.5)
        constant, ramps = self.read(features, points, stride)[0].T
        torch.testing.assert_close(constant, torch.full_like(constant, 7.0), atol=1e-12, rtol=0)
        inside = ((points[0] >= torch.stack([x[0], y[0]])) & (points[0] <= torch.stack([x[-1], y[-1]]))).all(dim=1)
        expected = 3 + 2 * points[0, :, 0] - 5 * points[0, :, 1]
        torch.testing.assert_close(ramps[inside], expected[inside], atol=1e-9, rtol=0)

    def test_a_hand_worked_point(self) -> None:
        """Stride 2: pixel (2, 1) lies at cell (0.75, 0.25)."""
        features = torch.tensor([[[[0.0, 10.0], [20.0, 70.0]]]])
        assert self.read(features, torch.tensor([[[2.0, 1.0]]]), 2).item() == pytest.approx(5.625 + 1.25 + 13.125)

    def test_the_released_layer_reads_the_same_place(self) -> None:
        """It reads at (x - (s - 1) / 2) / s."""
        stride, width = 8, 6
        features = torch.arange(width, dtype=torch.float64).expand(1, 1, 2, width)
        x = torch.linspace(4, 40, 10, dtype=torch.float64)
        points = torch.stack([x, torch.full_like(x, 5)], dim=1)[None]
        torch.testing.assert_close(self.read(features, points, stride)[0, :, 0], (x - (stride - 1) / 2) / stride)

    def test_gradients_of_map_and_points_are_right(self) -> None:
        features = random_map(0, (2, 3, 3, 4)).requires_grad_()
        points = random_points(1, 2, 5, 8, 6).requires_grad_()
        assert torch.autograd.gradcheck(lambda maps, at: self.read(maps, at, 2), (features, points))

    def test_the_layout_in_memory_does_not_matter(self) -> None:
        features, points = random_map(0, (2, 5, 6, 7)), random_points(1, 2, 9, 28, 24)
        other = features.contiguous(memory_format=torch.channels_last)
        assert torch.equal(self.read(features, points, 4), self.read(other, points, 4))

    def test_no_points_are_no_rows(self) -> None:
        features = random_map(0, (2, 5, 6, 7)).requires_grad_()
        rows = self.read(features, torch.zeros(2, 0, 2, dtype=torch.float64), 4)
        assert rows.shape == (2, 0, 5)
        rows.sum().backward()
        assert features.grad is not None
        assert not features.grad.any()

    def test_points_keep_their_precision_on_maps_of_half(self) -> None:
        """Cell 2000.5 of 4096 is no number of half precision: its steps are 1 there."""
        features = torch.zeros(1, 1, 1, 4096, dtype=torch.bfloat16)
        features[..., 2001] = 1
        assert self.read(features, torch.tensor([[[2000.5, 0.0]]]), 1).item() == 0.5

    def test_the_backward_pass_repeats_bit_for_bit(self) -> None:
        features = random_map(0, (2, 16, 4, 4)).float().requires_grad_()
        points = random_points(1, 2, 500, 32, 32).float()
        upstream = random_map(2, (2, 500, 16)).float()
        grads = [torch.autograd.grad((self.read(features, points, 8) * upstream).sum(), features)[0] for _ in range(3)]
        assert all(torch.equal(grads[0], other) for other in grads)


class TestPlain(ReadingContract):
    def read(self, features: Tensor, points: Tensor, stride: float) -> Tensor:
        return read(features, points, stride)


def test_taps_follow_each_other_in_their_order() -> None:
    maps = [random_map(0, (2, 3, 8, 12)), random_map(1, (2, 1, 2, 3)), random_map(2, (2, 4, 4, 6))]
    points = random_points(3, 2, 6, 24, 16)
    together = hypercolumns(maps, points, (2, 8, 4))
    apart = [read(features, points, stride) for features, stride in zip(maps, (2, 8, 4), strict=True)]
    assert together.shape == (2, 6, 8)
    assert torch.equal(together, torch.cat(apart, dim=-1))
    with pytest.raises(ValueError):
        hypercolumns(maps, points, (2, 8))


@pytest.mark.parametrize(
    ("kind", "precision"),
    [(torch.float32, torch.float32), (torch.float64, torch.float64), (torch.bfloat16, torch.float32)],
)
def test_every_pixel_is_a_point(kind: torch.dtype, precision: torch.dtype) -> None:
    """Row by row, and in numbers that can count the pixels of a row, which half precision cannot."""
    points = hypercolumn.every_pixel(torch.zeros(2, 3, 3, 300, dtype=kind))
    assert points.dtype == precision
    assert torch.equal(points.double(), every_pixel(300, 3).expand(2, -1, -1))
