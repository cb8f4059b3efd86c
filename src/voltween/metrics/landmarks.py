"""Distances between corresponding landmarks."""

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import Affine, Grid, Points, Transform


def landmark_differences_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, "n 3"]:
    """Computes T(fixed) - moving for every pair of landmarks, in moving world mm.

    The n-th fixed landmark corresponds to the n-th moving landmark.

    Raises:
        InputError: If the numbers of landmarks or their names differ.
    """
    _check_correspondence(fixed, moving)
    return transform.map_positions(fixed.mm) - moving.mm


def landmark_distances_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, " n"]:
    """Computes the target registration error |T(fixed) - moving|, in moving world mm.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    return np.linalg.norm(landmark_differences_mm(transform, fixed, moving), axis=1)


def landmark_distances_voxels(
    transform: Transform, fixed: Points, moving: Points, *, moving_grid: Grid
) -> Float[np.ndarray, " n"]:
    """Computes the target registration error in voxels of the moving grid.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    differences_mm = landmark_differences_mm(transform, fixed, moving)
    to_voxels = np.linalg.inv(moving_grid.affine[:3, :3])
    return np.linalg.norm(differences_mm @ to_voxels.T, axis=1)


def lengths_before_alignment_mm(
    differences_mm: Float[np.ndarray, "n 3"], *, fixed_to_aligned: Affine
) -> Float[np.ndarray, " n"]:
    """Computes lengths in mm of the original fixed image from aligned differences.

    For scans that were aligned to an atlas before registration. An alignment that
    shrinks the fixed image shrinks landmark distances too; the inverse of its linear
    part undoes this (section V-B a). `fixed_to_aligned` maps positions of the original
    fixed image to the aligned image. The paper measures the differences in aligned
    fixed space: call `landmark_differences_mm` with the inverse transform and the
    moving landmarks first.
    """
    to_original = fixed_to_aligned.inverse().matrix[:3, :3]
    return np.linalg.norm(differences_mm @ to_original.T, axis=1)


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
