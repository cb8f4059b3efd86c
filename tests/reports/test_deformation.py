"""Transforms as the viewer has them agree with the transforms."""

import numpy as np
import pytest

from support.reports import GRID, read_sprite, registered_pair, shift
from support.scans import smooth_field
from voltween.reports.deformation import Deformation, folds_on, jacobian_levels
from voltween.reports.display import choose_grid
from voltween.reports.sprites import Sprite
from voltween.spatial import Affine, Image

SHOWN = choose_grid(GRID)


def mapped_voxels(description, deformation):
    """The positions that the script computes, at the voxels of the coarse grid."""
    coarse_mm = deformation.coarse.voxel_centers_mm()
    voxels = deformation.shown.world_to_voxel(coarse_mm)
    matrix = np.array(description["affine"])
    mapped = voxels @ matrix[:, :3].T + matrix[:, 3]
    if description["residual"] is not None:
        levels = read_sprite(Sprite(**description["residual"])).astype(float)
        mapped += (levels - 128) / 127 * description["reach"]
    return mapped


def test_before_the_registration_the_grid_is_even():
    before = shift((5, -3, 20))
    deformation = Deformation.of(SHOWN, before)
    description = deformation.describe(before)
    assert description["residual"] is None
    assert np.array(description["affine"]) == pytest.approx(np.eye(4)[:3], abs=1e-6)


def test_positions_in_the_moving_scan_are_those_of_the_transform():
    before = shift((5, -3, 20))
    transform = shift((2, 1, 18)) @ smooth_field(GRID)
    deformation = Deformation.of(SHOWN, before)
    mapped = mapped_voxels(deformation.describe(transform), deformation)
    there_mm = before.map_positions(SHOWN.voxel_to_world(mapped.reshape(-1, 3)))
    fixed_mm = deformation.coarse.voxel_centers_mm().reshape(-1, 3)
    assert np.abs(there_mm - transform.map_positions(fixed_mm)).max() < 0.05


def test_volume_change_is_coded_by_its_logarithm():
    levels = jacobian_levels(np.array([[[1.0, 2.0, 0.5, 100.0, 0.0, -1.0]]]))
    assert levels.ravel().tolist() == [128, 213, 43, 255, 0, 0]


def test_no_fold_is_lost_on_the_way_to_a_coarser_grid():
    pair = registered_pair()
    data = pair.jacobian.data.copy()
    assert folds_on(pair.jacobian, SHOWN) is None
    data[7, 11, 13] = -0.1
    coarse = choose_grid(GRID, 500.0)
    folds = folds_on(Image(data, GRID), coarse)
    assert folds.sum() == 1
    [place] = np.argwhere(folds).astype(float)
    there_mm = GRID.voxel_to_world(np.array([7.0, 11.0, 13.0]))
    apart_mm = coarse.voxel_to_world(place) - there_mm
    assert np.abs(apart_mm).max() <= coarse.spacing_mm[0] / 2


def test_an_initial_transform_that_bends_is_taken_by_its_affine_part():
    before = shift((5, 0, 0)) @ smooth_field(GRID)
    start = Deformation.of(SHOWN, before).start
    assert isinstance(start, Affine)
    assert start.matrix[:3, 3] == pytest.approx([5, 0, 0], abs=0.5)
