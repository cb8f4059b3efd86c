"""Grids: places of voxels, directions, corners, and what cannot be a grid."""

import numpy as np
import pytest

from support.scans import STORAGE_ORDERS, oblique_grid, smooth_image, stored
from voltween.errors import InputError
from voltween.spatial import Grid, directions_to_ras, nearest_world_axes


def test_integer_index_is_the_voxel_center():
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = 10, 20, 30
    grid = Grid((4, 5, 6), affine)
    assert grid.voxel_to_world(np.array([1.0, 1.0, 1.0])) == pytest.approx([12, 23, 34])
    assert grid.center_mm == pytest.approx([13, 26, 40])


def test_world_to_voxel_undoes_voxel_to_world():
    grid = oblique_grid()
    voxels = np.random.default_rng(0).uniform(-5, 20, (50, 3))
    mm = grid.voxel_to_world(voxels)
    np.testing.assert_allclose(grid.world_to_voxel(mm), voxels, atol=1e-12)


def test_axcodes_name_the_direction_of_each_array_axis():
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = -1, 1, 2, 1
    assert Grid((3, 3, 3), affine).axcodes == "PSR"


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_directions_to_ras_do_not_depend_on_storage_order(order):
    image = smooth_image(oblique_grid())
    expected = directions_to_ras(image.grid)
    np.testing.assert_allclose(
        directions_to_ras(stored(image, order).grid), expected, atol=1e-12
    )


def test_nearest_world_axes_of_a_permuted_grid():
    image = smooth_image(oblique_grid())
    assert nearest_world_axes(stored(image, ((2, 0, 1), (False,) * 3)).grid) == (
        2,
        0,
        1,
    )


def test_padding_keeps_old_voxels_in_place():
    grid = oblique_grid()
    padded = grid.pad(3)
    assert padded.shape == (21, 18, 16)
    np.testing.assert_allclose(
        padded.voxel_to_world(np.array([3.0, 3.0, 3.0])), grid.affine[:3, 3], atol=1e-9
    )


def test_sides_are_padded_by_numbers_of_their_own():
    grid = oblique_grid()
    padded = grid.pad(np.array([[1, 2], [0, 3], [4, 0]]))
    assert padded.shape == tuple(np.add(grid.shape, [3, 3, 4]))
    np.testing.assert_allclose(
        padded.voxel_to_world(np.array([1.0, 0.0, 4.0])), grid.affine[:3, 3], atol=1e-9
    )


def test_corners_by_hand():
    grid = Grid((3, 4, 5), np.diag([2.0, 3.0, -4.0, 1.0]))
    corners_mm = grid.corners_mm()
    assert corners_mm.min(axis=0).tolist() == [0, 0, -16]
    assert corners_mm.max(axis=0).tolist() == [4, 9, 0]
    assert len(np.unique(corners_mm, axis=0)) == 8
    outer_mm = grid.corners_mm(margin_voxels=0.5)
    assert outer_mm.min(axis=0).tolist() == [-1, -1.5, -18]
    assert outer_mm.max(axis=0).tolist() == [5, 10.5, 2]


def test_extent_is_measured_along_the_directions_asked_for():
    grid = oblique_grid((15, 12, 10), spacing_mm=(1.1, 1.7, 2.3))
    own = directions_to_ras(grid)
    np.testing.assert_allclose(grid.extent_mm(own), [14 * 1.1, 11 * 1.7, 9 * 2.3])
    centers_mm = grid.voxel_centers_mm().reshape(-1, 3)
    expected_mm = np.ptp(centers_mm, axis=0)
    np.testing.assert_allclose(grid.extent_mm(np.eye(3)), expected_mm)
    assert (expected_mm > [14 * 1.1, 11 * 1.7, 9 * 2.3]).all()


def test_affine_is_read_only_and_copied():
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 5
    assert grid.affine[0, 3] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((2, 2, 2), np.zeros((4, 4)), "last row of 0 0 0 1"),
        ((2, 2, 2), np.diag([1.0, 1.0, 0.0, 1.0]), "three directions"),
        ((2, 2, 2), np.full((4, 4), np.nan), "finite"),
        ((2, 0, 2), np.eye(4), "positive sizes"),
    ],
)
def test_impossible_grids_are_refused(shape, affine, message):
    with pytest.raises(InputError, match=message):
        Grid(shape, affine)
