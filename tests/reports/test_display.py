"""The grid on which scans are shown."""

import numpy as np
import pytest

from support.scans import oblique_grid
from voltween.reports.display import choose_grid
from voltween.spatial import Grid


def grid(shape, spacing_mm):
    return Grid(shape, np.diag([*spacing_mm, 1.0]))


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((35, 50, 36), (1, 1, 1)),
        ((256, 256, 180), (1, 1, 1)),
        ((512, 512, 30), (0.5, 0.5, 5)),
        ((5000, 4, 4), (0.1, 1, 1)),
        ((2, 2, 2), (1, 1, 1)),
    ],
)
def test_a_grid_has_a_million_voxels_at_most(shape, spacing_mm):
    shown = choose_grid(grid(shape, spacing_mm))
    assert np.prod(shown.shape) <= 1.0e6
    assert max(shown.shape) <= 257
    assert shown.spacing_mm[0] >= min(spacing_mm) - 1e-6
    assert shown.axcodes == "RAS"


def test_a_small_scan_is_shown_at_its_own_voxels():
    shown = choose_grid(grid((35, 50, 36), (1, 1, 1)))
    assert shown.shape == (35, 50, 36)


def test_an_oblique_grid_is_shown_along_its_own_axes():
    scan = oblique_grid((40, 30, 20), seed=3, spacing_mm=(1.0, 1.0, 2.0))
    shown = choose_grid(scan)
    voxels = scan.world_to_voxel(shown.corners_mm())
    assert voxels.min() > -1
    assert (voxels.max(axis=0) < np.array(scan.shape)).all()
