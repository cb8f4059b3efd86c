"""A textured scan: every part of it looks different, so that its place can be found."""

import numpy as np
from scipy.ndimage import gaussian_filter

from voltween.spatial import Affine, Grid, Image

GRID = Grid(
    (36, 40, 32),
    np.array([[2.0, 0, 0, -30], [0, 2, 0, 10], [0, 0, 2, 5], [0, 0, 0, 1]]),
)


def head(seed=0, grid=GRID):
    """A textured ellipsoid with dark air around it, and a little noise."""
    rng = np.random.default_rng(seed)
    voxels = np.indices(grid.shape).T - (np.array(grid.shape) - 1) / 2
    radius = np.linalg.norm(voxels / (0.36 * np.array(grid.shape)), axis=-1).T
    texture = gaussian_filter(rng.normal(size=grid.shape), 2)
    data = np.where(radius < 1, 600 + 300 * texture / texture.std(), 0)
    return Image(np.abs(data + rng.normal(0, 3, grid.shape)).astype(np.float32), grid)


def shift(mm):
    """The map x -> x + mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)
