"""Fixed positions that a transform maps to given moving positions.

This is the inverse at single positions. `Transform.inverse` computes it at every voxel,
which takes long, and interpolates between the voxels.
"""

import numpy as np
from jaxtyping import Float

from voltween.spatial.inversion import inverse_displacements
from voltween.spatial.transform import Affine, DisplacementField, Transform

_ACCEPTABLE_MISS_VOXELS = 0.1  # as for the inverse of a whole field


def origins_mm(
    transform: Transform, moving_mm: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Finds the positions x with T(x) = y, in fixed world mm, of positions y.

    Positions for which none is found, which can happen where a field folds or ends, are
    NaN. Every T(x) is checked: it is y within 0.1 voxels of each field.
    """
    positions_mm = moving_mm
    for part in transform.parts():
        if isinstance(part, Affine):
            positions_mm = part.inverse().map_positions(positions_mm)
        else:
            positions_mm = _origins_of_field(part, positions_mm)
    return positions_mm


def _origins_of_field(
    field: DisplacementField, mapped_mm: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Origins that the field moves; else those beyond its grid, which do not move."""
    origins = np.full(mapped_mm.shape, np.nan)
    known = np.isfinite(mapped_mm).all(axis=1)
    mapped = mapped_mm[known]
    voxels = field.grid.world_to_voxel(mapped).T
    flow = np.ascontiguousarray(field.to_flow())
    inverse, _ = inverse_displacements(flow, voxels)
    moved = field.grid.voxel_to_world((voxels + inverse).T)
    acceptable_mm = _ACCEPTABLE_MISS_VOXELS * field.grid.spacing_mm.min()
    best = np.full(mapped.shape, np.nan)
    for candidates in (mapped, moved):  # the latter wins
        misses_mm = np.linalg.norm(field.map_positions(candidates) - mapped, axis=1)
        best = np.where(misses_mm[:, None] <= acceptable_mm, candidates, best)
    origins[known] = best
    return origins
