"""Distances between corresponding landmarks."""

import re
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError, SuspiciousInputWarning
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

    Pairs and their order are those of `corresponding_landmarks`.

    Raises:
        InputError: As `corresponding_landmarks`.
    """
    fixed, moving = corresponding_landmarks(fixed, moving)
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
        InputError: As `corresponding_landmarks`.
    """
    fixed, moving = corresponding_landmarks(fixed, moving)
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


def corresponding_landmarks(fixed: Points, moving: Points) -> tuple[Points, Points]:
    """Pairs the landmarks of two scans; returns the fixed and the moving ones.

    If both have names, the names pair them; landmarks that one scan lacks are left
    out, and a `SuspiciousInputWarning` names them. Without names on one side, the n-th
    fixed landmark corresponds to the n-th moving landmark.

    Raises:
        InputError: If a name occurs twice or is empty, no name is in both, names differ
            in case or separators alone, the numbers of landmarks without names differ,
            or the names differ and only count from 1.
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
        if not all(names):
            raise InputError(
                about="landmarks",
                expected="a name of every landmark, or of none",
                got=f"{names.count('')} of {len(names)} {side} ones without a name",
            )
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
            advice="name them alike, or leave the names out to pair them by order",
        )
    _check_partners(fixed.names, moving.names)
    return _select(fixed, names), _select(moving, names)


def _check_partners(fixed: Sequence[str], moving: Sequence[str]) -> None:
    """Refuses names that differ in spelling alone; warns of those without a partner."""
    only_fixed = [name for name in fixed if name not in moving]
    only_moving = [name for name in moving if name not in fixed]
    spelled = {_plain(name): name for name in only_moving}
    for name in only_fixed:
        if _plain(name) in spelled:
            raise InputError(
                about="landmarks",
                expected="names that are spelled alike on both sides",
                got=f"{name!r} of the fixed and {spelled[_plain(name)]!r} of the "
                "moving scan",
            )
    sides = (("fixed", only_fixed), ("moving", only_moving))
    lone = [f"{', '.join(names)} of the {side} scan" for side, names in sides if names]
    if lone:
        warnings.warn(
            f"landmarks: {' and '.join(lone)} left out, as the other scan has none of "
            "that name",
            SuspiciousInputWarning,
            stacklevel=4,
        )


def _plain(name: str) -> str:
    """A name without case and separators."""
    return re.sub(r"[\s_.-]+", "", name).casefold()


def _select(points: Points, names: tuple[str, ...]) -> Points:
    rows = [points.names.index(name) for name in names]
    return Points(points.mm[rows], names)
