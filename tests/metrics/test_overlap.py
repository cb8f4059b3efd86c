import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter
from scipy.spatial.transform import Rotation

from support.scans import oblique_grid, random_points_mm, smooth_field, some_affine
from voltween.errors import InputError
from voltween.metrics import dice_per_label, iou_from_dice, landmark_distances_mm
from voltween.metrics.landmarks import (
    landmark_differences_mm,
    landmark_distances_voxels,
    lengths_before_alignment_mm,
)
from voltween.metrics.surfaces import surface_distances_per_label
from voltween.spatial import Affine, Points

SPACING_MM = np.array([1.5, 1.0, 2.0])


def test_dice_by_hand():
    fixed = np.array([[[1, 1, 1, 0, 2, 2]]])
    moved = np.array([[[0, 1, 1, 1, 2, 3]]])
    assert dice_per_label(fixed, moved) == {1: 4 / 6, 2: 2 / 3, 3: 0.0}


def test_dice_and_iou_equal_the_definitions_on_random_maps():
    rng = np.random.default_rng(0)
    fixed, moved = rng.integers(0, 4, (2, 9, 8, 7))
    for label, dice in dice_per_label(fixed, moved).items():
        f, m = fixed == label, moved == label
        assert dice == pytest.approx(2 * (f & m).sum() / (f.sum() + m.sum()))
        assert iou_from_dice(dice) == pytest.approx((f & m).sum() / (f | m).sum())


def test_maps_of_different_types_are_compared():
    fixed = np.ones((2, 2, 2), np.uint8)
    moved = fixed.astype(np.int32)
    assert dice_per_label(fixed, moved) == {1: 1.0}
    surfaces = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert surfaces[1].hd95_mm == 0


def test_different_shapes_are_refused():
    maps = np.ones((2, 2, 2), int), np.ones((2, 2, 3), int)
    with pytest.raises((InputError, TypeCheckError)):
        dice_per_label(*maps)
    with pytest.raises((InputError, TypeCheckError)):
        surface_distances_per_label(*maps, spacing_mm=SPACING_MM)


def surface_distances(fixed, moved, spacing_mm=SPACING_MM):
    """HD95 and mean surface distance, mm, of label 1."""
    found = surface_distances_per_label(
        np.asarray(fixed, int), np.asarray(moved, int), spacing_mm=spacing_mm
    )
    return found[1].hd95_mm, found[1].surface_distance_mm


def cube(first, size=4, shape=(12, 11, 10)):
    data = np.zeros(shape, int)
    data[tuple(slice(n, n + size) for n in first)] = 1
    return data


def test_shifted_voxel_by_hand():
    # 1, 2 and 2 voxels apart: 1.5, 2 and 4 mm.
    found = surface_distances(cube((3, 3, 3), 1), cube((4, 5, 5), 1))
    assert found == pytest.approx((22.25**0.5, 22.25**0.5), rel=1e-6)


def test_shifted_cube_by_hand():
    # Of the 56 surface voxels of a cube of 4, shifted by 2 along the first axis: the
    # 16 of the face left behind are 3 mm away, 12 of the next layer's rim 1.5 mm, the
    # 4 in the middle of the leading face 1 mm (beside the other's rim), all others 0.
    found = surface_distances(cube((3, 3, 3)), cube((5, 3, 3)))
    assert found == pytest.approx((3.0, (16 * 3 + 12 * 1.5 + 4 * 1) / 56))


def test_larger_way_decides_and_its_95th_percentile_is_taken():
    # From the point to the line 0 mm; from the line's 21 voxels 0, 1, ..., 20 mm. All
    # 22 together have another 95th percentile, 18.95 mm.
    point, line = np.zeros((2, 21, 1, 1))
    point[0], line[:] = 1, 1
    found = surface_distances(point, line, np.ones(3))
    assert found == pytest.approx((19, 210 / 22))
    assert surface_distances(line, point, np.ones(3)) == pytest.approx(found)


def test_concentric_spheres_are_as_far_apart_as_their_radii():
    spacing_mm = np.array([0.8, 0.6, 0.9])
    shape = (40, 54, 36)
    offsets_mm = [
        (np.arange(n) - (n - 1) / 2) * size
        for n, size in zip(shape, spacing_mm, strict=True)
    ]
    radius_mm = np.sqrt(sum(x**2 for x in np.meshgrid(*offsets_mm, indexing="ij")))
    hd95_mm, mean_mm = surface_distances(radius_mm < 10, radius_mm < 14, spacing_mm)
    assert mean_mm == pytest.approx(4, abs=0.15)
    assert hd95_mm == pytest.approx(4, abs=0.9)


def test_label_of_one_map_alone_has_no_distance():
    fixed, moved = cube((3, 3, 3)), 5 * cube((3, 3, 3))
    found = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert list(found) == list(dice_per_label(fixed, moved)) == [1, 5]
    for label in (1, 5):
        assert np.isnan([found[label].hd95_mm, found[label].surface_distance_mm]).all()
        assert dice_per_label(fixed, moved)[label] == 0


