"""Removes folds from transforms by smoothing their displacement fields where they fold.

Folds are checked at the voxels of the transform's own fields and at those of the grid
to resample onto, which is usually finer and placed differently.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voltween.errors import InputError
from voltween.spatial.field_smoothing import Beyond, smooth_folds
from voltween.spatial.grid import Grid
from voltween.spatial.transform import Affine, Field, Transform

_LEAST_DETERMINANT = 0.01  # so that rounding, as in a file, causes no new fold
_MAX_ROUNDS = 16
_FIRST_REACH_VOXELS = 1


class Unfolded(NamedTuple):
    """A transform whose folds were removed as far as possible."""

    transform: Transform
    folding_percent: float
    """Percentage of voxels of `onto` that still fold."""


def remove_folds(transform: Transform, *, onto: Grid) -> Unfolded:
    """Removes the folds of a transform, fixed to moving mm, by changes around them.

    The result folds neither at the voxels of its displacement fields nor at those of
    `onto`, a grid in fixed space, as measured by
    `Transform.determinants`. A transform without folds is returned
    unchanged. So is one whose affine parts mirror space, because it folds everywhere.

    The number of rounds is limited to 16. If folds remain, the best transform is
    returned with their percentage on `onto`. What remains is usually a tear: a field
    that ends in a large displacement inside `onto`.

    Raises:
        InputError: If `onto` or a field has fewer than 2 voxels along an axis.
    """
    _check_shapes(transform, onto)
    best, determinants = _measure(transform, onto)
    if _is_unfolded(best) or _mirrors(transform):
        return best
    latest = best
    for n in range(_MAX_ROUNDS):
        around_mm = _stencils_mm(onto, determinants < _LEAST_DETERMINANT)
        candidate = _smooth_fields(latest.transform, around_mm, n)
        latest, determinants = _measure(candidate, onto)
        best = min(latest, best, key=lambda one: one.folding_percent)
        if _is_unfolded(latest) and determinants.min() >= _LEAST_DETERMINANT:
            break
    return best


def _measure(
    transform: Transform, onto: Grid
) -> tuple[Unfolded, Float[np.ndarray, "i j k"]]:
    determinants = transform.determinants(onto)
    return Unfolded(transform, 100 * float((determinants <= 0).mean())), determinants


def _is_unfolded(result: Unfolded) -> bool:
    return result.folding_percent == 0 and not any(
        field.folding_percent() > 0 for field in _fields(result.transform)
    )


def _smooth_fields(
    transform: Transform, around_mm: Float[np.ndarray, "n 3"], round_number: int
) -> Transform:
    """Smooths every field at its folds and around positions in fixed world mm."""
    # A fold that remains at a border after the first round is a tear, because beyond
    # its grid a field moves nothing. It closes if the field is smoothed towards 0.
    beyond: Beyond = "nearest" if round_number == 0 else "constant"
    parts: list[Transform] = []
    for part in reversed(transform.parts()):
        mapped_mm = part.map_positions(around_mm)
        if isinstance(part, Field):
            reach = _FIRST_REACH_VOXELS + round_number
            part = smooth_folds(part, around_mm, reach_voxels=reach, beyond=beyond)
        parts.append(part)
        around_mm = mapped_mm
    return reduce(lambda inner, outer: outer @ inner, parts)


def _stencils_mm(
    grid: Grid, folds: Bool[np.ndarray, "i j k"]
) -> Float[np.ndarray, "n 3"]:
    """World positions of folded voxels and of the neighbors in their differences."""
    steps = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    voxels = np.argwhere(folds)[:, None] + steps
    return grid.voxel_to_world(voxels.reshape(-1, 3))


def _mirrors(transform: Transform) -> bool:
    matrices = [part.matrix for part in transform.parts() if isinstance(part, Affine)]
    return bool(np.prod([np.linalg.det(matrix) for matrix in matrices]) < 0)


def _fields(transform: Transform) -> list[Field]:
    return [part for part in transform.parts() if isinstance(part, Field)]


def _check_shapes(transform: Transform, onto: Grid) -> None:
    for grid in (onto, *(field.grid for field in _fields(transform))):
        if min(grid.shape) < 2:
            raise InputError(
                about="grid to remove folds on",
                expected="at least 2 voxels along each axis",
                got=f"shape {grid.shape}",
                advice="choose a grid of more voxels",
            )
