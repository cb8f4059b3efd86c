"""Landmark distances, in the moving and in the fixed scan, and in voxels."""

import numpy as np
import pytest

from support.scans import oblique_grid, random_points_mm, smooth_field, some_affine
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.metrics import (
    corresponding_landmarks,
    landmark_differences_in_fixed_mm,
    landmark_distances_mm,
    lengths_voxels,
)
from voltween.spatial import (
    Affine,
    DisplacementField,
    Grid,
    Points,
    directions_to_ras,
    origins_mm,
)


def test_landmark_distances_by_hand():
    shift = np.eye(4)
    shift[:3, 3] = 10, 0, 0
    fixed = Points(np.array([[0, 0, 0], [1, 2, 3]]))
    moving = Points(np.array([[10, 3, 4], [11, 2, 3]]))
    of_pair = Affine(shift), fixed, moving
    differences_mm = landmark_differences_in_fixed_mm(*of_pair)
    np.testing.assert_allclose(differences_mm, [[0, 3, 4], [0, 0, 0]], atol=1e-12)
    assert landmark_distances_mm(*of_pair) == pytest.approx([5, 0])


def test_distances_in_the_fixed_scan_are_those_before_a_scaling():
    twice = Affine(np.diag([2.0, 2, 2, 1]))
    fixed, moving = Points(np.ones((1, 3))), Points(np.array([[2, 8, 10]]))
    assert landmark_distances_mm(twice, fixed, moving) == pytest.approx([10])
    assert landmark_differences_in_fixed_mm(twice, fixed, moving) == pytest.approx(
        np.array([[0, 3, 4]])
    )


def test_lengths_in_voxels_count_along_the_axes_of_the_grid():
    grid = oblique_grid(seed=3)
    voxels = np.array([[0.0, 0, 0], [1, -2, 2]])
    differences_mm = np.diff(grid.voxel_to_world(voxels), axis=0)
    assert lengths_voxels(differences_mm, grid) == pytest.approx([3])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_voxels_of_a_given_size_lie_along_the_axes_nearest_to_right_ahead_and_up(order):
    plain = oblique_grid((4, 4, 4), seed=1, spacing_mm=(1.0, 1.0, 1.0))
    affine = plain.affine.copy()
    affine[:, :3] = plain.affine[:, list(order)]
    affine[:3, 0] *= -1
    directions = directions_to_ras(plain)
    differences_mm = (directions @ np.diag([2.0, 3, 4])).T
    lengths = lengths_voxels(
        differences_mm, Grid((4, 4, 4), affine), voxel_mm=(0.5, 3.0, 8.0)
    )
    assert lengths == pytest.approx([4, 1, 0.5])


def test_landmarks_mapped_onto_their_partners_have_no_distance():
    grid = oblique_grid()
    transform = some_affine() @ smooth_field(grid)
    fixed = Points(random_points_mm(grid))
    moving = transform.map_points(fixed)
    assert landmark_distances_mm(transform, fixed, moving).max() == 0
    assert landmark_distances_mm(Affine.identity(), fixed, moving).min() > 1


def test_landmarks_that_do_not_correspond_are_refused():
    identity = Affine.identity()
    two = Points(np.zeros((2, 3)), ("ac", "pc"))
    with pytest.raises(InputError, match="got 2 fixed and 1 moving"):
        landmark_distances_mm(identity, two, Points(np.zeros((1, 3))))
    with pytest.raises(InputError, match="in common, got ac, pc and left, right"):
        landmark_distances_mm(identity, two, Points(two.mm, ("left", "right")))
    with pytest.raises(InputError, match="'ac' twice among the moving"):
        landmark_distances_mm(identity, two, Points(two.mm, ("ac", "ac")))
    with pytest.raises(InputError, match="1 of 2 moving ones without a name"):
        landmark_distances_mm(identity, two, Points(two.mm, ("ac", "")))
    unnamed = Points(two.mm)
    assert landmark_distances_mm(identity, two, unnamed).tolist() == [0, 0]


