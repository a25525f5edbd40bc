"""What every backbone must keep. A family's test inherits this class and names a small network of it."""

from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pixelnet import InputError, PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.networks import make_backbone


def border_and_random_points(seed: int, width: int, height: int, number: int = 20) -> Tensor:
    """(P, 2) whole pixels: the four corners of the image, and others anywhere."""
    drawn = torch.Generator().manual_seed(seed)
    random = torch.stack([torch.randint(size, (number,), generator=drawn) for size in (width, height)], dim=1)
    return torch.cat([torch.tensor([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]), random])


def largest(tensors: Iterable[Tensor | None]) -> float:
    return max(float(tensor.detach().abs().max()) for tensor in tensors if tensor is not None)


def sparse_and_dense_agree(model: PixelNet, images: Tensor, points: Tensor, tolerance: float) -> None:
    """Logits at whole pixels (N, P, 2), and the gradients of a random sum of them, by either way of asking."""
    images = images.clone().requires_grad_()
    given = [images, *model.parameters()]
    torch.manual_seed(0)  # some transformers drop whole paths in training
    dense = model(images)
    assert dense.shape == (len(images), model.task.outputs, *images.shape[-2:])
    column, row = points.unbind(dim=-1)
    dense = torch.stack([dense[n, :, row[n], column[n]].T for n in range(len(images))])
    torch.manual_seed(0)
    sparse = model(images, points.to(images.dtype))
    assert largest([sparse - dense]) <= tolerance * largest([dense])
    upstream = torch.randn(dense.shape, generator=torch.Generator().manual_seed(0)).to(dense)
    expected = torch.autograd.grad((dense * upstream).sum(), given, allow_unused=True)
    found = torch.autograd.grad((sparse * upstream).sum(), given, allow_unused=True)
    assert [gradient is None for gradient in found] == [gradient is None for gradient in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a is not None and b is not None]
    assert largest([pairs[0][1]]) > 0
    assert largest([pairs[0][0] - pairs[0][1]]) <= tolerance * largest([pairs[0][1]])
    assert largest(a - b for a, b in pairs) <= tolerance * largest(b for _, b in pairs)


class BackboneContract:
    """Inherit and say the `name`, the `options` of `make_backbone`, and what its taps are."""

    name: str
    options: dict = {}  # noqa: RUF012
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    some_taps: tuple[int, ...] = (1, 3)
    largest_side = 70
    examples = 3

    def backbone(self, **options: object) -> Backbone:
        torch.manual_seed(0)
        return make_backbone(self.name, **{**self.options, **options})  # type: ignore[arg-type]

    def model(self) -> PixelNet:
        torch.manual_seed(0)
        model = PixelNet("segmentation", 5, self.name, hidden=(8,), **self.options)
        for norm in model.norms.modules():  # as after some training: not 0 and 1
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
        return model

    def test_it_says_what_its_taps_are(self) -> None:
        backbone = self.backbone()
        assert backbone.channels == self.channels
        assert backbone.strides == self.strides

    @pytest.mark.parametrize("channels", [1, 5])
    def test_any_number_of_input_channels(self, channels: int) -> None:
        size = 2 * max(self.strides)
        backbone = self.backbone(channels=channels).eval()
        maps = backbone(torch.rand(1, channels, size, size))
        assert [features.shape[1] for features in maps] == list(self.channels)
        assert backbone.mean.shape == backbone.std.shape == (1, channels, 1, 1)

    def test_maps_have_the_promised_sizes(self) -> None:
        height, width = 2 * max(self.strides), 3 * max(self.strides)
        maps = self.backbone().eval()(torch.rand(2, 3, height, width))
        expected = [(2, c, height // s, width // s) for c, s in zip(self.channels, self.strides, strict=True)]
        assert [tuple(features.shape) for features in maps] == expected

    def test_taps_are_chosen_by_index(self) -> None:
        every, some = self.backbone().eval(), self.backbone(taps=self.indices(self.some_taps)).eval()
        assert some.channels == tuple(self.channels[tap] for tap in self.some_taps)
        assert some.strides == tuple(self.strides[tap] for tap in self.some_taps)
        absent = some.load_state_dict(every.state_dict(), strict=False).missing_keys
        assert not absent
        images = torch.rand(1, 3, 2 * max(self.strides), 2 * max(self.strides))
        expected = every(images)
        for tap, features in zip(self.some_taps, some(images), strict=True):
            torch.testing.assert_close(features, expected[tap])

    def indices(self, taps: tuple[int, ...]) -> tuple[int, ...]:
        """What timm calls these taps."""
        return taps

    def test_a_tap_it_has_not_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"\[?\(?99"):
            self.backbone(taps=(99,))

    def test_images_of_another_number_of_channels_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
            self.model()(torch.rand(1, 4, 64, 64))

    @pytest.mark.parametrize("training", [False, True])
    def test_sparse_equals_dense_in_double_at_any_size(self, training: bool) -> None:
        model = self.model().double().train(training)

        @settings(max_examples=self.examples)
        @given(
            height=st.integers(17, self.largest_side), width=st.integers(17, self.largest_side), seed=st.integers(0, 99)
        )
        def agree(height: int, width: int, seed: int) -> None:
            images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed)).double()
            points = torch.stack([border_and_random_points(seed + n, width, height) for n in (0, 1)])
            sparse_and_dense_agree(model, images, points, 1e-9)

        agree()

    @pytest.mark.parametrize("training", [False, True])
    def test_sparse_equals_dense_in_single(self, training: bool) -> None:
        images = torch.rand(2, 3, 49, 67, generator=torch.Generator().manual_seed(0))
        points = torch.stack([border_and_random_points(n, 67, 49) for n in (0, 1)])
        sparse_and_dense_agree(self.model().train(training), images, points, 1e-4)

    def test_it_survives_saving(self) -> None:
        state = self.backbone().state_dict()
        assert {"mean", "std"} <= set(state)
        other = self.backbone()
        other.load_state_dict(state)
