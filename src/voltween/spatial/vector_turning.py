"""Turns the vectors of a resampled image as its transform turns their surroundings."""

import numpy as np
from jaxtyping import Float

from voltween.spatial.chain import slabs
from voltween.spatial.grid import Grid
from voltween.spatial.transform import Transform

_SLAB_VOXELS = 200_000


def turn_vectors(
    transform: Transform, vectors: Float[np.ndarray, "i j k 3"], grid: Grid
) -> None:
    """Turns vectors of the moving scan, in place, to their directions in the fixed one.

    The derivative of the transform at each voxel of `grid`, in fixed space, is a
    rotation times a stretch. The inverse of the rotation is applied: lengths stay. A
    transform that mirrors mirrors the vectors. Components are along R, A and S.

    References:
        Alexander et al. 2001, Spatial transformations of diffusion tensor magnetic
        resonance images, doi:10.1109/42.963816 (finite strain).
    """
    for first, stop in slabs(grid.shape, _SLAB_VOXELS):
        before = max(0, first - 1)
        planes = grid.planes(before, min(stop + 1, grid.shape[0]))
        derivative = _derivative(transform, planes)[first - before :][: stop - first]
        left, _, right = np.linalg.svd(derivative)
        part = vectors[first:stop]
        part[...] = np.einsum("...ba,...b->...a", left @ right, part)


def _derivative(transform: Transform, grid: Grid) -> Float[np.ndarray, "i j k 3 3"]:
    """The derivative of world mm by world mm, from differences between voxels."""
    moved = transform.displacements_mm(grid)
    by_voxel = [
        np.gradient(moved, axis=axis) if size > 1 else np.zeros_like(moved)
        for axis, size in enumerate(grid.shape)
    ]
    to_voxels = np.linalg.inv(grid.affine[:3, :3])
    return np.eye(3) + np.stack(by_voxel, axis=-1) @ to_voxels
