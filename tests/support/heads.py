"""Scans that look a little like heads, each another individual."""

import numpy as np
from scipy.ndimage import gaussian_filter

from voltween.spatial import Grid, Image

SPACING_MM = (4.0, 5.0, 6.0)


def head(seed=0, *, size=1.0, turn=None):
    """A bright shell around a gray body with two unequal dark holes, on a dark grid."""
    grid = Grid.centered(
        (50, 48, 40),
        center_mm=np.array([10.0, -20.0, 30.0]),
        spacing_mm=SPACING_MM,
        directions=np.eye(3) if turn is None else turn.as_matrix(),
    )
    rng = np.random.default_rng(seed)
    radii = np.array([65.0, 85.0, 70.0]) * size * rng.uniform(0.96, 1.04, 3)
    places = (np.indices(grid.shape).T - (np.array(grid.shape) - 1) / 2) * SPACING_MM

    def ball(center, scale):
        shift = np.array(center) * radii
        return (((places - shift) / (radii * scale)) ** 2).sum(-1).T < 1

    data = 50.0 * ball((0, 0, 0), 1) + 50.0 * ball((0, -0.1, 0.1), 0.7)
    data -= 40.0 * ball((0.1, 0.4, 0), 0.2) + 40.0 * ball((0, -0.4, 0.3), 0.3)
    noise = rng.standard_normal(grid.shape)
    return Image(gaussian_filter(data, 0.7) + 0.3 * noise, grid)


def core(scan):
    """Only the bright inner part."""
    is_core = gaussian_filter(scan.data, 1) > 62
    return Image(np.where(is_core, scan.data, 0), scan.grid)


def with_inverted_tissue(scan):
    """The scan with what is bright and dark of the body exchanged."""
    return Image(np.where(scan.data > 8, 110 - scan.data, scan.data), scan.grid)