def test_named_landmarks_are_paired_by_the_names_that_both_scans_have():
    mm = np.arange(12.0).reshape(4, 3)
    fixed = Points(mm, ("L1", "L2", "L3", "L4"))
    moving = Points(mm[[3, 0, 1]] + np.array([0, 0, 2]), ("L4", "L1", "L2"))
    with pytest.warns(SuspiciousInputWarning, match="L3 of the fixed scan left out"):
        distances = landmark_distances_mm(Affine.identity(), fixed, moving)
    assert distances == pytest.approx([2, 2, 2])
    with pytest.warns(SuspiciousInputWarning):
        pairs = corresponding_landmarks(fixed, moving)
    assert [points.names for points in pairs] == [("L1", "L2", "L4")] * 2
    np.testing.assert_array_equal(pairs[0].mm, mm[[0, 1, 3]])


@pytest.mark.parametrize(
    "names", [("AC", "PC", "Left eye"), ("AC", "PC", "left_eye"), ("A-C", "PC", "x")]
)
def test_names_that_differ_in_spelling_alone_are_refused(names):
    fixed = Points(np.zeros((3, 3)), ("AC", "PC", "left eye"))
    with pytest.raises(InputError, match="names that are spelled alike on both sides"):
        corresponding_landmarks(fixed, Points(fixed.mm, names))


def test_names_that_only_count_do_not_pair_lists_that_differ():
    three, two = (Points(np.zeros((n, 3)), tuple("123"[:n])) for n in (3, 2))
    with pytest.raises(InputError, match="not just counted, got 1 to 3 on one side"):
        corresponding_landmarks(three, Points(two.mm, ("1", "3")))
    with pytest.raises(InputError, match="not just counted, got 1 to 3 on one side"):
        corresponding_landmarks(three, two)
    turned = Points(np.array([[1.0, 0, 0], [0, 0, 0]]), ("2", "1"))
    distances = landmark_distances_mm(Affine.identity(), two, turned)
    assert distances == pytest.approx([0, 1])


def test_distance_in_the_fixed_scan_is_that_of_the_paper_before_alignment():
    """Section V-B a: the inverse of the linear part of the fixed image's alignment."""
    grid = oblique_grid()
    atlas_to_fixed, atlas_to_moving = some_affine(1), some_affine(2)
    on_atlas = smooth_field(grid)
    atlas_mm = random_points_mm(grid, count=40)
    fixed = atlas_to_fixed.map_points(Points(atlas_mm))
    moving = atlas_to_moving.map_points(Points(atlas_mm[::-1]))
    # The paper: the warped landmark minus the landmark in the aligned fixed image.
    aligned_fixed, aligned_moving = (
        transform.inverse().map_points(points)
        for transform, points in ((atlas_to_fixed, fixed), (atlas_to_moving, moving))
    )
    warped = origins_mm(on_atlas, aligned_moving.mm)
    linear_part = atlas_to_fixed.inverse().matrix[:3, :3]  # aligns fixed to the atlas
    corrected = (warped - aligned_fixed.mm) @ np.linalg.inv(linear_part).T
    # Ours: the transform that was mapped back to the original scans.
    mapped_back = atlas_to_moving @ on_atlas @ atlas_to_fixed.inverse()
    differences_mm = landmark_differences_in_fixed_mm(mapped_back, fixed, moving)
    np.testing.assert_allclose(differences_mm, corrected, atol=1e-9)
    lengths, uncorrected, in_moving = (
        np.linalg.norm(differences_mm, axis=1),
        np.linalg.norm(warped - aligned_fixed.mm, axis=1),
        landmark_distances_mm(mapped_back, fixed, moving),
    )
    for other in (uncorrected, in_moving):
        assert np.abs(other / lengths - 1).max() > 0.05


def test_a_landmark_to_which_nothing_is_mapped_has_no_distance_in_the_fixed_scan():
    grid = Grid((12, 4, 4), np.eye(4))
    flow = np.zeros((3, *grid.shape))
    flow[0] = 5  # nothing is mapped to voxels 0 to 4; beyond the grid nothing moves
    landmarks = Points(np.array([[2.0, 2, 2], [8, 2, 2], [100, 2, 2]]))
    differences_mm = landmark_differences_in_fixed_mm(
        DisplacementField.from_flow(flow, grid), landmarks, landmarks
    )
    assert np.isnan(differences_mm[0]).all()
    assert differences_mm[1:] == pytest.approx(np.array([[-5, 0, 0], [0, 0, 0]]))
