"""Made heads: a brain of blobs within a dark gap and a bright skull, in zero air."""

import numpy as np
from scipy.spatial.transform import Rotation

from voltween.spatial import Affine, Grid, Image

GRID = Grid.centered(
    (52, 56, 52),
    center_mm=np.zeros(3),
    spacing_mm=(4.0, 4.0, 4.0),
    directions=np.eye(3),
)
_RADII_MM = np.array([62.0, 72.0, 58.0])
_BLOBS = 150


def true_transform():
    """The true map from fixed to moving mm: turned, scaled and shifted."""
    matrix = np.eye(4)
    turn = Rotation.from_rotvec([0.06, -0.05, 0.08]).as_matrix()
    matrix[:3, :3] = turn * np.array([1.05, 0.97, 1.03])
    matrix[:3, 3] = [5.0, -4.0, 3.0]
    return Affine(matrix)


def brain(transform=None):
    """The brain alone, all else 0; where the transform, from grid to scene mm, says."""
    places, depth = _places(transform)
    return Image(np.where(depth < 1, _texture(places), 0.0), GRID)


def head(transform=None):
    """The brain with what surrounds it."""
    places, depth = _places(transform)
    data = np.where(depth < 1, _texture(places), 0.0)
    data = np.where((depth >= 1) & (depth < 1.12), 60.0, data)  # liquid and bone
    skull = (depth >= 1.12) & (depth < 1.4)
    wavy = 900 + 150 * np.sin(places / 9).sum(axis=-1)
    return Image(np.where(skull, wavy, data), GRID)


def points_mm():
    """Points within the fixed brain."""
    points = np.random.default_rng(1).uniform(-1, 1, (4000, 3)) * _RADII_MM
    return points[((points / _RADII_MM) ** 2).sum(axis=1) < 0.8]


def error_mm(found):
    """Mean distance from the true positions, within the fixed brain."""
    points = points_mm()
    apart = found.map_positions(points) - true_transform().map_positions(points)
    return float(np.linalg.norm(apart, axis=1).mean())


def _places(transform):
    """Positions in the scene, mm, of the grid's voxels, and 1 at the brain's edge."""
    places = GRID.voxel_centers_mm().reshape(-1, 3)
    if transform is not None:
        places = transform.map_positions(places)
    places = places.reshape(*GRID.shape, 3)
    return places, np.sqrt(((places / _RADII_MM) ** 2).sum(axis=-1))


def _texture(places):
    rng = np.random.default_rng(0)
    centers = rng.uniform(-1, 1, (_BLOBS, 3)) * _RADII_MM
    data = np.full(places.shape[:3], 300.0)
    for center, height in zip(centers, rng.uniform(-150, 400, _BLOBS), strict=True):
        distance = ((places - center) ** 2).sum(axis=-1)
        data += height * np.exp(-distance / (2 * 9.0**2))
    return data.clip(150, None)
