"""Similarities of two coarse images under many affine maps at once.

Both ignore the contrast of the images, and count only what both scans see.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops import affine_flow, sum_centered_boxes, warp
from voltween.refinement.pair_tensors import PairTensors, SideTensors

_BINS = 8  # of the fixed intensities
_WINDOW = 5
_VANISHING = 1e-6


class PoseSimilarity:
    """The similarities of one pair on its grid, continued by a voxel that none sees."""

    def __init__(self, pair: PairTensors) -> None:
        (self._fixed, fixed_seen), (self._moving, moving_seen) = (
            _pad(side) for side in (pair.fixed, pair.moving)
        )
        self._seen = fixed_seen, moving_seen
        powers = [moving_seen * self._moving**n for n in range(3)]
        self._moving_powers = torch.cat(powers, dim=1)
        bins = _share_among_bins(self._fixed.flatten())
        columns = torch.cat([bins, self._fixed.view(-1, 1).square()], dim=1)
        self._fixed_columns = columns * fixed_seen.view(-1, 1)
        self._contrast = [
            _sum(seen * image.square())
            for image, seen in zip((self._fixed, self._moving), self._seen, strict=True)
        ]
        self._variance = [
            _sum(seen * _local_moments(image, image, seen)[1])
            for image, seen in zip((self._fixed, self._moving), self._seen, strict=True)
        ]

    def correlation_ratio(
        self, matrix: Float[Tensor, "n 3 3"], translation: Float[Tensor, "n 3"]
    ) -> Float[Tensor, " n"]:
        """Returns the share of the moving variance that the fixed image explains.

        0 to 1: the squared correlation ratio over what both scans see, less where they
        see little together. Differentiable.

        References:
            Roche et al. 1998, The correlation ratio as a new similarity measure for
            multimodal image registration, doi:10.1007/BFb0056301.
        """
        powers = self._warp(self._moving_powers, matrix, translation)
        sums = powers.flatten(2) @ self._fixed_columns
        count, first, second = sums[..., :-1].unbind(1)
        within = (second - first.square() / count.clamp_min(_VANISHING)).sum(1)
        total = second.sum(1) - first.sum(1).square() / count.sum(1).clamp_min(1)
        explained = 1 - within / total.clamp_min(_VANISHING)
        shares = sums[:, 0, -1] / self._contrast[0], second.sum(1) / self._contrast[1]
        return explained * torch.maximum(*shares).clamp(0, 1)

    def local_correlation(
        self, matrix: Float[Tensor, "n 3 3"], translation: Float[Tensor, "n 3"]
    ) -> Float[Tensor, " n"]:
        """Returns the share of the local variance that the other image explains.

        0 to 1: squared correlation in cubes of 5 voxels, averaged with the variance of
        either image as weight, so that flat regions do not count. It is less where both
        see little of what there is to see together.
        """
        images = torch.cat([self._moving * self._seen[1], self._seen[1]], dim=1)
        moved, seen = self._warp(images, matrix, translation).split(1, dim=1)
        moved = moved / seen.clamp_min(_VANISHING)
        weights = seen * self._seen[0]
        fixed = self._fixed.expand_as(moved)
        variances, covariance = _local_moments(fixed, moved, weights)
        shared = weights * covariance.square()
        compared = [_sum(weights * variance) for variance in variances]
        explained = sum(
            _sum(shared / (variances[1 - side] + _VANISHING)) / compared[side]
            for side in (0, 1)
        )
        shares = [
            one / all_ for one, all_ in zip(compared, self._variance, strict=True)
        ]
        return explained / 2 * torch.maximum(*shares).clamp(max=1)

    def _warp(self, image: Tensor, matrix: Tensor, translation: Tensor) -> Tensor:
        flow = affine_flow(matrix, translation, image.shape[2:])
        return warp(image.expand(len(flow), -1, -1, -1, -1).contiguous(), flow)


def seen_shares(side: SideTensors) -> Float[Tensor, "1 1 i j k"]:
    """Returns the side's mask, 1 everywhere without one."""
    return torch.ones_like(side.image[:, :1]) if side.mask is None else side.mask


def _pad(side: SideTensors) -> tuple[Tensor, Tensor]:
    """Image and mask, continued by a voxel outside the mask; the image has mean 0."""
    seen = functional.pad(seen_shares(side), [1] * 6)
    image = functional.pad(side.image[:, :1], [1] * 6, mode="replicate")
    return image - (seen * image).sum() / _sum(seen), seen


def _share_among_bins(values: Float[Tensor, " n"]) -> Float[Tensor, "n bins"]:
    """Shares the values between their two nearest of some bins over their range."""
    low, high = values.min(), values.max()
    place = (values - low) / (high - low).clamp_min(_VANISHING) * (_BINS - 1)
    bins = torch.arange(_BINS, dtype=values.dtype, device=values.device)
    return (1 - (place[:, None] - bins).abs()).clamp_min(0)


def _local_moments(
    fixed: Tensor, moved: Tensor, weights: Tensor
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Both variances and the covariance in the weighted cube around every voxel."""
    products = [fixed, moved, fixed * fixed, moved * moved, fixed * moved]
    fields = torch.cat([weights, *(weights * p for p in products)], dim=1)
    total, *sums = sum_centered_boxes(fields, _WINDOW).split(1, dim=1)
    mean_f, mean_m, square_f, square_m, product = (
        each / total.clamp_min(_VANISHING) for each in sums
    )
    variance_f = (square_f - mean_f.square()).clamp_min(0)
    variance_m = (square_m - mean_m.square()).clamp_min(0)
    return (variance_f, variance_m), product - mean_f * mean_m


def _sum(field: Float[Tensor, "n 1 i j k"]) -> Float[Tensor, " n"]:
    return field.sum((1, 2, 3, 4)).clamp_min(_VANISHING)
