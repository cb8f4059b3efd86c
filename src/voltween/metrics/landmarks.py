"""Distances between corresponding landmarks."""

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import Affine, Grid, Points, Transform


def landmark_differences_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, "n 3"]:
    """From each moving landmark to where its fixed one is mapped, moving world mm.

    T(fixed) - moving; the n-th fixed landmark corresponds to the n-th moving one.

    Raises:
        InputError: If the two have not as many landmarks, or names that differ.
    """
    _check_correspond(fixed, moving)
    return transform.map_positions(fixed.mm) - moving.mm


def landmark_distances_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, " n"]:
    """Distance of each mapped fixed landmark to its moving one (TRE), moving world mm.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    return np.linalg.norm(landmark_differences_mm(transform, fixed, moving), axis=1)


def landmark_distances_voxels(
    transform: Transform, fixed: Points, moving: Points, *, moving_grid: Grid
) -> Float[np.ndarray, " n"]:
    """The same distance measured in voxels of the moving grid.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    differences_mm = landmark_differences_mm(transform, fixed, moving)
    to_voxels = np.linalg.inv(moving_grid.affine[:3, :3])
    return np.linalg.norm(differences_mm @ to_voxels.T, axis=1)


def lengths_before_alignment_mm(
    differences_mm: Float[np.ndarray, "n 3"], *, fixed_to_aligned: Affine
) -> Float[np.ndarray, " n"]:
    """Lengths, in the original fixed image's mm, of differences in aligned world mm.

    For scans that were aligned to an atlas before registration. Where that shrinks the
    fixed image it shrinks landmark distances too; the inverse of its linear part takes
    this back (section V-B a). `fixed_to_aligned` maps positions of the original fixed
    image to the aligned one. The paper measures the differences on the fixed side: ask
    `landmark_differences_mm` for them with the inverse transform, `moving` first.
    """
    to_original = fixed_to_aligned.inverse().matrix[:3, :3]
    return np.linalg.norm(differences_mm @ to_original.T, axis=1)


def _check_correspond(fixed: Points, moving: Points) -> None:
    if len(fixed.mm) != len(moving.mm):
        raise InputError(
            f"landmarks must come in pairs, got {len(fixed.mm)} fixed and "
            f"{len(moving.mm)} moving: leave out those that one scan lacks"
        )
    if fixed.names and moving.names and fixed.names != moving.names:
        names = zip(fixed.names, moving.names, strict=True)
        first = next(pair for pair in names if pair[0] != pair[1])
        raise InputError(
            f"landmarks must have the same names in the same order, got {first[0]!r} "
            f"in fixed where moving has {first[1]!r}: sort both alike"
        )
