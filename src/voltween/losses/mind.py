"""MIND-SSC: a descriptor of the neighborhood of each voxel, for any modality.

References:
    Heinrich et al. 2013, Towards realtime multimodal fusion for image-guided
    interventions using self-similarities, doi:10.1007/978-3-642-40811-3_24.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops import same_precision, sum_boxes

# Bounds as factors of the mean over the image, from the authors' public code.
_LEAST_VARIANCE, _MOST_VARIANCE = 1e-3, 1e3
# For images without any contrast; the square of the resolution of single precision.
_VARIANCE_FLOOR = 1e-12


def mind_ssc(
    image: Float[Tensor, "b 1 i j k"], *, radius: int = 1, distance: int = 2
) -> Float[Tensor, "b 12 i j k"]:
    """Descriptor of each voxel, 0 to 1: the self-similarity of the patches around it.

    It compares each two patches, of the six that lie `distance` voxels away along the
    axes, that are not opposite: the squared differences d of their voxels are summed
    over cubes of 2 `radius` + 1 voxels, and the descriptor is exp(-(d - smallest) / v),
    with v the mean of d - smallest over the 12 pairs. The image continues beyond its
    border with the nearest value. Scale, offset and sign of the intensities have no
    effect; without contrast, the descriptor is 1.
    """
    (image,) = same_precision(image)
    distances = _patch_distances(image, radius, distance)
    return _Descriptor.apply(*distances)  # type: ignore[no-untyped-call]


class _Descriptor(torch.autograd.Function):
    # By hand and one channel at a time: autograd would take some twenty passes through
    # all 12, which exceed every cache and each allocate new memory.

    @staticmethod
    def forward(ctx: Any, *distances: Tensor) -> Tensor:
        smallest, variance = distances[0], torch.zeros_like(distances[0])
        for distance in distances:
            smallest = torch.minimum(smallest, distance)
            variance.add_(distance, alpha=1 / len(distances))
        variance.sub_(smallest)
        bounded = variance.clamp(*_bounds(variance))
        batch, _, *shape = smallest.shape
        descriptor = smallest.new_empty(batch, len(distances), *shape)
        channels = descriptor.split(1, dim=1)
        for distance, channel in zip(distances, channels, strict=True):
            torch.sub(smallest, distance, out=channel).div_(bounded).exp_()
        ctx.save_for_backward(descriptor, smallest, variance, bounded, *distances)
        return descriptor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        descriptor, smallest, variance, bounded, *distances = ctx.saved_tensors
        slopes = []
        by_bounded, ties = torch.zeros_like(bounded), torch.zeros_like(bounded)
        channels = gradient.split(1, dim=1), descriptor.split(1, dim=1), distances
        for upstream, channel, distance in zip(*channels, strict=True):
            slopes.append((upstream * channel).div_(bounded).neg_())
            by_bounded.addcmul_(
                slopes[-1], (distance - smallest).div_(bounded), value=-1
            )
            ties.add_(distance == smallest)
        by_variance = _through_bounds(variance, by_bounded)
        # The smallest is subtracted from all; the variance is the mean of the rest.
        by_smallest = sum(slopes, start=by_variance).div_(ties)
        for slope, distance in zip(slopes, distances, strict=True):
            slope.add_(by_variance, alpha=1 / len(slopes))
            slope.addcmul_(by_smallest, distance == smallest, value=-1)
        return tuple(slopes)


def _through_bounds(variance: Tensor, gradient: Tensor) -> Tensor:
    """Gradient with respect to the variance, from that of the bounded variance."""
    with torch.enable_grad():
        variance = variance.detach().requires_grad_()
        bounded = variance.clamp(*_bounds(variance))
    return torch.autograd.grad(bounded, variance, gradient)[0]


def _bounds(variance: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of the variances of each image."""
    typical = variance.mean(dim=(2, 3, 4), keepdim=True).clamp_min(_VARIANCE_FLOOR)
    return _LEAST_VARIANCE * typical, _MOST_VARIANCE * typical


def _patch_distances(
    image: Float[Tensor, "b 1 i j k"], radius: int, distance: int
) -> list[Float[Tensor, "b 1 i j k"]]:
    """Summed squared differences of 12 pairs of patches around each voxel.

    Each two pairs are shifted copies of each other, so that six volumes of differences
    suffice: for axes a and b, -a, +b equals -b, +a, and +a, +b equals -b, -a.
    """
    padded = functional.pad(image, [radius + distance] * 6, mode="replicate")
    channels = []
    for axes in combinations(range(3), 2):
        for near, far in ((0, distance), (distance, 0)):
            start = _corner(axes, (near, 0), distance)
            end = _corner(axes, (far, distance), distance)
            size = [n + distance for n in image.shape[2:]]
            size[3 - sum(axes)] -= distance
            wide = [n + 2 * radius for n in size]
            differences = _crop(padded, start, wide) - _crop(padded, end, wide)
            sums = sum_boxes(differences.square(), 2 * radius + 1)
            for place in ((near, distance), (far, 0)):
                corner = _corner(axes, place, 0)
                channels.append(_crop(sums, corner, image.shape[2:]))
    return channels


def _corner(axes: tuple[int, int], place: tuple[int, int], other: int) -> list[int]:
    """Corner of a box: `place` along two axes, `other` along the third."""
    corner = [other] * 3
    for axis, at in zip(axes, place, strict=True):
        corner[axis] = at
    return corner


def _crop(image: Tensor, corner: Sequence[int], size: Sequence[int]) -> Tensor:
    i, j, k = (slice(at, at + n) for at, n in zip(corner, size, strict=True))
    return image[:, :, i, j, k]
