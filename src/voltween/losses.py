"""Losses of the paper (III-C): similarity of images, regularity of flows and matrices.

Every loss is a scalar, the mean over the batch, and smallest (0) at the ideal.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween import native, stock
from voltween.warp import compose

VARIANCE_FLOOR = 1e-6
_EIGENVALUE_FLOOR = 1e-5
# Cubes without contrast (background) must say nothing: well above rounding.
CONTRAST_FLOOR = 1e-6


def correlation(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, " b"]:
    """Correlation coefficient over all voxels of each pair, -1 to 1 (eq. 5, 6).

    From five sums over the voxels, added up in double precision in one pass.
    """
    fixed, moved = native.same_precision(fixed, moved)
    operations = native if native.is_native(fixed, moved) else stock
    sums = operations.moments(fixed, moved) / fixed[0].numel()
    mean_f, mean_m, square_f, square_m, product = sums.unbind(1)
    covariance = product - mean_f * mean_m
    variances = (square_f - mean_f.square()) * (square_m - mean_m.square())
    result = covariance / variances.clamp_min(VARIANCE_FLOOR**2).sqrt()
    return result.to(fixed.dtype)


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
    reach over the border use the voxels inside; cubes without contrast count as alike,
    and equal images have 0.

    Raises:
        ValueError: If `width` is even.

    References:
        Avants et al. 2008, Symmetric diffeomorphic image registration with
        cross-correlation, doi:10.1016/j.media.2007.06.004.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width must be odd and at least 1, got {width}")
    fixed, moved = native.same_precision(fixed, moved)
    operations = native if native.is_native(fixed, moved) else stock
    sums = operations.local_correlation(fixed, moved, width, CONTRAST_FLOOR)
    return (1 - sums / fixed[0].numel()).mean().to(fixed.dtype)


def mean_squared_error(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, ""]:
    """Mean squared difference of intensities (eq. 13)."""
    return functional.mse_loss(fixed, moved)


def mutual_information_loss(
    fixed: Float[Tensor, "b c i j k"],
    moved: Float[Tensor, "b c i j k"],
    *,
    voxels: int = 4096,
    sharpness: float = 20.0,
    seed: int = 0,
) -> Float[Tensor, ""]:
    """Minus the mutual information of a random sample of voxels (eq. 15 to 17).

    Entropies come from every sampled voxel against every other, with the kernel
    exp(-sharpness |x|) in place of bins, so that they have a gradient; |x| of the pair
    of images is the sum of both. Smallest for images that determine one another, and
    not bounded by 0. `sharpness` suits intensities from 0 to 1.
    """
    count = fixed[0].numel()
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(count, generator=generator)[:voxels].to(fixed.device)
    fixed, moved = fixed.flatten(1)[:, chosen], moved.flatten(1)[:, chosen]
    return -mutual_information(fixed, moved, sharpness).mean()


def mutual_information(
    fixed: Float[Tensor, "b n"], moved: Float[Tensor, "b n"], sharpness: float
) -> Float[Tensor, " b"]:
    """Mutual information of n paired observations, in nats (eq. 15 to 17).

    Every observation is held against every other, and nothing of it is stored.
    """
    information = [
        _entropy(f[None], sharpness)
        + _entropy(m[None], sharpness)
        - _entropy(torch.stack([f, m]), sharpness)
        for f, m in zip(fixed, moved, strict=True)
    ]
    return torch.stack(information)


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
    (flow,) = native.same_precision(flow)
    operations = native if native.is_native(flow) else stock
    mean = operations.total_variation(flow).sum() / flow.numel()
    return mean.to(flow.dtype)


def invertibility_loss(
    fixed_to_moving: Float[Tensor, "b 3 i j k"],
    moving_to_fixed: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, ""]:
    """Squared length of what is left after going there and back (eq. 12).

    Of both round trips, summed; the mean over the voxels of the central half of the
    grid along each axis (the paper sums), where a round trip stays inside.
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


def _entropy(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, ""]:
    """Entropy of n observations, as far as the kernel tells them apart (eq. 17)."""
    (points,) = native.same_precision(points)
    operations = native if native.is_native(points) else stock
    return -(operations.kernel_sums(points, sharpness) / points.shape[1]).log().mean()
