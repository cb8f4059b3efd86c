"""Maps of volume change: the Jacobian determinant of a transform on a grid."""

import numpy as np

from voltween.errors import InputError
from voltween.spatial.grid import Grid
from voltween.spatial.transform import Affine, Transform
from voltween.spatial.volume import Image


def jacobian_determinant(
    transform: Transform, *, onto: Grid, without_affine: bool = False, log: bool = False
) -> Image:
    """Computes local volume in moving space over that in fixed space, at every voxel.

    It is the determinant of the derivative of the map T from fixed to moving world mm,
    affine parts included, at the voxels of `onto`, a grid in fixed space: by central
    differences over its voxels, one-sided at its border. Above 1, the tissue is larger
    in the moving scan; at or below 0, the transform folds.

    `without_affine` divides by the determinants of the affine parts, which leaves the
    volume change by the displacement fields alone. `log` takes the natural logarithm.

    Raises:
        InputError: If `onto` has fewer than 2 voxels along an axis, or if a logarithm
            is asked for where the transform folds.
    """
    values = transform.determinants(onto)
    if without_affine:
        values /= np.float32(_affine_determinant(transform))
    return Image(_logarithm(values) if log else values, onto)


def _affine_determinant(transform: Transform) -> float:
    matrices = [part.matrix for part in transform.parts() if isinstance(part, Affine)]
    return float(np.prod([np.linalg.det(matrix[:3, :3]) for matrix in matrices]))


def _logarithm(values: np.ndarray) -> np.ndarray:
    folds = int((values <= 0).sum())
    if folds:
        raise InputError(
            about="logarithm of the Jacobian determinant",
            expected="a positive determinant at every voxel",
            got=f"{folds} voxels that fold ({100 * folds / values.size:.2g} %)",
            advice="write the determinant itself, or register with --no-folding",
        )
    return np.log(values, out=values)
