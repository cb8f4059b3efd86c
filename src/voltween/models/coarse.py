"""Averages the voxels of a scan in blocks: a quick small copy in RAS order.

The copy has the same content for all 48 storage orders of a scan.
"""

import numpy as np
from jaxtyping import Float, Int

from voltween.spatial import Grid, Image, nearest_world_axes, reorder_grid_to_ras

_WIDEST_MM = 4.0
_FEWEST_VOXELS = 32  # along the longest side; small scans get smaller voxels


def average_blocks(image: Image) -> Image:
    """Averages blocks of whole voxels, of 4 mm or less along each side, in RAS order.

    The blocks are smaller if the longest side would have fewer than 32. Voxels of
    incomplete blocks at the border are left out.
    """
    grid = reorder_grid_to_ras(image.grid)
    shape = np.array(grid.shape)
    widest_mm = min(_WIDEST_MM, float((shape * grid.spacing_mm).max()) / _FEWEST_VOXELS)
    sides = np.floor(widest_mm / grid.spacing_mm + 1e-6).astype(int).clip(1, shape)
    first = shape % sides // 2
    data = _sum_blocks(_in_ras_order(image), sides, first)
    affine = grid.affine.copy()
    affine[:3, :3] *= sides
    affine[:3, 3] = grid.voxel_to_world(first + (sides - 1) / 2)
    i, j, k = data.shape
    return Image(data / sides.prod(), Grid((i, j, k), affine))


def _in_ras_order(image: Image) -> Float[np.ndarray, "_ _ _"]:
    """A view of the voxels whose axes rise to R, A and S."""
    axes = nearest_world_axes(image.grid)
    is_flipped = image.grid.affine[list(axes), [0, 1, 2]] < 0
    flipped = np.flip(image.data, tuple(np.flatnonzero(is_flipped)))
    return flipped.transpose(np.argsort(axes))


def _sum_blocks(
    data: Float[np.ndarray, "_ _ _"],
    sides: Int[np.ndarray, " 3"],
    first: Int[np.ndarray, " 3"],
) -> Float[np.ndarray, "_ _ _"]:
    """Adds up the voxels of each block."""
    # The slowest axis in memory first, whose planes are added as a whole.
    for axis in np.argsort(np.abs(data.strides))[::-1]:
        side, start = int(sides[axis]), int(first[axis])
        stop = start + (data.shape[axis] - start) // side * side
        slices = [slice(None)] * 3
        parts = []
        for offset in range(side):
            slices[axis] = slice(start + offset, stop, side)
            parts.append(data[tuple(slices)])
        data = sum(parts[1:], start=parts[0])
    return data
