"""Rigid and similarity transforms: exact in what they say, and near the truth."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from voltween.errors import InputError
from voltween.ops import FlowParts, affine_flow, warp
from voltween.refinement import (
    AffineLevel,
    Level,
    PairTensors,
    Problem,
    Refinement,
    SideTensors,
    Watch,
    choose_refinement,
    find_transform,
)

SHAPE = (28, 24, 20)
SIDES = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
LEVELS = (
    AffineLevel(2, 30, 0.3),
    AffineLevel(1, 30, 0.1, is_close=True),
    AffineLevel(1, 25, 0.02, is_close=True),
)


def texture():
    data = gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 2)
    data = (data - data.min()) / (data.max() - data.min())
    return torch.from_numpy(data).float()[None, None]


def to_voxels(linear):
    """A of a linear map in mm, on voxels of SIDES."""
    return (linear / SIDES[:, None] * SIDES - torch.eye(3)).float()[None]


def to_mm(matrix):
    """The linear map in mm of A on voxels of SIDES."""
    linear = matrix[0].double() + torch.eye(3)
    return SIDES[:, None] * linear / SIDES


def find(kind, linear, shift, start=None):
    """The transform found for a texture that is moved by a known map in mm."""
    moving = texture()
    flow = affine_flow(to_voxels(linear), torch.tensor([shift]), SHAPE)
    sides = SideTensors(warp(moving, flow)), SideTensors(moving)
    pair = PairTensors(*sides, spacing=tuple(SIDES.tolist()))
    refinement = Refinement((), affine_levels=LEVELS, transform=kind)
    return find_transform(Problem(pair, refinement, Watch()), start)


def turn(vector):
    return torch.from_numpy(Rotation.from_rotvec(vector).as_matrix())


@pytest.mark.parametrize("scale", [1.0, 1.05])
@pytest.mark.parametrize("kind", ["rigid", "similarity"])
def test_a_rotation_is_exact_and_a_scale_is_one_number(kind, scale):
    parts = find(kind, scale * turn([0.1, -0.05, 0.15]), (1.0, -0.5, 0.4))
    gram = to_mm(parts.matrix).T @ to_mm(parts.matrix)
    squared_scale = gram.trace() / 3 if kind == "similarity" else 1.0
    assert torch.allclose(gram, squared_scale * torch.eye(3).double(), atol=1e-7)
    assert torch.linalg.det(to_mm(parts.matrix)) > 0
    assert not parts.dense_flow.any()


@pytest.mark.parametrize(("kind", "scale"), [("rigid", 1.0), ("similarity", 1.06)])
def test_a_known_map_is_found(kind, scale):
    truth, shift = scale * turn([0.1, -0.05, 0.15]), (1.0, -0.5, 0.4)
    parts = find(kind, truth, shift)
    assert (to_mm(parts.matrix) - truth).norm() < 0.01
    assert (parts.translation - torch.tensor([shift])).norm() < 0.1


def test_a_start_with_shear_and_a_dense_part_becomes_rigid():
    truth = turn([0.0, 0.0, 0.2])
    dense = torch.zeros(1, 3, *SHAPE)
    dense[:, 1] = 0.5
    sheared = truth + torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.1]])
    start = FlowParts(to_voxels(sheared), torch.zeros(1, 3), dense)
    parts = find("rigid", truth, (0.0, 0.5, 0.0), start)
    linear = to_mm(parts.matrix)
    assert torch.allclose(linear.T @ linear, torch.eye(3).double(), atol=1e-7)
    assert (linear - truth).norm() < 0.01
    assert not parts.dense_flow.any()


def test_an_affine_transform_may_shear_but_has_no_dense_part():
    sheared = torch.eye(3).double()
    sheared[0, 1] = 0.1
    parts = find("affine", sheared, (0.5, 0.0, 0.0))
    assert (to_mm(parts.matrix) - sheared).norm() < 0.05
    assert not parts.dense_flow.any()


@pytest.mark.parametrize(
    ("levels", "affine_levels"), [((Level(1, 5, 0.5),), LEVELS), ((), ())]
)
def test_levels_must_suit_the_kind(levels, affine_levels):
    with pytest.raises(InputError, match="expected levels of its affine part alone"):
        Refinement(levels, affine_levels=affine_levels, transform="rigid")


@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
@pytest.mark.parametrize("has_model", [False, True])
def test_the_usual_refinement_of_a_kind_ends_on_the_narrowest_voxels(kind, has_model):
    refinement = choose_refinement(None, has_model=has_model, transform=kind)
    assert refinement.transform == kind
    assert not refinement.levels
    assert refinement.affine_levels[-1].shrink == 1
    with pytest.raises(InputError, match="leave the number out"):
        choose_refinement(30, has_model=has_model, transform=kind)
