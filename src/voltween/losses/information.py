"""Mutual information of two images: of a sample of voxels, and from a histogram."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import kernel_sums, same_precision

_FEWEST_BINS, _MOST_BINS = 8, 32  # the cube root of the voxels in between
_VANISHING = 1e-12


def normalized_mutual_information_loss(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    weights: Float[Tensor, "b 1 i j k"] | None = None,
) -> Float[Tensor, ""]:
    """2 - (H(fixed) + H(moved)) / H(both), mean over the batch.

    Beyond the paper: 0 where the images determine one another, 1 where they say nothing
    of one another, whatever of the scans overlaps. From all voxels, each shared between
    its two nearest bins of either image, so that it has a gradient; intensities are
    from 0 to 1, others count as the nearest of these. A voxel counts by its weight.

    References:
        Studholme et al. 1999, An overlap invariant entropy measure of 3D medical image
        alignment, doi:10.1016/S0031-3203(98)00091-0.
    """
    counts = torch.ones_like(fixed) if weights is None else weights.to(fixed.dtype)
    joint = _joint_histogram(fixed.flatten(1), moved.flatten(1), counts.flatten(1))
    joint = joint / joint.sum((1, 2), keepdim=True).clamp_min(_VANISHING)
    single = _histogram_entropy(joint.sum(1)) + _histogram_entropy(joint.sum(2))
    both = _histogram_entropy(joint.flatten(1))
    return (2 - single / both.clamp_min(_VANISHING)).where(both > _VANISHING, 0).mean()


def _joint_histogram(
    fixed: Float[Tensor, "b n"], moved: Float[Tensor, "b n"], counts: Tensor
) -> Float[Tensor, "b bins bins"]:
    batch, voxels = fixed.shape
    bins = min(max(round(voxels ** (1 / 3)), _FEWEST_BINS), _MOST_BINS)
    shared = (_shared_between_bins(values, bins) for values in (fixed, moved))
    lows, highs = zip(*shared, strict=True)
    histogram = fixed.new_zeros(batch, bins * bins)
    for step in range(4):
        up = step >> 1, step & 1
        share = counts
        for high, is_up in zip(highs, up, strict=True):
            share = share * (high if is_up else 1 - high)
        place = (lows[0] + up[0]) * bins + lows[1] + up[1]
        histogram = histogram.scatter_add(1, place, share)
    return histogram.view(batch, bins, bins)


def _shared_between_bins(
    values: Float[Tensor, "b n"], bins: int
) -> tuple[Tensor, Tensor]:
    """The lower of the two nearest bins, and what share falls to the upper one."""
    place = values.clamp(0, 1) * (bins - 1)
    low = place.detach().floor().clamp(max=bins - 2)
    return low.long(), place - low


def _histogram_entropy(shares: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """In nats."""
    return -torch.special.xlogy(shares, shares.clamp_min(_VANISHING)).sum(1)


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
        _kernel_entropy(f[None], sharpness)
        + _kernel_entropy(m[None], sharpness)
        - _kernel_entropy(torch.stack([f, m]), sharpness)
        for f, m in zip(fixed, moved, strict=True)
    ]
    return torch.stack(information)


def _kernel_entropy(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, ""]:
    """Entropy of n observations, as far as the kernel tells them apart (eq. 17)."""
    (points,) = same_precision(points)
    return -(kernel_sums(points, sharpness) / points.shape[1]).log().mean()
