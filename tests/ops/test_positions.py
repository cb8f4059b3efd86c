"""The valid domain of a flow (equation 18)."""

import torch

from voltween.ops import valid_domain


def test_voxels_that_stay_inside_are_the_valid_domain():
    flow = torch.zeros(2, 3, 5, 4, 6)
    flow[0, 0] = 1.5  # from voxel 3 on, beyond the last center, which is 4
    flow[1, 2] = -1.0  # from voxel 0, beyond the first center
    domain = valid_domain(flow)
    assert domain.shape == (2, 1, 5, 4, 6)
    assert domain.dtype == torch.bool
    assert domain[0, 0, :, 2, 2].tolist() == [True, True, True, False, False]
    assert domain[1, 0, 2, 2].tolist() == [False, True, True, True, True, True]
    assert domain[0].sum() == 3 * 4 * 6


def test_all_three_components_count_and_the_border_belongs_to_the_domain():
    assert valid_domain(torch.zeros(1, 3, 3, 4, 5)).all()
    flow = torch.zeros(1, 3, 3, 4, 5)
    flow[0, :, 1, 1, 1] = torch.tensor([1.0, 2, 3])  # onto the last corner
    flow[0, :, 1, 2, 1] = torch.tensor([0, 1.01, 0])
    flow[0, 1, 0, 0, 0] = torch.nan
    outside = (~valid_domain(flow)[0, 0]).nonzero().tolist()
    assert outside == [[0, 0, 0], [1, 2, 1]]
