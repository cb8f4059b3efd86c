"""Losses with weights, compared with the same losses without."""

from functools import partial

import numpy as np
import pytest
import torch

from support.tensors import random_volumes as images
from voltween import losses

LOSSES = {
    "correlation": losses.correlation_loss,
    "local correlation": losses.local_correlation_loss,
    "mean squared error": losses.mean_squared_error,
    "mutual information": partial(losses.mutual_information_loss, voxels=200),
}
each = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def half(like):
    """Weights of 1 where i < 4, else 0."""
    weights = torch.zeros_like(like)
    weights[:, :, :4] = 1
    return weights


def value_and_gradients(loss, fixed, moved, *weights):
    leaves = [value.clone().requires_grad_() for value in (fixed, moved)]
    value = loss(*leaves, *weights)
    return value.detach(), torch.autograd.grad(
        value, leaves, allow_unused=True, materialize_grads=True
    )


@each
@pytest.mark.parametrize("weight", [1.0, 0.2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equal_weights_give_the_unweighted_loss(loss, weight, dtype):
    fixed, moved = images(dtype=dtype)
    weights = torch.full_like(fixed, weight)
    found = value_and_gradients(loss, fixed, moved, weights)
    expected = value_and_gradients(loss, fixed, moved)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@each
@pytest.mark.parametrize("wild", [-1e6, 1e30, torch.nan])
def test_what_has_no_weight_changes_nothing(loss, wild):
    fixed, moved = images(dtype=torch.float32)
    weights = half(fixed)
    value, gradients = value_and_gradients(loss, fixed, moved, weights)
    is_out = weights == 0
    masked = [image.masked_fill(is_out, wild) for image in (fixed, moved)]
    changed = value_and_gradients(loss, *masked, weights)
    torch.testing.assert_close(changed, (value, gradients), atol=0, rtol=0)
    for gradient in gradients:
        assert (gradient[is_out] == 0).all()
        assert gradient[~is_out].any()


@each
@pytest.mark.parametrize("is_all", [True, False])
def test_a_pair_without_weight_has_no_loss_and_no_gradient(loss, is_all):
    fixed, moved = images()
    weights = torch.ones_like(fixed)
    weights[1] = 0
    if is_all:
        weights[0] = 0
    value, gradients = value_and_gradients(loss, fixed, moved, weights)
    expected = 0 if is_all else loss(fixed[:1], moved[:1]).item() / 2
    assert value.item() == pytest.approx(expected)
    for gradient in gradients:
        assert torch.isfinite(gradient).all()
        assert (gradient[1] == 0).all()
        assert gradient[0].any() != is_all


@each
def test_a_mask_gives_the_loss_of_what_is_cut_out(loss):
    # Border cubes keep what is inside, be it of the grid or of the mask.
    shape = (1, 1, 8, 8, 8)
    fixed, moved = images(shape=shape)
    inside = np.s_[:, :, 1:6, 2:7, 3:]
    weights = torch.zeros(shape, dtype=torch.float64)
    weights[inside] = 1
    cut = fixed[inside].contiguous(), moved[inside].contiguous()
    found = loss(fixed, moved, weights)
    assert found.item() == pytest.approx(loss(*cut).item(), rel=1e-6)


@each
def test_only_ratios_of_weights_matter(loss):
    fixed, moved, weights = images(3)
    expected = loss(fixed, moved, weights)
    torch.testing.assert_close(loss(fixed, moved, 1e-9 * weights), expected)
    assert abs(expected - loss(fixed, moved)) > 1e-6


@each
def test_single_precision_agrees_with_double(loss):
    fixed, moved = images(dtype=torch.float32)
    weights = half(fixed) + 0.25
    exact = value_and_gradients(loss, fixed.double(), moved.double(), weights.double())
    found = value_and_gradients(loss, fixed, moved, weights)
    torch.testing.assert_close(found[0].double(), exact[0], atol=1e-5, rtol=1e-4)
    for single, double in zip(found[1], exact[1], strict=True):
        torch.testing.assert_close(single.double(), double, atol=1e-5, rtol=1e-3)


@each
def test_gradients(loss):
    fixed, moved, weights = images(3, (2, 1, 3, 4, 3))
    weights = weights * half(weights)
    weights[:, :, 1] = 0
    leaves = [value.requires_grad_() for value in (fixed, moved)]
    torch.autograd.gradcheck(lambda f, m: loss(f, m, weights), leaves, fast_mode=True)


def test_weights_are_shares_of_correlation_and_squared_error():
    fixed, moved, weights = images(3, (1, 1, 5, 4, 6))
    f, m, w = (x.numpy().ravel() for x in (fixed, moved, weights))
    covariance = np.cov(f, m, aweights=w)
    expected = 1 - covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    found = losses.correlation_loss(fixed, moved, weights)
    assert found.item() == pytest.approx(expected)
    found = losses.mean_squared_error(fixed, moved, weights)
    assert found.item() == pytest.approx(np.average((f - m) ** 2, weights=w))


def test_local_correlation_equals_a_plain_loop():
    fixed, moved, weights = images(3, (1, 1, 6, 5, 7))
    values = np.empty((6, 5, 7))
    for at in np.ndindex(6, 5, 7):
        box = (0, 0, *(slice(max(x - 1, 0), x + 2) for x in at))
        f, m, w = (x[box].numpy().ravel() for x in (fixed, moved, weights))
        covariance = np.cov(f, m, aweights=w, ddof=0)
        product = covariance[0, 0] * covariance[1, 1]
        values[at] = 1 - (covariance[0, 1] ** 2 + 1e-6) / (product + 1e-6)
    expected = np.average(values, weights=weights[0, 0].numpy())
    found = losses.local_correlation_loss(fixed, moved, weights, width=3)
    assert found.item() == pytest.approx(expected)


def test_local_correlation_refuses_even_cubes():
    fixed, moved, weights = images(3)
    with pytest.raises(ValueError, match="width: expected an odd number of voxels"):
        losses.local_correlation_loss(fixed, moved, weights, width=4)


def test_mutual_information_takes_voxels_by_their_weight():
    # Related in one half, unrelated in the other: the more the related half weighs, the
    # more information; and the same every time.
    fixed, moved = images(2, (1, 1, 8, 12, 12))
    moved[:, :, :4] = fixed[:, :, :4].square()
    values = []
    for weight in (0.1, 1.0, 10.0):
        weights = torch.ones_like(fixed)
        weights[:, :, :4] = weight
        values.append(losses.mutual_information_loss(fixed, moved, weights))
        again = losses.mutual_information_loss(fixed, moved, weights)
        assert again == values[-1]
    assert values[2] < values[1] - 0.1 < values[0] - 0.2


def test_descriptors_of_many_channels_are_compared():
    fixed, moved = images(2, (2, 3, 4, 4, 4))
    weights = images(1, (2, 1, 4, 4, 4))[0]
    squares = (fixed - moved).square().mean(1).numpy()
    expected = np.average(squares[0], weights=weights[0, 0].numpy())
    expected += np.average(squares[1], weights=weights[1, 0].numpy())
    found = losses.mean_squared_error(fixed, moved, weights)
    assert found.item() == pytest.approx(expected / 2)
