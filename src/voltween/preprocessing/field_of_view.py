"""Which part of a grid a scan shows."""

import numpy as np
from jaxtyping import Float

from voltween.spatial import Grid

_ROUNDING = 1e-4  # voxels


def is_covered(grid: Grid, *, by: Grid) -> bool:
    """Whether all voxel centers of a grid lie within the voxel centers of a scan."""
    corners = by.world_to_voxel(grid.corners_mm())
    last = np.array(by.shape) - 1
    return bool(((corners > -_ROUNDING) & (corners < last + _ROUNDING)).all())


def coverage(grid: Grid, *, by: Grid) -> Float[np.ndarray, "i j k"]:
    """Computes the share of each voxel of a grid that lies within a scan, 0 to 1.

    The share falls from 1 at the scan's outermost voxel centers to 0 within one voxel,
    as the values of a resampled image of ones do.
    """
    to_scan = np.linalg.inv(by.affine) @ grid.affine
    shares = np.ones(grid.shape, np.float32)
    steps = [np.arange(size, dtype=np.float32) for size in grid.shape]
    for axis, size in enumerate(by.shape):
        rates = to_scan[axis, :3].astype(np.float32)
        i, j, k = np.ix_(*(r * step for r, step in zip(rates, steps, strict=True)))
        position = i + j + k + np.float32(to_scan[axis, 3])
        shares *= np.minimum(position + 1, size - position).clip(0, 1)
    return shares