def test_border_of_the_grid_is_a_surface():
    # The two halves fill the grid: their far faces count too, 2 mm from the other.
    one, other = np.zeros((2, 4, 3, 3))
    one[:2], other[2:] = 1, 1
    _, mean_mm = surface_distances(one, other, np.ones(3))
    assert mean_mm == pytest.approx(1.5)


def random_labels(seed, shape=(26, 22, 18)):
    """Smooth regions of odd shapes; labels are far apart and one is negative."""
    noise = np.random.default_rng(seed).standard_normal((4, *shape))
    smooth = [gaussian_filter(n, 2.5) for n in noise]
    return np.array([0, 3, -7, 30_000])[np.argmax(smooth, axis=0)]


def surface_distances_by_distance_maps(fixed, moved):
    """The two figures from distance maps of the whole grid."""
    surfaces = [mask & ~binary_erosion(mask) for mask in (fixed, moved)]
    directed = [
        distance_transform_edt(~there, sampling=SPACING_MM)[here]
        for here, there in (surfaces, surfaces[::-1])
    ]
    return max(np.quantile(d, 0.95) for d in directed), np.concatenate(directed).mean()


def surface_distances_by_monai(fixed, moved):
    """The two figures as MONAI gives them in one call each."""
    pair = [torch.from_numpy(mask)[None, None] for mask in (fixed, moved)]
    options = {"include_background": True, "spacing": SPACING_MM.tolist()}
    hd95_mm = compute_hausdorff_distance(*pair, percentile=95, **options)
    mean_mm = compute_average_surface_distance(*pair, symmetric=True, **options)
    return float(hd95_mm), float(mean_mm)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize(
    "reference", [surface_distances_by_distance_maps, surface_distances_by_monai]
)
def test_surface_distances_equal_other_packages(reference):
    fixed, moved = random_labels(0), random_labels(1)
    found = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert list(found) == [-7, 3, 30_000]
    for label, distances in found.items():
        expected = reference(fixed == label, moved == label)
        assert distances.hd95_mm == pytest.approx(expected[0], rel=1e-5)
        assert distances.surface_distance_mm == pytest.approx(expected[1], rel=1e-5)
        assert distances.surface_distance_mm > 1


def test_landmark_distances_by_hand():
    shift = np.eye(4)
    shift[:3, 3] = 10, 0, 0
    fixed = Points(np.array([[0, 0, 0], [1, 2, 3]]))
    moving = Points(np.array([[10, 3, 4], [11, 2, 3]]))
    grid = oblique_grid(spacing_mm=(2.0, 2.0, 2.0))
    of_pair = Affine(shift), fixed, moving
    assert landmark_differences_mm(*of_pair).tolist() == [[0, -3, -4], [0, 0, 0]]
    assert landmark_distances_mm(*of_pair) == pytest.approx([5, 0])
    found = landmark_distances_voxels(*of_pair, moving_grid=grid)
    assert found == pytest.approx([2.5, 0])


def test_landmark_distances_in_voxels_count_along_the_moving_axes():
    grid = oblique_grid(seed=3)
    voxels = np.array([[1.0, 2.0, 3.0]])
    moving = Points(grid.voxel_to_world(voxels))
    fixed = Points(grid.voxel_to_world(voxels + np.array([1, -2, 2])))
    found = landmark_distances_voxels(
        Affine.identity(), fixed, moving, moving_grid=grid
    )
    assert found == pytest.approx([3])


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
    with pytest.raises(InputError, match="'ac' in fixed where moving has 'pc'"):
        landmark_distances_mm(identity, two, Points(two.mm, ("pc", "ac")))
    unnamed = Points(two.mm)
    assert landmark_distances_mm(identity, two, unnamed).tolist() == [0, 0]


def test_shrinking_alignment_is_taken_back_by_hand():
    # Aligned to an atlas of half the size and a quarter turn: x becomes y.
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -0.5, 0], [0.5, 0, 0], [0, 0, 0.8]]
    matrix[:3, 3] = 40, -30, 20
    differences_mm = np.array([[0, 1.5, 0], [0, 0, 1.6], [-2.0, 0, 0]])
    found = lengths_before_alignment_mm(differences_mm, fixed_to_aligned=Affine(matrix))
    assert found == pytest.approx([3, 2, 4])


def test_alignment_is_taken_back_to_the_original_fixed_image():
    # The same registration, measured in the original fixed image and in the aligned.
    rng = np.random.default_rng(0)
    fixed_to_aligned, moving_to_fixed = some_affine(1), some_affine(2)
    fixed, moving = (Points(rng.uniform(-80, 80, (20, 3))) for _ in range(2))
    expected = landmark_distances_mm(moving_to_fixed, moving, fixed)
    aligned = landmark_differences_mm(
        fixed_to_aligned @ moving_to_fixed, moving, fixed_to_aligned.map_points(fixed)
    )
    found = lengths_before_alignment_mm(aligned, fixed_to_aligned=fixed_to_aligned)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert np.abs(np.linalg.norm(aligned, axis=1) / expected - 1).max() > 0.05


def test_rigid_alignment_changes_no_length():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    differences_mm = np.random.default_rng(0).standard_normal((9, 3))
    found = lengths_before_alignment_mm(differences_mm, fixed_to_aligned=Affine(matrix))
    np.testing.assert_allclose(found, np.linalg.norm(differences_mm, axis=1))
