"""Regularity of a deformation: folding, spread of volume change, inverse consistency.

The share of voxels that stay inside the moving scan is here, too.

The volume change J is the Jacobian determinant: local volume in moving space over
local volume in fixed space.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial import DisplacementField, Grid, Transform

_LEARN2REG_MARGIN = 2
_LEARN2REG_SHIFT = 3
_LEARN2REG_RANGE = 1e-9, 1e9


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


def measure_regularity(field: DisplacementField) -> Regularity:
    """Measures folding and the spread of volume change at the voxels of the field.

    For another transform, call `transform.to_field(grid)` first.

    Both are measured in two ways: as commonly defined, over all voxels, and as in the
    evaluation of the Learn2Reg challenge. The challenge takes central differences of
    the displacement in voxels (as `DisplacementField.jacobian_determinant` does away
    from the border), leaves out 2 voxels at every border, and adds 3 to J. It counts
    folded voxels after clipping J + 3 to positive values, so that its count is always
    0; here they are counted before clipping, and given in percent.

    References:
        github.com/MDL-UzL/L2R, evaluation/evaluation.py ("sdlogj") and utils.py
        (jacobian_determinant); issues 7 and 8 there ask why 3 is added.
    """
    growth = field.jacobian_determinant()
    inner = slice(_LEARN2REG_MARGIN, -_LEARN2REG_MARGIN)
    shifted = growth[inner, inner, inner] + _LEARN2REG_SHIFT
    return Regularity(
        folding_percent=_percent(growth <= 0),
        sd_log_jacobian=_sd_log(growth[growth > 0]),
        folding_percent_learn2reg=_percent(shifted <= 0),
        sd_log_jacobian_learn2reg=_sd_log(shifted.clip(*_LEARN2REG_RANGE)),
    )


def inverse_consistency_mm(
    forward: Transform, backward: Transform, *, fixed: Grid, moving: Grid
) -> float:
    """Computes the mean of |backward(forward(x)) - x| over the fixed grid, in mm.

    `forward` maps fixed to moving world mm, `backward` maps moving to fixed world mm.
    Voxels that `forward` maps outside the moving grid (more than half a voxel beyond
    its outermost centers) do not count, because nothing there can be registered. NaN if
    no voxel is left.
    """
    mapped_mm = fixed.voxel_centers_mm() + forward.to_field(fixed).vectors_mm
    errors_mm = np.linalg.norm((backward @ forward).to_field(fixed).vectors_mm, axis=-1)
    inside = _is_inside(moving, mapped_mm)
    return float(errors_mm[inside].mean()) if inside.any() else math.nan


def inside_percent(field: DisplacementField, *, moving: Grid) -> float:
    """Computes the percentage of the field's voxels that it maps inside a grid.

    Inside is at most half a voxel beyond the outermost centers of the moving grid. This
    is the size of the valid domain of equation 18; below 100, parts of the fixed scan
    are filled from beyond the moving scan.
    """
    mapped_mm = field.grid.voxel_centers_mm() + field.vectors_mm
    return _percent(_is_inside(moving, mapped_mm))


def _is_inside(
    grid: Grid, positions_mm: Float[np.ndarray, "i j k 3"]
) -> Bool[np.ndarray, "i j k"]:
    voxels = grid.world_to_voxel(positions_mm)
    top = np.array(grid.shape) - 0.5
    return np.all((voxels >= -0.5) & (voxels < top), axis=-1)


def _percent(condition: Bool[np.ndarray, "i j k"]) -> float:
    return 100 * float(condition.mean()) if condition.size else math.nan


def _sd_log(growth: Float[np.ndarray, "*n"]) -> float:
    return float(np.log(growth).std(dtype=np.float64)) if growth.size else math.nan
