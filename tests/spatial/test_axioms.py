"""Laws that hold for every kind of transform."""

import numpy as np
import pytest

from support.scans import (
    oblique_grid,
    random_points_mm,
    smooth_field,
    smooth_spline,
    some_affine,
)
from voltween.spatial import Affine, Composite, DisplacementField, Points

GRID = oblique_grid((18, 16, 14))
TRANSFORMS = {
    "identity": Affine.identity(),
    "affine": some_affine(),
    "field": smooth_field(GRID),
    "affine @ field": some_affine(1) @ smooth_field(GRID, 1),
    "field @ affine": smooth_field(GRID, 2) @ some_affine(2).inverse(),
    "spline": smooth_spline(GRID),
    "affine @ spline": some_affine(1) @ smooth_spline(GRID, 1),
    "spline @ affine": smooth_spline(GRID, 2) @ some_affine(2).inverse(),
}
POINTS_MM = random_points_mm(GRID, 300)


@pytest.fixture(params=TRANSFORMS, name="transform")
def transform_fixture(request):
    return TRANSFORMS[request.param]


@pytest.fixture(params=TRANSFORMS, name="other")
def other_fixture(request):
    return TRANSFORMS[request.param]


def test_identity_changes_nothing(transform):
    identity = Affine.identity()
    expected = transform.map_positions(POINTS_MM)
    for product in (transform @ identity, identity @ transform):
        np.testing.assert_allclose(
            product.map_positions(POINTS_MM), expected, atol=1e-9
        )


def test_composition_is_outer_of_inner(transform, other):
    expected = transform.map_positions(other.map_positions(POINTS_MM))
    np.testing.assert_allclose(
        (transform @ other).map_positions(POINTS_MM), expected, atol=1e-9
    )


def test_composition_is_associative(transform, other):
    third = TRANSFORMS["affine @ field"]
    left = ((transform @ other) @ third).map_positions(POINTS_MM)
    right = (transform @ (other @ third)).map_positions(POINTS_MM)
    np.testing.assert_allclose(left, right, atol=1e-9)


def test_inverse_undoes_the_transform(transform):
    mapped_mm = transform.map_positions(POINTS_MM)
    back = transform.inverse().map_positions(mapped_mm)
    # A field's inverse is a field again: linear between voxels, so exact only at them.
    np.testing.assert_allclose(back, POINTS_MM, atol=0.15)
    assert np.linalg.norm(back - POINTS_MM, axis=1).mean() < 0.02


def test_points_keep_their_names(transform):
    names = tuple(f"p{n}" for n in range(len(POINTS_MM)))
    mapped = transform.map_points(Points(POINTS_MM, names))
    assert mapped.names == names
    np.testing.assert_array_equal(mapped.mm, transform.map_positions(POINTS_MM))


def test_mapping_does_not_change_its_input(transform):
    before = POINTS_MM.copy()
    transform.map_positions(POINTS_MM)
    np.testing.assert_array_equal(POINTS_MM, before)


def test_displacements_on_a_grid_are_those_of_the_transform(transform):
    grid = oblique_grid((6, 5, 4), seed=3)
    field = transform.to_field(grid)
    centers = grid.voxel_centers_mm().reshape(-1, 3)
    expected = transform.map_positions(centers)
    np.testing.assert_allclose(field.map_positions(centers), expected, atol=1e-9)


def test_neighboring_affines_are_multiplied_out():
    product = some_affine(1) @ some_affine(2) @ smooth_field(GRID)
    assert isinstance(product, Composite)
    assert [type(part) for part in product.parts()] == [Affine, DisplacementField]
    assert isinstance(some_affine(1) @ some_affine(2), Affine)
