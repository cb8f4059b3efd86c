"""Surface distances: by hand, by brute force, and as MONAI has them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from voltween.metrics import dice_per_label, surface_distances_per_label

SPACING_MM = np.array([1.5, 1.0, 2.0])


def surface_distances(fixed, moved, spacing_mm=SPACING_MM):
    """HD95 and mean surface distance, mm, of label 1."""
    by_label = surface_distances_per_label(
        np.asarray(fixed, int), np.asarray(moved, int), spacing_mm=spacing_mm
    )
    return by_label[1].hd95_mm, by_label[1].surface_distance_mm


def cube(first, size=4, shape=(12, 11, 10)):
    data = np.zeros(shape, int)
    data[tuple(slice(n, n + size) for n in first)] = 1
    return data


def test_shifted_voxel_by_hand():
    # 1, 2 and 2 voxels apart: 1.5, 2 and 4 mm.
    distances = surface_distances(cube((3, 3, 3), 1), cube((4, 5, 5), 1))
    assert distances == pytest.approx((22.25**0.5, 22.25**0.5), rel=1e-6)


def test_shifted_cube_by_hand():
    # Of the 56 surface voxels of a cube of 4, shifted by 2 along the first axis: the
    # 16 of the face left behind are 3 mm away, 12 of the next layer's rim 1.5 mm, the
    # 4 in the middle of the leading face 1 mm (beside the other's rim), all others 0.
    distances = surface_distances(cube((3, 3, 3)), cube((5, 3, 3)))
    assert distances == pytest.approx((3.0, (16 * 3 + 12 * 1.5 + 4 * 1) / 56))


def test_larger_way_decides_and_its_95th_percentile_is_taken():
    # From the point to the line 0 mm; from the line's 21 voxels 0, 1, ..., 20 mm. All
    # 22 together have another 95th percentile, 18.95 mm.
    point, line = np.zeros((2, 21, 1, 1))
    point[0], line[:] = 1, 1
    distances = surface_distances(point, line, np.ones(3))
    assert distances == pytest.approx((19, 210 / 22))
    assert surface_distances(line, point, np.ones(3)) == pytest.approx(distances)


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
    distances = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert list(distances) == list(dice_per_label(fixed, moved)) == [1, 5]
    for label in (1, 5):
        assert np.isnan(distances[label].hd95_mm)
        assert np.isnan(distances[label].surface_distance_mm)


def test_maps_of_different_types_are_compared():
    fixed = np.ones((2, 2, 2), np.uint8)
    moved = fixed.astype(np.int32)
    distances = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert distances[1].hd95_mm == distances[1].surface_distance_mm == 0


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


def surface_by_shifts(mask):
    """Voxels of a mask that have a face neighbor outside it, or outside the grid."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return mask & ~inner


def surface_distances_by_brute_force(fixed, moved):
    """HD95 and mean surface distance from all pairs of surface voxels."""
    places = [np.argwhere(surface_by_shifts(m)) * SPACING_MM for m in (fixed, moved)]
    distances = cdist(*places)
    ways = distances.min(axis=1), distances.min(axis=0)
    return max(np.quantile(d, 0.95) for d in ways), np.concatenate(ways).mean()


def test_surface_distances_equal_brute_force():
    fixed, moved = random_labels(0), random_labels(1)
    by_label = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)
    assert list(by_label) == [-7, 3, 30_000]
    for label, distances in by_label.items():
        hd95_mm, mean_mm = surface_distances_by_brute_force(
            fixed == label, moved == label
        )
        assert distances.hd95_mm == pytest.approx(hd95_mm, rel=1e-5)
        assert distances.surface_distance_mm == pytest.approx(mean_mm, rel=1e-5)
        assert distances.surface_distance_mm > 1


def test_surface_distances_equal_those_of_monai():
    by_label = surface_distances_per_label(
        random_labels(0), random_labels(1), spacing_mm=SPACING_MM
    )
    by_monai = {  # 1.6.1: compute_hausdorff_distance, compute_average_surface_distance
        -7: (6.7082037925720215, 2.6973729133605957),
        3: (8.580472946166992, 3.367645502090454),
        30_000: (7.762087345123291, 3.549055814743042),
    }
    for label, (hd95_mm, mean_mm) in by_monai.items():
        assert by_label[label].hd95_mm == hd95_mm
        # The last digit depends on the library that computes the mean.
        assert by_label[label].surface_distance_mm == pytest.approx(mean_mm, rel=1e-7)


def test_labels_of_any_range_have_the_same_distances():
    fixed, moved = cube((3, 3, 3)), cube((5, 3, 3))
    expected = surface_distances_per_label(fixed, moved, spacing_mm=SPACING_MM)[1]
    for label in (-3, 1000, 2**40):
        maps = (data * label for data in (fixed, moved))
        of_label = surface_distances_per_label(*maps, spacing_mm=SPACING_MM)
        assert of_label == {label: expected}
