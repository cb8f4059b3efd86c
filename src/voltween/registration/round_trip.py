"""The error of an inverse: how far points return from where they started."""

import numpy as np
from jaxtyping import Bool, Float

from voltween.preprocessing import find_foreground, looks_like_ct
from voltween.spatial import Image, Transform, slabs

_SLAB_VOXELS = 8_000_000  # of 5 bytes each; every slab copies fields to float32


def round_trip_errors_mm(
    fixed: Image, forward: Transform, backward: Transform
) -> Float[np.ndarray, " n"]:
    """Computes |x - backward(forward(x))| at the voxels x of a scan's foreground.

    `forward` maps fixed to moving world mm, `backward` moving to fixed world mm. The
    foreground is that of `find_foreground`; if no voxel is above its threshold, all
    voxels count. Works slab by slab: beside the result, in single precision, only a
    mask is held.
    """
    mask = _foreground(fixed)
    round_trip = backward @ forward
    errors_mm = np.empty(int(mask.sum()), np.float32)
    at = 0
    for first, stop in slabs(fixed.grid.shape, _SLAB_VOXELS):
        planes = fixed.grid.planes(first, stop)
        inner = round_trip.lengths_mm(planes, mask[first:stop])
        errors_mm[at : at + inner.size] = inner
        at += inner.size
    return errors_mm


def _foreground(image: Image) -> Bool[np.ndarray, "i j k"]:
    threshold = find_foreground(image, is_ct=looks_like_ct(image)).threshold
    mask = image.data > threshold
    return mask if mask.any() else np.ones_like(mask)
