"""The moving scan on its way from where it was to where the registration puts it."""

from functools import cache

import numpy as np

import voltween as vt
from voltween.registration import Registration
from voltween.spatial import Transform, reorder_grid_to_ras, with_spacing

_MOST_VOXELS = 1_000_000
"""Voxels of the frames: one is resampled in about a tenth of a second."""


class Tweening:
    """Frames between the stages of a registration, on a grid over the fixed scan.

    Position 0 is the initial alignment, 1 the first stage, and so on; between two
    stages, the displacements of both are mixed.
    """

    def __init__(self, registration: Registration) -> None:
        self._moving = registration.moving
        self._transforms: dict[str, Transform] = registration.tweening
        self.grid = _shown_grid(registration.fixed.grid)
        self._field = cache(self._displacements_mm)

    @property
    def last(self) -> int:
        """The position of the last stage."""
        return len(self._transforms) - 1

    def name_at(self, position: float) -> str:
        """The stage at a position, or the two between which it lies."""
        names = list(self._transforms)
        low = int(np.clip(np.floor(position), 0, self.last))
        if position - low < 1e-6 or low == self.last:
            return names[low]
        return f"{names[low]} to {names[low + 1]}"

    def frame(self, position: float) -> vt.Image:
        """The moving scan at a position, on the grid of the frames.

        Positions beyond the first and last are those.
        """
        position = float(np.clip(position, 0, self.last))
        low = min(int(position), self.last - 1) if self.last else 0
        share = position - low
        vectors = self._field(low)
        if share > 0:
            vectors = (1 - share) * vectors + share * self._field(low + 1)
        transform = vt.DisplacementField(self.grid, vectors)
        return transform.resample(self._moving, onto=self.grid)

    def _displacements_mm(self, stage: int) -> np.ndarray:
        transform = list(self._transforms.values())[stage]
        return transform.to_field(self.grid).vectors_mm


def _shown_grid(grid: vt.Grid) -> vt.Grid:
    """A grid over the same place with axes along R, A, S, and few enough voxels."""
    grid = reorder_grid_to_ras(grid)
    excess = np.prod(grid.shape) / _MOST_VOXELS
    return (
        grid if excess <= 1 else with_spacing(grid, grid.spacing_mm * np.cbrt(excess))
    )
