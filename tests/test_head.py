"""Heads: what each is made of, and the norm of taps over whole maps."""

import numpy as np
import pytest
import torch
from torch import nn

from pixelnet import InputError
from pixelnet.data import as_dataset
from pixelnet.hypercolumn import hypercolumns
from pixelnet.learning.assemble import assemble, joined
from pixelnet.learning.logistic import Linear, Scale
from pixelnet.nn.filters import Filters
from pixelnet.nn.head import HEADS, Head, TapNorms, head_shape


def layers(head: Head) -> list[str]:
    return [type(layer).__name__ for layer in head]


def test_linear_is_one_layer() -> None:
    head = Head([7], 3, head_shape("linear"))
    assert layers(head) == ["Linear"]
    assert head[0].weight.shape == (3, 7)
    assert HEADS["linear"].normalize is None
    assert HEADS["linear-bn"].normalize == "batch"


def test_the_papers_head_is_two_by_4096_with_relu_and_dropout() -> None:
    with torch.device("meta"):
        head = Head([1472], 21, head_shape("paper"))
    assert layers(head) == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] == [
        (4096, 1472), (4096, 4096), (21, 4096)
    ]  # fmt: skip
    assert {layer.p for layer in head if isinstance(layer, nn.Dropout)} == {0.5}


@pytest.mark.parametrize("name", HEADS)
def test_the_forward_pass_is_that_of_matrices(name: str) -> None:
    torch.manual_seed(0)
    head = Head([6], 3, head_shape(name, hidden=(5, 4), dropout=0.5)).eval().double()
    x = np.random.default_rng(0).normal(size=(2, 8, 6))
    expected = x
    weights = [layer.weight.detach().numpy() for layer in head if isinstance(layer, nn.Linear)]
    for number, weight in enumerate(weights):
        expected = expected @ weight.T
        expected = expected.clip(0) if number < 2 else expected
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)


def test_the_rest_is_what_follows_the_first_layer_with_dropout_or_without() -> None:
    torch.manual_seed(0)
    head, x = Head([6], 3, head_shape("paper", hidden=(50, 40))), torch.randn(2, 8, 6)
    torch.nn.init.normal_(head.last.weight)
    assert torch.equal(head.rest(head.first(x), drop=False), head.eval()(x))
    assert torch.equal(head.rest(head.first(x)), head(x))
    head.train()
    assert torch.equal(head.rest(head.first(x), drop=False), head.eval()(x))
    head.train()
    dropped = head.rest(head.first(x))
    assert not torch.allclose(dropped, head.rest(head.first(x)))
    assert not torch.allclose(dropped, head.rest(head.first(x), drop=False))


def test_weights_start_from_the_gaussian_they_should() -> None:
    torch.manual_seed(0)
    paper, everyday = (Head([800], 400, head_shape(name, hidden=())) for name in ("paper", "mlp"))
    assert paper[0].weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert everyday[0].weight.std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.02)
    assert not paper[0].bias.any()
    assert not everyday[0].bias.any()


def test_a_tap_that_leads_is_heard_most_and_little_is_said() -> None:
    torch.manual_seed(0)
    channels = (40, 300, 10)
    usual, led = (Head(channels, 50, head_shape("mlp", hidden=(2000,)), lead) for lead in (False, True))
    heard = [tap.pow(2).sum(dim=1).mean().item() for tap in led.first.weight.split(channels, dim=1)]
    assert heard == pytest.approx([0.1, 0.1, 1.8], rel=0.1)  # a variance of 2 in all, as by He's rule
    assert usual.first.weight.pow(2).sum(dim=1).mean().item() == pytest.approx(2, rel=0.05)
    assert led.last.weight.std().item() == pytest.approx(0.1 * usual.last.weight.std().item(), rel=0.05)
    linear = [Head(channels, 50, head_shape("linear"), lead).first.weight.std().item() for lead in (False, True)]
    assert linear == pytest.approx([0.001, 0.001], rel=0.05)


def test_norms_take_their_statistics_from_whole_maps() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(3, 5, (2, 4, 6, 5)), rng.normal(-100, 50, (2, 3, 3, 2))]
    norms = TapNorms((4, 3)).double().train()
    for found, features in zip(norms([torch.from_numpy(m) for m in maps]), maps, strict=True):
        mean, var = features.mean((0, 2, 3), keepdims=True), features.var((0, 2, 3), keepdims=True)
        np.testing.assert_allclose(found.detach().numpy(), (features - mean) / np.sqrt(var + 1e-5), atol=1e-10)


def test_a_fitted_head_is_one_of_standardized_features() -> None:
    """The same answers as those of the kernel on the features as they are, by each way to an answer."""
    rng = np.random.default_rng(0)
    width = sum(Filters(3).channels)
    mean, deviation = 5 * rng.normal(size=width), 10 ** rng.uniform(-3, 2, width)
    linear = Linear(rng.normal(size=(2, width)) / deviation, rng.normal(size=2), Scale(mean, deviation))
    image = rng.integers(0, 256, (20, 32, 3), dtype=np.uint8)
    model = assemble(("filters",), linear, as_dataset([(image, image[..., 0] // 128)], "segmentation"))
    np.testing.assert_allclose(model.head.last.weight.detach(), linear.kernel * deviation, rtol=1e-5)

    model = model.double()
    seen = torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0
    points = torch.from_numpy(rng.uniform(0, 19, (1, 40, 2)))
    features = hypercolumns(Filters(3).double()(seen.double()), points, model.backbone.strides)[0].numpy()
    expected = linear(features)
    shown = model.encode(image).hypercolumns(points[0].numpy())
    np.testing.assert_allclose(shown, (features - mean) / deviation, rtol=1e-3, atol=1e-3 * abs(features).max())
    for mode in (True, False):
        found = model.train(mode)(seen.double(), points)[0].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    found = model.read_head(model.maps(seen.double(), for_prediction=True), points)[0].detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_several_fits_keep_the_scale_of_each_ones_features() -> None:
    scales = {name: Scale(np.full(2, k), np.full(2, k + 0.5)) for k, name in enumerate("abc")}
    members = [
        (own, Linear(np.ones((3, 4)), np.zeros(3), Scale(*(np.concatenate([getattr(scales[part], name) for part in own])
                                                           for name in ("mean", "deviation")))))
        for own in (("a", "b"), ("c", "b"))
    ]  # fmt: skip
    parts, linear = joined(members, dict.fromkeys("abc", 2))
    assert parts == ("a", "b", "c")
    assert linear.scale is not None
    assert linear.scale.mean.tolist() == [0, 0, 1, 1, 2, 2]
    assert linear.scale.deviation.tolist() == [0.5, 0.5, 1.5, 1.5, 2.5, 2.5]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("deep", {}, "linear, linear-bn, mlp, paper"),
        ("mlp", {"hidden": (8, 0)}, "at least 1"),
        ("mlp", {"dropout": 1.0}, "below 1"),
        ("mlp", {"dropout": -0.1}, "at least 0"),
    ],
)
def test_what_no_head_can_be_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        head_shape(name, **options)
