"""Displacement fields that are cubic B-splines between their voxels."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates, spline_filter

from support.scans import (
    FIXED,
    MOVING,
    STORAGE_ORDERS,
    TO_MOVING,
    oblique_grid,
    smooth_spline,
    stored,
)
from voltween.spatial import Affine, DisplacementField, Grid, SplineField
from voltween.spatial.chain import solve_splines
from voltween.spatial.splines import spline_values

GRID = oblique_grid((18, 16, 14), spacing_mm=(2.0, 2.5, 3.0))


def spline(grid=GRID, seed=0, largest_voxels=1.0, sigma=1.5):
    """A spline field at rest at its two outermost voxels."""
    return smooth_spline(grid, seed, largest_voxels, sigma)


def inner_points_mm(grid, count=300):
    share = np.random.default_rng(0).uniform(0.2, 0.8, (count, 3))
    return grid.voxel_to_world(share * (np.array(grid.shape) - 1))


def finer(grid, times):
    """A grid of narrower voxels over the inner part of another."""
    shape = tuple(times * (n - 6) for n in grid.shape)
    return Grid.centered(
        shape,
        center_mm=grid.center_mm,
        spacing_mm=tuple((grid.spacing_mm / times).tolist()),
        directions=grid.affine[:3, :3] / grid.spacing_mm,
    )


def test_vectors_at_the_voxels_are_those_given():
    field = spline()
    voxels = np.argwhere(np.ones(GRID.shape))
    is_inner = ((voxels >= 1) & (voxels <= np.array(GRID.shape) - 2)).all(axis=1)
    positions = GRID.voxel_to_world(voxels[is_inner].astype(float))
    moved = field.map_positions(positions) - positions
    expected = field.vectors_mm[tuple(voxels[is_inner].T)]
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    assert np.abs(expected).max() > 0.5


def test_between_the_voxels_it_is_scipys_cubic_spline():
    field = spline()
    positions = inner_points_mm(GRID)
    voxels = GRID.world_to_voxel(positions).T
    by_scipy = [
        map_coordinates(
            spline_filter(np.pad(component, 12), mode="mirror"),
            voxels + 12,
            prefilter=False,
        )
        for component in np.moveaxis(field.vectors_mm, -1, 0)
    ]
    moved = field.map_positions(positions) - positions
    # SciPy's has coefficients beyond the grid, to be zero at the voxels there.
    np.testing.assert_allclose(moved, np.stack(by_scipy, axis=1), atol=3e-4)


@pytest.mark.parametrize("count", [0, 3, 2500])
def test_few_and_many_positions_are_mapped_alike(count):
    positions = inner_points_mm(GRID, 2500)
    many = spline().map_positions(positions)
    np.testing.assert_allclose(
        spline().map_positions(positions[:count]), many[:count], atol=1e-9
    )


@pytest.mark.parametrize("shape", [(5, 6, 7, 4), (1, 3, 2, 1), (40, 2, 300, 4)])
def test_coefficients_give_back_the_values(shape):
    values = np.random.default_rng(0).normal(size=shape)
    coefficients = values.copy()
    solve_splines(coefficients)
    np.testing.assert_allclose(spline_values(coefficients), values, atol=1e-12)
    for axis in range(3):
        weights = np.eye(shape[axis]) * 2 / 3
        weights += np.eye(shape[axis], k=1) / 6 + np.eye(shape[axis], k=-1) / 6
        coefficients = np.moveaxis(
            np.tensordot(weights, coefficients, (1, axis)), 0, axis
        )
    np.testing.assert_allclose(coefficients, values, atol=1e-12)


def test_derivative_has_no_jump_at_the_voxels():
    """The slope on both sides of a voxel differs for linear reading alone."""
    field, step = spline(sigma=1.0), 1e-4
    voxels = np.array([[8.0, 7, 6]])
    along = np.array([[step, 0, 0]])
    for kind, bound in ((field, 1e-3), (read_linearly(field), None)):
        at, up, down = (
            kind.map_positions(GRID.voxel_to_world(v))
            for v in (voxels, voxels + along, voxels - along)
        )
        jump = np.abs((up - at) - (at - down)).max() / step
        assert jump < bound if bound else jump > 0.05


def read_linearly(field):
    """The field with the same vectors at the voxels, linear between them."""
    return DisplacementField(field.grid, field.vectors_mm)


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_every_storage_order_of_the_grid_gets_the_displacements(order):
    """Neither the order nor the direction of the axes makes a difference."""
    image = stored(FIXED, order)
    field = spline(FIXED.grid)
    positions = image.grid.voxel_centers_mm().reshape(-1, 3)
    expected = field.map_positions(positions) - positions
    vectors = field.to_field(image.grid).vectors_mm.reshape(-1, 3)
    np.testing.assert_allclose(vectors, expected, atol=1e-9)


@pytest.mark.parametrize("onto", ["finer", "tilted"])
def test_fields_and_images_agree_with_points(onto):
    grid = finer(GRID, 2) if onto == "finer" else oblique_grid((9, 8, 7), seed=3)
    if onto == "tilted":
        affine = grid.affine.copy()
        affine[:3, 3] += GRID.center_mm - grid.center_mm
        grid = Grid(grid.shape, affine)
    transform = Affine(np.diag([1.1, 0.9, 1.0, 1.0])) @ spline()
    positions = grid.voxel_centers_mm().reshape(-1, 3)
    expected = transform.map_positions(positions) - positions
    vectors = transform.to_field(grid).vectors_mm.reshape(-1, 3)
    np.testing.assert_allclose(vectors, expected, atol=1e-9)


def test_inverse_undoes_the_field_at_its_voxels():
    field = spline(largest_voxels=2.0, sigma=3.0)
    inverse, residuals_mm = field.inverse_with_residuals()
    assert isinstance(inverse, SplineField)
    inner = GRID.voxel_centers_mm()[4:-4, 4:-4, 4:-4].reshape(-1, 3)
    round_trip = field.map_positions(inverse.map_positions(inner))
    # A tolerance of 0.005 voxels of up to 3 mm.
    assert np.linalg.norm(round_trip - inner, axis=1).max() < 0.02
    assert residuals_mm.max() < 0.02


def test_inverse_between_voxels_is_closer_than_that_of_linear_reading():
    field = spline(largest_voxels=1.5, sigma=2.0)
    points = inner_points_mm(GRID)
    errors = [
        np.linalg.norm(
            kind.inverse().map_positions(kind.map_positions(points)) - points, axis=1
        ).mean()
        for kind in (field, read_linearly(field))
    ]
    assert errors[0] < 0.7 * errors[1]


def test_identity_beyond_the_last_voxels_but_one():
    field = SplineField(GRID, np.ones((*GRID.shape, 3)))
    size = GRID.shape[0]
    voxels = np.array([[0.99, 7, 7], [1.01, 7, 7], [size - 1.99, 7, 7], [50, 7, 7]])
    positions = GRID.voxel_to_world(voxels)
    moved = np.abs(field.map_positions(positions) - positions).max(axis=1) > 1e-9
    assert moved.tolist() == [False, True, False, False]


def by_itk(field):
    """ITK's own B-spline transform of the same coefficients, and its voxels."""
    to_voxels = np.linalg.inv(field.grid.affine[:3, :3])
    flow = np.moveaxis(field.coefficients_mm @ to_voxels.T, -1, 0)
    images = [sitk.GetImageFromArray(component) for component in flow[::-1]]
    return sitk.BSplineTransform(images, 3)


