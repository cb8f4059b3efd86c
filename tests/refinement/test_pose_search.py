"""Poses found without a start: turned by any angle, inverted, cut in half."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from voltween.errors import InputError
from voltween.ops import affine_flow, warp
from voltween.refinement import PairTensors, SideTensors, search_poses
from voltween.refinement.rotations import angles_between, rotation_grid

SHAPE = (28, 24, 26)
TURNS = [[0, 0, 0], [180, 0, 0], [0, 0, 90], [-60, 70, 20], [110, 0, -120]]


def to_matrix(turn):
    """Rotation matrix of angles in degrees about the axes."""
    return torch.from_numpy(Rotation.from_euler("xyz", turn, degrees=True).as_matrix())


def phantom():
    """Blobs of several heights without symmetry, away from the grid's border."""
    rng = np.random.default_rng(3)
    data = np.zeros(SHAPE)
    for place in rng.uniform(-1, 1, (14, 3)) * [8, 5, 6] + (np.array(SHAPE) - 1) / 2:
        data[tuple(place.round().astype(int))] += rng.uniform(0.3, 1)
    data = gaussian_filter(data, 1.6)
    return torch.from_numpy(data / data.max()).float()[None, None]


def turned_pair(turn, shift=(1.5, -2.0, 1.0)):
    """The phantom as it is seen through a known pose, the phantom, and the rotation."""
    rotation = to_matrix(turn)
    matrix = (rotation - torch.eye(3)).float()[None]
    moving = phantom()
    fixed = warp(moving, affine_flow(matrix, torch.tensor([shift]), SHAPE))
    return fixed, moving, rotation, torch.tensor([shift])


def error(pose, rotation):
    """Angle between a pose and the true rotation, in degrees."""
    found = pose.matrix.double() + torch.eye(3)
    return torch.rad2deg(angles_between(found, rotation[None])).item()


def test_the_grid_covers_all_rotations_and_starts_at_the_identity():
    grid = rotation_grid(600)
    assert torch.allclose(grid[0], torch.eye(3).double(), atol=1e-12)
    assert torch.allclose(grid @ grid.mT, torch.eye(3).double(), atol=1e-12)
    assert torch.allclose(torch.linalg.det(grid), torch.ones(600).double())
    others = torch.from_numpy(Rotation.random(4000, random_state=0).as_matrix())
    nearest = torch.rad2deg(angles_between(others, grid).min(1).values)
    assert nearest.max() < 26
    assert nearest.mean() < 15


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_phantom_is_found(turn):
    fixed, moving, rotation, shift = turned_pair(turn)
    poses = search_poses(PairTensors(SideTensors(fixed), SideTensors(moving)))
    assert error(poses[0], rotation) < 8
    assert (poses[0].translation - shift).norm() < 1
    assert poses[0].score > 0.7
    assert [p.score for p in poses] == sorted((p.score for p in poses), reverse=True)


def test_inverted_contrast_does_not_matter():
    fixed, moving, rotation, _ = turned_pair(TURNS[3])
    pair = PairTensors(SideTensors(fixed), SideTensors(1 - moving))
    assert error(search_poses(pair)[0], rotation) < 8


def test_half_a_phantom_finds_its_place_in_the_whole():
    fixed, moving, rotation, _ = turned_pair(TURNS[3])
    half = torch.ones_like(moving)
    half[:, :, :14] = 0
    scrambled = torch.where(half > 0, moving, torch.zeros(()))
    side = SideTensors(scrambled.roll(-7, 2), half.roll(-7, 2))
    poses = search_poses(PairTensors(SideTensors(fixed), side))
    assert min(error(pose, rotation) for pose in poses) < 15


def test_another_storage_order_gives_the_same_pose():
    fixed, moving, rotation, _ = turned_pair(TURNS[4])
    order = (0, 1, 4, 2, 3)
    sides = (SideTensors(image.permute(order)) for image in (fixed, moving))
    swap = torch.eye(3).double()[[2, 0, 1]]
    pose = search_poses(PairTensors(*sides), keep=1)[0]
    assert error(pose, swap @ rotation @ swap.T) < 8


def test_voxels_that_are_not_cubes_are_refused():
    side = SideTensors(phantom())
    with pytest.raises(InputError, match="expected cubes"):
        search_poses(PairTensors(side, side, spacing=(1.0, 1.0, 2.0)))
