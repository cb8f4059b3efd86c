"""Mutual information of two images: of a sample of voxels, and from a histogram."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses.weights import apply_weights
from voltween.ops import joint_histogram, kernel_sums, same_precision

_FEWEST_BINS, _MOST_BINS = 8, 32  # in between, the cube root of the number of voxels
_VANISHING = 1e-12


def mutual_information_loss(
    fixed: Float[Tensor, "b c i j k"],
    moved: Float[Tensor, "b c i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
    *,
    voxels: int = 4096,
    sharpness: float = 20.0,
    seed: int | Sequence[int] = 0,
) -> Float[Tensor, ""]:
    """Negative mutual information of a random sample of voxels (eq. 15 to 17).

    The entropies compare every sampled voxel with every other by the kernel
    exp(-sharpness |x|) instead of bins, so that they have a gradient; |x| of the pair
    of images is the sum of both. The loss is smallest for images that determine each
    other, and has no lower bound of 0. `sharpness` suits intensities from 0 to 1. With
    weights (images of one channel), a voxel is sampled with a probability proportional
    to its weight; equal weights draw the same sample as none.

    The sample depends on `seed` alone: one seed for all pairs, or one per pair.
    Training gives other seeds at every step. The optimization of one pair keeps its
    sample, so that all its steps minimize the same function.
    """
    seeds = [seed] * len(fixed) if isinstance(seed, int) else seed
    is_weighted = weights is not None
    draws = {s: _draw_voxels(s, fixed[0], is_weighted=is_weighted) for s in set(seeds)}
    if weights is not None:
        fixed, moved, weights = apply_weights(fixed, moved, weights)
    information = []
    for n, (order, threshold) in enumerate(draws[s] for s in seeds):
        if weights is not None:
            order = order[weights[n].flatten()[order] > threshold]
        chosen = order[:voxels]
        pair = fixed[n].flatten()[None, chosen], moved[n].flatten()[None, chosen]
        information.append(mutual_information(*pair, sharpness))
    return -torch.cat(information).mean()


def _draw_voxels(
    seed: int, image: Tensor, *, is_weighted: bool
) -> tuple[Tensor, Tensor]:
    """All voxels in random order and, with weights, the bounds they must exceed.

    Drawn on the CPU, so that every device has the same sample.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(image.numel(), generator=generator)
    count = len(order) if is_weighted else 0
    thresholds = torch.rand(count, generator=generator)
    return order.to(image.device), thresholds.to(image.device)


def mutual_information(
    fixed: Float[Tensor, "b n"], moved: Float[Tensor, "b n"], sharpness: float
) -> Float[Tensor, " b"]:
    """Mutual information of n paired observations, in nats (eq. 15 to 17).

    Every observation is compared with every other; the n x n matrix is not stored.
    Without observations there is no information.
    """
    if fixed.shape[1] == 0:
        return moved.sum(1) * 0
    information = [
        _kernel_entropy(f[None], sharpness)
        + _kernel_entropy(m[None], sharpness)
        - _kernel_entropy(torch.stack([f, m]), sharpness)
        for f, m in zip(fixed, moved, strict=True)
    ]
    return torch.stack(information)


def normalized_mutual_information_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
) -> Float[Tensor, ""]:
    """2 - (H(fixed) + H(moved)) / H(both), mean over the batch.

    Beyond the paper: 0 for images that determine each other, 1 for independent ones,
    whatever the overlap of the scans. All voxels enter the joint histogram, each shared
    between its two nearest bins of either image, so that the loss has a gradient.
    Intensities are from 0 to 1; values outside count as the nearer bound. A voxel
    counts by its weight.

    References:
        Studholme et al. 1999, An overlap invariant entropy measure of 3D medical image
        alignment, doi:10.1016/S0031-3203(98)00091-0.
    """
    counts = torch.ones_like(fixed) if weights is None else weights.to(fixed.dtype)
    joint = joint_histogram(fixed, moved, counts, _choose_bins(fixed[0].numel()))
    joint = joint / joint.sum((1, 2), keepdim=True).clamp_min(_VANISHING)
    single = _histogram_entropy(joint.sum(1)) + _histogram_entropy(joint.sum(2))
    both = _histogram_entropy(joint.flatten(1))
    return (2 - single / both.clamp_min(_VANISHING)).where(both > _VANISHING, 0).mean()


def _choose_bins(voxels: int) -> int:
    return min(max(round(voxels ** (1 / 3)), _FEWEST_BINS), _MOST_BINS)


def _histogram_entropy(shares: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Entropy of a histogram whose bins sum to 1, in nats."""
    return -torch.special.xlogy(shares, shares.clamp_min(_VANISHING)).sum(1)


def _kernel_entropy(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, ""]:
    """Entropy of n observations, estimated with the kernel (eq. 17), in nats."""
    (points,) = same_precision(points)
    return -(kernel_sums(points, sharpness) / points.shape[1]).log().mean()
