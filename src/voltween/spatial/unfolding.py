"""Transforms without folds: their displacement fields mended where they fold.

A transform has to be looked at twice: at the voxels of its own fields, and at those of
the grid that is resampled onto, which is usually finer and lies otherwise.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voltween.errors import InputError
from voltween.spatial.field_smoothing import Beyond, smooth_folds
from voltween.spatial.grid import Grid
from voltween.spatial.transform import Affine, DisplacementField, Transform

_LEAST_DETERMINANT = 0.01  # so that rounding, as in a file, brings no fold back
_MOST_ROUNDS = 16
_FIRST_REACH_VOXELS = 1


class Unfolded(NamedTuple):
    """A transform with its folds taken out."""

    transform: Transform
    folding_percent: float
    """Percentage of the voxels of the grid asked for at which it folds all the same."""


def remove_folds(transform: Transform, *, onto: Grid) -> Unfolded:
    """The transform, fixed to moving mm, changed around its folds so that none is left.

    It then folds neither at the voxels of its displacement fields nor at those of
    `onto`, a grid in fixed space; `DisplacementField.jacobian_determinant` is the
    measure. A transform without folds is returned as it is. So is one whose affine
    parts mirror space: it folds everywhere.

    The number of rounds is limited. If folds stay, the best transform found is returned
    with their percentage on `onto`. It is a matter of tears rather than of folds: of
    fields that end in large displacements within `onto`.

    Raises:
        InputError: If `onto` or a field has fewer than 2 voxels along an axis.
    """
    _check_shapes(transform, onto)
    best, determinants = _measured(transform, onto)
    if _is_unfolded(best) or _mirrors(transform):
        return best
    found = best
    for n in range(_MOST_ROUNDS):
        around_mm = _stencils_mm(onto, determinants < _LEAST_DETERMINANT)
        candidate = _mended(found.transform, around_mm, n)
        found, determinants = _measured(candidate, onto)
        best = min(found, best, key=lambda one: one.folding_percent)
        if _is_unfolded(found) and determinants.min() >= _LEAST_DETERMINANT:
            break
    return best


def _measured(
    transform: Transform, onto: Grid
) -> tuple[Unfolded, Float[np.ndarray, "i j k"]]:
    determinants = transform.to_field(onto).jacobian_determinant()
    return Unfolded(transform, 100 * float((determinants <= 0).mean())), determinants


def _is_unfolded(found: Unfolded) -> bool:
    return found.folding_percent == 0 and not any(
        field.folding_percent() > 0 for field in _fields(found.transform)
    )


def _mended(
    transform: Transform, around_mm: Float[np.ndarray, "n 3"], round_number: int
) -> Transform:
    """The transform with every field mended at its folds and at fixed positions."""
    # What outlasts the first round at a border is a tear: beyond its grid a field moves
    # nothing. The tear closes if the field comes down to that.
    beyond: Beyond = "nearest" if round_number == 0 else "constant"
    parts: list[Transform] = []
    for part in reversed(transform.parts()):
        reached_mm = part.map_positions(around_mm)
        if isinstance(part, DisplacementField):
            reach = _FIRST_REACH_VOXELS + round_number
            part = smooth_folds(part, around_mm, reach_voxels=reach, beyond=beyond)
        parts.append(part)
        around_mm = reached_mm
    return reduce(lambda inner, outer: outer @ inner, parts)


def _stencils_mm(
    grid: Grid, folds: Bool[np.ndarray, "i j k"]
) -> Float[np.ndarray, "n 3"]:
    """Positions of folded voxels and of the neighbors whose differences show it."""
    steps = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    voxels = np.argwhere(folds)[:, None] + steps
    return grid.voxel_to_world(voxels.reshape(-1, 3))


def _mirrors(transform: Transform) -> bool:
    matrices = [part.matrix for part in transform.parts() if isinstance(part, Affine)]
    return bool(np.prod([np.linalg.det(matrix) for matrix in matrices]) < 0)


def _fields(transform: Transform) -> list[DisplacementField]:
    return [part for part in transform.parts() if isinstance(part, DisplacementField)]


def _check_shapes(transform: Transform, onto: Grid) -> None:
    for grid in (onto, *(field.grid for field in _fields(transform))):
        if min(grid.shape) < 2:
            raise InputError(
                "folds show between voxels: a grid to unfold a transform on must have "
                f"at least 2 along each axis, got {grid.shape}; resample onto another"
            )
