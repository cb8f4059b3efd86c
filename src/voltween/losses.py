"""Losses of the paper (III-C): similarity of images, regularity of flows and matrices.

Every loss is a scalar, the mean over the batch, and smallest (0) at the ideal.
"""

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor

_VARIANCE_FLOOR = 1e-6
_EIGENVALUE_FLOOR = 1e-5


def correlation(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, " b"]:
    """Correlation coefficient over all voxels of each pair, -1 to 1 (eq. 5, 6).

    Means are taken away before products are summed, so that float32 holds at 128^3.
    """
    fixed, moved = fixed.flatten(1), moved.flatten(1)
    fixed = fixed - fixed.mean(dim=1, keepdim=True)
    moved = moved - moved.mean(dim=1, keepdim=True)
    covariance = (fixed * moved).mean(dim=1)
    variances = fixed.square().mean(dim=1) * moved.square().mean(dim=1)
    return covariance / variances.clamp_min(_VARIANCE_FLOOR**2).sqrt()


def correlation_loss(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, ""]:
    """1 - correlation coefficient, mean over the batch (eq. 7)."""
    return (1 - correlation(fixed, moved)).mean()


def local_correlation_loss(
    fixed: Float[Tensor, "b 1 i j k"], moved: Float[Tensor, "b 1 i j k"], width: int = 5
) -> Float[Tensor, ""]:
    """1 - squared correlation within cubes of `width` voxels, mean over all voxels.

    Beyond the paper: follows contrast that changes from place to place. Cubes that
    reach over the border use the voxels inside.

    References:
        Avants et al. 2008, Symmetric diffeomorphic image registration with
        cross-correlation, doi:10.1016/j.media.2007.06.004.
    """
    moments = torch.cat(
        [fixed, moved, fixed.square(), moved.square(), fixed * moved], dim=1
    )
    moments = _box_mean(moments, width)
    mean_f, mean_m, square_f, square_m, product = moments.split(1, dim=1)
    covariance = product - mean_f * mean_m
    variance_f = (square_f - mean_f.square()).clamp_min(0)
    variance_m = (square_m - mean_m.square()).clamp_min(0)
    # Cubes without contrast (background) must say nothing: floor well above rounding.
    floor = 1e-5
    return (1 - covariance.square() / (variance_f * variance_m + floor)).mean()


def orthogonality_loss(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, ""]:
    """-6 + sum of l^2 + l^-2 over the singular values l of I + A (eq. 8).

    Through the characteristic polynomial of (I + A)^T (I + A) (appendix C-D): the sum
    of its eigenvalues is the trace, the sum of their inverses a ratio of two
    coefficients. A small multiple of I keeps a singular matrix finite.
    """
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    linear = matrix + identity
    gram = linear.mT @ linear + _EIGENVALUE_FLOOR * identity
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    pair_sum = (trace.square() - (gram * gram).sum((1, 2))) / 2
    lift = 1 + _EIGENVALUE_FLOOR  # what the floor makes of the eigenvalue 1
    value = trace + lift**2 * pair_sum / torch.linalg.det(gram) - 6 * lift
    return value.mean()


def determinant_loss(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, ""]:
    """(det(I + A) - 1)^2: no reflection, no change of volume (eq. 9)."""
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    return (torch.linalg.det(matrix + identity) - 1).square().mean()


def total_variation_loss(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
    """Squared forward differences of the flow, summed over components (eq. 10).

    The mean is over the 3 directions and all voxels; at the border, where the paper
    continues the flow by its nearest value, the difference is 0.
    """
    voxels = flow[:, 0].numel()
    differences = [flow.diff(dim=axis).square().sum() for axis in (2, 3, 4)]
    return torch.stack(differences).sum() / (3 * voxels)


def _box_mean(images: Tensor, width: int) -> Tensor:
    # Three one-dimensional passes: the mean over a cube is separable.
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = width, width // 2
        images = nn_functional.avg_pool3d(
            images, kernel, stride=1, padding=padding, count_include_pad=False
        )
    return images
