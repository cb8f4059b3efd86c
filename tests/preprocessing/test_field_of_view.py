"""The part of a grid that a scan shows."""

import numpy as np
import pytest

from support.scans import oblique_grid
from voltween.preprocessing import coverage, is_covered
from voltween.spatial import Affine, Grid, Image

SCAN = oblique_grid((14, 12, 10), seed=3)


@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_the_value_of_resampled_ones_with_zeros_around_them(seed):
    affine = oblique_grid((11, 12, 13), seed=seed).affine.copy()
    affine[:3, 3] = SCAN.voxel_to_world(np.array([1.0, 2, 3]))
    onto = Grid((11, 12, 13), affine)
    wide = np.pad(np.ones(SCAN.shape, np.float32), 1)
    affine = SCAN.affine.copy()
    affine[:3, 3] = SCAN.voxel_to_world(np.array([-1.0, -1, -1]))
    padded = Image(wide, Grid(wide.shape, affine))
    resampled = Affine.identity().resample(padded, onto=onto).data
    shares = coverage(onto, by=SCAN)
    assert 0 < shares.mean() < 1
    np.testing.assert_allclose(shares, resampled, atol=1e-4)


def test_a_grid_is_covered_where_all_its_voxels_lie_within_the_scan():
    assert is_covered(SCAN, by=SCAN)
    inner = Grid((3, 3, 3), SCAN.affine)
    assert is_covered(inner, by=SCAN)
    assert (coverage(inner, by=SCAN) == 1).all()
    affine = SCAN.affine.copy()
    affine[:3, 3] -= 0.01 * affine[:3, 0]
    assert not is_covered(Grid((3, 3, 3), affine), by=SCAN)
