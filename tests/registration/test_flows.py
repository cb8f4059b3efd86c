"""Flows of candidates between the judge's grids."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from voltween.ops import FlowParts
from voltween.registration.canonical import Grids, world_transform
from voltween.registration.flows import flow_of_parts, flow_of_transform
from voltween.spatial import Grid


def test_the_flow_of_a_candidate_is_that_of_its_transform():
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(3, 24, 26, 28)), (0, 4, 4, 4))
    parts = FlowParts(
        torch.from_numpy(rng.normal(size=(1, 3, 3)) * 0.05).float(),
        torch.tensor([[1.0, -2.0, 0.5]]),
        torch.from_numpy(40 * noise[None]).float(),
    )
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    own = Grids(Grid((24, 26, 28), affine), Grid((24, 26, 28), affine))
    inside = np.diag([1.5, 1.5, 1.5, 1.0])
    inside[:3, 3] = 6
    onto = Grids(Grid((20, 22, 24), inside), Grid((20, 22, 24), inside))
    expected = flow_of_transform(world_transform(parts, own), onto)
    found = flow_of_parts(parts, own, onto)
    assert (found - expected).abs().max() < 0.1
    assert (found - expected).abs().mean() < 0.02
