"""The grid on which scans are shown, and their gray levels."""

import numpy as np
import pytest

from support.scans import oblique_grid
from voltween.reports.display import Window, choose_grid
from voltween.spatial import Grid, Image


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


def test_bright_specks_do_not_darken_the_picture():
    data = np.full((20, 20, 20), 0.0)
    data[5:15] = 100.0
    data[10, 10, 10] = 1e6
    levels = Window.of(Image(data, grid(data.shape, (1, 1, 1)))).levels(data)
    assert (levels[0] == 0).all()
    assert (levels[7] == 255).all()


def test_a_scan_that_is_empty_but_for_a_speck_has_gray_levels():
    data = np.zeros((20, 20, 20))
    data[10, 10, 10] = 5.0
    window = Window.of(Image(data, grid(data.shape, (1, 1, 1))))
    assert window.levels(data)[10, 10, 10] == 255
    assert (
        Window.of(Image(data * 0, grid(data.shape, (1, 1, 1)))).levels(data * 0).max()
        == 0
    )
