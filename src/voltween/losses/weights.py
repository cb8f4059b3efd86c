"""Weights of voxels in a similarity loss, such as masks.

Weights are at least 0, and only their ratios matter. The content of voxels of weight 0
changes neither the loss nor its gradient; a pair whose weights are all 0 has loss 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import same_precision

WEIGHT_FLOOR = 1e-6  # of the largest: a cube of less has next to no influence


def apply_weights(fixed: Tensor, moved: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """Sets the images to 0 where the weight is 0; scales the largest weight to 1."""
    fixed, moved, weights = same_precision(fixed, moved, weights)
    largest = weights.amax(dim=(1, 2, 3, 4), keepdim=True)
    weights = weights / torch.where(largest > 0, largest, 1)
    is_out = weights == 0
    return fixed.masked_fill(is_out, 0), moved.masked_fill(is_out, 0), weights


def weighted_mean(values: Tensor, weights: Tensor) -> Float[Tensor, "b 1 1 1 1"]:
    """Weighted mean over the voxels; 0 if all weights are 0."""
    total = weights.sum((1, 2, 3, 4), keepdim=True)
    sums = (weights * values).sum((1, 2, 3, 4), keepdim=True)
    return sums / torch.where(total > 0, total, 1)


def has_weight(weights: Tensor) -> Float[Tensor, "b 1 1 1 1"]:
    """1 for pairs with any weight, else 0."""
    return (weights.amax(dim=(1, 2, 3, 4), keepdim=True) > 0).to(weights.dtype)
