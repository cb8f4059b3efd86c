"""Similarity losses of the paper (III-C) and local correlation, with optional weights.

Every loss is a scalar, the mean over the batch, and 0 for images that agree.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.errors import InputError
from voltween.losses.weights import (
    WEIGHT_FLOOR,
    apply_weights,
    has_weight,
    weighted_mean,
)
from voltween.ops import (
    local_correlation_sums,
    moments,
    same_precision,
    sum_centered_boxes,
)

_VARIANCE_FLOOR = 1e-6
# Cubes without contrast (background) must not count: well above rounding errors.
CONTRAST_FLOOR = 1e-6


def check_window(width: int, name: str = "width") -> None:
    """Checks the side of the cubes of the local correlation, in voxels.

    Raises:
        InputError: If it is even or smaller than 1.
    """
    if width < 1 or width % 2 == 0:
        raise InputError(
            about=name,
            expected="an odd number of voxels, at least 1",
            got=width,
            advice=f"take {max(1, width) | 1}",
        )


def correlation(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, " b"]:
    """Correlation coefficient over all voxels of each pair, -1 to 1 (eq. 5, 6).

    It is computed from five sums over the voxels, in double precision, in one pass.
    """
    fixed, moved = same_precision(fixed, moved)
    sums = moments(fixed, moved) / fixed[0].numel()
    mean_f, mean_m, square_f, square_m, product = sums.unbind(1)
    covariance = product - mean_f * mean_m
    variances = (square_f - mean_f.square()) * (square_m - mean_m.square())
    result = covariance / variances.clamp_min(_VARIANCE_FLOOR**2).sqrt()
    return result.to(fixed.dtype)


def correlation_loss(
    fixed: Float[Tensor, "b c i j k"],
    moved: Float[Tensor, "b c i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
) -> Float[Tensor, ""]:
    """1 - correlation coefficient, mean over the batch (eq. 7)."""
    if weights is None:
        return (1 - correlation(fixed, moved)).mean()
    fixed, moved, weights = apply_weights(fixed, moved, weights)
    fixed = fixed - weighted_mean(fixed, weights)
    moved = moved - weighted_mean(moved, weights)
    covariance = weighted_mean(fixed * moved, weights)
    variance_f = weighted_mean(fixed.square(), weights)
    variance_m = weighted_mean(moved.square(), weights)
    variances = variance_f * variance_m
    result = covariance / variances.clamp_min(_VARIANCE_FLOOR**2).sqrt()
    return (has_weight(weights) * (1 - result)).mean()


def local_correlation_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
    *,
    width: int = 5,
) -> Float[Tensor, ""]:
    """1 - squared correlation within cubes of `width` voxels, mean over all voxels.

    Beyond the paper: it tolerates contrast that varies across the image. Cubes that
    extend beyond the border use the voxels inside; cubes without contrast count as
    equal, so that equal images have loss 0. With weights, a cube counts by the weight
    at its center, and its voxels count by their own weights.

    Raises:
        InputError: If `width` is even.

    References:
        Avants et al. 2008, Symmetric diffeomorphic image registration with
        cross-correlation, doi:10.1016/j.media.2007.06.004.
    """
    check_window(width)
    if weights is None:
        fixed, moved = same_precision(fixed, moved)
        sums = local_correlation_sums(fixed, moved, width, CONTRAST_FLOOR)
        return (1 - sums / fixed[0].numel()).mean().to(fixed.dtype)
    fixed, moved, weights = apply_weights(fixed, moved, weights)
    dissimilarity = _weighted_cubes(fixed, moved, weights, width)
    return weighted_mean(dissimilarity, weights).mean()


def mean_squared_error(
    fixed: Float[Tensor, "b c i j k"],
    moved: Float[Tensor, "b c i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared difference of intensities (eq. 13)."""
    if weights is None:
        return functional.mse_loss(fixed, moved)
    # Masked once, and one channel from here on: features have many.
    difference = (fixed - moved).masked_fill_(weights == 0, 0)
    return weighted_mean(difference.square().mean(1, keepdim=True), weights).mean()


def _weighted_cubes(
    fixed: Tensor, moved: Tensor, weights: Tensor, width: int
) -> Float[Tensor, "b 1 i j k"]:
    """1 - squared weighted correlation within the cube around every voxel."""
    total = sum_centered_boxes(weights, width).clamp_min(WEIGHT_FLOOR)

    def average(image: Tensor) -> Tensor:
        return sum_centered_boxes(weights * image, width) / total

    mean_f, mean_m = average(fixed), average(moved)
    variance_f = (average(fixed.square()) - mean_f.square()).clamp_min(0)
    variance_m = (average(moved.square()) - mean_m.square()).clamp_min(0)
    covariance = average(fixed * moved) - mean_f * mean_m
    numerator = covariance.square() + CONTRAST_FLOOR
    return 1 - numerator / (variance_f * variance_m + CONTRAST_FLOOR)
