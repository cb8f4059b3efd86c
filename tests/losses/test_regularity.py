"""Regularity losses: values by hand, singular values, and gradients."""

import pytest
import torch

from voltween import losses


def test_orthogonality_equals_singular_values():
    matrix = (
        0.4 * torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    )
    singular = torch.linalg.svdvals(matrix + torch.eye(3))
    expected = (singular.square() + singular.pow(-2)).sum(1) - 6
    for one, value in zip(matrix, expected, strict=True):
        loss = losses.orthogonality_loss(one[None]).item()
        assert loss == pytest.approx(value.item(), rel=2e-3)


def test_orthogonality_is_zero_for_rotations():
    angle = torch.tensor(0.7, dtype=torch.float64)
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[0, 0] = rotation[1, 1] = angle.cos()
    rotation[0, 1], rotation[1, 0] = -angle.sin(), angle.sin()
    matrix = (rotation - torch.eye(3))[None]
    assert losses.orthogonality_loss(matrix).item() == pytest.approx(0, abs=1e-9)
    assert losses.determinant_loss(matrix).item() == pytest.approx(0, abs=1e-12)


def test_orthogonality_grows_with_the_deviation():
    scalings = [torch.eye(3)[None] * by for by in (0.0, 0.1, 0.5, 2.0)]
    values = [losses.orthogonality_loss(matrix).item() for matrix in scalings]
    assert values[0] == pytest.approx(0, abs=1e-5)
    assert 0.01 < values[1] < values[2] < values[3]


def test_a_reflection_has_no_orthogonality_loss_but_one_of_the_determinant():
    mirror = torch.diag(torch.tensor([-2.0, 0.0, 0.0]))[
        None
    ]  # I + A has determinant -1
    assert losses.orthogonality_loss(mirror).item() == pytest.approx(0, abs=1e-5)
    assert losses.determinant_loss(mirror).item() == pytest.approx(4)


def test_determinant_of_a_known_matrix():
    matrix = torch.diag(torch.tensor([1.0, 0.0, 0.0]))[None]  # I + A has determinant 2
    assert losses.determinant_loss(matrix).item() == pytest.approx(1)


def test_total_variation_by_hand():
    flow = torch.zeros(1, 3, 2, 1, 1)
    flow[0, :, 1] = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    # One difference of squared length 14; 2 voxels, 3 directions (equation 10).
    assert losses.total_variation_loss(flow).item() == pytest.approx(14 / 6)


def shift(voxels, shape=(1, 3, 8, 8, 8)):
    flow = torch.zeros(shape, dtype=torch.float64)
    flow[:, 0] = voxels
    return flow


def test_invertibility_by_hand():
    # A shift and its opposite lead back; a shift by 2 and back by 1 leaves 1 voxel, in
    # both round trips.
    assert losses.invertibility_loss(shift(2), shift(-2)).item() == pytest.approx(0)
    assert losses.invertibility_loss(shift(2), shift(-1)).item() == pytest.approx(2)


def test_invertibility_looks_at_the_central_half():
    there, back = shift(0), shift(0)
    there[:, :, :2] = 5.0  # the first quarter along i
    assert losses.invertibility_loss(there, back).item() == pytest.approx(0)
    there[:, 0, 4, 4, 4] = 0.5
    # 4^3 voxels; the trip that starts at the voxel and the one that comes to it.
    expected = 2 * 0.5**2 / 4**3
    assert losses.invertibility_loss(there, back).item() == pytest.approx(expected)


def test_invertibility_has_gradients():
    generator = torch.Generator().manual_seed(0)
    flows = 0.7 * torch.randn(2, 1, 3, 4, 4, 4, generator=generator).double()
    leaves = [flow.requires_grad_() for flow in flows.unbind(0)]
    torch.autograd.gradcheck(losses.invertibility_loss, leaves)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (losses.orthogonality_loss, (2, 3, 3)),
        (losses.determinant_loss, (2, 3, 3)),
        (losses.total_variation_loss, (1, 3, 3, 3, 3)),
    ],
)
def test_gradients(loss, shape):
    generator = torch.Generator().manual_seed(0)
    value = 0.2 * torch.randn(shape, generator=generator).double()
    torch.autograd.gradcheck(loss, value.requires_grad_())
