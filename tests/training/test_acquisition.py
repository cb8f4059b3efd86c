"""Blur and thick slices: matrices along one axis, and what they keep."""

import numpy as np
import pytest
import torch

from voltween.training.acquisition import acquire, gaussian_matrix, slice_matrix

SIDE = 20


@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0])
def test_a_blur_keeps_constants_and_widens_a_step_as_a_gaussian_does(sigma):
    matrix = gaussian_matrix(SIDE, sigma)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    middle = matrix[SIDE // 2]
    offsets = np.arange(SIDE) - SIDE // 2
    assert (middle * offsets).sum() == pytest.approx(0, abs=0.05)
    variance = (middle * offsets**2).sum()
    assert variance == pytest.approx(sigma**2, rel=0.15)


@pytest.mark.parametrize("offset", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("thickness", [1.5, 3.0, 7.2])
def test_slices_keep_constants_and_the_place_of_a_ramp(thickness, offset):
    matrix = slice_matrix(SIDE, thickness, offset)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    ramp = np.arange(SIDE, dtype=float)
    inner = slice(int(thickness) + 1, -int(thickness) - 1)
    # A voxel is as bright on its whole width, hence not to the bit.
    np.testing.assert_allclose((matrix @ ramp)[inner], ramp[inner], atol=0.1)


def test_slices_of_one_voxel_change_nothing():
    np.testing.assert_allclose(slice_matrix(SIDE, 1.0, 0.0), np.eye(SIDE), atol=1e-12)


def test_thick_slices_lose_what_is_finer():
    stripes = np.arange(SIDE) % 2
    assert np.ptp(slice_matrix(SIDE, 4.0, 0.0) @ stripes) < 1e-9


def test_a_third_of_the_scans_have_thick_slices_along_one_axis():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.uniform(0, 1, (12, 10, 8))).float()
    changed = 0
    for seed in range(300):
        shown = acquire(
            image,
            np.random.default_rng(seed),
            blur_voxels=0.0,
            slice_voxels=(6.0, 6.0, 6.0),
        )
        assert shown.shape == image.shape
        changed += not torch.allclose(shown, image, atol=1e-5)
    assert 70 < changed < 130
