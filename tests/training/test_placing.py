"""Volumes on the canonical grid: at rest, shifted, turned, looked up in tables."""

import numpy as np
import pytest
import torch

from voltween.ops import affine_flow, warp_nearest
from voltween.training.label_volumes import LabelVolume, margins
from voltween.training.placing import _places, look_up, place, share_of

SHAPE = (8, 10, 12)


def volume_of(subdivision, seed=0, shape=SHAPE):
    """A volume of random codes, of which no two are alike by chance."""
    beyond = margins(shape, subdivision)
    stored = [s * subdivision + 2 * b for s, b in zip(shape, beyond, strict=True)]
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(rng.integers(0, 200, stored).astype(np.uint8))
    return LabelVolume("a", "", codes, torch.arange(200), 255 - codes, 0.1)


@pytest.mark.parametrize("subdivision", [1, 2, 3])
def test_at_rest_the_inner_voxels_are_shown_in_blocks(subdivision):
    volume = volume_of(subdivision)
    placed = place(volume, SHAPE, subdivision, None)
    assert placed.codes.shape == (subdivision**3, *SHAPE)
    assert torch.equal(placed.scan, 255 - placed.codes)
    inner = tuple(
        slice(b, b + s * subdivision)
        for b, s in zip(margins(SHAPE, subdivision), SHAPE, strict=True)
    )
    i, j, k = SHAPE
    n = subdivision
    blocks = volume.codes[inner].reshape(i, n, j, n, k, n)
    expected = blocks.permute(1, 3, 5, 0, 2, 4).reshape(n**3, *SHAPE)
    assert torch.equal(placed.codes, expected)


def test_a_flow_of_whole_voxels_shows_what_lies_there():
    volume = volume_of(2)
    rest = place(volume, SHAPE, 2, None)
    flow = torch.zeros(1, 3, *SHAPE)
    flow[0, 1] = 2
    moved = place(volume, SHAPE, 2, flow)
    assert torch.equal(moved.codes[:, :, :-2], rest.codes[:, :, 2:])
    # The margin of 3 fine voxels of this axis holds one voxel more.
    assert not torch.equal(moved.codes[:, :, -1], moved.codes[:, :, -2])


def test_beyond_the_volume_its_border_is_repeated():
    flow = torch.full((1, 3, *SHAPE), 1000.0)
    placed = place(volume_of(2), SHAPE, 2, flow)
    assert (placed.codes == placed.codes[:, :1, :1, :1]).all()


def test_a_turn_is_that_of_warping_by_nearest_neighbor():
    shape = (24, 24, 24)
    volume = volume_of(1, shape=shape)
    matrix = torch.tensor([[[-0.1, -0.4, 0.0], [0.4, -0.1, 0.0], [0.0, 0.0, 0.1]]])
    flow = affine_flow(matrix, torch.tensor([[0.3, 0.0, -0.2]]), shape)
    inner = place(volume, shape, 1, None).codes
    placed = place(volume, shape, 1, flow).codes[0]
    warped = warp_nearest(inner[None].float(), flow)[0, 0]
    core = (slice(6, -6),) * 3  # where the flow stays inside
    assert (placed.float() == warped)[core].float().mean() > 0.999


def test_tables_and_shares():
    codes = torch.tensor([[0, 2], [1, 1]], dtype=torch.uint8)[:, None, None]
    values = look_up(np.array([0.5, 1.5, 2.5]), codes)
    assert values.dtype == torch.float32
    assert values.flatten().tolist() == [0.5, 2.5, 1.5, 1.5]
    assert share_of(look_up(np.array([True, True, False]), codes)).tolist() == [
        [[1.0, 0.5]]
    ]


def test_positions_in_volumes_of_over_two_billion_voxels_are_right():
    starts = [torch.full((1, 1, 1), 1399.0)] * 3
    assert _places(starts, 1, (1400, 1400, 1400)).item() == 1400**3 - 1
