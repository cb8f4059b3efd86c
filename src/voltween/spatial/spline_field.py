"""Displacement fields that are smooth between their voxels."""

from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float

from voltween.spatial.chain import Warp, solve_splines
from voltween.spatial.grid import Grid
from voltween.spatial.splines import spline_values
from voltween.spatial.transform import Field


@final
class SplineField(Field):
    """T(x) = x + u(x), with u a cubic B-spline through the vectors at the voxels.

    Both derivatives of u are continuous, so that maps of its Jacobian determinant on
    finer grids show no trace of the voxels. As in ITK's B-spline transform, T is the
    identity beyond the voxels next to the outermost ones. A field that has faded to
    zero there is smooth everywhere.

    Raises:
        InputError: If the vectors are not (I, J, K, 3) on the grid, or not finite.
    """

    @classmethod
    def from_coefficients(
        cls, coefficients_mm: Float[np.ndarray, "i j k 3"], grid: Grid
    ) -> "SplineField":
        """Makes a field from the spline's coefficients in RAS+ mm, one per voxel."""
        return cls(grid, spline_values(coefficients_mm))

    @property
    def coefficients_mm(self) -> Float[np.ndarray, "i j k 3"]:
        """Coefficients of the spline in RAS+ mm, one per voxel."""
        return self._padded_mm[..., :3]

    def warp(self) -> Warp:
        return Warp(self.grid, self._padded_mm, "spline")

    def continued_warp(self) -> Warp:
        return self.warp()

    @cached_property
    def _padded_mm(self) -> Float[np.ndarray, "i j k 4"]:
        """The coefficients and a component of zeros, so that four fill a register."""
        padded = np.zeros((*self.grid.shape, 4))
        padded[..., :3] = self.vectors_mm
        solve_splines(padded)
        return padded
