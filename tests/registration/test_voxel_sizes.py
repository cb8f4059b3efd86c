"""Voxels by which a pair is seen: cubes, and flat ones for scans of few slices."""

import numpy as np
import pytest

from voltween.registration.judge import Judge
from voltween.registration.voxel_sizes import choose_voxels
from voltween.spatial import Affine, Grid, Image


def grid(shape, spacing_mm, axes=(0, 1, 2)):
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing_mm)[:, list(axes)]
    return Grid(tuple(shape[axis] for axis in axes), affine)


def chosen(scans, extent_mm, most=1e6, fewest=8):
    return choose_voxels(np.array(extent_mm, float), scans, most=most, fewest=fewest)


def count(voxels):
    return np.ceil(voxels.extent_mm / voxels.spacing_mm - 1e-6)


def test_scans_of_many_slices_get_cubes_as_narrow_as_their_narrowest_voxels():
    scan = grid((60, 70, 80), (1.5, 1.0, 2.0))
    voxels = chosen([scan, grid((60, 60, 60), (2.0, 2.0, 2.0))], (80, 70, 160))
    assert voxels.spacing_mm.tolist() == [1.0] * 3
    assert not voxels.is_thin.any()


def test_wider_cubes_where_there_would_be_too_many():
    scan = grid((500, 500, 400), (0.5, 0.5, 0.5))
    voxels = chosen([scan, scan], (250, 250, 200))
    assert np.ptp(voxels.spacing_mm) == 0
    assert 0.99e6 < np.prod(voxels.extent_mm / voxels.spacing_mm) < 1.01e6


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("shape", [(512, 512, 3), (3, 512, 512), (512, 2, 512)])
def test_few_slices_get_narrow_voxels_and_no_more_than_wanted(shape, axes):
    scan = grid(shape, (0.7, 0.7, 0.7), axes)
    extent_mm = 1.1 * 0.7 * np.array(shape) + 6  # the survey sees thin scans thicker
    voxels = chosen([scan, scan], extent_mm)
    thin = int(np.argmin(shape))
    assert np.flatnonzero(voxels.is_thin).tolist() == [thin]
    assert count(voxels)[thin] == 8
    assert voxels.extent_mm[thin] == pytest.approx(0.7 * min(shape))
    assert count(voxels).prod() < 1.02e6


def test_a_slab_and_a_whole_scan_get_cubes():
    whole, slab = grid((60, 60, 60), (2.0,) * 3), grid((60, 60, 3), (2.0,) * 3)
    assert not chosen([slab, whole], (120, 120, 120)).is_thin.any()


def test_scans_that_are_small_all_round_get_cubes():
    scan = grid((5, 6, 7), (1.0,) * 3)
    assert chosen([scan, scan], (5, 6, 7)).spacing_mm.tolist() == [1.0] * 3


def slices(noise_seed=0):
    """Three slices of a millimeter that show different things."""
    shapes = np.random.default_rng(noise_seed).normal(size=(24, 24, 3))
    data = shapes.repeat(4, axis=0).repeat(4, axis=1) * 100 + 500
    return Image(data, Grid(data.shape, np.eye(4)))


def test_the_judge_sees_a_shift_by_one_slice():
    scan = slices()
    judge = Judge.of(scan, scan)
    assert max(judge.fixed.grid.shape) * 10 * 96 < 2.2e5
    shift = np.eye(4)
    shift[2, 3] = 1.0
    right, wrong = judge.agreement(Affine.identity()), judge.agreement(Affine(shift))
    assert right.similarity > 0.99
    assert wrong.similarity < 0.7
    assert judge.poses == ()
