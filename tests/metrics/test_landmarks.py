"""Landmark distances, and lengths before an alignment to an atlas."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from support.scans import oblique_grid, random_points_mm, smooth_field, some_affine
from voltween.errors import InputError
from voltween.metrics import (
    corresponding_landmarks,
    landmark_differences_mm,
    landmark_distances_mm,
    landmark_distances_voxels,
    lengths_before_alignment_mm,
)
from voltween.spatial import Affine, Points


def test_landmark_distances_by_hand():
    shift = np.eye(4)
    shift[:3, 3] = 10, 0, 0
    fixed = Points(np.array([[0, 0, 0], [1, 2, 3]]))
    moving = Points(np.array([[10, 3, 4], [11, 2, 3]]))
    grid = oblique_grid(spacing_mm=(2.0, 2.0, 2.0))
    of_pair = Affine(shift), fixed, moving
    assert landmark_differences_mm(*of_pair).tolist() == [[0, -3, -4], [0, 0, 0]]
    assert landmark_distances_mm(*of_pair) == pytest.approx([5, 0])
    distances = landmark_distances_voxels(*of_pair, moving_grid=grid)
    assert distances == pytest.approx([2.5, 0])


def test_landmark_distances_in_voxels_count_along_the_moving_axes():
    grid = oblique_grid(seed=3)
    voxels = np.array([[1.0, 2.0, 3.0]])
    moving = Points(grid.voxel_to_world(voxels))
    fixed = Points(grid.voxel_to_world(voxels + np.array([1, -2, 2])))
    distances = landmark_distances_voxels(
        Affine.identity(), fixed, moving, moving_grid=grid
    )
    assert distances == pytest.approx([3])


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
    unnamed = Points(two.mm)
    assert landmark_distances_mm(identity, two, unnamed).tolist() == [0, 0]


def test_named_landmarks_are_paired_by_the_names_that_both_scans_have():
    mm = np.arange(12.0).reshape(4, 3)
    fixed = Points(mm, ("L1", "L2", "L3", "L4"))
    moving = Points(mm[[3, 0, 1]] + np.array([0, 0, 2]), ("L4", "L1", "L2"))
    distances = landmark_distances_mm(Affine.identity(), fixed, moving)
    assert distances == pytest.approx([2, 2, 2])
    pairs = corresponding_landmarks(fixed, moving)
    assert [points.names for points in pairs] == [("L1", "L2", "L4")] * 2
    np.testing.assert_array_equal(pairs[0].mm, mm[[0, 1, 3]])


def test_names_that_only_count_do_not_pair_lists_that_differ():
    three, two = (Points(np.zeros((n, 3)), tuple("123"[:n])) for n in (3, 2))
    with pytest.raises(InputError, match="not just counted, got 1 to 3 on one side"):
        corresponding_landmarks(three, Points(two.mm, ("1", "3")))
    with pytest.raises(InputError, match="not just counted, got 1 to 3 on one side"):
        corresponding_landmarks(three, two)
    turned = Points(np.array([[1.0, 0, 0], [0, 0, 0]]), ("2", "1"))
    distances = landmark_distances_mm(Affine.identity(), two, turned)
    assert distances == pytest.approx([0, 1])


def test_shrinking_alignment_is_taken_back_by_hand():
    # Aligned to an atlas of half the size and a quarter turn: x becomes y.
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -0.5, 0], [0.5, 0, 0], [0, 0, 0.8]]
    matrix[:3, 3] = 40, -30, 20
    differences_mm = np.array([[0, 1.5, 0], [0, 0, 1.6], [-2.0, 0, 0]])
    lengths_mm = lengths_before_alignment_mm(
        differences_mm, fixed_to_aligned=Affine(matrix)
    )
    assert lengths_mm == pytest.approx([3, 2, 4])


def test_alignment_is_taken_back_to_the_original_fixed_image():
    # The same registration, measured in the original fixed image and in the aligned.
    rng = np.random.default_rng(0)
    fixed_to_aligned, moving_to_fixed = some_affine(1), some_affine(2)
    fixed, moving = (Points(rng.uniform(-80, 80, (20, 3))) for _ in range(2))
    expected = landmark_distances_mm(moving_to_fixed, moving, fixed)
    aligned = landmark_differences_mm(
        fixed_to_aligned @ moving_to_fixed, moving, fixed_to_aligned.map_points(fixed)
    )
    lengths_mm = lengths_before_alignment_mm(aligned, fixed_to_aligned=fixed_to_aligned)
    np.testing.assert_allclose(lengths_mm, expected, rtol=1e-9)
    assert np.abs(np.linalg.norm(aligned, axis=1) / expected - 1).max() > 0.05


def test_rigid_alignment_changes_no_length():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    differences_mm = np.random.default_rng(0).standard_normal((9, 3))
    lengths_mm = lengths_before_alignment_mm(
        differences_mm, fixed_to_aligned=Affine(matrix)
    )
    np.testing.assert_allclose(lengths_mm, np.linalg.norm(differences_mm, axis=1))
