"""Losses on every device, against double precision on the CPU."""

from typing import get_args

import pytest
import torch

from support.devices import each_device
from support.tensors import random_flow, random_volumes
from voltween.losses import (
    Similarity,
    determinant_loss,
    dice_loss,
    invertibility_loss,
    orthogonality_loss,
    similarity_loss,
    total_variation_loss,
)

SHAPE = (12, 9, 10)
MATRICES = 0.2 * torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(0))
OF_PARTS = {
    "total variation": (total_variation_loss, random_flow(SHAPE)),
    "invertibility": (
        lambda flow: invertibility_loss(flow, -flow),
        random_flow(SHAPE),
    ),
    "orthogonality": (orthogonality_loss, MATRICES),
    "determinant": (determinant_loss, MATRICES),
}


def value_and_gradient(loss, tensor, device, dtype):
    """The loss and its gradient, in double precision on the CPU."""
    leaf = tensor.detach().to(device, dtype, copy=True).requires_grad_()
    value = loss(leaf)
    value.backward()
    return value.detach().double().cpu(), leaf.grad.double().cpu()


def assert_same_on(device, loss, tensor, tolerance):
    """In single precision on the device, as in double precision on the CPU."""
    found = value_and_gradient(loss, tensor, device, torch.float32)
    expected = value_and_gradient(loss, tensor, "cpu", torch.float64)
    largest = expected[1].abs().max()
    torch.testing.assert_close(found[0], expected[0], atol=tolerance, rtol=tolerance)
    gradients = found[1] / largest, expected[1] / largest
    torch.testing.assert_close(*gradients, atol=tolerance, rtol=0)


@each_device
@pytest.mark.parametrize("name", get_args(Similarity))
def test_similarities(name, device):
    fixed, moved = random_volumes(2, (1, 1, *SHAPE))
    measured = similarity_loss(name, window_voxels=3)
    assert_same_on(device, lambda image: measured(fixed.to(image), image), moved, 2e-3)


@each_device
@pytest.mark.parametrize("name", OF_PARTS)
def test_regularity(name, device):
    assert_same_on(device, *OF_PARTS[name], 1e-4)


@each_device
def test_overlap(device):
    fixed, moved = random_volumes(2, (1, 4, *SHAPE))
    assert_same_on(
        device, lambda shares: dice_loss(fixed.to(shares), shares), moved, 1e-4
    )
