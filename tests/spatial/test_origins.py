"""Inverse of transforms at single positions: there and back, at folds and at ends."""

import numpy as np
import pytest

from support.scans import oblique_grid, random_points_mm, smooth_field, some_affine
from voltween.spatial import Affine, DisplacementField, Grid, origins_mm

FIELD = smooth_field(oblique_grid(), largest_voxels=1.5)


@pytest.mark.parametrize(
    "transform",
    [
        some_affine(1),
        FIELD,
        some_affine(1) @ FIELD @ some_affine(2),
        smooth_field(oblique_grid(), seed=4) @ FIELD,
    ],
    ids=("affine", "field", "field between affines", "two fields"),
)
def test_positions_come_from_where_the_transform_mapped_them(transform):
    around_mm = random_points_mm(oblique_grid())
    fixed_mm = some_affine(2).inverse().map_positions(around_mm)
    if transform.parts()[-1] is FIELD:
        fixed_mm = around_mm
    moving_mm = transform.map_positions(fixed_mm)
    found_mm = origins_mm(transform, moving_mm)
    np.testing.assert_allclose(found_mm, fixed_mm, rtol=0, atol=0.01)
    assert np.abs(moving_mm - fixed_mm).max() > 1


def test_single_positions_agree_with_the_inverse_of_the_field():
    at_voxels_mm = FIELD.grid.voxel_centers_mm()[4:-4, 4:-4, 4:-4].reshape(-1, 3)
    expected = FIELD.inverse().map_positions(at_voxels_mm)
    np.testing.assert_allclose(origins_mm(FIELD, at_voxels_mm), expected, atol=5e-3)


def test_beyond_its_grid_a_field_does_not_move():
    far = np.array([[500.0, -400, 300]])
    assert origins_mm(FIELD, far) == pytest.approx(far)


def test_a_position_to_which_nothing_is_mapped_has_no_origin():
    flow = np.zeros((3, 12, 4, 4))
    flow[0] = 5  # nothing is mapped to voxels 0 to 4; beyond the grid nothing moves
    field = DisplacementField.from_flow(flow, Grid((12, 4, 4), np.eye(4)))
    positions = np.array([[2.0, 2, 2], [8, 2, 2]])
    for transform in (field, Affine.identity() @ field, field @ field):
        lost, *_ = origins_mm(transform, positions)
        assert np.isnan(lost).all()
    assert origins_mm(field, positions)[1] == pytest.approx([3, 2, 2])


def test_where_a_field_folds_an_origin_is_still_found():
    rng = np.random.default_rng(0)
    grid = Grid((40, 6, 6), np.eye(4))
    flow = np.zeros((3, *grid.shape))
    flow[0] = 2 * np.sin(np.arange(40))[:, None, None]
    field = DisplacementField.from_flow(flow, grid)
    assert field.folding_percent() > 20
    fixed_mm = rng.uniform((10, 2, 2), (30, 3, 3), (200, 3))
    moving_mm = field.map_positions(fixed_mm)
    found_mm = origins_mm(field, moving_mm)
    is_found = np.isfinite(found_mm).all(axis=1)
    assert is_found.mean() > 0.95
    misses_mm = field.map_positions(found_mm[is_found]) - moving_mm[is_found]
    assert np.linalg.norm(misses_mm, axis=1).max() <= 0.1
