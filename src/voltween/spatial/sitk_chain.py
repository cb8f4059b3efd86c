"""Chains of maps as SimpleITK evaluates them: from voxels to voxels.

SimpleITK is given voxel coordinates, so that neither world coordinates nor LPS occur
here. They are in the order (k, j, i), because an array's last axis is SimpleITK's
first; thus no array has to be transposed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.spatial.grid import Grid

_REVERSED = np.eye(4)[[2, 1, 0, 3]]  # (i, j, k) to (k, j, i), and back


class Warp(NamedTuple):
    """A map of the voxels (k, j, i) of a grid to voxels of the same grid."""

    grid: Grid
    transform: sitk.Transform


def sitk_chain(
    steps: Sequence[Float[np.ndarray, "4 4"] | Warp], *, onto: Grid, moving: Grid
) -> sitk.CompositeTransform:
    """The map from `onto` voxel to fixed mm, through the steps, to moving mm and voxel.

    The steps are outermost first. Neighboring matrices, in RAS+ mm, are multiplied,
    because SimpleITK evaluates every step at every voxel.
    """
    chain: list[sitk.Transform] = []
    matrix: np.ndarray = _REVERSED @ np.linalg.inv(moving.affine)
    for step in steps:
        if isinstance(step, Warp):
            affine = step.grid.affine @ _REVERSED
            chain += [_sitk_affine(matrix @ affine), step.transform]
            matrix = np.linalg.inv(affine)
        else:
            matrix = matrix @ step
    chain.append(_sitk_affine(matrix @ onto.affine @ _REVERSED))
    return sitk.CompositeTransform(chain)


def sitk_displacements(
    vectors_mm: Float[np.ndarray, "i j k 3"], grid: Grid
) -> sitk.DisplacementFieldTransform:
    """SimpleITK's map of voxels (k, j, i) that reads displacements linearly."""
    to_voxels = np.linalg.inv(grid.affine @ _REVERSED)[:3, :3]
    image = sitk.GetImageFromArray(vectors_mm @ to_voxels.T, isVector=True)
    return sitk.DisplacementFieldTransform(image)


def displacements_mm(chain: sitk.Transform, grid: Grid) -> Float[np.ndarray, "i j k 3"]:
    """Displacements in RAS+ mm of a map of the grid's voxels, at all of them."""
    field = sitk.TransformToDisplacementField(
        chain, sitk.sitkVectorFloat64, grid.shape[::-1]
    )
    return sitk.GetArrayViewFromImage(field) @ (grid.affine @ _REVERSED)[:3, :3].T


def _sitk_affine(matrix: Float[np.ndarray, "4 4"]) -> sitk.AffineTransform:
    return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
