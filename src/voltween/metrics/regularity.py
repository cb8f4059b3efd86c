"""Regularity of a deformation: folding, spread of volume change, inverse consistency.

The share of voxels that stay inside the moving scan is here, too.

The volume change J is the Jacobian determinant: local volume in moving space over
local volume in fixed space.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial import Grid, Transform, slabs

_LEARN2REG_MARGIN = 2
_LEARN2REG_SHIFT = 3
_LEARN2REG_RANGE = 1e-9, 1e9
_SLAB_VOXELS = 500_000  # of some 150 bytes each


@dataclass(frozen=True)
class Regularity:
    """Statistics of the volume change J of a field; NaN if no voxel counts."""

    folding_percent: float
    """Percentage of voxels with J <= 0."""
    sd_log_jacobian: float
    """Standard deviation of log J over the voxels with J > 0."""
    folding_percent_learn2reg: float
    """Percentage of voxels with J + 3 <= 0; see `measure_regularity`."""
    sd_log_jacobian_learn2reg: float
    """Standard deviation of log(J + 3), with J + 3 clipped to 1e-9 to 1e9."""


def measure_regularity(growth: Float[np.ndarray, "i j k"]) -> Regularity:
    """Measures folding and the spread of the volume change J at the voxels of a grid.

    `growth` is J, as `Transform.determinants` computes it.

    Both are measured in two ways: as commonly defined, over all voxels, and as in the
    evaluation of the Learn2Reg challenge. The challenge takes central differences of
    the displacement in voxels (as `Transform.determinants` does away from the border),
    leaves out 2 voxels at every border, and adds 3 to J. It counts folded voxels after
    clipping J + 3 to positive values, so that its count is always 0; here they are
    counted before clipping, and given in percent.

    References:
        github.com/MDL-UzL/L2R, evaluation/evaluation.py ("sdlogj") and utils.py
        (jacobian_determinant); issues 7 and 8 there ask why 3 is added.
    """
    inner = slice(_LEARN2REG_MARGIN, -_LEARN2REG_MARGIN)
    inside = growth[inner, inner, inner]
    shifted = (plane + _LEARN2REG_SHIFT for plane in inside)
    return Regularity(
        folding_percent=_percent(growth <= 0),
        sd_log_jacobian=_sd_log(plane[plane > 0] for plane in growth),
        folding_percent_learn2reg=_percent(inside <= -_LEARN2REG_SHIFT),
        sd_log_jacobian_learn2reg=_sd_log(
            plane.clip(*_LEARN2REG_RANGE).ravel() for plane in shifted
        ),
    )


def inverse_consistency_mm(
    forward: Transform, backward: Transform, *, fixed: Grid, moving: Grid
) -> float:
    """Computes the mean of |backward(forward(x)) - x| over the fixed grid, in mm.

    `forward` maps fixed to moving world mm, `backward` maps moving to fixed world mm.
    Voxels that `forward` maps outside the moving grid (more than half a voxel beyond
    its outermost centers) do not count, because nothing there can be registered. NaN if
    no voxel is left. Works slab by slab.
    """
    round_trip = backward @ forward
    total, count = 0.0, 0
    for planes, inside in _inside_by_slab(forward, fixed, moving):
        errors_mm = round_trip.lengths_mm(planes, inside)
        total += float(errors_mm.sum(dtype=np.float64))
        count += errors_mm.size
    return total / count if count else math.nan


def inside_percent(transform: Transform, *, fixed: Grid, moving: Grid) -> float:
    """Computes the percentage of the fixed grid's voxels mapped inside the moving grid.

    Inside is at most half a voxel beyond the outermost centers of the moving grid. This
    is the size of the valid domain of equation 18; below 100, parts of the fixed scan
    are filled from beyond the moving scan. Works slab by slab.
    """
    slabs_inside = _inside_by_slab(transform, fixed, moving)
    count = sum(int(inside.sum()) for _, inside in slabs_inside)
    return 100 * count / math.prod(fixed.shape)


def _inside_by_slab(
    transform: Transform, fixed: Grid, moving: Grid
) -> Iterator[tuple[Grid, Bool[np.ndarray, "i j k"]]]:
    """Slabs of the fixed grid, and which of their voxels land in the moving grid."""
    top = np.array(moving.shape) - 0.5
    for first, stop in slabs(fixed.shape, _SLAB_VOXELS):
        planes = fixed.planes(first, stop)
        vectors_mm = transform.displacements_mm(planes)
        voxels = moving.world_to_voxel(planes.voxel_centers_mm() + vectors_mm)
        yield planes, np.all((voxels >= -0.5) & (voxels < top), axis=-1)


def _percent(condition: Bool[np.ndarray, "i j k"]) -> float:
    return 100 * float(condition.mean()) if condition.size else math.nan


def _sd_log(pieces: Iterable[Float[np.ndarray, " n"]]) -> float:
    """Standard deviation of the logarithms of all numbers; NaN if there are none.

    The pieces are forgotten one by one.
    """
    count, middle, sums = 0, math.nan, np.zeros(2)
    for piece in pieces:
        if not piece.size:
            continue
        logarithms = np.log(piece).astype(np.float64)
        if not count:  # near the mean, so that the sums of squares keep their digits
            middle = float(logarithms[0])
        apart = logarithms - middle
        sums += [apart.sum(), apart @ apart]
        count += piece.size
    if not count:
        return math.nan
    mean, mean_square = sums / count
    return math.sqrt(max(0.0, mean_square - mean**2))
