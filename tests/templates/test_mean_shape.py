"""The algebra of mean shapes: what is known of the means of some transforms."""

import numpy as np
import pytest
from scipy.linalg import logm
from scipy.spatial.transform import Rotation

from support.scans import oblique_grid, smooth_field, some_affine
from voltween.errors import InputError
from voltween.spatial import Affine, Grid
from voltween.templates import (
    mean_affine,
    mean_log_stretch,
    mean_pose,
    nearest_affine,
    shape_update,
)

GRID = Grid.centered(
    (24, 22, 20),
    center_mm=np.array([5.0, -3.0, 8.0]),
    spacing_mm=(2.0, 2.0, 2.0),
    directions=np.eye(3),
)
INNER = GRID.voxel_to_world(np.argwhere(np.ones((12, 12, 10))) + 5.0)


def about(center, linear, shift=(0, 0, 0)):
    """The affine map of a linear part around a position."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = center - linear @ center + shift
    return Affine(matrix)


def turn(degrees, axis=(0, 0, 1)):
    return Rotation.from_rotvec(np.radians(degrees) * np.array(axis)).as_matrix()


def apart_mm(one, other, positions=INNER):
    """The largest distance between the values of two transforms."""
    difference = one.map_positions(positions) - other.map_positions(positions)
    return np.linalg.norm(difference, axis=1).max()


def test_the_nearest_affine_of_an_affine_map_is_itself():
    affine = some_affine(1)
    assert np.allclose(nearest_affine(affine, INNER).matrix, affine.matrix, atol=1e-10)


def test_the_mean_of_an_affine_map_and_its_inverse_is_the_identity():
    affine = some_affine(2)
    mean = mean_affine([affine, affine.inverse()])
    assert np.allclose(mean.matrix, np.eye(4), atol=1e-9)


def test_the_mean_affine_map_moves_with_the_spaces_and_inverts():
    affines = [some_affine(seed) for seed in range(4)]
    before, after = some_affine(7), some_affine(8)
    mean = mean_affine(affines)
    moved = mean_affine([after @ affine @ before for affine in affines])
    assert apart_mm(moved, after @ mean @ before) < 1e-8
    inverse = mean_affine([affine.inverse() for affine in affines[::-1]])
    assert apart_mm(inverse, mean.inverse()) < 1e-8


def test_maps_half_a_turn_apart_have_no_mean():
    center = GRID.center_mm
    turned = [about(center, turn(degrees)) for degrees in (0, 180)]
    with pytest.raises(InputError, match="half a turn"):
        mean_affine(turned)


def far_apart(seed):
    """Three maps with stretches and large rotations, whose mean is slow to find."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        axis = rng.normal(size=3)
        degrees = rng.uniform(100, 175)
        linear = turn(degrees, axis / np.linalg.norm(axis))
        yield homogeneous(linear @ np.diag(rng.uniform(0.5, 2, 3)))


def test_a_mean_that_is_not_found_is_refused():
    affines = [Affine(matrix) for matrix in far_apart(198)]
    with pytest.raises(InputError, match=r"that can be found, .*--start"):
        mean_affine(affines)


def test_a_mean_that_is_all_but_found_is_one():
    affines = [Affine(matrix) for matrix in far_apart(221)]
    mean = mean_affine(affines).inverse()
    logarithms = [logm((mean @ affine).matrix) for affine in affines]
    assert np.abs(np.sum(logarithms, axis=0)).max() < 1e-6


def test_rotations_after_a_stretch_do_not_change_its_mean():
    scales = np.diag([1.2, 1.0, 0.8])
    stretches = [scales, np.linalg.inv(scales)]
    pairs = enumerate(map(homogeneous, stretches))
    turned = [Affine(some_rigid(n).matrix @ stretch) for n, stretch in pairs]
    assert np.allclose(mean_log_stretch(turned), 0, atol=1e-12)


def some_rigid(seed):
    return about(np.zeros(3), turn(70 * seed + 20, (0.6, 0, 0.8)), (5.0, 1, seed))


def homogeneous(linear):
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    return matrix


def test_the_mean_pose_of_turned_copies_is_between_them():
    """A scan and a copy that was turned, enlarged and put elsewhere."""
    center, elsewhere = np.array([10.0, 20, 30]), np.array([500.0, -80, 0])
    to_copy = about(center, 1.21 * turn(30), elsewhere - center)
    pose = mean_pose([Affine.identity(), to_copy], np.array([center, elsewhere]))
    half = about(np.zeros(3), turn(-15) / 1.1, center)
    assert np.allclose(pose.matrix, half.matrix, atol=1e-9)


def test_identical_scans_leave_the_template_as_it_is():
    rigid = some_rigid(1)
    update = shape_update([rigid, rigid], INNER, GRID)
    assert apart_mm(update, Affine.identity()) < 1e-8


def test_the_update_turns_stretched_copies_into_the_mean():
    """Copies twice as wide and as narrow: the scan of the template is in the middle."""
    middle = INNER.mean(axis=0)
    own = about(middle, np.diag([1.3, 1.0, 1.0]))  # from the template to the mean
    copies = [about(middle, np.diag([s, 1, 1])) @ own for s in (1.25, 1 / 1.25)]
    update = shape_update(copies, INNER, GRID)
    assert apart_mm(own @ update, Affine.identity()) < 1e-8


def test_the_update_removes_the_displacements_that_all_scans_share():
    bent = smooth_field(GRID, 3, largest_voxels=1.5)
    scans = [some_rigid(n) @ bent for n in range(3)]
    update = shape_update(scans, INNER, GRID)
    again = shape_update([scan @ update for scan in scans], INNER, GRID)
    lengths = np.linalg.norm(again.map_positions(INNER) - INNER, axis=1)
    before = np.linalg.norm(update.map_positions(INNER) - INNER, axis=1)
    assert before.mean() > 0.3
    assert lengths.mean() < 0.05 * before.mean()


def test_a_step_goes_a_share_of_the_way():
    middle = INNER.mean(axis=0)
    scans = [about(middle, np.diag([1.44, 1.0, 1.0]))] * 2
    half = shape_update(scans, INNER, GRID, step=0.5)
    assert apart_mm(half, about(middle, np.diag([1 / 1.2, 1, 1]))) < 1e-8
    assert (
        apart_mm(shape_update(scans, INNER, GRID, step=0.0), Affine.identity()) < 1e-9
    )


def test_oblique_grids_do_not_matter():
    grid = oblique_grid((24, 22, 20), 4)
    positions = grid.voxel_to_world(np.argwhere(np.ones((12, 12, 10))) + 5.0)
    bent = smooth_field(grid, 3, largest_voxels=1.0)
    update = shape_update([bent, bent], positions, grid)
    left = shape_update([bent @ update, bent @ update], positions, grid)
    lengths = np.linalg.norm(left.map_positions(positions) - positions, axis=1)
    assert lengths.mean() < 0.03
