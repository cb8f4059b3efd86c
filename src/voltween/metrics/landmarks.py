"""Distances between corresponding landmarks."""

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import Affine, Grid, Points, Transform


def landmark_differences_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, "n 3"]:
    """Computes T(fixed) - moving for every pair of landmarks, in moving world mm.

    Pairs and their order are those of `corresponding_landmarks`.

    Raises:
        InputError: As `corresponding_landmarks`.
    """
    fixed, moving = corresponding_landmarks(fixed, moving)
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


def corresponding_landmarks(fixed: Points, moving: Points) -> tuple[Points, Points]:
    """Pairs the landmarks of two scans; returns the fixed and the moving ones.

    If both have names, the names pair them; landmarks that one scan lacks are left
    out. Without names on one side, the n-th fixed landmark corresponds to the n-th
    moving landmark.

    Raises:
        InputError: If a name occurs twice, no name is in both, the numbers of landmarks
            without names differ, or the names differ and only count from 1.
    """
    if not (fixed.names and moving.names):
        _check_equal_number(fixed, moving)
        return fixed, moving
    if set(fixed.names) != set(moving.names):
        for points in (fixed, moving):
            _check_is_named(points)
    return _pair_by_name(fixed, moving)


def _check_equal_number(fixed: Points, moving: Points) -> None:
    if len(fixed.mm) != len(moving.mm):
        raise InputError(
            about="landmarks",
            expected="as many fixed as moving ones",
            got=f"{len(fixed.mm)} fixed and {len(moving.mm)} moving",
            advice="leave out those that one scan lacks, or name them all",
        )


def _check_is_named(points: Points) -> None:
    """Refuses names that say no more than the order, in which one may be missing."""
    count = len(points.names)
    if points.names == tuple(str(n + 1) for n in range(count)):
        raise InputError(
            about="landmarks",
            expected="the same names on both sides, or names that are not just counted",
            got=f"1 to {count} on one side and others on the other",
            advice="leave out those that one scan lacks, or name them all",
        )


def _pair_by_name(fixed: Points, moving: Points) -> tuple[Points, Points]:
    for side, names in (("fixed", fixed.names), ("moving", moving.names)):
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(
                about="landmarks",
                expected="names that occur once",
                got=f"{repeated[0]!r} twice among the {side} ones",
            )
    names = tuple(name for name in fixed.names if name in moving.names)
    if not names:
        raise InputError(
            about="landmarks",
            expected="a name that fixed and moving have in common",
            got=f"{', '.join(fixed.names[:5])} and {', '.join(moving.names[:5])}",
        )
    return _select(fixed, names), _select(moving, names)


def _select(points: Points, names: tuple[str, ...]) -> Points:
    rows = [points.names.index(name) for name in names]
    return Points(points.mm[rows], names)
