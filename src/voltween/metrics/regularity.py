"""How regular a deformation is: folding, spread of volume change, way there and back.

Volume change J is the Jacobian determinant: local volume in moving space over that in
fixed space.
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
    """Figures of the volume change J of a field. NaN: no voxel to measure it at."""

    folding_percent: float
    """Voxels with J <= 0."""
    sd_log_jacobian: float
    """Standard deviation of log J over the voxels with J > 0."""
    folding_percent_learn2reg: float
    """Voxels with J + 3 <= 0; see `measure_regularity`."""
    sd_log_jacobian_learn2reg: float
    """Standard deviation of log(J + 3), with J + 3 held within 1e-9 to 1e9."""


def measure_regularity(field: DisplacementField) -> Regularity:
    """Folding and spread of the volume change, at the voxels of the field's grid.

    For another transform, ask `transform.to_field(grid)` first.

    Twice: as they are commonly defined, at all voxels, and as the evaluation of the
    Learn2Reg challenge has them. That one takes central differences of the displacement
    in voxels, which is what `DisplacementField.jacobian_determinant` does too away from
    the border, leaves out 2 voxels at every border, and adds 3 to J. It counts folded
    voxels after it has held J + 3 above 0, so that its count is always 0; here they are
    counted before, and given in percent.

    References:
        github.com/MDL-UzL/L2R, evaluation/evaluation.py ("sdlogj") and utils.py
        (jacobian_determinant); its issues 7 and 8 ask what the 3 is for.
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
    """Mean of |backward(forward(x)) - x|, fixed world mm, over the fixed grid's voxels.

    `forward` maps fixed to moving world mm, `backward` moving to fixed. Voxels that
    `forward` takes out of the moving grid (half a voxel beyond its outermost centers)
    do not count, as nothing there could be registered; NaN if none is left.
    """
    there = fixed.voxel_centers_mm() + forward.to_field(fixed).vectors_mm
    errors_mm = np.linalg.norm((backward @ forward).to_field(fixed).vectors_mm, axis=-1)
    inside = _is_inside(moving, there)
    return float(errors_mm[inside].mean()) if inside.any() else math.nan


def _is_inside(
    grid: Grid, positions_mm: Float[np.ndarray, "i j k 3"]
) -> Bool[np.ndarray, "i j k"]:
    voxels = grid.world_to_voxel(positions_mm)
    top = np.array(grid.shape) - 0.5
    return np.all((voxels >= -0.5) & (voxels < top), axis=-1)


def _percent(condition: Bool[np.ndarray, "i j k"]) -> float:
    return 100 * float(condition.mean()) if condition.size else math.nan


def _sd_log(growth: Float[np.ndarray, "*n"]) -> float:
    return float(np.log(growth).std()) if growth.size else math.nan
