"""Fields smoothed at their folds, and only there."""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from support.scans import oblique_grid, smooth_field
from voltween.spatial import DisplacementField
from voltween.spatial.field_smoothing import smallest_determinants, smooth_folds

GRID = oblique_grid((22, 20, 18))
NOWHERE = np.zeros((0, 3))


def field_of(flow):
    return DisplacementField.from_flow(flow, GRID)


def smooth(field, around_mm=NOWHERE, *, beyond="nearest"):
    return smooth_folds(field, around_mm, reach_voxels=2, beyond=beyond)


def changes_voxels(one, other):
    """Length of the difference of two fields, in voxels."""
    return np.linalg.norm(one.to_flow() - other.to_flow(), axis=0)


def test_smallest_determinants_equal_a_naive_loop():
    flow = np.random.default_rng(0).standard_normal((3, 4, 3, 5))
    smallest = smallest_determinants(flow)
    for voxel in product(*map(range, flow.shape[1:])):
        determinants = []
        for signs in product((1, -1), repeat=3):
            others = [
                np.add(voxel, s * np.eye(3, dtype=int)[a]) for a, s in enumerate(signs)
            ]
            if all((o >= 0).all() and (o < flow.shape[1:]).all() for o in others):
                steps = [
                    s * (flow[:, *o] - flow[:, *voxel])
                    for o, s in zip(others, signs, strict=True)
                ]
                determinants.append(np.linalg.det(np.eye(3) + np.array(steps)))
        assert smallest[voxel] == pytest.approx(min(determinants))


def test_positive_from_all_sides_is_positive_for_central_differences():
    flow = np.random.default_rng(0).standard_normal((3, 22, 20, 18)) * 0.3
    smallest = smallest_determinants(flow)
    central = field_of(flow).jacobian_determinant()
    assert (smallest <= 0).any()
    assert (central[1:-1, 1:-1, 1:-1] >= smallest[1:-1, 1:-1, 1:-1] - 1e-9).all()


def test_field_without_folds_stays_the_same_object():
    field = smooth_field(GRID)
    assert smooth(field) is field
    assert smooth(field, np.array([[1e4, 0, 0]])) is field  # beyond its grid


def test_two_voxels_that_swap_places_are_put_in_order():
    # Central differences do not see it: they look past the voxel.
    flow = np.zeros((3, *GRID.shape))
    flow[0, 10, 9, 8], flow[0, 11, 9, 8] = 1.2, -1.2
    field = field_of(flow)
    assert field.folding_percent() == 0
    assert smallest_determinants(flow).min() < -1
    smoothed = smooth(field)
    assert smallest_determinants(smoothed.to_flow()).min() > 0
    changes = changes_voxels(smoothed, field)
    assert changes.max() < 1.2
    assert (changes > 0).sum() < 200


def test_field_changes_near_folds_alone():
    flow = smooth_field(GRID, largest_voxels=3, sigma=2).to_flow()
    folds = smallest_determinants(flow) <= 0
    assert 0.001 < folds.mean() < 0.05
    smoothed = smooth(field_of(flow))
    assert smallest_determinants(smoothed.to_flow()).min() > 0
    is_far = distance_transform_edt(~folds) > 6
    assert is_far.mean() > 0.1
    assert np.array_equal(
        smoothed.vectors_mm[is_far], field_of(flow).vectors_mm[is_far]
    )


def test_field_at_rest_at_its_border_stays_so():
    flow = np.zeros((3, *GRID.shape))
    flow[2, :, :, 1] = -2.5  # over the border and back
    smoothed = smooth(field_of(flow)).to_flow()
    assert smallest_determinants(smoothed).min() > 0
    assert not smoothed[..., 0].any()
    assert smoothed[..., 1].any()


def test_fold_at_a_border_that_moves_is_smoothed():
    flow = np.full((3, *GRID.shape), 4.0)
    flow[0, 0] += 3
    smoothed = smooth(field_of(flow)).to_flow()
    assert smallest_determinants(smoothed).min() > 0
    assert smoothed.min() == pytest.approx(4)  # not drawn towards the identity


def test_field_is_smoothed_at_the_positions_given():
    flow = smooth_field(GRID).to_flow()
    voxel = np.array([9, 8, 7])
    smoothed = smooth(field_of(flow), GRID.voxel_to_world(voxel + 0.3)[None])
    changes = changes_voxels(smoothed, field_of(flow))
    assert changes[tuple(voxel)] > 0
    distances = np.linalg.norm(np.indices(GRID.shape).T - voxel, axis=-1).T
    assert (changes[distances >= 2] == 0).all()
