"""Fixed positions that a transform maps to given moving positions.

This is the inverse at single positions. `Transform.inverse` computes it at every voxel,
which takes long, and interpolates between the voxels.
"""

import numpy as np
from jaxtyping import Float

from voltween.spatial.inversion import origins_voxels
from voltween.spatial.transform import Affine, Field, Transform

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
    field: Field, mapped_mm: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Origins that the field moves; else those beyond its grid, which do not move."""
    origins = np.full(mapped_mm.shape, np.nan)
    for guess in (_first_guess, _nearest_voxels, _unmoved):
        lost = np.isnan(origins).any(axis=1) & np.isfinite(mapped_mm).all(axis=1)
        if lost.any():
            mapped = mapped_mm[lost]
            voxels = field.grid.world_to_voxel(mapped).T
            found = field.grid.voxel_to_world((voxels + guess(field, voxels)).T)
            misses_mm = np.linalg.norm(field.map_positions(found) - mapped, axis=1)
            acceptable_mm = _ACCEPTABLE_MISS_VOXELS * field.grid.spacing_mm.min()
            found[misses_mm > acceptable_mm] = np.nan
            origins[lost] = found
    return origins


def _first_guess(
    field: Field, voxels: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """Displacements to the origins, iterated as for a whole field."""
    mapped_mm = field.map_positions(field.grid.voxel_to_world(voxels.T))
    start = 2 * voxels - field.grid.world_to_voxel(mapped_mm).T
    return _iterated(field, voxels, start)


def _nearest_voxels(
    field: Field, voxels: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """The same, started at the voxels that are mapped nearest; helps at folds."""
    flow = field.to_flow()
    grid_voxels = np.indices(flow.shape[1:], dtype=float).reshape(3, -1)
    mapped = grid_voxels + flow.reshape(3, -1)
    squares = (((mapped.T - voxel) ** 2).sum(axis=1) for voxel in voxels.T)
    nearest = grid_voxels[:, [int(square.argmin()) for square in squares]]
    return _iterated(field, voxels, nearest)


def _unmoved(
    field: Field, voxels: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """No displacement, as beyond the grid of a field."""
    return np.zeros_like(voxels)


def _iterated(
    field: Field, voxels: Float[np.ndarray, "3 n"], start: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """Displacements to origins that are iterated from a start, in voxels."""
    return origins_voxels(field.continued_warp(), voxels, start) - voxels
