"""A linear layer by way of a convolution is torch's own, gradients and all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pixelnet.nn.linear import Linear, linear


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@given(
    shape=st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(1, 20)),
    with_bias=st.booleans(),
    kind=st.sampled_from([torch.float32, torch.float64]),
    transposed=st.booleans(),
)
@settings(max_examples=40)
def test_it_is_torchs_own(shape, with_bias, kind, transposed) -> None:
    rows, inputs, outputs = shape
    torch.manual_seed(0)
    x = torch.randn(inputs, rows, dtype=kind).t() if transposed else torch.randn(rows, inputs, dtype=kind)
    weight, bias = torch.randn(outputs, inputs, dtype=kind), torch.randn(outputs, dtype=kind) if with_bias else None
    leaves = [leaf.requires_grad_() for leaf in (x, weight, bias) if leaf is not None]
    upstream = torch.randn(rows, outputs, dtype=kind)
    results = []
    for layer in (F.linear, linear):
        output = layer(x, weight, bias)
        results.append([output, *torch.autograd.grad((output * upstream).sum(), leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_with_any_number_of_threads(threads: int) -> None:
    x, weight, bias = torch.randn(300, 40), torch.randn(11, 40), torch.randn(11)
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias), rtol=1e-4, atol=1e-4)


def test_the_layer_takes_rows_of_any_shape_and_keeps_torchs_names() -> None:
    layer, plain = Linear(6, 3), torch.nn.Linear(6, 3)
    plain.load_state_dict(layer.state_dict())
    for shape in ((6,), (4, 6), (2, 5, 6), (0, 6), (2, 0, 6)):
        x = torch.randn(shape)
        torch.testing.assert_close(layer(x), plain(x))


def test_the_backward_pass_repeats_bit_for_bit(threads: int) -> None:
    x, weight = torch.randn(5000, 24), torch.randn(16, 24, requires_grad=True)
    found = [torch.autograd.grad(linear(x, weight).square().sum(), weight)[0] for _ in range(3)]
    assert all(torch.equal(found[0], other) for other in found)
