"""Distances between corresponding landmarks."""

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import (
    Grid,
    Points,
    Transform,
    directions_to_ras,
    origins_mm,
    spacing_and_shape,
)


def landmark_distances_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, " n"]:
    """Computes the target registration error |T(fixed) - moving|, in moving world mm.

    The n-th fixed landmark corresponds to the n-th moving landmark.

    Raises:
        InputError: If the numbers of landmarks or their names differ.
    """
    _check_correspondence(fixed, moving)
    return np.linalg.norm(transform.map_positions(fixed.mm) - moving.mm, axis=1)


def landmark_differences_in_fixed_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, "n 3"]:
    """Computes T^-1(moving) - fixed for every pair of landmarks, in fixed world mm.

    This is the difference vector of the paper, from a landmark of the fixed image to
    the warped landmark of the moving image. If both scans were aligned to an atlas, the
    paper applies the inverse of the linear part of the fixed image's alignment to the
    vector (section V-B a). A transform that was mapped back to the original scans gives
    that vector here without a correction. Landmarks of which no origin is found
    (`origins_mm`) are NaN.

    Raises:
        InputError: As `landmark_distances_mm`.
    """
    _check_correspondence(fixed, moving)
    return origins_mm(transform, moving.mm) - fixed.mm


def lengths_voxels(
    differences_mm: Float[np.ndarray, "n 3"],
    grid: Grid,
    *,
    voxel_mm: tuple[float, float, float] | None = None,
) -> Float[np.ndarray, " n"]:
    """Computes the lengths of difference vectors in voxels, along the axes of a grid.

    `voxel_mm` is the size of a voxel along the axes nearest to R, A and S; without it
    the voxels are those of the grid. The paper's unit is a voxel of the network's grid.
    """
    size_mm = spacing_and_shape(grid)[0] if voxel_mm is None else np.array(voxel_mm)
    along_axes_mm = differences_mm @ directions_to_ras(grid)
    return np.linalg.norm(along_axes_mm / size_mm, axis=1)


def _check_correspondence(fixed: Points, moving: Points) -> None:
    if len(fixed.mm) != len(moving.mm):
        raise InputError(
            about="landmarks",
            expected="as many fixed as moving ones",
            got=f"{len(fixed.mm)} fixed and {len(moving.mm)} moving",
            advice="leave out those that one scan lacks",
        )
    if fixed.names and moving.names and fixed.names != moving.names:
        names = zip(fixed.names, moving.names, strict=True)
        in_fixed, in_moving = next(pair for pair in names if pair[0] != pair[1])
        raise InputError(
            about="landmarks",
            expected="the same names in the same order",
            got=f"{in_fixed!r} in fixed where moving has {in_moving!r}",
            advice="sort both files the same way",
        )
