"""The error of an inverse: how far points return from where they started."""

import math

import numpy as np
from jaxtyping import Bool, Float

from voltween.preprocessing import find_foreground, looks_like_ct
from voltween.spatial import Grid, Image, Transform

_SLAB_VOXELS = 2_000_000  # whose displacements are 48 MB


def round_trip_errors_mm(
    fixed: Image, forward: Transform, backward: Transform
) -> Float[np.ndarray, " n"]:
    """Computes |x - backward(forward(x))| at the voxels x of a scan's foreground.

    `forward` maps fixed to moving world mm, `backward` moving to fixed world mm. The
    foreground is that of `find_foreground`; if no voxel is above its threshold, all
    voxels count. Works slab by slab, to need little memory.
    """
    mask = _foreground(fixed)
    round_trip = backward @ forward
    planes = max(1, _SLAB_VOXELS // math.prod(fixed.grid.shape[1:]))
    errors = []
    for start in range(0, fixed.grid.shape[0], planes):
        slab = mask[start : start + planes]
        if slab.any():
            field = round_trip.to_field(_slab(fixed.grid, start, len(slab)))
            errors.append(np.linalg.norm(field.vectors_mm[slab], axis=-1))
    return np.concatenate(errors)


def _foreground(image: Image) -> Bool[np.ndarray, "i j k"]:
    threshold = find_foreground(image, is_ct=looks_like_ct(image)).threshold
    mask = image.data > threshold
    return mask if mask.any() else np.ones_like(mask)


def _slab(grid: Grid, start: int, planes: int) -> Grid:
    """The part of a grid from a plane of its first axis on."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.voxel_to_world(np.array([[start, 0.0, 0.0]]))[0]
    return Grid((planes, *grid.shape[1:]), affine)
