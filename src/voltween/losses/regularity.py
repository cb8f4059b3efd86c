"""Regularity losses of the paper (III-C): of flows and of affine matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import compose, same_precision, variation_sums

_EIGENVALUE_FLOOR = 1e-5


def orthogonality_loss(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, ""]:
    """-6 + sum of l^2 + l^-2 over the singular values l of I + A (eq. 8).

    It is computed from the characteristic polynomial of (I + A)^T (I + A) (appendix
    C-D): the sum of the eigenvalues is the trace, the sum of their inverses a ratio of
    two coefficients. A small multiple of I keeps the loss of a singular matrix finite.
    """
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    linear = matrix + identity
    gram = linear.mT @ linear + _EIGENVALUE_FLOOR * identity
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    pair_sum = (trace.square() - (gram * gram).sum((1, 2))) / 2
    lift = 1 + _EIGENVALUE_FLOOR  # the eigenvalue 1 with the floor added
    value = trace + lift**2 * pair_sum / torch.linalg.det(gram) - 6 * lift
    return value.mean()


def determinant_loss(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, ""]:
    """(det(I + A) - 1)^2, which penalizes reflection and change of volume (eq. 9)."""
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    return (torch.linalg.det(matrix + identity) - 1).square().mean()


def total_variation_loss(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
    """Squared forward differences of the flow, summed over components (eq. 10).

    The mean is over the 3 directions and all voxels. At the border, where the paper
    continues the flow with its nearest value, the difference is 0.
    """
    (flow,) = same_precision(flow)
    mean = variation_sums(flow).sum() / flow.numel()
    return mean.to(flow.dtype)


def invertibility_loss(
    fixed_to_moving: Float[Tensor, "b 3 i j k"],
    moving_to_fixed: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, ""]:
    """Squared inverse-consistency error, in squared voxels (eq. 12).

    It is the sum over both round trips of the mean over the central half of the grid
    along each axis, where a round trip stays inside (the paper sums over the voxels).
    """
    there_and_back = (
        compose(moving_to_fixed, fixed_to_moving),
        compose(fixed_to_moving, moving_to_fixed),
    )
    squares = [_central_half(trip).square().sum(dim=1) for trip in there_and_back]
    return squares[0].mean() + squares[1].mean()


def _central_half(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b 3 i2 j2 k2"]:
    """The flow without the first and the last quarter of each side."""
    i, j, k = (slice(n // 4, n - n // 4) for n in flow.shape[2:])
    return flow[:, :, i, j, k]
