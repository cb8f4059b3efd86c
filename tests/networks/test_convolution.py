"""Every way of convolving gives what PyTorch's own convolution gives."""

import pytest
import torch

from voltween.networks.convolution import convolve
from voltween.ops import using_instructions

# Channels in and out, size of the kernel, stride, pairs, shape: one for every way.
CASES = {
    "matrices": (6, 8, 3, 1, 2, (2, 3, 4)),
    "matrices, stride": (6, 8, 3, 2, 2, (8, 4, 6)),
    "matrices, phases": (6, 16, 2, 1, 1, (1, 2, 4)),
    "oneDNN": (6, 8, 3, 1, 1, (8, 8, 8)),
    "oneDNN, stride": (6, 8, 3, 2, 1, (16, 12, 14)),
    "oneDNN, phases": (6, 16, 2, 1, 1, (6, 7, 8)),
    "thin": (6, 3, 3, 1, 2, (9, 6, 7)),
    "large": (40, 8, 3, 1, 1, (24, 24, 6)),
    "minimal filtering": (6, 8, 3, 1, 1, (14, 15, 16)),
    "minimal filtering, thin": (6, 3, 3, 1, 2, (14, 15, 16)),
    "minimal filtering, phases": (6, 24, 2, 1, 1, (20, 21, 22)),
    "halving of images": (2, 16, 3, 2, 2, (28, 28, 30)),
    "halving of images, odd": (2, 16, 3, 2, 1, (29, 32, 32)),
    "halving of few": (2, 5, 3, 2, 1, (12, 14, 16)),
    "halving, pairs": (16, 32, 3, 2, 2, (28, 28, 30)),
    "pairs": (6, 8, 3, 1, 3, (8, 8, 8)),
}


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_values_and_gradients(case, has_bias):
    inputs, outputs, size, stride, batch, shape = case
    torch.manual_seed(0)
    leaves = [
        torch.randn(batch, inputs, *shape),
        torch.randn(outputs, inputs, *(size,) * 3),
        *([torch.randn(outputs)] if has_bias else []),
    ]
    ours = [leaf.clone().requires_grad_() for leaf in leaves]
    exact = [leaf.double().requires_grad_() for leaf in leaves]
    result = convolve(ours[0], ours[1], ours[2] if has_bias else None, stride)
    expected = torch.nn.functional.conv3d(
        *exact, *(() if has_bias else (None,)), stride=stride, padding=1
    )
    torch.testing.assert_close(result.double(), expected, atol=1e-4, rtol=1e-5)
    weights = torch.randn_like(result)
    gradients = torch.autograd.grad(result, ours, weights)
    expected_gradients = torch.autograd.grad(expected, exact, weights.double())
    for our, their in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(our.double(), their, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", ["oneDNN", "oneDNN, stride", "thin", "pairs"])
def test_values_and_gradients_without_kernels_of_our_own(name):
    with using_instructions("plain"):
        test_values_and_gradients(CASES[name], True)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_activation_can_work_in_place(case):
    inputs, outputs, size, stride, batch, shape = case
    x = torch.randn(batch, inputs, *shape)
    weight = torch.randn(outputs, inputs, *(size,) * 3, requires_grad=True)
    relu = torch.nn.functional.leaky_relu
    activated = relu(convolve(x, weight, None, stride), 0.1, inplace=True)
    expected = relu(convolve(x, weight, None, stride), 0.1)
    gradients = [torch.autograd.grad(y.sum(), weight)[0] for y in (activated, expected)]
    torch.testing.assert_close(*gradients)


def test_gradients_in_double_precision():
    x = torch.randn(1, 2, 3, 4, 5).double().requires_grad_()
    weight = torch.randn(3, 2, 3, 3, 3).double().requires_grad_()
    bias = torch.randn(3).double().requires_grad_()
    torch.autograd.gradcheck(convolve, (x, weight, bias))


def test_under_autocast_features_are_in_half_precision():
    x, weight = torch.randn(1, 4, 8, 8, 8), torch.randn(3, 4, 3, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert convolve(x, weight).dtype == torch.bfloat16
