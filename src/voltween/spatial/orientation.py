"""Reorders the axes of scans to the order and direction nearest to R, A and S.

Voxels keep their values and world positions; only the storage order changes.
"""

from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Shaped

from voltween.spatial.grid import Grid, nearest_world_axes
from voltween.spatial.volume import Volume

V = TypeVar("V", bound=Volume)


def reorder_volume_to_ras(volume: V) -> V:
    """Stores the same voxels at the same places (RAS+ mm) in the order R, A, S."""
    data = _reorder(volume.stored, volume.grid)
    return type(volume)(data, reorder_grid_to_ras(volume.grid))


def reorder_grid_to_ras(grid: Grid) -> Grid:
    """Stores the same voxel centers (RAS+ mm) in the order R, A, S."""
    order = np.argsort(nearest_world_axes(grid))
    first = np.where(_is_flipped(grid), np.array(grid.shape) - 1.0, 0.0)
    signs = np.where(_is_flipped(grid), -1.0, 1.0)
    affine = grid.affine.copy()
    affine[:3, :3] = (grid.affine[:3, :3] * signs)[:, order]
    affine[:3, 3] = grid.voxel_to_world(first)
    i, j, k = (grid.shape[axis] for axis in order)
    return Grid((i, j, k), affine)


def _reorder(
    data: Shaped[np.ndarray, "i j k"], grid: Grid
) -> Shaped[np.ndarray, "_ _ _"]:
    flipped = np.flip(data, tuple(np.flatnonzero(_is_flipped(grid))))
    return flipped.transpose(np.argsort(nearest_world_axes(grid)))


def _is_flipped(grid: Grid) -> Bool[np.ndarray, " 3"]:
    """For each array axis, whether it points to L, P or I."""
    axes = nearest_world_axes(grid)
    return grid.affine[list(axes), [0, 1, 2]] < 0
