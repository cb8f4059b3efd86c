"""The volume change of transforms: known determinants, and ANTs on the same fields."""

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk

from support.native import needs_native
from support.scans import FIXED, STORAGE_ORDERS, oblique_grid, smooth_field, stored
from voltween import io
from voltween.errors import InputError
from voltween.spatial import (
    Affine,
    DisplacementField,
    Grid,
    SplineField,
    jacobian_determinant,
)

GRID = oblique_grid((18, 16, 14))
SHEAR = np.array(
    [[1.2, 0.3, 0, 5], [0, 0.8, -0.2, -3], [0.1, 0, 1.1, 7], [0, 0, 0, 1.0]]
)


def known(grid):
    """A field on a grid, and the determinant of x + u(x): 1 + du_x / dx."""
    positions = grid.voxel_centers_mm()
    vectors = np.zeros((*grid.shape, 3))
    vectors[..., 0] = 2 * np.sin(positions[..., 0] / 6)
    vectors[..., 1] = np.cos(positions[..., 2] / 8)
    return vectors, 1 + 2 / 6 * np.cos(positions[..., 0] / 6)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
def test_affine_maps_have_the_determinant_of_their_matrix(order):
    grid = stored(FIXED, order).grid
    change = jacobian_determinant(Affine(SHEAR), onto=grid)
    np.testing.assert_allclose(change.data, np.linalg.det(SHEAR), rtol=1e-5)
    assert change.grid is grid


def test_a_mirror_is_negative_everywhere():
    change = jacobian_determinant(Affine(np.diag([-1.0, 1, 1, 1])), onto=GRID)
    np.testing.assert_allclose(change.data, -1, rtol=1e-5)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
def test_known_determinants_are_found_on_flipped_and_oblique_grids(order):
    onto = stored(FIXED, order).grid
    fine = oblique_grid((60, 60, 60), seed=1, spacing_mm=(0.8, 0.8, 0.8))
    vectors, _ = known(fine)
    change = jacobian_determinant(SplineField(fine, vectors), onto=onto)
    _, expected = known(onto)
    inner = np.s_[2:-2, 2:-2, 2:-2]
    np.testing.assert_allclose(change.data[inner], expected[inner], atol=0.05)


@pytest.mark.parametrize("factors", [(1.0,), (0.5, 3.0)])
def test_without_affine_leaves_the_determinant_of_the_field(factors):
    field = smooth_field(GRID)
    transform = field
    for factor in factors:
        transform = Affine(np.diag([factor, 1.3, 0.9, 1])) @ transform
    dense = jacobian_determinant(field, onto=GRID).data
    alone = jacobian_determinant(transform, onto=GRID, without_affine=True).data
    np.testing.assert_allclose(alone, dense, rtol=1e-5)
    whole = jacobian_determinant(transform, onto=GRID).data
    expected = dense * np.prod(factors) * (1.3 * 0.9) ** len(factors)
    np.testing.assert_allclose(whole, expected, rtol=1e-5)


def test_logarithm_is_natural():
    change = jacobian_determinant(Affine(np.diag([2.0, 2, 2, 1])), onto=GRID, log=True)
    np.testing.assert_allclose(change.data, np.log(8), rtol=1e-5)


def test_logarithm_of_folds_is_refused_with_a_way_out():
    vectors = np.zeros((*GRID.shape, 3))
    vectors[9, 8, 7] = GRID.affine[:3, 0] * 3
    field = DisplacementField(GRID, vectors)
    folds = int((field.jacobian_determinant() <= 0).sum())
    with pytest.raises(InputError, match=f"{folds} voxels that fold.*--no-folding"):
        jacobian_determinant(field, onto=GRID, log=True)


def test_single_slices_are_refused():
    flat = Grid((5, 5, 1), np.eye(4))
    with pytest.raises(InputError, match="at least 2 voxels"):
        jacobian_determinant(Affine.identity(), onto=flat)


@needs_native
def test_a_map_takes_no_memory_but_its_own():
    grid = Grid((400, 60, 60), np.eye(4))
    field = DisplacementField(grid, np.zeros((*grid.shape, 3)))
    jacobian_determinant(field, onto=grid)  # imports what it needs
    tracemalloc.start()
    jacobian_determinant(field, onto=grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * np.prod(grid.shape)  # single precision, and a check of it


@pytest.mark.parametrize("order", STORAGE_ORDERS[::9])
def test_ants_finds_the_same_determinants(order, tmp_path):
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    grid = stored(FIXED, order).grid
    vectors, expected = known(grid)
    field = DisplacementField(grid, vectors)
    io.write(field, tmp_path / "field.nii.gz")
    io.write(stored(FIXED, order), tmp_path / "fixed.nii.gz")
    theirs = ants.create_jacobian_determinant_image(
        ants.image_read(str(tmp_path / "fixed.nii.gz")),
        str(tmp_path / "field.nii.gz"),
    ).numpy()
    ours = jacobian_determinant(field, onto=grid).data
    inner = np.s_[3:-3, 3:-3, 3:-3]
    np.testing.assert_allclose(theirs[inner], expected[inner], atol=0.05)
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=0.03)


def test_itks_own_filter_ignores_the_direction_matrix():
    """A trap, named in docs/conventions.md: ITK's filter is right for RAS alone."""
    vectors, _ = known(GRID)
    image = sitk.GetImageFromArray(vectors.transpose(2, 1, 0, 3), isVector=True)
    image.SetSpacing(GRID.spacing_mm.tolist())
    directions = GRID.affine[:3, :3] / GRID.spacing_mm
    image.SetDirection(directions.ravel().tolist())
    by_itk = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image)).T
    ours = jacobian_determinant(DisplacementField(GRID, vectors), onto=GRID).data
    inner = np.s_[2:-2, 2:-2, 2:-2]
    image.SetDirection(np.eye(3).ravel().tolist())
    unturned = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image))
    np.testing.assert_array_equal(by_itk, unturned.T)
    assert np.abs(by_itk - ours)[inner].max() > 0.02
