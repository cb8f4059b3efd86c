"""Similarities in which every voxel counts by a weight, as far as a mask wants it.

The losses of the same names (`losses`), with the images' gradients. Weights are at
least 0 and only their ratios matter. What is where a weight is 0 changes neither loss
nor gradient, and a pair without any weight has loss 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses.information import mutual_information
from voltween.losses.similarity import CONTRAST_FLOOR, VARIANCE_FLOOR
from voltween.ops import same_precision, sum_centered_boxes

_WEIGHT_FLOOR = 1e-6  # of the largest: a cube of less has next to no say


def correlation_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"],
) -> Float[Tensor, ""]:
    """1 - weighted correlation coefficient, mean over the batch."""
    fixed, moved, weights = _counted(fixed, moved, weights)
    fixed = fixed - _mean(fixed, weights)
    moved = moved - _mean(moved, weights)
    covariance = _mean(fixed * moved, weights)
    variances = _mean(fixed.square(), weights) * _mean(moved.square(), weights)
    result = covariance / variances.clamp_min(VARIANCE_FLOOR**2).sqrt()
    return (_is_counted(weights) * (1 - result)).mean()


def local_correlation_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"],
    *,
    width: int = 5,
) -> Float[Tensor, ""]:
    """1 - squared weighted correlation within cubes of `width` voxels, weighted mean.

    A cube counts by the weight at its middle, its voxels by their own; cubes without
    contrast count as alike.

    Raises:
        ValueError: If `width` is even.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width must be odd and at least 1, got {width}")
    fixed, moved, weights = _counted(fixed, moved, weights)
    total = sum_centered_boxes(weights, width).clamp_min(_WEIGHT_FLOOR)

    def within_cubes(image: Tensor) -> Tensor:
        return sum_centered_boxes(weights * image, width) / total

    mean_f, mean_m = within_cubes(fixed), within_cubes(moved)
    variance_f = (within_cubes(fixed.square()) - mean_f.square()).clamp_min(0)
    variance_m = (within_cubes(moved.square()) - mean_m.square()).clamp_min(0)
    covariance = within_cubes(fixed * moved) - mean_f * mean_m
    shared = covariance.square() + CONTRAST_FLOOR
    unlike = 1 - shared / (variance_f * variance_m + CONTRAST_FLOOR)
    return _mean(unlike, weights).mean()


def mean_squared_error(
    fixed: Float[Tensor, "b c i j k"],
    moved: Float[Tensor, "b c i j k"],
    weights: Float[Tensor, "b 1 i j k"],
) -> Float[Tensor, ""]:
    """Weighted mean squared difference of intensities."""
    # Masked once, and one channel from here on: features have many.
    difference = (fixed - moved).masked_fill_(weights == 0, 0)
    return _mean(difference.square().mean(1, keepdim=True), weights).mean()


def mutual_information_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"],
    *,
    voxels: int = 4096,
    sharpness: float = 20.0,
    seed: int = 0,
) -> Float[Tensor, ""]:
    """Minus the mutual information of a random sample of voxels (eq. 15 to 17).

    A voxel is taken with a probability proportional to its weight. With equal weights,
    the sample is that of `losses.mutual_information_loss`.
    """
    fixed, moved, weights = _counted(fixed, moved, weights)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(weights[0].numel(), generator=generator)
    threshold = torch.rand(len(order), generator=generator)
    order, threshold = order.to(fixed.device), threshold.to(fixed.device)
    information = moved.flatten(1).sum(1) * 0
    for n, (f, m, w) in enumerate(zip(fixed, moved, weights, strict=True)):
        chosen = order[w.flatten()[order] > threshold][:voxels]
        if len(chosen):
            pair = f.flatten()[None, chosen], m.flatten()[None, chosen]
            information[n] = mutual_information(*pair, sharpness)[0]
    return -information.mean()


def _counted(fixed: Tensor, moved: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """The pair with 0 where nothing counts, and the weights with the largest at 1."""
    fixed, moved, weights = same_precision(fixed, moved, weights)
    largest = weights.amax(dim=(1, 2, 3, 4), keepdim=True)
    weights = weights / torch.where(largest > 0, largest, 1)
    is_out = weights == 0
    return fixed.masked_fill(is_out, 0), moved.masked_fill(is_out, 0), weights


def _mean(values: Tensor, weights: Tensor) -> Float[Tensor, "b 1 1 1 1"]:
    """Weighted mean over the voxels; 0 without any weight."""
    total = weights.sum((1, 2, 3, 4), keepdim=True)
    sums = (weights * values).sum((1, 2, 3, 4), keepdim=True)
    return sums / torch.where(total > 0, total, 1)


def _is_counted(weights: Tensor) -> Float[Tensor, "b 1 1 1 1"]:
    return (weights.amax(dim=(1, 2, 3, 4), keepdim=True) > 0).to(weights.dtype)
