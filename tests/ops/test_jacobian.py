"""Jacobian determinants of flows whose derivative is known."""

import pytest
import torch

from voltween.ops import affine_flow, folding_fraction, jacobian_determinant


def test_jacobian_of_an_affine_flow_is_its_determinant():
    matrix = 0.2 * torch.randn(2, 3, 3, dtype=torch.float64)
    flow = affine_flow(matrix, torch.zeros(2, 3, dtype=torch.float64), (5, 4, 6))
    expected = torch.linalg.det(matrix + torch.eye(3))
    determinant = jacobian_determinant(flow)
    torch.testing.assert_close(determinant[:, 2, 2, 2], expected)
    torch.testing.assert_close(determinant.amax((1, 2, 3)), determinant.amin((1, 2, 3)))


def test_folding_is_counted():
    flow = torch.zeros(1, 3, 10, 4, 4)
    flow[:, 0, 5] = -3.0  # voxel 4 is now behind: central differences at 4 and 6 change
    determinant = jacobian_determinant(flow)
    assert determinant[0, 4, 0, 0] == 1 - 1.5
    assert folding_fraction(flow)[0] == pytest.approx(0.1)


def test_an_axis_of_one_voxel_is_refused():
    with pytest.raises(ValueError, match=r"at least 2 voxels .* got \(4, 1, 4\)"):
        jacobian_determinant(torch.zeros(1, 3, 4, 1, 4))
