"""Augmentation: within its ranges, the same for the same seed."""

import numpy as np
import pytest
import torch

from voltween.ops import warp
from voltween.training import Augmentation
from voltween.training.augmentation import (
    _control_displacements,
    augment_intensities,
    bspline_field,
    random_flow,
)

ALL = Augmentation(
    displacement=0.1, rotation_degrees=20.0, scaling=0.1, translation=0.1, gamma=0.3
)
NONE = Augmentation(displacement=0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_bspline_of_equal_control_points_is_constant():
    control = np.full((3, 5, 5, 5), 2.5)
    flow = bspline_field(control, (16, 24, 8))
    torch.testing.assert_close(flow, torch.full((1, 3, 16, 24, 8), 2.5))


def test_bspline_stays_within_its_control_points_and_is_smooth():
    control = rng().uniform(-1, 1, (3, 5, 5, 5))
    flow = bspline_field(control, (32, 32, 32))
    assert flow.abs().max() <= 1
    assert flow.diff(n=2, dim=2).abs().max() < 0.06


def test_bspline_reproduces_a_cubic_spline_of_scipy():
    from scipy.interpolate import BSpline

    control = np.zeros((3, 5, 5, 5))
    control[0] = rng().uniform(-1, 1, 5)[:, None, None]
    ends = np.concatenate(
        [control[0, :1, 0, 0], control[0, :, 0, 0], control[0, -1:, 0, 0]]
    )
    spline = BSpline(np.arange(-3, 8), ends, 3)
    expected = spline(np.linspace(0, 4, 33))
    flow = bspline_field(control, (33, 8, 8))[0, 0, :, 0, 0]
    np.testing.assert_allclose(flow.numpy(), expected, atol=1e-6)


def augment_moving(image, config, rng):
    flow = random_flow(image.shape[1:], config, rng)
    return augment_intensities(warp(image[None], flow)[0], config, rng)


def test_without_augmentation_nothing_changes():
    image = torch.rand(1, 16, 16, 16)
    torch.testing.assert_close(augment_moving(image, NONE, rng()), image)


def test_one_seed_gives_one_image():
    image = torch.rand(1, 16, 16, 16)
    one, same, other = (augment_moving(image, ALL, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("seed", range(5))
def test_displacements_keep_to_their_bounds(seed):
    bending = random_flow((20, 40, 60), Augmentation(displacement=0.1), rng(seed))
    assert (bending.abs().amax((0, 2, 3, 4)) <= torch.tensor([2.0, 4.0, 6.0])).all()
    shift = random_flow(
        (20, 40, 60), Augmentation(displacement=0.0, translation=0.1), rng(seed)
    )
    assert (shift.abs().amax((0, 2, 3, 4)) <= torch.tensor([2.0, 4.0, 6.0])).all()


def test_cubes_keep_to_their_bound_and_are_mostly_small():
    # A cube of u is below an eighth of the largest for half of all |u|.
    config = Augmentation(displacement=0.1, draws="cubes")
    control = np.abs(_control_displacements((20, 40, 60), config, rng()))
    assert control.shape == (3, 5, 5, 5)
    for component, largest in zip(control, (2.0, 4.0, 6.0), strict=True):
        assert 0.8 * largest < component.max() <= largest
        assert 0.4 < np.mean(component < largest / 8) < 0.6


def test_small_displacements_are_likelier():
    config = Augmentation(displacement=0.1)
    flows = [random_flow((10, 10, 10), config, rng(seed)) for seed in range(100)]
    largest = np.array([flow.abs().max().item() for flow in flows])
    assert np.median(largest) < 0.4 * largest.max()  # of equally likely ones, half


def test_rotation_keeps_distances():
    turn = Augmentation(displacement=0.0, rotation_degrees=30.0)
    flow = random_flow((9, 9, 9), turn, rng(3))[0]
    first, second = flow[:, 0, 0, 0], flow[:, 8, 8, 8]
    assert first.norm() > 0.5
    distance = (torch.full((3,), 8.0) + second - first).norm()
    assert distance.item() == pytest.approx(8 * 3**0.5, rel=1e-5)


def test_bias_is_a_smooth_factor_and_leaves_the_background():
    image = torch.full((1, 32, 32, 32), 0.3)
    image[0, :4] = 0
    shading = Augmentation(displacement=0.0, bias=0.4)
    shaded = augment_intensities(image, shading, rng(1))
    assert (shaded[0, :4] == 0).all()
    logarithm = (shaded[0, 4:] / image[0, 4:]).log()
    assert 0.05 < logarithm.abs().max() <= 0.4 + 1e-6
    assert max(logarithm.diff(dim=axis).abs().max() for axis in range(3)) < 0.1


def test_noise_has_at_most_its_standard_deviation_and_stays_in_range():
    image = torch.full((1, 32, 32, 32), 0.5)
    noisy = Augmentation(displacement=0.0, noise=0.1)
    deviations = [
        float(augment_intensities(image, noisy, rng(seed)).std()) for seed in range(5)
    ]
    assert 0 < min(deviations) < max(deviations) < 0.1
    edges = augment_intensities(image.round(), noisy, rng(0))
    assert 0 <= edges.min() < edges.max() <= 1


def test_gamma_keeps_the_order_of_intensities():
    image = torch.linspace(0, 1, 64).view(1, 4, 4, 4)
    changed = augment_intensities(image, Augmentation(gamma=0.5), rng(2))
    assert not torch.allclose(changed, image)
    assert (changed.flatten().diff() > 0).all()
    assert (changed[0, 0, 0, 0], changed[0, -1, -1, -1]) == (0, 1)
