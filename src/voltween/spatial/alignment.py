"""Initial alignment of two grids by their centers and axes."""

import numpy as np

from voltween.spatial.grid import Grid, directions_to_ras
from voltween.spatial.transform import Affine


def align_centers(fixed: Grid, moving: Grid) -> Affine:
    """Rigid map from fixed to moving mm that aligns two grids' centers and RAS axes."""
    rotation = directions_to_ras(moving) @ directions_to_ras(fixed).T
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = moving.center_mm - rotation @ fixed.center_mm
    return Affine(matrix)
