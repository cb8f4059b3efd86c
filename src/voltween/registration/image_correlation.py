"""The correlation of two images, slab by slab."""

import math

import numpy as np

from voltween.spatial import Image, Transform, slabs

_SLAB_VOXELS = 2_000_000  # of 16 bytes each


def correlation_of(
    fixed: Image, moving: Image, fixed_to_moving: Transform | None = None
) -> float:
    """Correlation coefficient of a scan and another one that a transform moves to it.

    Over all voxels of the fixed scan; 0 if one of the images is constant. The moved
    image is made and forgotten slab by slab. Without a transform, the other scan lies
    on the fixed grid already.
    """
    sums = np.zeros(5)
    middles = float(fixed.data.mean()), float(moving.data.mean())
    for first, stop in slabs(fixed.grid.shape, _SLAB_VOXELS):
        moved = moving.data[first:stop]
        if fixed_to_moving is not None:
            planes = fixed.grid.planes(first, stop)
            moved = fixed_to_moving.resample(moving, onto=planes).data
        # Subtracting what is near the mean keeps all digits of the sums of squares.
        one = fixed.data[first:stop].ravel().astype(np.float64) - middles[0]
        other = moved.ravel().astype(np.float64) - middles[1]
        sums += [one.sum(), other.sum(), one @ one, other @ other, one @ other]
    count = fixed.data.size
    mean_one, mean_other, *squares = sums / count
    variances = squares[0] - mean_one**2, squares[1] - mean_other**2
    if min(variances) <= 0:
        return 0.0
    return float((squares[2] - mean_one * mean_other) / math.sqrt(math.prod(variances)))
