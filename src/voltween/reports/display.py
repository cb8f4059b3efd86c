"""The grid on which scans are shown."""

import numpy as np

from voltween.figures import display_grid
from voltween.spatial import Grid, directions_to_ras

MOST_VOXELS = 1.0e6
_LONGEST_SIDE = 256  # voxels


def choose_grid(scan: Grid, most_voxels: float = MOST_VOXELS) -> Grid:
    """Returns the grid of cubic voxels in RAS order over a scan's field of view.

    The voxels are as narrow as the scan's narrowest ones, or wider: there are about
    `most_voxels` at most.
    """
    extent_mm = scan.extent_mm(directions_to_ras(scan))
    longest = min(float(extent_mm.max() / scan.spacing_mm.min()) + 1, _LONGEST_SIDE)
    grid = display_grid(scan, max(2, round(longest)))
    while np.prod(grid.shape) > most_voxels and longest > 8:
        longest *= min(0.98, (most_voxels / float(np.prod(grid.shape))) ** (1 / 3))
        grid = display_grid(scan, round(longest))
    return grid