def voxels_by_itk(field, voxels):
    transform = by_itk(field)
    return [np.array(transform.TransformPoint(v[::-1]))[::-1] for v in voxels.tolist()]


def test_itk_agrees_where_the_field_ends():
    field = SplineField(GRID, np.ones((*GRID.shape, 3)))
    voxels = np.array([[0.99, 7, 7], [1.01, 7, 7], [16.01, 7, 7], [15.99, 7, 7]])
    got = field.grid.world_to_voxel(field.map_positions(GRID.voxel_to_world(voxels)))
    np.testing.assert_allclose(got, voxels_by_itk(field, voxels), atol=1e-9)


def test_itk_agrees_between_the_voxels():
    field = spline()
    voxels = GRID.world_to_voxel(inner_points_mm(GRID))
    got = field.grid.world_to_voxel(field.map_positions(GRID.voxel_to_world(voxels)))
    np.testing.assert_allclose(got, voxels_by_itk(field, voxels), atol=1e-9)


def test_images_are_read_where_the_points_go():
    field = spline(FIXED.grid)
    ours = (TO_MOVING @ field).resample(MOVING, onto=oblique_grid(seed=1)).data
    grid = oblique_grid(seed=1)
    points = grid.voxel_centers_mm().reshape(-1, 3)
    voxels = MOVING.grid.world_to_voxel((TO_MOVING @ field).map_positions(points))
    inside = ((voxels > 0) & (voxels < np.array(MOVING.grid.shape) - 1)).all(axis=1)
    expected = map_coordinates(MOVING.data, voxels[inside].T, order=1)
    np.testing.assert_allclose(ours.ravel()[inside], expected, atol=0.05)
