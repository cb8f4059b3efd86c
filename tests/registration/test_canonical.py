"""Between canonical grids and worlds: the same transform on every grid."""

import numpy as np
import pytest
import torch

from support.scans import oblique_grid, smooth_field
from voltween.ops import FlowParts, exponential
from voltween.registration.canonical import (
    Grids,
    regrid,
    world_transform,
    world_transforms,
)
from voltween.spatial import Affine, Grid, SplineField

SHAPE = (16, 24, 16)


def grids(shape=SHAPE, spacing_mm=(2.0, 1.5, 2.5)):
    return Grids(*(oblique_grid(shape, seed, spacing_mm) for seed in (0, 1)))


def parts(grid):
    """An affine and a smooth dense part."""
    flow = smooth_field(grid, largest_voxels=1.5).to_flow()
    matrix = torch.tensor([[[0.05, -0.1, 0.0], [0.08, 0.0, 0.02], [0.0, 0.03, -0.04]]])
    return FlowParts(
        matrix,
        torch.tensor([[1.0, -2.0, 0.5]]),
        torch.from_numpy(flow[None].copy()).float(),
    )


def some_positions_mm(grid):
    """Positions well inside the grid."""
    share = np.random.default_rng(0).uniform(0.3, 0.7, (50, 3))
    return grid.voxel_to_world(share * (np.array(grid.shape) - 1))


@pytest.mark.parametrize(
    "spacing_mm", [(1.0, 1.0, 1.0), (2.0, 1.5, 2.5), (3.0, 2.0, 1.0)]
)
def test_other_voxels_leave_the_transform_where_it_is(spacing_mm):
    before = grids()
    after = before.with_voxels(np.array(spacing_mm), 8)
    flow_parts = parts(before.fixed)
    again = regrid(flow_parts, before, after)
    positions = some_positions_mm(before.fixed)
    expected, got = (
        world_transform(p, g).map_positions(positions)
        for p, g in ((flow_parts, before), (again, after))
    )
    moved = np.abs(expected - positions).max()
    np.testing.assert_allclose(got, expected, atol=0.02 * moved)


def test_grids_with_other_voxels_stay_in_place_and_have_sides_of_the_multiple():
    before = grids()
    after = before.with_voxels(np.array([1.0, 1.0, 1.0]), 8)
    for old, new in zip(before, after, strict=True):
        assert all(n % 8 == 0 for n in new.shape)
        np.testing.assert_allclose(new.center_mm, old.center_mm)
        np.testing.assert_allclose(new.spacing_mm, 1)
        extents = np.array(new.shape) - np.array(old.shape) * old.spacing_mm
        assert (extents >= 0).all()
        assert (extents < 8).all()


def test_a_velocity_gives_the_inverse_as_well():
    pair = grids()
    plain = parts(pair.fixed)
    velocity = plain.dense_flow
    exact = plain._replace(dense_flow=exponential(velocity), velocity=velocity)
    forward, backward = world_transforms(exact, pair)
    positions = some_positions_mm(pair.fixed)
    round_trip = backward.map_positions(forward.map_positions(positions))
    assert np.linalg.norm(round_trip - positions, axis=1).max() < 0.05
    by_flow = world_transform(exact, pair).map_positions(positions)
    np.testing.assert_allclose(forward.map_positions(positions), by_flow, atol=0.05)


def test_without_a_velocity_no_inverse_comes_along():
    pair = grids()
    assert world_transforms(parts(pair.fixed), pair)[1] is None


def test_no_dense_part_leaves_an_affine_map():
    pair = Grids(*(Grid(SHAPE, np.diag([2.0, 2, 2, 1])) for _ in range(2)))
    at_rest = FlowParts.at_rest(torch.zeros(1, 1, *SHAPE))
    shift = at_rest._replace(translation=torch.tensor([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(
        world_transform(shift, pair).matrix[:3, 3], [2, 0, 0], atol=1e-6
    )


def test_the_flow_is_that_of_the_network_at_its_voxels():
    pair = grids()
    flow_parts = parts(pair.fixed)
    rough = np.random.default_rng(0).normal(0, 1, (1, 3, *SHAPE))
    flow_parts = flow_parts._replace(dense_flow=torch.from_numpy(rough).float())
    transform = world_transform(flow_parts, pair)
    affine, field = transform.parts()
    assert isinstance(field, SplineField)
    voxels = np.argwhere(np.ones(SHAPE)).astype(float)
    moved = pair.fixed.world_to_voxel(
        field.map_positions(pair.fixed.voxel_to_world(voxels))
    )
    expected = voxels + rough[0].reshape(3, -1).T
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    assert isinstance(affine, Affine)


@pytest.mark.parametrize("largest", [0.5, 20.0])
def test_around_the_grid_the_flow_fades_without_a_jump_or_fold(largest):
    pair = grids()
    flow = torch.full((1, 3, *SHAPE), largest)
    shift = FlowParts.at_rest(torch.zeros(1, 1, *SHAPE))._replace(dense_flow=flow)
    field = world_transform(shift, pair).parts()[-1]
    line = np.zeros((4000, 3)) + (np.array(SHAPE) - 1) / 2
    line[:, 0] = np.linspace(-60, SHAPE[0] + 60, 4000)
    mm = pair.fixed.voxel_to_world(line)
    steps = pair.fixed.world_to_voxel(field.map_positions(mm))[:, 0] - line[:, 0]
    width = line[1, 0] - line[0, 0]
    assert np.abs(np.diff(steps)).max() < 0.75 * width
    np.testing.assert_allclose(steps[[0, -1]], 0, atol=1e-9)
    np.testing.assert_allclose(steps[2000], largest, rtol=1e-3)


def test_each_face_has_a_fade_as_wide_as_its_displacements_need():
    """So that one large displacement does not make the whole field large."""
    pair = grids()
    flow = torch.zeros(1, 3, *SHAPE)
    flow[:, 1, 0, 5:-5, 5:-5] = 20  # at the first face of the first axis alone
    shift = FlowParts.at_rest(torch.zeros(1, 1, *SHAPE))._replace(dense_flow=flow)
    field = world_transform(shift, pair).parts()[-1]
    before = pair.fixed.affine[:3, 3] - field.grid.affine[:3, 3]
    added = np.linalg.inv(pair.fixed.affine[:3, :3]) @ before
    np.testing.assert_allclose(added, [41, 5, 5], atol=1e-9)
    assert field.grid.shape == tuple(np.add(SHAPE, [46, 10, 10]))


def test_a_flow_that_ends_at_rest_is_padded_by_the_least_fade():
    pair = grids()
    flow = torch.zeros(1, 3, *SHAPE)
    flow[:, :, 4:-4, 4:-4, 4:-4] = 3
    shift = FlowParts.at_rest(torch.zeros(1, 1, *SHAPE))._replace(dense_flow=flow)
    field = world_transform(shift, pair).parts()[-1]
    assert field.grid.shape == tuple(n + 10 for n in SHAPE)
