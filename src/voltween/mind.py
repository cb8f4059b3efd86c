"""MIND-SSC: what an image looks like around a voxel, whatever its modality.

References:
    Heinrich et al. 2013, Towards realtime multimodal fusion for image-guided
    interventions using self-similarities, doi:10.1007/978-3-642-40811-3_24.
"""

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween import native
from voltween.boxes import box_sums

# Of the mean over the image: what the paper's authors use in their public code.
_LEAST_VARIANCE, _MOST_VARIANCE = 1e-3, 1e3
# For images without any contrast; the square of what single precision tells apart.
_VARIANCE_FLOOR = 1e-12


def mind_ssc(
    image: Float[Tensor, "b 1 i j k"], *, radius: int = 1, distance: int = 2
) -> Float[Tensor, "b 12 i j k"]:
    """Descriptor of every voxel, 0 to 1: how alike the patches around it are.

    Of the six patches `distance` voxels away along the axes, every two that are not
    opposite are compared: the squared differences d of their voxels are summed up over
    cubes of 2 `radius` + 1 voxels, and the descriptor is exp(-(d - smallest d) / v)
    with v the mean over the 12 pairs of d - smallest d. The image goes on beyond its
    border with its nearest value. Scale, offset and sign of the intensities do not
    matter; where there is no contrast, the descriptor is 1.
    """
    (image,) = native.same_precision(image)
    distances = _patch_distances(image, radius, distance)
    distances = distances - distances.amin(dim=1, keepdim=True)
    variance = distances.mean(dim=1, keepdim=True)
    typical = variance.mean(dim=(2, 3, 4), keepdim=True).clamp_min(_VARIANCE_FLOOR)
    variance = variance.clamp(_LEAST_VARIANCE * typical, _MOST_VARIANCE * typical)
    return torch.exp(-distances / variance)


def _patch_distances(
    image: Float[Tensor, "b 1 i j k"], radius: int, distance: int
) -> Float[Tensor, "b 12 i j k"]:
    """Summed squared differences of 12 pairs of patches around every voxel.

    Two pairs are moved copies of one another, so that six volumes of differences do:
    with axes a and b, the pair -a, +b is that of -b, +a, and +a, +b that of -b, -a.
    """
    padded = functional.pad(image, [radius + distance] * 6, mode="replicate")
    channels = []
    for axes in combinations(range(3), 2):
        for near, far in ((0, distance), (distance, 0)):
            start = _placed(axes, (near, 0), distance)
            end = _placed(axes, (far, distance), distance)
            size = [n + distance for n in image.shape[2:]]
            size[3 - sum(axes)] -= distance
            wide = [n + 2 * radius for n in size]
            differences = _part(padded, start, wide) - _part(padded, end, wide)
            sums = box_sums(differences.square(), 2 * radius + 1)
            for place in ((near, distance), (far, 0)):
                corner = _placed(axes, place, 0)
                channels.append(_part(sums, corner, image.shape[2:]))
    return torch.cat(channels, dim=1)


def _placed(axes: tuple[int, int], place: tuple[int, int], other: int) -> list[int]:
    """Corner of a part: `place` along two axes, `other` along the third."""
    corner = [other] * 3
    for axis, at in zip(axes, place, strict=True):
        corner[axis] = at
    return corner


def _part(image: Tensor, corner: Sequence[int], size: Sequence[int]) -> Tensor:
    i, j, k = (slice(at, at + n) for at, n in zip(corner, size, strict=True))
    return image[:, :, i, j, k]
