"""Flows of candidates between the judge's grids."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from voltween.ops import FlowParts
from voltween.registration.canonical import Grids, world_transform
from voltween.registration.flows import flow_of_parts, flow_of_transform
from voltween.spatial import Grid


def placed(shape, voxels):
    """A grid around the origin, whose voxels have these columns in mm."""
    affine = np.eye(4)
    affine[:3, :3] = voxels
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


PLAIN = Grids(*(placed((20, 22, 24), 1.5 * np.eye(3)) for _ in range(2)))
FLIPPED = Grids(
    placed((20, 22, 24), np.diag([-1.5, 1.5, -1.5])),
    placed((20, 22, 24), [[0, -1.7, 0], [1.5, 0, 0], [0, 0, -1.5]]),
)
SHEARED = Grids(
    placed((20, 22, 24), [[1.5, 0.3, 0], [0, -1.5, 0.2], [0, 0, 1.5]]),
    placed((20, 22, 24), [[1.5, 0, 0.2], [0.1, 1.5, 0], [0, 0, 1.5]]),
)


@pytest.mark.parametrize("onto", [PLAIN, FLIPPED, SHEARED])
def test_the_flow_of_a_candidate_is_that_of_its_transform(onto):
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(3, 24, 26, 28)), (0, 4, 4, 4))
    parts = FlowParts(
        torch.from_numpy(rng.normal(size=(1, 3, 3)) * 0.05).float(),
        torch.tensor([[1.0, -2.0, 0.5]]),
        torch.from_numpy(40 * noise[None]).float(),
    )
    own = Grids(
        placed((24, 26, 28), np.diag([-2.0, 2.0, 2.0])),
        placed((24, 26, 28), np.diag([2.0, 2.0, -2.2])),
    )
    expected = flow_of_transform(world_transform(parts, own), onto)
    found = flow_of_parts(parts, own, onto)
    assert (found - expected).abs().max() < 0.1
    assert (found - expected).abs().mean() < 0.02
