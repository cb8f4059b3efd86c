"""Grids to resample onto, for voxels of a given size."""

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial.grid import Grid
from voltween.spatial.origins import origins_mm
from voltween.spatial.transform import Transform

_SAMPLES = 9  # along each edge of a field of view
_MOST_VOXELS = 1 << 31


def with_spacing(grid: Grid, spacing_mm: Float[np.ndarray, " 3"]) -> Grid:
    """Returns a grid over the same field of view with voxels of another size.

    Its shape is rounded to whole voxels; the centers of both grids coincide.

    Raises:
        InputError: If a size is not positive, or there would be too many voxels.
    """
    extent_mm = np.array(grid.shape) * grid.spacing_mm
    directions = grid.affine[:3, :3] / grid.spacing_mm
    return _over(extent_mm, grid.center_mm, spacing_mm, directions)


def grid_around(
    transform: Transform, moving: Grid, spacing_mm: Float[np.ndarray, " 3"]
) -> Grid:
    """Returns a grid in fixed space that holds the field of view of a moving scan.

    Its axes run along R, A and S. The surface of the field of view is carried to fixed
    space at a number of positions.

    Raises:
        InputError: If a size is not positive, there would be too many voxels, or none
            of the positions has an origin in fixed space.
    """
    steps = np.linspace(0, 1, _SAMPLES)
    box = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    surface = box[((box == 0) | (box == 1)).any(axis=1)]
    voxels = surface * np.array(moving.shape) - 0.5
    fixed_mm = origins_mm(transform, moving.voxel_to_world(voxels))
    fixed_mm = fixed_mm[np.isfinite(fixed_mm).all(axis=1)]
    if not len(fixed_mm):
        raise InputError(
            about="grid",
            expected="a transform with an inverse around the input",
            got="none of 386 positions that has an origin",
            advice="give an image whose grid to use: --onto, in Python onto=",
        )
    low, high = fixed_mm.min(axis=0), fixed_mm.max(axis=0)
    return _over(high - low, (low + high) / 2, spacing_mm, np.eye(3))


def _over(
    extent_mm: Float[np.ndarray, " 3"],
    center_mm: Float[np.ndarray, " 3"],
    spacing_mm: Float[np.ndarray, " 3"],
    directions: Float[np.ndarray, "3 3"],
) -> Grid:
    if not (np.isfinite(spacing_mm).all() and spacing_mm.min() > 0):
        raise InputError(
            about="voxel size", expected="positive mm", got=spacing_mm.tolist()
        )
    sizes = np.maximum(1, np.rint(extent_mm / spacing_mm))
    if sizes.prod() > _MOST_VOXELS:
        raise InputError(
            about="voxel size",
            expected=f"voxels so large that a grid has at most {_MOST_VOXELS:,}",
            got=" x ".join(f"{size:.0f}" for size in sizes),
        )
    i, j, k = (int(size) for size in sizes)
    along_i, along_j, along_k = spacing_mm.tolist()
    return Grid.centered(
        (i, j, k),
        center_mm=center_mm,
        spacing_mm=(along_i, along_j, along_k),
        directions=directions,
    )
