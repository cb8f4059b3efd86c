"""A pair of scans of the same blobs, whose transform is known exactly."""

import numpy as np
from scipy.spatial.transform import Rotation

from support.scans import oblique_grid, random_points_mm
from voltween.spatial import Image

SCENE = oblique_grid((22, 20, 20), seed=1, spacing_mm=(1.3, 1.5, 1.6))
MOVED_SCENE = oblique_grid((20, 22, 20), seed=2, spacing_mm=(1.4, 1.3, 1.6))


def blobs(grid, from_center_mm, seed=0):
    """An image of blobs on a grid, whose voxels lie so far from the blobs' center."""
    rng = np.random.default_rng(seed)
    centers, heights = rng.uniform(-9, 9, (60, 3)), rng.uniform(500, 1000, 60)
    distances = np.linalg.norm(from_center_mm[:, None] - centers, axis=2)
    data = (heights * np.exp(-(distances**2) / 12)).sum(axis=1)
    return Image(data.reshape(grid.shape), grid)


def true_mm(fixed_mm):
    """The true transform from fixed to moving mm: bent, rotated and shifted."""
    offset = fixed_mm - SCENE.center_mm
    bent = offset + np.sin(offset[:, [1, 2, 0]] / 5)
    turn = Rotation.from_rotvec([0.15, -0.1, 0.2]).as_matrix()
    return MOVED_SCENE.center_mm + bent @ turn.T + [1.5, -1, 2]


def known_pair(seed=0):
    """A fixed and a moving scan of the same blobs."""
    fixed_mm = true_mm(SCENE.voxel_centers_mm().reshape(-1, 3))
    moving_mm = MOVED_SCENE.voxel_centers_mm().reshape(-1, 3)
    center_mm = MOVED_SCENE.center_mm
    return (
        blobs(SCENE, fixed_mm - center_mm, seed),
        blobs(MOVED_SCENE, moving_mm - center_mm, seed),
    )


def scene_points_mm(within_mm=9.0):
    """Points in the fixed scan at which both scans show blobs."""
    points = random_points_mm(SCENE, 600)
    return points[np.linalg.norm(points - SCENE.center_mm, axis=1) < within_mm]


def error_mm(transform):
    """Mean distance between mapped and true positions."""
    points = scene_points_mm()
    apart = transform.map_positions(points) - true_mm(points)
    return np.linalg.norm(apart, axis=1).mean()
