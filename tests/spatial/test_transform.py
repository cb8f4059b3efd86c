"""Fields and affines: units, inverses, what is beyond, and what is refused."""

import warnings

import numpy as np
import pytest

from support.scans import oblique_grid, smooth_field, smooth_image
from voltween.errors import InputError, InverseWarning
from voltween.spatial import Affine, DisplacementField


def folding_field():
    grid = oblique_grid((10, 7, 7))
    flow = np.zeros((3, 10, 7, 7))
    flow[0, 4:6, 2:5, 2:5] = 4.0
    return DisplacementField.from_flow(flow, grid)


def test_flow_in_voxels_becomes_world_mm_along_the_grids_axes():
    grid = oblique_grid()
    flow = np.zeros((3, *grid.shape))
    flow[1] = 2
    field = DisplacementField.from_flow(flow, grid)
    np.testing.assert_allclose(field.vectors_mm[4, 4, 4], 2 * grid.affine[:3, 1])
    np.testing.assert_allclose(field.to_flow(), flow, atol=1e-12)


def test_field_is_the_identity_beyond_its_grid_and_constant_to_half_a_voxel():
    grid = oblique_grid()
    field = DisplacementField(grid, np.full((*grid.shape, 3), 5.0))
    voxels = np.array([[-0.4, 0, 0], [14.4, 11, 9], [-0.6, 0, 0], [0, 0, 9.6]])
    points = grid.voxel_to_world(voxels)
    moved = field.map_positions(points) - points
    np.testing.assert_allclose(moved, [[5] * 3, [5] * 3, [0] * 3, [0] * 3], atol=1e-9)


def test_inverse_of_a_field_reports_its_residual():
    field = smooth_field(oblique_grid((20, 20, 20)), largest_voxels=2.0)
    inverse, residuals_mm = field.inverse_with_residuals()
    residual_mm = residuals_mm.max()
    voxels = field.grid.voxel_centers_mm()[3:-3, 3:-3, 3:-3].reshape(-1, 3)
    round_trip = field.map_positions(inverse.map_positions(voxels)) - voxels
    assert residual_mm < 0.005
    assert np.linalg.norm(round_trip, axis=1).max() <= residual_mm + 1e-6


def test_inverse_of_a_strong_compression_still_arrives():
    grid = oblique_grid((32, 8, 8))
    squeeze = np.zeros((3, *grid.shape))
    x = np.linspace(-1, 1, 32)
    squeeze[0] = (-9 * x * np.exp(-6 * x**2))[
        :, None, None
    ]  # slope to -0.58 voxel/voxel
    field = DisplacementField.from_flow(squeeze, grid)
    assert field.folding_percent() == 0
    assert field.inverse_with_residuals()[1].max() < 0.005


def test_inverse_where_the_field_folds_warns():
    field = folding_field()
    assert field.folding_percent() > 0
    with pytest.warns(
        InverseWarning, match="% of the displacement field's voxels fold"
    ):
        field.inverse()


def test_a_warning_of_an_inverse_speaks_of_folds_only_where_there_are_some(
    monkeypatch,
):
    field = smooth_field(oblique_grid((16, 16, 16)))
    monkeypatch.setattr(
        DisplacementField,
        "inverse_with_residuals",
        lambda field: (field, np.array([0.1, 0.7])),
    )
    with pytest.warns(InverseWarning) as caught:
        field.inverse()
    assert str(caught[0].message) == (
        "the inverse of the displacement field has errors of up to 0.7 mm at its voxels"
    )


def test_inverse_of_a_smooth_field_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smooth_field(oblique_grid((16, 16, 16))).inverse()


def test_image_outside_is_filled_with_air():
    image = smooth_image(oblique_grid())
    shift = np.eye(4)
    shift[:3, 3] = 1000
    moved = Affine(shift).resample(image, onto=image.grid)
    assert not moved.data.any()
    ct = type(image)(image.data - 1000, image.grid)
    assert (Affine(shift).resample(ct, onto=ct.grid).data == ct.data.min()).all()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((4, 4)), "0 0 0 1"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "invertible"),
        (np.full((4, 4), np.nan), "finite"),
    ],
)
def test_impossible_affines_are_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        Affine(matrix)


def test_impossible_fields_are_refused():
    grid = oblique_grid((4, 4, 4))
    with pytest.raises(InputError, match=r"shape \(4, 4, 4, 3\), got \(4, 4, 3, 3\)"):
        DisplacementField(grid, np.zeros((4, 4, 3, 3)))
    with pytest.raises(InputError, match="finite"):
        DisplacementField(grid, np.full((4, 4, 4, 3), np.inf))
