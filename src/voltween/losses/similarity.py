"""Similarity losses of the paper (III-C), and local correlation.

Every loss is a scalar, the mean over the batch, and smallest (0) at the ideal.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops import local_correlation_sums, moments, same_precision

VARIANCE_FLOOR = 1e-6
# Cubes without contrast (background) must say nothing: well above rounding.
CONTRAST_FLOOR = 1e-6


def correlation(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, " b"]:
    """Correlation coefficient over all voxels of each pair, -1 to 1 (eq. 5, 6).

    From five sums over the voxels, added up in double precision in one pass.
    """
    fixed, moved = same_precision(fixed, moved)
    sums = moments(fixed, moved) / fixed[0].numel()
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
    fixed, moved = same_precision(fixed, moved)
    sums = local_correlation_sums(fixed, moved, width, CONTRAST_FLOOR)
    return (1 - sums / fixed[0].numel()).mean().to(fixed.dtype)


def mean_squared_error(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, ""]:
    """Mean squared difference of intensities (eq. 13)."""
    return functional.mse_loss(fixed, moved)
