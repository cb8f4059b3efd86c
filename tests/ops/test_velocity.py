"""Exponentials and logarithms: exact cases, inverses, and absence of folds."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from voltween.ops import (
    affine_flow,
    compose,
    exponential,
    jacobian_determinant,
    logarithm,
    operation,
)

SHAPE = (44, 40, 42)


def smooth_flow(largest_voxels, *, sigma, seed=0):
    """A smooth flow that is 0 at the border."""
    rng = np.random.default_rng(seed)
    flow = np.stack([gaussian_filter(rng.standard_normal(SHAPE), sigma) for _ in "ijk"])
    fade = np.zeros(SHAPE)
    fade[4:-4, 4:-4, 4:-4] = 1
    flow *= gaussian_filter(fade, 2)
    flow *= largest_voxels / np.linalg.norm(flow, axis=0).max()
    return torch.from_numpy(flow)[None]


def largest(flow):
    """Length of the longest vector, in voxels."""
    return float(flow.norm(dim=1).max())


def test_velocity_zero_is_flow_zero():
    zeros = torch.zeros(2, 3, 5, 6, 7)
    assert torch.equal(exponential(zeros), zeros)
    assert torch.equal(logarithm(zeros), zeros)


def test_constant_velocity_is_a_translation():
    velocity = torch.tensor([1.5, -2.25, 8.0])[None, :, None, None, None]
    velocity = velocity.expand(1, 3, 5, 6, 7).contiguous()
    torch.testing.assert_close(exponential(velocity), velocity)
    torch.testing.assert_close(logarithm(velocity), velocity)


def test_linear_velocity_is_the_matrix_exponential():
    matrix = torch.tensor([[-0.2, 0.3, 0.1], [-0.3, -0.1, 0.05], [0.0, 0.1, -0.15]])
    matrix = matrix.double()[None]
    rest = torch.zeros(1, 3, dtype=torch.float64)
    shape = (17, 17, 17)
    flow = exponential(affine_flow(matrix, rest, shape))
    exact = torch.linalg.matrix_exp(matrix) - torch.eye(3, dtype=torch.float64)
    inside = (..., *[slice(4, -4)] * 3)  # what stays on the grid all the way
    expected = affine_flow(exact, rest, shape)
    assert largest(expected[inside]) > 2
    assert largest((flow - expected)[inside]) < 0.01


def test_flow_of_the_opposite_velocity_is_the_inverse():
    velocity = smooth_flow(4, sigma=6)
    flow, inverse = exponential(velocity), exponential(-velocity)
    assert largest(flow) > 3
    assert largest(compose(flow, inverse)) < 0.15
    assert largest(compose(inverse, flow)) < 0.15
    assert largest(compose(flow, -flow)) > 1  # the opposite flow is no inverse


def test_velocities_that_fold_when_added_do_not_when_followed():
    velocity = smooth_flow(8, sigma=3)
    assert jacobian_determinant(velocity).min() < -0.5
    assert jacobian_determinant(exponential(velocity)).min() > 0


@pytest.mark.parametrize(("largest_voxels", "sigma"), [(2, 3), (6, 8)])
def test_logarithm_undoes_the_exponential(largest_voxels, sigma):
    velocity = smooth_flow(largest_voxels, sigma=sigma)
    flow = exponential(velocity)
    recovered = logarithm(flow)
    assert largest(exponential(recovered) - flow) < 0.04
    assert largest(recovered - velocity) < 0.2
    assert largest(flow - velocity) > 2 * largest(recovered - velocity)


@pytest.mark.parametrize(
    ("largest_voxels", "sigma", "tolerance"), [(3, 5, 0.02), (6, 8, 0.15)]
)
def test_smooth_flows_have_a_logarithm(largest_voxels, sigma, tolerance):
    flow = smooth_flow(largest_voxels, sigma=sigma, seed=1)
    assert jacobian_determinant(flow).min() > 0.19
    error = (exponential(logarithm(flow)) - flow).norm(dim=1)
    assert error.max() < tolerance
    assert error.square().mean().sqrt() < tolerance / 10


def test_logarithm_has_no_gradient():
    flow = smooth_flow(1, sigma=5).requires_grad_()
    assert not logarithm(flow).requires_grad


def test_gradients_of_the_exponential():
    generator = torch.Generator().manual_seed(0)
    velocity = torch.rand(1, 3, 3, 2, 2, generator=generator, dtype=torch.float64)
    # The kinks of reading linearly lie at voxels: flows stay between them.
    velocity = (0.3 + 0.4 * velocity).requires_grad_()
    torch.autograd.gradcheck(exponential, (velocity,))


def test_batches_hold_independent_velocities():
    one, other = smooth_flow(2, sigma=4), smooth_flow(4, sigma=5, seed=1)
    both = exponential(torch.cat([one, other]))
    torch.testing.assert_close(both[:1], exponential(one))
    torch.testing.assert_close(both[1:], exponential(other))


def test_stock_forms_give_the_same(monkeypatch):
    velocity = smooth_flow(4, sigma=4)[..., 10:22, 10:20, 10:24].requires_grad_()
    flow = exponential(velocity)
    (gradient,) = torch.autograd.grad(flow.square().sum(), velocity)
    expected = logarithm(flow.detach())
    monkeypatch.setattr(operation, "runs_compiled", lambda *tensors: False)
    stock_flow = exponential(velocity)
    (stock_gradient,) = torch.autograd.grad(stock_flow.square().sum(), velocity)
    torch.testing.assert_close(stock_flow, flow)
    torch.testing.assert_close(stock_gradient, gradient)
    torch.testing.assert_close(logarithm(flow.detach()), expected)
