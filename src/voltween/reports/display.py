"""The grid on which scans are shown, and their gray levels."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voltween.figures import display_grid
from voltween.spatial import Grid, Image, directions_to_ras

MOST_VOXELS = 1.0e6
_LONGEST_SIDE = 256  # voxels
_PERCENTILES = (0.5, 99.5)
_NARROWEST = 1e-30  # range of intensities
_SAMPLE = 50_000  # voxels, for the percentiles


class Window(NamedTuple):
    """The intensities that are shown as black and as white."""

    low: float
    high: float

    @classmethod
    def of(cls, image: Image) -> "Window":
        """The window that leaves out half a percent of the voxels at either end."""
        step = max(1, image.data.size // _SAMPLE)
        low, high = np.percentile(image.data.reshape(-1)[::step], _PERCENTILES)
        if high <= low:  # little but background
            low, high = image.data.min(), image.data.max()
        return cls(float(low), float(high))

    def levels(self, data: Float[np.ndarray, "i j k"]) -> UInt8[np.ndarray, "i j k"]:
        """The gray levels, 0 to 255."""
        scale = np.float32(255 / max(self.high - self.low, _NARROWEST))
        shown = (data - np.float32(self.low)) * scale
        return np.rint(shown.clip(0, 255)).astype(np.uint8)


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
